// Help under a prompt: words that the model does not know, each of which can be gone to, and completions while typing.
import { make } from "./elements";
import { t } from "./language";
import type { ModelInfo } from "./protocol";
import { type Completion, completions, unknownWords } from "./vocabulary";

export class PromptHelp {
  private readonly unknown = make("p", { className: "unknown", hidden: true });
  private readonly list = make("ul", { className: "completions", hidden: true });
  private offers: Completion[] = [];
  private active = -1;
  private shown = "";

  constructor(
    private readonly field: HTMLTextAreaElement,
    private readonly model: () => ModelInfo | undefined,
  ) {
    this.list.id = `${field.id}-completions`;
    this.list.setAttribute("role", "listbox");
    this.list.setAttribute("aria-label", t("Phrases that the model knows"));
    const attributes = { role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": this.list.id };
    for (const [name, value] of Object.entries(attributes)) field.setAttribute(name, value);
    field.after(this.list, this.unknown);
    field.addEventListener("input", () => this.complete());
    field.addEventListener("keydown", (event) => this.key(event));
    field.addEventListener("blur", () => this.close());
  }

  /** The prompt or the model has changed. */
  update(): void {
    const found = unknownWords(this.model(), this.field.value).slice(0, 3);
    const shown = JSON.stringify(found);
    if (shown === this.shown) return; // the focus stays on the button
    this.shown = shown;
    this.unknown.hidden = found.length === 0;
    if (found.length === 0) return this.unknown.replaceChildren();
    const buttons = found.map(({ word, start, end }) => {
      const button = make("button", { type: "button", className: "quiet", textContent: word });
      button.setAttribute("aria-label", t("Go to “{word}”", { word }));
      button.onclick = () => goTo(this.field, { start, end });
      return button;
    });
    this.unknown.replaceChildren(t("The model does not know:"), " ", ...buttons);
  }

  /**
   * Select the first word that the model does not know; false if it knows all.
   *
   * @param words are looked for, in lower case; all if there are none.
   */
  go(words: Set<string>): boolean {
    const unknown = unknownWords(this.model(), this.field.value);
    const found = unknown.find(({ word }) => words.size === 0 || words.has(word.toLowerCase()));
    if (found !== undefined) goTo(this.field, found);
    return found !== undefined;
  }

  private complete(): void {
    this.offers = completions(this.model(), this.field.value, this.field.selectionStart);
    this.active = -1;
    this.list.replaceChildren(
      ...this.offers.map((offer, at) => {
        const option = make("li", { id: `${this.list.id}-${at}`, textContent: offer.phrase });
        option.setAttribute("role", "option");
        option.onpointerdown = (event) => {
          event.preventDefault(); // the field keeps the focus
          this.take(offer);
        };
        return option;
      }),
    );
    this.list.hidden = this.offers.length === 0;
    this.mark();
  }

  private key(event: KeyboardEvent): void {
    if (this.list.hidden || event.ctrlKey || event.metaKey) return;
    const count = this.list.children.length;
    const moves: Record<string, number> = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in moves) {
      this.active = (Math.max(this.active, moves[event.key]! < 0 ? 0 : -1) + moves[event.key]! + count) % count;
      this.mark();
    } else if ((event.key === "Enter" || event.key === "Tab") && this.active !== -1) {
      this.take(this.offers[this.active]!);
    } else if (event.key === "Escape") {
      this.close();
    } else return;
    event.preventDefault();
  }

  private take({ phrase, from }: Completion): void {
    this.field.setRangeText(phrase, from, this.field.selectionStart, "end");
    this.close();
    this.field.dispatchEvent(new Event("input", { bubbles: true }));
    this.close();
  }

  private close(): void {
    this.list.hidden = true;
    this.active = -1;
    this.mark();
  }

  private mark(): void {
    this.field.setAttribute("aria-expanded", String(!this.list.hidden));
    [...this.list.children].forEach((option, at) => option.setAttribute("aria-selected", String(at === this.active)));
    if (this.active === -1) this.field.removeAttribute("aria-activedescendant");
    else this.field.setAttribute("aria-activedescendant", this.list.children[this.active]!.id);
  }
}

/** Select a word of a prompt. */
export function goTo(field: HTMLTextAreaElement, { start, end }: { start: number; end: number }): void {
  field.focus();
  field.setSelectionRange(start, end);
}
