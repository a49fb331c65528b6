// What can be changed of the selected layer.
import type { Editor } from "./editor";
import { make } from "./elements";
import { icon } from "./icons";
import { t } from "./language";
import { shownName } from "./layer_names";
import type { Layer, Verb } from "./picture";
import { PromptHelp } from "./prompt_help";
import type { ModelInfo } from "./protocol";

const BLENDS: [Layer["blend"], string][] = [
  ["normal", t("Normal")],
  ["multiply", t("Multiply")],
  ["add", t("Add")],
];
const VERBS: [Verb, string, string][] = [
  ["keep", t("Keep"), t("It stays as it is, to the byte.")],
  ["redraw", t("Redraw"), t("It is drawn anew from its words.")],
  ["relight", t("Relight"), t("It is drawn over, so that its light fits.")],
];

/** The fields of a layer, and what fills them in again after a change. */
export function layerDetails(editor: Editor, layer: () => Layer, model: () => ModelInfo | undefined): { element: HTMLElement; show: () => void } {
  const { key, role } = layer();
  const id = (name: string): string => `${key}-${name}`;
  const name = make("input", { id: id("name"), maxLength: 255, autocomplete: "off", dir: "auto" });
  const blend = make("select", { id: id("blend") }, ...BLENDS.map(([value, label]) => new Option(label, value)));
  const up = make("button", { type: "button", className: "icon", title: t("Further up") }, icon("up"));
  const down = make("button", { type: "button", className: "icon", title: t("Further down") }, icon("down"));
  for (const button of [up, down]) button.setAttribute("aria-label", button.title);
  [up.dataset.keeps, down.dataset.keeps] = [id("up"), id("down")];
  const drawnFrom = role === "background" || role === "foreground";
  const prompt = make("textarea", { id: id("prompt"), rows: 2, maxLength: 2000, dir: "auto" });
  const negative = make("textarea", { id: id("negative"), rows: 1, maxLength: 2000, dir: "auto", placeholder: t("What it should not show") });
  const seed = make("input", { id: id("seed"), inputMode: "numeric", autocomplete: "off", placeholder: t("A new one each time") });
  const verbs = make("div", { className: "verbs" });
  verbs.setAttribute("role", "radiogroup");
  verbs.setAttribute("aria-label", t("When the picture is drawn again"));
  const choices = VERBS.map(([verb, label, hint]) => {
    const choice = make("input", { type: "radio", name: id("verb"), value: verb });
    choice.dataset.keeps = id(`verb-${verb}`);
    choice.onchange = () => editor.setVerb(layer(), verb);
    verbs.append(make("label", { title: hint }, choice, label));
    return choice;
  });
  const hint = make("small");
  const element = make("div", { className: "details" }, labelled(t("Name"), name), labelled(t("Blend mode"), blend));
  const order = make("div", { className: "order" }, up, down);
  if (drawnFrom) element.append(labelled(t("What it shows"), prompt), labelled(t("Negative"), negative), labelled(t("Seed"), seed), verbs, hint);
  const help = drawnFrom ? new PromptHelp(prompt, model) : null;
  if (layer().index === -1 && layer().source !== null) {
    const swap = make("button", { type: "button", className: "quiet" });
    swap.textContent = role === "background" ? t("Use as foreground") : t("Use as background");
    swap.onclick = () => editor.swapRole(layer());
    order.append(swap);
  }
  if (role === "foreground") {
    const remove = make("button", { type: "button", className: "quiet", textContent: t("Remove") });
    remove.onclick = () => editor.remove(layer());
    order.append(remove);
  }
  element.append(order);

  for (const field of [name, prompt, negative, seed]) {
    field.onfocus = () => editor.begin();
    field.onkeydown = (event: KeyboardEvent) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) void editor.draw();
    };
  }
  name.oninput = () => name.value.trim() !== "" && editor.set(layer(), { name: name.value.trim() });
  prompt.oninput = () => editor.set(layer(), { prompt: prompt.value });
  negative.oninput = () => editor.set(layer(), { negative: negative.value });
  seed.oninput = () => {
    const whole = /^\d*$/.test(seed.value.trim()) && Number.isSafeInteger(Number(seed.value));
    seed.setCustomValidity(whole ? "" : t("A seed is a whole number. Leave it empty for a new one each time."));
    if (whole) editor.set(layer(), { seed: seed.value.trim() });
    else seed.reportValidity();
  };
  blend.onchange = () => {
    editor.begin();
    editor.set(layer(), { blend: blend.value as Layer["blend"] });
  };
  up.onclick = () => editor.reorder(layer(), 1);
  down.onclick = () => editor.reorder(layer(), -1);

  const show = (): void => {
    const now = layer();
    for (const [field, value] of [[name, shownName(now)], [prompt, now.prompt], [negative, now.negative], [seed, now.seed]] as const) {
      if (document.activeElement !== field && field.value !== value) field.value = value;
    }
    help?.update();
    blend.value = now.blend;
    for (const choice of choices) {
      choice.checked = choice.value === now.verb;
      // What is not drawn yet can only be drawn.
      choice.disabled = !editor.canEdit || (now.source === null && choice.value !== "redraw");
    }
    hint.textContent = VERBS.find(([verb]) => verb === now.verb)![2];
  };
  return { element, show };
}

function labelled(text: string, field: HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement): HTMLElement {
  field.dataset.keeps = field.id;
  const label = make("label", { htmlFor: field.id, textContent: text });
  return make("div", { className: "field" }, label, field);
}
