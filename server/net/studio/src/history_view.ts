// All pictures of this user, newest first, also those that were begun in Krita.
import { drawn, find, make } from "./elements";
import { icon } from "./icons";
import { t } from "./language";
import type { JobSummary } from "./protocol";
import type { Studio } from "./studio";

const SIDE = 192;
const PAGE = 24;
const AGAIN = 5000; // ms between two looks at what other programs have begun
const STATES: Record<JobSummary["state"], string> = {
  queued: t("waiting"),
  running: t("being drawn"),
  finished: "",
  failed: t("failed"),
  cancelled: t("cancelled"),
  interrupted: t("interrupted"),
};

export class HistoryView {
  private readonly grid = find("history", HTMLUListElement);
  private readonly more = find("more", HTMLButtonElement);
  private readonly question = find("delete-question", HTMLDialogElement);
  private readonly asked = new Set<string>();
  private readonly rows = new Map<string, { state: string; row: HTMLLIElement }>();
  private most = PAGE;
  private doomed: JobSummary | null = null;

  constructor(private readonly studio: Studio) {
    studio.history.watch(() => this.update());
    studio.thumbnails.watch(() => this.fillThumbnails());
    studio.picture.watch(() => this.mark());
    studio.link.watch((link) => {
      if (link !== "open") this.asked.clear();
    });
    this.more.onclick = () => {
      this.most += PAGE;
      this.update();
    };
    find("delete-yes", HTMLButtonElement).onclick = () => {
      if (this.doomed !== null) studio.delete(this.doomed.job);
      this.question.close();
    };
    find("delete-no", HTMLButtonElement).onclick = () => this.question.close();
    setInterval(() => document.visibilityState === "visible" && studio.refreshHistory(), AGAIN);
  }

  private update(): void {
    const jobs = this.studio.history.value;
    const shown = jobs.slice(0, this.most);
    // A row is made anew only if it has changed: the focus stays where it is.
    const rows = shown.map((job) => {
      const known = this.rows.get(job.job);
      if (known?.state === job.state) return known.row;
      const row = this.row(job);
      this.rows.set(job.job, { state: job.state, row });
      return row;
    });
    if (rows.length !== this.grid.children.length || rows.some((row, at) => this.grid.children[at] !== row)) {
      this.replace(rows);
    }
    for (const job of [...this.rows.keys()]) {
      if (!jobs.some((each) => each.job === job)) this.rows.delete(job);
    }
    this.more.hidden = jobs.length <= this.most;
    find("no-history", HTMLParagraphElement).hidden = jobs.length > 0;
    for (const job of shown) {
      if (job.state !== "finished" || this.asked.has(job.job) || this.studio.thumbnails.value.has(job.job)) continue;
      this.asked.add(job.job);
      this.studio.askForThumbnail(job.job, SIDE);
    }
    this.fillThumbnails();
    this.mark();
  }

  private replace(rows: HTMLLIElement[]): void {
    const focused = document.activeElement;
    const at = [...this.grid.children].findIndex((row) => row.contains(focused));
    this.grid.replaceChildren(...rows);
    if (focused instanceof HTMLElement && focused.isConnected) focused.focus();
    else if (at !== -1) rows[Math.min(at, rows.length - 1)]?.querySelector("button")?.focus();
  }

  private row(job: JobSummary): HTMLLIElement {
    const title = job.title === "" ? t("Picture") : job.title;
    const state = STATES[job.state];
    const open = make("button", { type: "button", className: "open", title });
    open.append(make("span", { className: "thumbnail" }), make("span", { className: "title", textContent: title }));
    if (state !== "") open.append(make("span", { className: "state", textContent: state }));
    open.onclick = () => this.studio.openJob(job);
    const row = make("li", {}, open);
    row.dataset.job = job.job;
    if (job.state !== "running" && job.state !== "queued") {
      const remove = make("button", { type: "button", className: "icon delete", title: t("Delete") }, icon("delete"));
      remove.setAttribute("aria-label", t("Delete {title}", { title }));
      remove.onclick = () => this.askToDelete(job, title);
      row.append(remove);
    }
    return row;
  }

  private fillThumbnails(): void {
    for (const [job, { row }] of this.rows) {
      const place = row.querySelector(".thumbnail")!;
      const image = this.studio.thumbnails.value.get(job);
      if (image !== undefined && place.childElementCount === 0) place.append(drawn(image));
    }
  }

  private mark(): void {
    for (const [job, { row }] of this.rows) {
      const current = job === this.studio.picture.value?.job;
      row.querySelector("button")!.setAttribute("aria-current", String(current));
    }
  }

  private askToDelete(job: JobSummary, title: string): void {
    this.doomed = job;
    find("delete-what", HTMLParagraphElement).textContent = title;
    this.question.showModal();
  }
}
