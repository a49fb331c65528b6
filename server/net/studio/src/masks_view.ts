// The priors and masks of every step over the picture, as in Fig. 3 of the paper: what a map leaves out is darkened.
import { find } from "./elements";
import { t } from "./language";
import { figureStep, type MapName, MAPS, type MaskStep } from "./masks";
import type { Picture } from "./picture";
import type { Studio } from "./studio";

const EXPLAINED: Record<MapName, string> = {
  structure: t("Where the picture gathers its shapes: bright parts belong to the foreground's outline."),
  content: t("How sure the model is that something is there."),
  soft: t("Both together: how much each place belongs to the foreground."),
  hard: t("The soft mask with a clear edge: where foreground and background are kept apart."),
};
const VEIL = 220; // of 255: how dark it is where a map is 0

export class MasksView {
  private readonly area = find("masks-area", HTMLDivElement);
  private readonly overlay = find("masks-overlay", HTMLCanvasElement);
  private readonly shown = find("masks-shown", HTMLInputElement);
  private readonly map = find("masks-map", HTMLSelectElement);
  private readonly step = find("masks-step", HTMLInputElement);
  private readonly foreground = find("masks-foreground", HTMLSelectElement);
  private readonly text = find("masks-text", HTMLParagraphElement);
  private readonly missing = find("masks-missing", HTMLDivElement);
  private readonly figure = find("masks-figure", HTMLButtonElement);
  private job = "";
  /** Whether the artist has chosen a step of this picture. */
  private isChosen = false;

  constructor(private readonly studio: Studio) {
    for (const field of [this.shown, this.map, this.foreground]) field.oninput = () => this.show();
    this.step.oninput = () => {
      this.isChosen = true;
      this.show();
    };
    this.figure.onclick = () => {
      this.step.value = String(figureStep(this.steps));
      this.isChosen = true;
      this.show();
    };
    find("masks-again", HTMLButtonElement).onclick = () => {
      const picture = studio.picture.value;
      this.shown.checked = true;
      if (picture !== null) studio.drawAgain(picture, true);
    };
    studio.picture.watch((picture) => this.update(picture));
  }

  private get steps(): MaskStep[] {
    const index = Number(this.foreground.value || 0);
    return this.studio.picture.value?.masks.filter((step) => step.foreground === index) ?? [];
  }

  private update(picture: Picture | null): void {
    const foregrounds = [...new Set(picture?.masks.map((step) => step.foreground))].sort();
    if (this.job !== picture?.job || this.foreground.options.length !== foregrounds.length) {
      const before = this.foreground.value;
      this.foreground.replaceChildren(
        ...foregrounds.map((index) => new Option(t("Foreground {number}", { number: index + 1 }), String(index))),
      );
      if (this.job === picture?.job) this.foreground.value = before || "0";
    }
    this.foreground.hidden = foregrounds.length < 2;
    if (this.job !== picture?.job) this.isChosen = false;
    this.job = picture?.job ?? "";
    // While it is drawn, the newest step is shown; then that of the paper's figure, until another one is chosen.
    const last = this.steps.length - 1;
    this.step.max = String(Math.max(last, 0));
    if (!this.isChosen) this.step.value = String(picture?.isOver ? figureStep(this.steps) : last);
    this.show();
  }

  private show(): void {
    const picture = this.studio.picture.value;
    const { steps } = this;
    const step = steps[Number(this.step.value)];
    const has = step !== undefined;
    this.area.hidden = !has;
    this.missing.hidden = has || picture?.phase !== "finished";
    const over = has && this.shown.checked && picture !== null;
    this.overlay.hidden = !over;
    this.map.disabled = this.step.disabled = this.figure.disabled = this.foreground.disabled = !over;
    if (!has || picture === null) return;
    const name = MAPS[this.map.selectedIndex]!;
    const words = t("Step {step} of {count}, t = {time} T; trust {trust} %", {
      step: Number(this.step.value) + 1,
      count: steps.length,
      time: step.time.toFixed(2),
      trust: Math.round(100 * step.trust),
    });
    this.step.setAttribute("aria-valuetext", words);
    this.text.textContent = `${words}. ${EXPLAINED[name]}`;
    this.figure.setAttribute("aria-pressed", String(Number(this.step.value) === figureStep(steps)));
    if (over) this.paint(step, step.maps[name], picture);
  }

  private paint(step: MaskStep, map: Uint8Array, picture: Picture): void {
    const image = new ImageData(step.width, step.height);
    for (let at = 0; at < map.length; at++) image.data[4 * at + 3] = Math.round((VEIL * (255 - map[at]!)) / 255);
    [this.overlay.width, this.overlay.height] = [step.width, step.height];
    this.overlay.getContext("2d")!.putImageData(image, 0, 0);
    this.overlay.style.width = `${picture.width}px`;
    this.overlay.style.height = `${picture.height}px`;
  }
}
