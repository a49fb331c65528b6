// All pictures of this user, newest first, also those that were begun in Krita. The variants of one submission are one
// entry; `VariantsStrip` shows them.
import { drawn, find, make } from "./elements";
import { icon } from "./icons";
import { t } from "./language";
import type { JobSummary } from "./protocol";
import { type Studio, titleOf } from "./studio";

export const SIDE = 192;
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

/** The pictures of one submission, in the order in which they were submitted. */
type Entry = JobSummary[];

export class HistoryView {
  private readonly grid = find("history", HTMLUListElement);
  private readonly more = find("more", HTMLButtonElement);
  private readonly question = find("delete-question", HTMLDialogElement);
  private readonly naming = find("naming", HTMLDialogElement);
  private readonly name = find("name", HTMLInputElement);
  private readonly asked = new Set<string>();
  private readonly rows = new Map<string, { made: string; row: HTMLLIElement }>();
  private most = PAGE;
  private chosen: Entry = [];

  constructor(private readonly studio: Studio) {
    studio.history.watch(() => this.update());
    studio.thumbnails.watch(() => this.fillThumbnails());
    studio.picture.watch(() => this.update());
    studio.link.watch((link) => {
      if (link !== "open") this.asked.clear();
    });
    studio.notices.remedies.set("store_full", {
      label: t("Show the history"),
      act: () => this.grid.querySelector("button")?.focus(),
    });
    this.more.onclick = () => {
      this.most += PAGE;
      if (entries(studio.history.value).length <= this.most) studio.listMore();
      this.update();
    };
    find("delete-yes", HTMLButtonElement).onclick = () => {
      for (const job of this.chosen) studio.delete(job.job);
      this.question.close();
    };
    find("delete-no", HTMLButtonElement).onclick = () => this.question.close();
    find("naming-form", HTMLFormElement).onsubmit = () => {
      for (const job of this.chosen) studio.rename(job.job, this.name.value.trim());
    };
    find("naming-no", HTMLButtonElement).onclick = () => this.naming.close();
    setInterval(() => document.visibilityState === "visible" && studio.refreshHistory(), AGAIN);
  }

  private update(): void {
    const all = entries(this.studio.history.value);
    const shown = all.slice(0, this.most);
    const current = this.studio.picture.value;
    // A row is made anew only if it has changed: the focus stays where it is.
    const rows = shown.map((entry) => {
      const made = JSON.stringify([entry.map((job) => [job.job, job.state]), titleOf(entry[0]!), current !== null]);
      const known = this.rows.get(entry[0]!.job);
      if (known?.made === made) return known.row;
      const row = this.row(entry);
      this.rows.set(entry[0]!.job, { made, row });
      return row;
    });
    if (rows.length !== this.grid.children.length || rows.some((row, at) => this.grid.children[at] !== row)) {
      this.replace(rows);
    }
    for (const job of [...this.rows.keys()]) {
      if (!shown.some((entry) => entry[0]!.job === job)) this.rows.delete(job);
    }
    this.more.hidden = all.length <= this.most && this.studio.listsAll;
    find("no-history", HTMLParagraphElement).hidden = all.length > 0;
    for (const entry of shown) {
      const job = face(entry);
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

  private row(entry: Entry): HTMLLIElement {
    const job = face(entry);
    const title = titleOf(entry[0]!);
    const open = make("button", { type: "button", className: "open", title });
    open.append(make("span", { className: "thumbnail" }), make("span", { className: "title", textContent: title }));
    const notes = [STATES[job.state], entry.length > 1 ? t("{count} variants", { count: entry.length }) : ""];
    const state = notes.filter((note) => note !== "").join(", ");
    if (state !== "") open.append(make("span", { className: "state", textContent: state }));
    open.onclick = () => this.studio.openJob(job);
    const tools = make("span", { className: "row-tools" });
    const row = make("li", { className: entry.length > 1 ? "set" : "" }, open, tools);
    row.dataset.job = job.job;
    const add = (name: Parameters<typeof icon>[0], label: string, act: () => void): void => {
      const button = make("button", { type: "button", className: `icon ${name}`, title: label, onclick: act }, icon(name));
      button.setAttribute("aria-label", `${label}: ${title}`);
      tools.append(button);
    };
    if (job.state === "finished" && this.studio.picture.value !== null) {
      add("compare", t("Compare with the picture that is shown"), () => this.studio.compare(job));
    }
    add("rename", t("Rename"), () => this.askForName(entry));
    if (entry.every((each) => each.ended !== null)) add("delete", t("Delete"), () => this.askToDelete(entry));
    return row;
  }

  private fillThumbnails(): void {
    for (const { row } of this.rows.values()) {
      const place = row.querySelector(".thumbnail")!;
      const image = this.studio.thumbnails.value.get(row.dataset.job!);
      if (image !== undefined && place.childElementCount === 0) place.append(drawn(image));
    }
  }

  private mark(): void {
    const job = this.studio.picture.value?.job;
    const shown = entries(this.studio.history.value).find((entry) => entry.some((each) => each.job === job));
    for (const [first, { row }] of this.rows) {
      row.querySelector("button")!.setAttribute("aria-current", String(first === shown?.[0]!.job));
    }
  }

  private askToDelete(entry: Entry): void {
    this.chosen = entry;
    const count = entry.length > 1 ? ` (${t("{count} variants", { count: entry.length })})` : "";
    find("delete-what", HTMLParagraphElement).textContent = titleOf(entry[0]!) + count;
    this.question.showModal();
  }

  private askForName(entry: Entry): void {
    this.chosen = entry;
    this.name.value = entry[0]!.name ?? "";
    this.name.placeholder = entry[0]!.title;
    this.naming.showModal();
  }
}

/** The pictures that were submitted together, as one entry each; newest first. */
export function entries(jobs: JobSummary[]): Entry[] {
  const found = new Map<string, Entry>();
  for (const job of jobs) {
    const submission = job.submission ?? job.job;
    found.set(submission, [job, ...(found.get(submission) ?? [])]);
  }
  return [...found.values()];
}

/** The picture that stands for an entry: the first that is finished. */
function face(entry: Entry): JobSummary {
  return entry.find((job) => job.state === "finished") ?? entry[0]!;
}
