// The form: what to draw. What it says survives a reload.
import type { Editor } from "./editor";
import { find, make } from "./elements";
import { t } from "./language";
import { keep, recall } from "./memory";
import { inWords } from "./notice_words";
import type { Picture } from "./picture";
import { PromptHelp } from "./prompt_help";
import type { ModelInfo, Style, Submit, Welcome } from "./protocol";
import { fitting, type Size } from "./shrinking";
import { drawnFrom, fitsForm, type Settings } from "./sources";
import type { Studio } from "./studio";
import { applied } from "./style";
import { StyleChooser } from "./style_chooser";
import { newId } from "./wire";

const SHAPES: [string, number, number][] = [
  [t("Square"), 1024, 1024],
  [t("Landscape"), 1216, 832],
  [t("Portrait"), 832, 1216],
  [t("Wide"), 1344, 768],
  [t("Tall"), 768, 1344],
  [t("Small square"), 512, 512],
];
const SEEDS = 2 ** 32;
/** The presets in artists' words; those of Krita's docker. */
const PRESETS: Record<string, string> = {
  "": t("The preset that suits the chosen model"),
  fast: t("Draws in a few steps if the model can, or the coarse parts in every sixth; good for trying out ideas"),
  balanced: t("Draws the coarse parts in every third step; less than half the work of Exact, and hardly another picture"),
  exact: t("Leaves out no work, but needs no extra pass to find the outlines; faster than Paper"),
  paper: t("Follows the published method step by step; the slowest preset, as a reference"),
};

export class PromptForm {
  private readonly form = find("form", HTMLFormElement);
  private readonly foreground = find("foreground", HTMLTextAreaElement);
  private readonly background = find("background", HTMLTextAreaElement);
  private readonly negative = find("negative", HTMLTextAreaElement);
  private readonly shape = find("shape", HTMLSelectElement);
  private readonly width = find("width", HTMLInputElement);
  private readonly height = find("height", HTMLInputElement);
  private readonly fit = make("button", { id: "fit", type: "button" });
  private readonly seed = find("seed", HTMLInputElement);
  private readonly preset = find("preset", HTMLSelectElement);
  private readonly model = find("model", HTMLSelectElement);
  private readonly example = find("example", HTMLButtonElement);
  private readonly count = find("count", HTMLInputElement);
  private readonly masks = find("masks", HTMLInputElement);
  private readonly helps: PromptHelp[];
  private readonly style: StyleChooser;
  private examples = 0;

  constructor(private readonly studio: Studio) {
    this.style = new StyleChooser(
      studio,
      (style) => this.takeStyle(style),
      () => ({ model: this.model.value, preset: this.preset.value || null, negative_prompt: this.negative.value.trim() }),
    );
    this.helps = [this.foreground, this.background].map((field) => new PromptHelp(field, () => this.chosen));
    this.shape.append(...SHAPES.map(([name, width, height]) => new Option(`${name}, ${width} × ${height}`)));
    this.shape.append(new Option(t("Another size")));
    for (const [name, value] of Object.entries(recall().form)) this.set(name, value);
    this.nameShape();
    this.shape.onchange = () => this.takeShape();
    this.form.addEventListener("input", () => this.changed());
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    this.form.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.form.requestSubmit();
    });
    // A double click is one wish.
    find("generate", HTMLButtonElement).onclick = (event) => {
      if (event.detail > 1) event.preventDefault();
    };
    find("fit-area", HTMLElement).append(" ", this.fit);
    this.fit.onclick = () => this.takeFitting();
    this.example.onclick = () => this.fillExample();
    studio.notices.remedies.set("out_of_memory", { label: t("Use half the size"), act: () => this.halve() });
    studio.notices.remedies.set("unknown_model", { label: t("Choose another model"), act: () => this.model.focus() });
    studio.welcome.watch((welcome) => welcome && this.greet(welcome));
    studio.link.watch((link) => (find("generate", HTMLButtonElement).disabled = link !== "open"));
  }

  /** Go to a word that the model does not know, one of these or any; false if there is none here. */
  goTo(words: Set<string>): boolean {
    return this.helps.some((help) => help.go(words));
  }

  /** What the form says of what to draw. */
  get canvas(): { width: number; height: number; words: { background: string; foreground: string; negative: string } } {
    const [background, foreground, negative] = [this.background, this.foreground, this.negative].map((field) => field.value.trim());
    const words = { background: background!, foreground: foreground!, negative: negative! };
    return { width: Number(this.width.value), height: Number(this.height.value), words };
  }

  /** What the form says of how to draw; null before there is a model. */
  get settings(): Settings | null {
    if (this.model.value === "") return null;
    const preset = this.preset.value === "" ? null : this.preset.value;
    const seed = this.seed.checkValidity() ? this.seed.value : "";
    return { model: this.model.value, preset, seed, style: this.style.chosen };
  }

  /** Say what a new page says. */
  clear(): void {
    this.form.reset();
    this.style.clear();
    this.changed();
  }

  /** Fill in what a picture was made from. What has a place of its own, or words that differ, stays with the layers. */
  use(picture: Picture, editor: Editor): void {
    const origin = picture.origin;
    if (origin === null) return;
    this.style.clear(); // the prompts have the style's words already
    this.width.value = String(picture.width);
    this.height.value = String(picture.height);
    this.seed.value = origin.picture.seed ?? "";
    this.preset.value = origin.picture.preset ?? "";
    const names = [...this.model.options].map((option) => option.value);
    if (origin.picture.model !== undefined && names.includes(origin.picture.model)) {
      this.model.value = origin.picture.model;
    }
    if (fitsForm(picture)) {
      for (const layer of picture.layers) {
        const made = drawnFrom(picture, layer);
        if (made === undefined) continue;
        this.negative.value = made.negative_prompt ?? "";
        (layer.role === "background" ? this.background : this.foreground).value = made.prompt ?? "";
      }
      this.foreground.focus();
    } else if (editor.canEdit) {
      editor.useOrigin();
      document.getElementById(`${picture.selected}-prompt`)?.focus();
      this.studio.notices.say({ kind: "note", text: t("Each layer has its own words and seed again, to be drawn anew.") });
    }
    this.changed();
  }

  private greet(welcome: Welcome): void {
    const { limits, models } = welcome;
    for (const field of [this.foreground, this.background, this.negative]) field.maxLength = limits.prompt_characters;
    for (const field of [this.width, this.height]) {
      field.min = String(limits.min_side);
      field.max = String(limits.max_side);
    }
    const chosen = this.model.value || recall().form.model;
    this.model.replaceChildren(...models.map((model) => new Option(model.title, model.name)));
    if (models.some((model) => model.name === chosen)) this.model.value = chosen!;
    this.showModel();
    this.showFitting();
  }

  private get chosen(): ModelInfo | undefined {
    return this.studio.welcome.value?.models.find((model) => model.name === this.model.value);
  }

  private showModel(): void {
    const model = this.chosen;
    const count = model?.preset_steps?.find(({ preset }) => preset === this.preset.value)?.steps ?? model?.steps;
    const steps = count === undefined ? "" : t("Draws in {steps} steps.", { steps: count });
    const { text, lang } = inWords(model?.notice ?? "", model?.notice_sentences);
    find("model-notice", HTMLElement).replaceChildren(steps, " ", make("span", lang === undefined ? {} : { lang }, text));
    find("preset-hint", HTMLElement).textContent = PRESETS[this.preset.value] ?? "";
    for (const help of this.helps) help.update();
    this.example.hidden = (model?.examples.length ?? 0) === 0;
  }

  private fillExample(): void {
    const examples = this.chosen?.examples ?? [];
    const example = examples[this.examples++ % examples.length];
    if (example === undefined) return;
    this.foreground.value = example.foreground;
    this.background.value = example.background;
    this.changed();
  }

  private takeStyle(style: Style): void {
    const names = [...this.model.options].map((option) => option.value);
    if (style.model != null && names.includes(style.model)) this.model.value = style.model;
    if (style.preset != null) this.preset.value = style.preset;
    this.changed();
  }

  private halve(): void {
    const least = this.studio.welcome.value?.limits.min_side ?? 1;
    for (const field of [this.width, this.height]) {
      field.value = String(Math.max(least, 64 * Math.round(Number(field.value) / 128)));
    }
    this.changed();
    find("generate", HTMLButtonElement).focus();
  }

  /** What can be drawn of the wanted size; null if it can be drawn as it is. */
  private get fitting(): Size | null {
    const wanted = { width: Number(this.width.value), height: Number(this.height.value) };
    const limits = this.studio.welcome.value?.limits;
    if (limits === undefined || Math.max(wanted.width, wanted.height) <= limits.max_side) return null;
    return fitting(wanted, limits);
  }

  /** A canvas that is too large is said with the largest one of its shape. */
  private showFitting(): void {
    const size = this.fitting;
    find("fit-area", HTMLElement).hidden = size === null;
    const most = this.studio.welcome.value?.limits.max_side ?? 0;
    const words = size === null ? "" : t("The server draws at most {most} pixels a side. Enlarge the file afterwards.", { most });
    find("fit-text", HTMLElement).textContent = words;
    this.width.setCustomValidity(words);
    if (size !== null) this.fit.textContent = t("Use {width} × {height}", { ...size });
  }

  private takeFitting(): void {
    const size = this.fitting;
    if (size === null) return;
    [this.width.value, this.height.value] = [String(size.width), String(size.height)];
    this.changed();
    find("generate", HTMLButtonElement).focus();
  }

  private takeShape(): void {
    const shape = SHAPES[this.shape.selectedIndex];
    if (shape === undefined) return this.width.focus();
    this.width.value = String(shape[1]);
    this.height.value = String(shape[2]);
    this.changed();
  }

  private nameShape(): void {
    const [width, height] = [Number(this.width.value), Number(this.height.value)];
    const at = SHAPES.findIndex((shape) => shape[1] === width && shape[2] === height);
    this.shape.selectedIndex = at === -1 ? SHAPES.length : at;
  }

  private changed(): void {
    this.nameShape();
    this.showModel();
    const form: Record<string, string> = {};
    for (const [name, value] of new FormData(this.form)) form[name] = String(value);
    keep({ form });
    const [width, height] = [Number(this.width.value), Number(this.height.value)];
    const most = this.studio.welcome.value?.limits.max_aspect ?? Infinity;
    this.showFitting();
    const long = Math.max(width, height) > most * Math.min(width, height);
    this.height.setCustomValidity(long ? t("The longer side may be at most {most} times as long as the shorter.", { most }) : "");
    const seed = this.seed.value.trim();
    const isSeed = seed === "" || (/^\d+$/.test(seed) && Number.isSafeInteger(Number(seed)));
    this.seed.setCustomValidity(isSeed ? "" : t("A seed is a whole number. Leave it empty for a new one each time."));
  }

  private set(name: string, value: string): void {
    const field = this.form.elements.namedItem(name);
    if (field instanceof HTMLInputElement && field.type === "checkbox") field.checked = true;
    else if (field instanceof HTMLInputElement || field instanceof HTMLTextAreaElement) field.value = value;
    if (field instanceof HTMLSelectElement && field !== this.model) field.value = value;
  }

  private submit(): void {
    this.changed();
    if (!this.form.reportValidity() || this.studio.link.value !== "open") return;
    const [foreground, background] = [this.foreground.value.trim(), this.background.value.trim()];
    const negative_prompt = this.negative.value.trim();
    const seed = this.seed.value.trim();
    const first = seed === "" ? Math.floor(Math.random() * SEEDS) : Number(seed);
    const variants = Array.from({ length: Number(this.count.value) - 1 }, (_, at) => ({ job: newId(), seed: first + at + 1 }));
    const submit: Submit = {
      type: "submit",
      job: newId(),
      width: Number(this.width.value),
      height: Number(this.height.value),
      foregrounds: [{ kind: "generated", prompt: foreground, negative_prompt }],
      background: { kind: "generated", prompt: background, negative_prompt },
      seed: first,
      variants,
      masks: this.masks.checked,
      preset: this.preset.value === "" ? null : this.preset.value,
      model: this.model.value,
    };
    const style = this.style.chosen;
    this.studio.generate(style === null ? submit : applied(style, submit), `${foreground}, ${background}`);
    find("picture", HTMLElement).scrollIntoView({ block: "nearest" }); // on a phone it is below the form
  }
}

/** What a picture was made from, in a line, with a button that fills the form with it. */
export function showOrigin(studio: Studio, form: PromptForm, editor: Editor): void {
  const line = find("origin", HTMLDivElement);
  studio.picture.watch((picture) => {
    if (picture === null) {
      line.dataset.shown = "";
      return line.replaceChildren();
    }
    const known = picture.origin !== null;
    if (line.dataset.shown === `${picture.job} ${known}`) return; // the focus stays on the button
    line.dataset.shown = `${picture.job} ${known}`;
    const seed = picture.origin?.picture.seed;
    const text = `${picture.width} × ${picture.height}${seed === undefined ? "" : `, ${t("seed {seed}", { seed })}`}`;
    line.replaceChildren(make("span", { textContent: text }));
    if (!known) return;
    line.append(make("button", { type: "button", textContent: t("Use its prompts and seed"), onclick: () => form.use(picture, editor) }));
  });
}
