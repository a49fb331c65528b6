// What the artist is told, and what helps: one list, each text once.
import { t } from "./language";
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

export class Notices {
  readonly messages = new Signal<Message[]>([]);
  /** Code of a problem or notice -> what helps. The views that can help add their own. */
  readonly remedies = new Map<string, Remedy>([
    ["unsupported_version", { label: t("Load the page again"), act: () => location.reload() }],
    ["token_revoked", { label: t("Load the page again"), act: () => location.reload() }],
  ]);

  say(message: Message): void {
    if (this.messages.value.some((each) => each.text === message.text)) return;
    this.messages.value = [...this.messages.value, message];
  }

  /** Something to know that the server says, not a fault. */
  note(text: string, code: string): void {
    this.say({ kind: "note", text, lang: "en", remedy: this.remedies.get(code) });
  }

  /** What the server refused, or could not do. */
  problem(error: { code: string; message: string; hint?: string }, again?: () => void): void {
    this.say({
      kind: "problem",
      text: again ? error.message : `${error.message} ${error.hint ?? ""}`.trim(),
      lang: "en",
      remedy: again ? { label: t("Draw it again"), act: again } : this.remedies.get(error.code),
    });
  }

  clear(): void {
    this.messages.value = [];
  }
}
