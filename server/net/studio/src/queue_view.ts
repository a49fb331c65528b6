// The pictures that wait or are being drawn, in the order in which they are drawn.
import { arrange, find, make } from "./elements";
import { titleOf } from "./entries";
import { icon } from "./icons";
import { t } from "./language";
import { stage, steps, timeLeft } from "./progress_bar";
import type { JobSummary } from "./protocol";
import type { Stand } from "./queue";
import type { Studio } from "./studio";

export class QueueView {
  private readonly section = find("side-queue", HTMLElement);
  private readonly list = find("queue", HTMLUListElement);
  private readonly rows = new Map<string, Row>();

  constructor(private readonly studio: Studio) {
    studio.history.watch(() => this.update());
    studio.queue.stands.watch(() => this.update());
    const show = (): void => {
      this.section.scrollIntoView({ block: "nearest" });
      this.list.querySelector("button")?.focus();
    };
    studio.notices.remedies.set("queue_full", { label: t("Show the queue"), act: show });
  }

  private update(): void {
    const stands = this.studio.queue.stands.value;
    const live = this.studio.history.value.filter((job) => job.ended === null);
    const place = (job: JobSummary): number => (job.state === "running" ? -1 : (stands.get(job.job)?.position ?? Infinity));
    live.sort((one, other) => place(one) - place(other) || one.submitted - other.submitted);
    this.section.hidden = live.length === 0;
    for (const job of [...this.rows.keys()]) if (!live.some((each) => each.job === job)) this.rows.delete(job);
    const waiting = live.filter((job) => job.state === "queued");
    const rows = live.map((job) => {
      const row = this.rows.get(job.job) ?? new Row(this.studio, job);
      this.rows.set(job.job, row);
      const at = waiting.indexOf(job);
      row.show(job, stands.get(job.job), waiting[at - 1]?.job, at === -1 ? undefined : waiting[at + 1]?.job);
      return row.element;
    });
    arrange(this.list, rows);
  }
}

class Row {
  readonly element: HTMLLIElement;
  private readonly text = make("small");
  private readonly bar = make("progress");
  private readonly earlier: HTMLButtonElement;
  private readonly later: HTMLButtonElement;
  private before: string | undefined;
  private after: string | undefined;

  constructor(studio: Studio, job: JobSummary) {
    const title = titleOf(job);
    const open = make("button", { type: "button", className: "open", title, onclick: () => studio.openJob(job) }, title);
    const button = (name: Parameters<typeof icon>[0], label: string, act: () => void): HTMLButtonElement => {
      const made = make("button", { type: "button", className: "icon", title: label, onclick: act }, icon(name));
      made.setAttribute("aria-label", `${label}: ${title}`);
      return made;
    };
    this.earlier = button("up", t("Draw earlier"), () => this.before && studio.move(job.job, this.before));
    this.later = button("down", t("Draw later"), () => this.after && studio.move(this.after, job.job));
    const cancel = button("cancel", t("Cancel"), () => studio.cancel(job.job));
    this.bar.setAttribute("aria-label", t("Progress of {title}", { title }));
    this.element = make("li", {}, open, this.earlier, this.later, cancel, this.bar, this.text);
    this.element.dataset.job = job.job;
  }

  show(job: JobSummary, stand: Stand | undefined, before: string | undefined, after: string | undefined): void {
    [this.before, this.after] = [before, after];
    const running = job.state === "running";
    this.earlier.disabled = before === undefined;
    this.later.disabled = after === undefined;
    this.earlier.hidden = this.later.hidden = running;
    this.bar.hidden = !running;
    const progress = stand?.progress ?? null;
    if (progress === null || progress.total === 1) this.bar.removeAttribute("value");
    else [this.bar.max, this.bar.value] = [progress.total, progress.step];
    const state = { phase: running ? "drawing" : "waiting", position: 0, startsIn: null, ...stand, progress } as const;
    const words = [stage(state), steps(state), timeLeft(state)].filter((part) => part !== "").join(", ");
    if (this.text.textContent !== words) this.text.textContent = words;
  }
}
