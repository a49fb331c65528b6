// The variants of the picture that is shown: one click shows another one, and one of them can be kept.
import { arrange, drawn, find, make } from "./elements";
import { entryOf, titleOf } from "./entries";
import { t } from "./language";
import type { JobSummary } from "./protocol";
import type { Studio } from "./studio";

export class VariantsStrip {
  private readonly strip = find("variants", HTMLDivElement);
  private readonly list = find("variant-list", HTMLUListElement);
  private readonly keep = find("keep-variant", HTMLButtonElement);
  private readonly question = find("keep-question", HTMLDialogElement);
  /** Job -> its row, which stays the same while the variant is drawn, so that nobody presses what has just gone. */
  private rows = new Map<string, Row>();

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
    this.rows = new Map(variants.map(({ job }) => [job, this.rows.get(job) ?? new Row(this.studio)]));
    for (const [at, job] of variants.entries()) {
      const image = job.state === "finished" ? this.studio.thumbnails.of(job.job) : undefined;
      this.rows.get(job.job)!.show(job, at + 1, image, job.job === shown?.job);
    }
    arrange(this.list, [...this.rows.values()].map(({ element }) => element));
    this.keep.disabled = shown?.phase !== "finished" || this.others.some((job) => job.ended === null);
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

class Row {
  readonly element: HTMLLIElement;
  private readonly button = make("button", { type: "button" });
  private readonly thumbnail = make("span", { className: "thumbnail" });
  private job: JobSummary | null = null;
  private image: ImageData | undefined;

  constructor(studio: Studio) {
    this.button.append(this.thumbnail);
    this.button.onclick = () => this.job !== null && studio.openJob(this.job);
    this.element = make("li", {}, this.button);
  }

  show(job: JobSummary, number: number, image: ImageData | undefined, isShown: boolean): void {
    if (this.job === null || image !== this.image) this.thumbnail.replaceChildren(image === undefined ? String(number) : drawn(image));
    [this.job, this.image] = [job, image];
    this.button.setAttribute("aria-label", t("Variant {number}", { number }));
    this.button.setAttribute("aria-current", String(isShown));
  }
}
