// Two pictures beside each other, or one over the other with a slider between them.
import { find } from "./elements";
import { Painter } from "./painter";
import { Sheet } from "./sheet";
import type { Studio } from "./studio";

export class CompareView {
  private readonly dialog = find("compare", HTMLDialogElement);
  private readonly slider = find("compare-at", HTMLInputElement);
  private readonly beside = find("compare-beside", HTMLInputElement);
  private readonly painters = ["compare-left", "compare-right"].map(
    (id) => new Painter(new Sheet(find(id, HTMLDivElement), Infinity)),
  );
  private readonly titles = ["compare-left-title", "compare-right-title"].map((id) => find(id, HTMLElement));

  constructor(studio: Studio) {
    studio.compared.watch((pictures) => {
      if (pictures === null) return this.dialog.close();
      pictures.forEach((picture, side) => {
        void this.painters[side]!.paint(picture);
        this.titles[side]!.textContent = picture.title;
      });
      if (!this.dialog.open) this.dialog.showModal();
      this.arrange();
    });
    this.dialog.onclose = () => studio.compared.value !== null && (studio.compared.value = null);
    find("compare-close", HTMLButtonElement).onclick = () => this.dialog.close();
    this.slider.oninput = () => this.arrange();
    this.beside.onchange = () => this.arrange();
  }

  private arrange(): void {
    this.dialog.classList.toggle("beside", this.beside.checked);
    this.slider.disabled = this.beside.checked;
    find("compare-right", HTMLDivElement).style.clipPath = this.beside.checked ? "" : `inset(0 0 0 ${this.slider.value}%)`;
    find("compare-line", HTMLDivElement).style.left = `${this.slider.value}%`;
  }
}
