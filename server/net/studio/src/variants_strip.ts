// The variants of the picture that is shown: one click shows another one, and one of them can be kept.
import { drawn, find, make } from "./elements";
import { entryOf, titleOf } from "./entries";
import { t } from "./language";
import type { JobSummary } from "./protocol";
import type { Studio } from "./studio";

export class VariantsStrip {
  private readonly strip = find("variants", HTMLDivElement);
  private readonly list = find("variant-list", HTMLUListElement);
  private readonly keep = find("keep-variant", HTMLButtonElement);
  private readonly question = find("keep-question", HTMLDialogElement);
  private made = "";

  constructor(private readonly studio: Studio) {
    for (const signal of [studio.history, studio.picture, studio.thumbnails.images]) signal.watch(() => this.update());
    this.keep.onclick = () => this.ask();
    find("keep-no", HTMLButtonElement).onclick = () => this.question.close();
    find("keep-yes", HTMLButtonElement).onclick = () => {
      for (const job of this.others) studio.delete(job.job);
      this.question.close();
    };
  }

  private get variants(): JobSummary[] {
    return entryOf(this.studio.history.value, this.studio.picture.value?.job) ?? [];
  }

  private get others(): JobSummary[] {
    return this.variants.filter((each) => each.job !== this.studio.picture.value?.job);
  }

  private update(): void {
    const { variants } = this;
    const shown = this.studio.picture.value;
    this.strip.hidden = variants.length < 2;
    if (this.strip.hidden) return;
    const made = JSON.stringify(
      variants.map(({ job, state }) => [job, state, this.image(job, state) !== undefined, job === shown?.job]),
    );
    if (made !== this.made) {
      this.made = made;
      const at = [...this.list.children].findIndex((row) => row.contains(document.activeElement));
      this.list.replaceChildren(...variants.map((job, number) => this.row(job, number + 1)));
      this.list.children[at]?.querySelector("button")?.focus();
    }
    this.keep.disabled = shown?.phase !== "finished" || this.others.some((job) => job.ended === null);
  }

  private image(job: string, state: JobSummary["state"]): ImageData | undefined {
    return state === "finished" ? this.studio.thumbnails.of(job) : undefined;
  }

  private row(job: JobSummary, number: number): HTMLLIElement {
    const image = this.image(job.job, job.state);
    const button = make("button", { type: "button", onclick: () => this.studio.openJob(job) });
    button.setAttribute("aria-label", t("Variant {number}", { number }));
    button.setAttribute("aria-current", String(job.job === this.studio.picture.value?.job));
    button.append(make("span", { className: "thumbnail" }, ...(image === undefined ? [String(number)] : [drawn(image)])));
    return make("li", {}, button);
  }

  private ask(): void {
    const { others, variants } = this;
    find("keep-what", HTMLParagraphElement).textContent = titleOf(variants[0]!);
    find("keep-count", HTMLParagraphElement).textContent =
      others.length === 1
        ? t("The other variant is deleted from the server. Nothing brings it back.")
        : t("The {count} other variants are deleted from the server. Nothing brings them back.", { count: others.length });
    this.question.showModal();
  }
}
