// The styles of this user, which Krita and the studio share: choosing one, saying what it does, making and changing one.
import { find } from "./elements";
import { t } from "./language";
import { keep, recall } from "./memory";
import type { Style } from "./protocol";
import type { Studio } from "./studio";
import { StyleDialog } from "./style_dialog";

export class StyleChooser {
  private readonly select = find("style", HTMLSelectElement);
  private readonly hint = find("style-hint", HTMLElement);
  private readonly edit = find("style-edit", HTMLButtonElement);
  private readonly dialog: StyleDialog;
  /** The name of a style that is being saved; it is chosen as soon as the server has it. */
  private awaited: string | null = null;

  /**
   * @param take is told the style that was chosen.
   * @param look says what a new style takes from the form.
   */
  constructor(
    private readonly studio: Studio,
    private readonly take: (style: Style) => void,
    look: () => Omit<Style, "name">,
  ) {
    this.dialog = new StyleDialog({
      save: (style, replaces) => {
        this.awaited = style.name;
        studio.saveStyle(style, replaces);
      },
      delete: (name) => studio.deleteStyle(name),
    });
    studio.styles.watch((styles) => this.list(styles));
    this.select.onchange = () => {
      this.explain();
      if (this.chosen !== null) this.take(this.chosen);
    };
    find("style-new", HTMLButtonElement).onclick = () => this.open({ ...look(), name: "" });
    this.edit.onclick = () => this.chosen !== null && this.open(this.chosen);
  }

  get chosen(): Style | null {
    return this.studio.styles.value.find((style) => style.name === this.select.value) ?? null;
  }

  clear(): void {
    this.select.value = "";
    this.explain();
  }

  private list(styles: Style[]): void {
    const has = (name: string | null | undefined): boolean => styles.some((style) => style.name === name);
    const saved = has(this.awaited) ? this.awaited : null;
    const chosen = saved ?? (this.select.value || recall().form.style || "");
    this.select.replaceChildren(new Option(t("No style"), ""), ...styles.map(({ name }) => new Option(name, name)));
    this.select.value = has(chosen) ? chosen : "";
    this.explain();
    if (saved === null) return;
    this.awaited = null;
    keep({ form: { ...recall().form, style: saved } });
    this.take(this.chosen!);
  }

  private explain(): void {
    const style = this.chosen;
    this.edit.hidden = style === null;
    const parts = [];
    if (style?.prompt) parts.push(t("Adds “{words}” to every prompt.", { words: style.prompt }));
    if (style?.negative_prompt) parts.push(t("Keeps out: {words}.", { words: style.negative_prompt }));
    if (style?.loras?.length) parts.push(t("Uses {loras}.", { loras: style.loras.map(({ name }) => name).join(", ") }));
    if (style?.sampler) parts.push(t("Sampler: {sampler}.", { sampler: style.sampler }));
    this.hint.textContent = parts.join(" ");
  }

  private open(style: Style): void {
    const others = this.studio.styles.value.map(({ name }) => name).filter((name) => name !== style.name);
    this.dialog.open(style, this.studio.welcome.value?.models ?? [], others);
  }
}
