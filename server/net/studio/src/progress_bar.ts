// How far the picture is, in words and as a bar, and how to stop it.
import { find } from "./elements";
import type { Picture } from "./picture";
import type { Studio } from "./studio";

const STAGES: Record<string, string> = {
  loading_model: "Getting the model ready",
  reading_prompts: "Reading your words",
  drafting: "Drafting the foreground",
  drawing: "Drawing",
  refining: "Refining details",
  decoding: "Finishing the layers",
};

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
    const busy = picture !== null && !picture.isOver;
    this.area.hidden = !busy;
    this.speak(picture);
    document.title = busy ? `${stage(picture)} – LayerFusion studio` : "LayerFusion studio";
    if (!busy) return;
    const { progress } = picture;
    this.text.textContent = [stage(picture), steps(picture), left(picture)].filter((part) => part !== "").join(", ");
    if (progress === null || progress.total === 1) this.bar.removeAttribute("value");
    else [this.bar.max, this.bar.value] = [progress.total, progress.step];
    this.cancel.disabled = picture.cancelling;
    this.cancel.textContent = picture.cancelling ? "Cancelling…" : "Cancel";
  }

  /** Screen readers are told the stages, not every step. */
  private speak(picture: Picture | null): void {
    const ends = { finished: "The picture is finished.", cancelled: "Cancelled.", failed: "The picture failed." };
    const text =
      picture === null ? "" : picture.phase in ends ? ends[picture.phase as keyof typeof ends] : stage(picture);
    if (this.spoken.textContent !== text) this.spoken.textContent = text;
  }
}

function stage(picture: Picture): string {
  if (picture.progress !== null) return STAGES[picture.progress.stage] ?? picture.progress.text ?? "Drawing";
  if (picture.phase === "drawing") return "Beginning";
  if (picture.position > 0) return `Waiting for ${picture.position === 1 ? "one picture" : `${picture.position} pictures`}`;
  return "Waiting for the server";
}

function steps(picture: Picture): string {
  const { progress } = picture;
  return progress !== null && progress.total > 1 ? `step ${progress.step} of ${progress.total}` : "";
}

function left(picture: Picture): string {
  const seconds = picture.phase === "drawing" ? picture.progress?.eta : picture.startsIn;
  if (seconds == null) return "";
  const words =
    seconds < 1.5 ? "a second" : seconds < 90 ? `${Math.round(seconds)} seconds` : `${Math.round(seconds / 60)} minutes`;
  return picture.phase === "drawing" ? `about ${words} left` : `begins in about ${words}`;
}
