// What the artist is told, and what helps: one list, each text once.
import { joined, t } from "./language";
import { keep, recall } from "./memory";
import { inWords } from "./notice_words";
import type { Notice } from "./protocol";
import { type ServerProblem, told } from "./server_words";
import { Signal } from "./signal";

/** Something to tell the artist. */
export interface Message {
  kind: "note" | "problem";
  text: string;
  /** BCP 47 tag if the text is not in the language of the page: the server speaks English. */
  lang?: string;
  /** What helps, as a button. */
  remedy?: Remedy;
}

export interface Remedy {
  label: string;
  act: () => void;
}

/** Most notes of which it is kept that they were closed. */
const MOST_CLOSED = 50;
const RELOAD: Remedy = { label: t("Load the page again"), act: () => location.reload() };

export class Notices {
  readonly messages = new Signal<Message[]>([]);
  /** Code of a problem or notice -> what helps. The views that can help add their own. */
  readonly remedies = new Map<string, Remedy>([
    ["unsupported_version", RELOAD],
    ["token_revoked", RELOAD],
  ]);

  say(message: Message): void {
    if (this.messages.value.some((each) => each.text === message.text)) return;
    if (message.kind === "note" && recall().closed.includes(message.text)) return;
    this.messages.value = [...this.messages.value, message];
  }

  /** The artist has read it. A note is not said again until the studio is opened anew. */
  close(message: Message): void {
    this.messages.value = this.messages.value.filter((each) => each !== message);
    if (message.kind === "note") keep({ closed: [...recall().closed, message.text].slice(-MOST_CLOSED) });
  }

  /** Something to know that the server says, not a fault. */
  note({ code, text, sentences }: Notice): void {
    this.say({ kind: "note", ...inWords(text, sentences), remedy: this.remedies.get(code) });
  }

  /** What the server refused, or could not do. */
  problem(error: ServerProblem, again?: () => void): void {
    const { message, hint, lang } = told(error);
    this.say({
      kind: "problem",
      text: again ? message : joined(message, hint),
      lang,
      remedy: again ? { label: t("Draw it again"), act: again } : this.remedies.get(error.code),
    });
  }

  /** The server has ended the conversation, and only a new page begins another one. */
  refused(error: ServerProblem): void {
    const { message, hint, lang } = told(error);
    this.say({ kind: "problem", text: joined(message, hint), lang, remedy: RELOAD });
  }

  /** A fault of the page itself. */
  fault(): void {
    const text = t("Something in this page went wrong. Your pictures are kept; load the page again if it does not go on.");
    this.say({ kind: "problem", text, remedy: RELOAD });
  }

  clear(): void {
    this.messages.value = [];
  }
}
