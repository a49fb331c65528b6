// All pictures of this user, newest first, also those that were begun in Krita. The variants of one submission are one
// entry; `VariantsStrip` shows them.
import { arrange, drawn, find, make } from "./elements";
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

const TOOLS = { compare: t("Compare with the picture that is shown"), rename: t("Rename"), delete: t("Delete") };

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
  private readonly rows = new Map<string, Row>();
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
    const rows = shown.map((entry) => {
      const row = this.rows.get(entry[0]!.job) ?? new Row(this.studio, (kind, of) => this.ask(kind, of));
      this.rows.set(entry[0]!.job, row);
      row.show(entry, current !== null);
      return row.element;
    });
    this.replace(rows);
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
    const before = new Set<Element>(this.grid.children);
    const at = [...before].findIndex((row) => row.contains(document.activeElement));
    arrange(this.grid, rows);
    for (const row of before) {
      if (row.parentElement === this.grid) continue;
      this.observer.unobserve(row);
      this.inSight.delete(row);
    }
    for (const row of rows) if (!before.has(row)) this.observer.observe(row);
    if (at !== -1 && !this.grid.contains(document.activeElement)) {
      rows[Math.min(at, rows.length - 1)]?.querySelector("button")?.focus();
    }
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
    for (const [first, row] of this.rows) row.mark(first === shown?.[0]!.job);
  }

  private ask(kind: "rename" | "delete", entry: Entry): void {
    this.chosen = entry;
    if (kind === "rename") {
      this.name.value = entry[0]!.name ?? "";
      this.name.placeholder = entry[0]!.title;
      this.naming.showModal();
      return;
    }
    const count = entry.length > 1 ? ` (${t("{count} variants", { count: entry.length })})` : "";
    find("delete-what", HTMLParagraphElement).textContent = titleOf(entry[0]!) + count;
    this.question.showModal();
  }
}

/** An entry of the grid. It stays the same element while the entry changes, so that nobody presses what has just gone. */
class Row {
  readonly element: HTMLLIElement;
  private readonly open = make("button", { type: "button", className: "open" });
  private readonly thumbnail = make("span", { className: "thumbnail" });
  private readonly title = make("span", { className: "title", dir: "auto" });
  private readonly state = make("span", { className: "state" });
  private readonly tools = (["compare", "rename", "delete"] as const).map((name) => {
    const button = make("button", { type: "button", className: `icon ${name}`, title: TOOLS[name] }, icon(name));
    return [name, button] as const;
  });
  private entry: Entry = [];

  constructor(studio: Studio, ask: (kind: "rename" | "delete", entry: Entry) => void) {
    const buttons = this.tools.map(([, button]) => button);
    this.open.append(this.thumbnail, this.title, this.state);
    this.element = make("li", {}, this.open, make("span", { className: "row-tools" }, ...buttons));
    this.open.onclick = () => studio.openJob(face(this.entry));
    for (const [name, button] of this.tools) {
      button.onclick = () => (name === "compare" ? studio.compare(face(this.entry)) : ask(name, this.entry));
    }
  }

  /** @param hasPicture whether there is one that this one could be compared with. */
  show(entry: Entry, hasPicture: boolean): void {
    this.entry = entry;
    const job = face(entry);
    const title = titleOf(entry[0]!);
    const isFinished = job.state === "finished";
    const has = { compare: isFinished && hasPicture, rename: true, delete: entry.every((each) => each.ended !== null) };
    for (const [name, button] of this.tools) {
      button.hidden = !has[name];
      button.setAttribute("aria-label", `${TOOLS[name]}: ${title}`);
    }
    const notes = [STATES[job.state], entry.length > 1 ? t("{count} variants", { count: entry.length }) : ""];
    write(this.title, title);
    write(this.state, notes.filter((note) => note !== "").join(", "));
    this.state.hidden = this.state.textContent === "";
    this.open.title = title;
    this.element.classList.toggle("set", entry.length > 1);
    if (this.element.dataset.job !== job.job) this.thumbnail.replaceChildren();
    if (isFinished) this.element.dataset.job = job.job;
    else delete this.element.dataset.job;
  }

  mark(isCurrent: boolean): void {
    this.open.setAttribute("aria-current", String(isCurrent));
  }
}

function write(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Whether an entry's title has all the words, in any order. */
function hasWords(entry: Entry, words: string): boolean {
  const title = `${entry[0]!.name ?? ""} ${entry[0]!.title}`.toLowerCase();
  return words.toLowerCase().split(/\s+/).every((word) => title.includes(word));
}
