// The dialog in which a style is made, changed and deleted; its fields are those of Krita's.
import { find } from "./elements";
import { t } from "./language";
import type { ModelInfo, Style } from "./protocol";

type Lora = NonNullable<Style["loras"]>[number];

const LORA = /^([^<>:]+?)(?:\s*:\s*(-?\d+(?:[.,]\d+)?))?$/;
const STRONGEST = 10;
const MOST_LORAS = 16;

/** What the dialog calls. */
interface Intents {
  save(style: Style, replaces: string | null): void;
  delete(name: string): void;
}

export class StyleDialog {
  private readonly dialog = find("style-dialog", HTMLDialogElement);
  private readonly title = find("style-title", HTMLHeadingElement);
  private readonly name = find("style-name", HTMLInputElement);
  private readonly model = find("style-model", HTMLSelectElement);
  private readonly preset = find("style-preset", HTMLSelectElement);
  private readonly sampler = find("style-sampler", HTMLSelectElement);
  private readonly prompt = find("style-prompt", HTMLTextAreaElement);
  private readonly negative = find("style-negative", HTMLTextAreaElement);
  private readonly loras = find("style-loras", HTMLTextAreaElement);
  private readonly remove = find("style-delete", HTMLButtonElement);
  private readonly question = find("style-question", HTMLDialogElement);
  private taken: string[] = [];
  private replaces: string | null = null;

  constructor(private readonly intents: Intents) {
    this.name.oninput = () => this.checkName();
    this.loras.oninput = () => this.loras.setCustomValidity("");
    find("style-no", HTMLButtonElement).onclick = () => this.dialog.close();
    find("style-form", HTMLFormElement).onsubmit = (event) => this.save(event);
    this.remove.onclick = () => {
      const words = t("Delete the style “{style}” for all your programs?", { style: this.replaces! });
      find("style-question-text", HTMLParagraphElement).textContent = words;
      this.question.showModal();
    };
    find("style-keep", HTMLButtonElement).onclick = () => this.question.close();
    find("style-gone", HTMLButtonElement).onclick = () => {
      this.intents.delete(this.replaces!);
      this.question.close();
      this.dialog.close();
    };
  }

  /**
   * @param style what the fields say at first; a style without a name is new.
   * @param models what the server has; their models and samplers are offered.
   * @param taken the names of the other styles.
   */
  open(style: Style, models: ModelInfo[], taken: string[]): void {
    this.taken = taken;
    this.replaces = style.name === "" ? null : style.name;
    this.title.textContent = style.name === "" ? t("New style") : t("Change the style");
    this.name.value = style.name;
    offer(this.model, models.map((model) => [model.title, model.name]), style.model);
    const presets = [...find("preset", HTMLSelectElement).options].filter((option) => option.value !== "");
    offer(this.preset, presets.map((option) => [option.text, option.value]), style.preset);
    const samplers = new Set(models.flatMap((model) => model.samplers));
    offer(this.sampler, [...samplers].map((name) => [name, name]), style.sampler);
    this.prompt.value = style.prompt ?? "";
    this.negative.value = style.negative_prompt ?? "";
    this.loras.value = (style.loras ?? []).map(({ name, weight }) => `${name}: ${weight ?? 1}`).join("\n");
    this.loras.setCustomValidity("");
    this.remove.hidden = this.replaces === null;
    this.checkName();
    this.dialog.showModal();
    this.name.focus();
  }

  private checkName(): void {
    const name = tidied(this.name.value);
    const isTaken = this.taken.includes(name);
    const wrong = isTaken ? t("There is a style “{style}” already.", { style: name }) : t("The style has no name.");
    this.name.setCustomValidity(name === "" || isTaken ? wrong : "");
  }

  private save(event: SubmitEvent): void {
    const loras = this.readLoras();
    if (loras === null) {
      event.preventDefault();
      this.loras.reportValidity();
      return;
    }
    const style: Style = {
      name: tidied(this.name.value),
      model: this.model.value || null,
      preset: this.preset.value || null,
      sampler: this.sampler.value || null,
      prompt: this.prompt.value.trim(),
      negative_prompt: this.negative.value.trim(),
      loras,
    };
    this.intents.save(style, this.replaces);
  }

  /** The LoRAs, a line each; null if a line is none, which is then said at the field. */
  private readLoras(): Lora[] | null {
    const lines = this.loras.value.split("\n").map((line) => line.trim()).filter((line) => line !== "");
    const found: Lora[] = [];
    for (const line of lines) {
      const match = LORA.exec(line);
      const weight = Number((match?.[2] ?? "1").replace(",", "."));
      if (match === null || match[1]!.length > 120 || Math.abs(weight) > STRONGEST) {
        this.loras.setCustomValidity(t("“{line}” is no LoRA; write its name, a colon and its weight.", { line }));
        return null;
      }
      found.push({ name: match[1]!, weight });
    }
    if (found.length <= MOST_LORAS) return found;
    this.loras.setCustomValidity(t("A style has at most {most} LoRAs.", { most: MOST_LORAS }));
    return null;
  }
}

/** Fill a choice. What another server or model has is offered, too, so that saving does not lose it. */
function offer(field: HTMLSelectElement, choices: [string, string][], chosen: string | null | undefined): void {
  const known = choices.some(([, value]) => value === chosen);
  const all = chosen == null || known ? choices : [...choices, [chosen, chosen] as [string, string]];
  field.replaceChildren(new Option(t("not set by the style"), ""), ...all.map(([label, value]) => new Option(label, value)));
  field.value = chosen ?? "";
}

function tidied(name: string): string {
  return name.trim().split(/\s+/).join(" ");
}
