// All pictures of this user, newest first, also those that were begun in Krita. The variants of one submission are one
// entry; `VariantsStrip` shows them.
import { drawn, find, make } from "./elements";
import { entries, type Entry, entryOf, face, titleOf } from "./entries";
import { icon } from "./icons";
import { t } from "./language";
import type { JobSummary } from "./protocol";
import type { Studio } from "./studio";

const PAGE = 24;
/** Thumbnails are fetched a little before they come into sight. */
const NEAR = "300px";
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
  private readonly naming = find("naming", HTMLDialogElement);
  private readonly name = find("name", HTMLInputElement);
  private readonly words = find("history-find", HTMLInputElement);
  private readonly observer = new IntersectionObserver((changes) => this.note(changes), { rootMargin: NEAR });
  /** Rows in sight; only they have a thumbnail, so that a long history takes no memory. */
  private readonly inSight = new Set<Element>();
  private readonly rows = new Map<string, { made: string; row: HTMLLIElement }>();
  private most = PAGE;
  private chosen: Entry = [];

  constructor(private readonly studio: Studio) {
    studio.history.watch(() => this.update());
    studio.thumbnails.images.watch(() => this.fillThumbnails());
    let current: string | undefined;
    studio.picture.watch((picture) => {
      if (picture?.job === current) return; // it is told of every move of a layer
      current = picture?.job;
      this.update();
    });
    studio.notices.remedies.set("store_full", {
      label: t("Show the history"),
      act: () => this.grid.querySelector("button")?.focus(),
    });
    this.more.onclick = () => {
      this.most *= 2;
      studio.listing.want(this.most);
      this.update();
    };
    this.words.oninput = () => {
      studio.listing.want(Infinity); // any of them may have the words
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
    setInterval(() => document.visibilityState === "visible" && studio.listing.refresh(), AGAIN);
  }

  private update(): void {
    const all = entries(this.studio.history.value);
    const found = all.filter((entry) => hasWords(entry, this.words.value));
    const shown = found.slice(0, this.most);
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
    const firsts = new Set(shown.map((entry) => entry[0]!.job));
    for (const job of [...this.rows.keys()]) {
      if (!firsts.has(job)) this.rows.delete(job);
    }
    this.more.hidden = found.length <= this.most && !this.studio.listing.hasOlder;
    this.words.hidden = all.length <= PAGE && this.words.value === "";
    find("no-history", HTMLParagraphElement).hidden = all.length > 0;
    find("history-none", HTMLParagraphElement).hidden = all.length === 0 || found.length > 0;
    this.fillThumbnails();
    this.mark();
  }

  private replace(rows: HTMLLIElement[]): void {
    const focused = document.activeElement;
    const at = [...this.grid.children].findIndex((row) => row.contains(focused));
    for (const row of this.grid.children) {
      if (rows.includes(row as HTMLLIElement)) continue;
      this.observer.unobserve(row);
      this.inSight.delete(row);
    }
    this.grid.replaceChildren(...rows);
    for (const row of rows) this.observer.observe(row);
    if (focused instanceof HTMLElement && focused.isConnected) focused.focus();
    else if (at !== -1) rows[Math.min(at, rows.length - 1)]?.querySelector("button")?.focus();
  }

  private row(entry: Entry): HTMLLIElement {
    const job = face(entry);
    const title = titleOf(entry[0]!);
    const open = make("button", { type: "button", className: "open", title });
    open.append(make("span", { className: "thumbnail" }), make("span", { className: "title", dir: "auto", textContent: title }));
    const notes = [STATES[job.state], entry.length > 1 ? t("{count} variants", { count: entry.length }) : ""];
    const state = notes.filter((note) => note !== "").join(", ");
    if (state !== "") open.append(make("span", { className: "state", textContent: state }));
    open.onclick = () => this.studio.openJob(job);
    const tools = make("span", { className: "row-tools" });
    const row = make("li", { className: entry.length > 1 ? "set" : "" }, open, tools);
    if (job.state === "finished") row.dataset.job = job.job;
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

  private note(changes: IntersectionObserverEntry[]): void {
    for (const { target, isIntersecting } of changes) {
      if (isIntersecting) this.inSight.add(target);
      else this.inSight.delete(target);
      if (!isIntersecting) target.querySelector(".thumbnail")?.replaceChildren();
    }
    this.fillThumbnails();
  }

  private fillThumbnails(): void {
    for (const row of this.inSight) {
      const { job } = (row as HTMLLIElement).dataset;
      const place = row.querySelector(".thumbnail")!;
      if (job === undefined || place.childElementCount > 0) continue;
      const image = this.studio.thumbnails.of(job);
      if (image !== undefined) place.append(drawn(image));
    }
  }

  private mark(): void {
    const shown = entryOf(this.studio.history.value, this.studio.picture.value?.job);
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

/** Whether an entry's title has all the words, in any order. */
function hasWords(entry: Entry, words: string): boolean {
  const title = `${entry[0]!.name ?? ""} ${entry[0]!.title}`.toLowerCase();
  return words.toLowerCase().split(/\s+/).every((word) => title.includes(word));
}
