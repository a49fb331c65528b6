// What the artist has asked for and the server has not answered. A connection that is lost takes requests and answers
// with it, so what is left then is asked for again on the next one; all of it may be asked for twice.
import type { FromClient, FromServer, JobSummary, Style } from "./protocol";

type StyleWish = Extract<FromClient, { type: "save_style" | "delete_style" }>;

export class Wishes {
  private readonly open = new Map<string, FromClient>();
  /** Keys of the wishes about styles that were sent on this connection, in their order: that of the answers. */
  private styles: string[] = [];
  /** Those of which it is not known whether the server has got them; the list of styles will show it. */
  private unsure: string[] | null = null;

  /** @param send sends a message if there is a connection. */
  constructor(private readonly send: (message: FromClient) => boolean) {}

  /** Ask for something; with the same key, in place of what was asked for before. */
  ask(key: string, message: FromClient): void {
    this.open.set(key, message);
    if (isAboutStyles(message)) this.styles.push(key);
    this.send(message);
  }

  /** The server has done what was asked for, or will not. */
  answered(key: string): void {
    this.open.delete(key);
  }

  /** A new connection is open, and `list_styles` was sent on it. */
  again(): void {
    this.styles = [];
    this.unsure = [];
    for (const [key, message] of this.open) {
      if (isAboutStyles(message)) this.unsure.push(key);
      else this.send(message);
    }
  }

  /** Take a message if it ends a wish for a job: that it is cancelled, deleted or renamed. */
  receive(message: FromServer): void {
    if (message.type === "job_list") message.jobs.forEach((job) => this.takeState(job));
    if (!("job" in message)) return;
    if (message.type === "done" || message.type === "failed" || message.type === "cancelled") this.answered(`cancel ${message.job}`);
    if (message.type === "deleted" || message.type === "delete_failed") this.answered(`delete ${message.job}`);
    if (message.type === "renamed" || message.type === "rename_failed") this.answered(`rename ${message.job}`);
  }

  private takeState({ job, ended }: JobSummary): void {
    if (ended !== null) this.answered(`cancel ${job}`);
  }

  /** The server has answered something about styles: the list of all, or that one could not be changed. */
  takeStyles(styles: Style[]): void {
    if (this.unsure === null) {
      const key = this.styles.shift();
      if (key !== undefined) this.open.delete(key);
      return;
    }
    const names = styles.map((style) => style.name);
    for (const key of this.unsure) {
      const wish = this.open.get(key) as StyleWish;
      if (isDone(wish, names)) this.open.delete(key);
      else this.ask(key, wish);
    }
    this.unsure = null;
  }

  clear(): void {
    this.open.clear();
  }
}

function isAboutStyles(message: FromClient): message is StyleWish {
  return message.type === "save_style" || message.type === "delete_style";
}

/** Whether a change of the styles must not be asked for twice, because the names show that it was made. */
function isDone(wish: StyleWish, names: string[]): boolean {
  if (wish.type === "delete_style" || wish.replaces === wish.style.name) return false;
  return wish.replaces == null ? names.includes(wish.style.name) : !names.includes(wish.replaces);
}
