// The styles of this user, which Krita and the studio share: choosing one, saying what it does, making and changing one.
import { find } from "./elements";
import { t } from "./language";
import { keep, recall } from "./memory";
import type { Style } from "./protocol";
import type { Studio } from "./studio";

export class StyleChooser {
  private readonly select = find("style", HTMLSelectElement);
  private readonly hint = find("style-hint", HTMLElement);
  private readonly edit = find("style-edit", HTMLButtonElement);
  private readonly dialog = find("style-dialog", HTMLDialogElement);
  private readonly name = find("style-name", HTMLInputElement);
  private readonly prompt = find("style-prompt", HTMLTextAreaElement);
  private readonly negative = find("style-negative", HTMLTextAreaElement);
  private readonly remove = find("style-delete", HTMLButtonElement);
  /** The style that the dialog changes; null if it makes a new one. */
  private changed: Style | null = null;

  /**
   * @param take is told the style that was chosen.
   * @param look says what a new style takes from the form.
   */
  constructor(
    private readonly studio: Studio,
    private readonly take: (style: Style) => void,
    private readonly look: () => Pick<Style, "model" | "preset">,
  ) {
    studio.styles.watch((styles) => this.list(styles));
    this.select.onchange = () => {
      this.explain();
      if (this.chosen !== null) this.take(this.chosen);
    };
    find("style-new", HTMLButtonElement).onclick = () => this.open(null);
    this.edit.onclick = () => this.open(this.chosen);
    find("style-no", HTMLButtonElement).onclick = () => this.dialog.close();
    find("style-form", HTMLFormElement).onsubmit = () => this.save();
    this.remove.onclick = () => {
      if (this.changed !== null) studio.deleteStyle(this.changed.name);
      this.dialog.close();
    };
  }

  get chosen(): Style | null {
    return this.studio.styles.value.find((style) => style.name === this.select.value) ?? null;
  }

  clear(): void {
    this.select.value = "";
    this.explain();
  }

  private list(styles: Style[]): void {
    const chosen = this.select.value || recall().form.style || "";
    this.select.replaceChildren(new Option(t("No style"), ""), ...styles.map(({ name }) => new Option(name, name)));
    this.select.value = styles.some((style) => style.name === chosen) ? chosen : "";
    this.explain();
  }

  private explain(): void {
    const style = this.chosen;
    this.edit.hidden = style === null;
    const parts = [];
    if (style?.prompt) parts.push(t("Adds “{words}” to every prompt.", { words: style.prompt }));
    if (style?.negative_prompt) parts.push(t("Keeps out: {words}.", { words: style.negative_prompt }));
    if (style?.loras?.length) parts.push(t("Uses {loras}.", { loras: style.loras.map(({ name }) => name).join(", ") }));
    this.hint.textContent = parts.join(" ");
  }

  private open(style: Style | null): void {
    this.changed = style;
    this.name.value = style?.name ?? "";
    this.prompt.value = style?.prompt ?? "";
    this.negative.value = style?.negative_prompt ?? "";
    this.remove.hidden = style === null;
    this.dialog.showModal();
  }

  private save(): void {
    const style: Style = {
      ...this.changed,
      ...this.look(),
      name: this.name.value.trim(),
      prompt: this.prompt.value.trim(),
      negative_prompt: this.negative.value.trim(),
    };
    this.studio.saveStyle(style, this.changed?.name ?? null);
    keep({ form: { ...recall().form, style: style.name } });
    this.select.value = "";
  }
}
