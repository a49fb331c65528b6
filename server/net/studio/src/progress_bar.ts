// How far the picture is, in words and as a bar, and how to stop it.
import { find } from "./elements";
import { t } from "./language";
import type { Picture } from "./picture";
import type { Studio } from "./studio";

const STAGES: Record<string, string> = {
  loading_model: t("Getting the model ready"),
  reading_prompts: t("Reading your words"),
  drafting: t("Drafting the foreground"),
  drawing: t("Drawing"),
  refining: t("Refining details"),
  decoding: t("Finishing the layers"),
};

type State = Pick<Picture, "phase" | "position" | "startsIn" | "progress">;

export class ProgressBar {
  private readonly area = find("progress", HTMLDivElement);
  private readonly bar = find("bar", HTMLProgressElement);
  private readonly text = find("progress-text", HTMLSpanElement);
  private readonly spoken = find("spoken", HTMLParagraphElement);
  private readonly cancel = find("cancel", HTMLButtonElement);

  constructor(studio: Studio) {
    this.cancel.onclick = () => studio.cancel();
    studio.picture.watch((picture) => this.update(picture));
  }

  private update(picture: Picture | null): void {
    const busy = picture !== null && !picture.isOver && !picture.isOpening;
    this.area.hidden = !busy;
    this.speak(picture);
    document.title = busy ? `${stage(picture)} – LayerFusion studio` : "LayerFusion studio";
    if (!busy) return;
    const { progress } = picture;
    this.text.textContent = [stage(picture), steps(picture), timeLeft(picture)].filter((part) => part !== "").join(", ");
    if (progress === null || progress.total === 1) this.bar.removeAttribute("value");
    else [this.bar.max, this.bar.value] = [progress.total, progress.step];
    this.cancel.disabled = picture.cancelling;
    this.cancel.textContent = picture.cancelling ? t("Cancelling…") : t("Cancel");
  }

  /** Screen readers are told the stages, not every step. */
  private speak(picture: Picture | null): void {
    const ends = { finished: t("The picture is finished."), cancelled: t("Cancelled."), failed: t("The picture failed.") };
    const text =
      picture === null || (picture.isOpening && !picture.isOver) ? "" : picture.phase in ends ? ends[picture.phase as keyof typeof ends] : stage(picture);
    if (this.spoken.textContent !== text) this.spoken.textContent = text;
  }
}

/** What is being done for a picture, in words. */
export function stage(picture: State): string {
  if (picture.progress !== null) return STAGES[picture.progress.stage] ?? picture.progress.text ?? t("Drawing");
  if (picture.phase === "drawing") return t("Beginning");
  if (picture.position > 0) return picture.position === 1 ? t("Waiting for one picture") : t("Waiting for {count} pictures", { count: picture.position });
  return t("Waiting for the server");
}

export function steps(picture: State): string {
  const { progress } = picture;
  return progress !== null && progress.total > 1 ? t("step {step} of {total}", { step: progress.step, total: progress.total }) : "";
}

export function timeLeft(picture: State): string {
  const seconds = picture.phase === "drawing" ? picture.progress?.eta : picture.startsIn;
  if (seconds == null) return "";
  const drawing = picture.phase === "drawing";
  const values = { count: Math.round(seconds < 90 ? seconds : seconds / 60) };
  if (seconds < 1.5) return drawing ? t("about a second left") : t("begins in about a second");
  if (seconds < 90) return drawing ? t("about {count} seconds left", values) : t("begins in about {count} seconds", values);
  return drawing ? t("about {count} minutes left", values) : t("begins in about {count} minutes", values);
}
