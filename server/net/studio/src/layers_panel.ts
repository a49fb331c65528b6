// The list of layers, top first: eye, alone, opacity; and of the selected one name, blend mode, order and what becomes of
// it when the picture is drawn again.
import type { Editor } from "./editor";
import { arrange, drawn, find, make } from "./elements";
import { icon } from "./icons";
import { t } from "./language";
import { layerDetails } from "./layer_details";
import { ROLES, shownName } from "./layer_names";
import type { Layer, Picture, SmallLayer } from "./picture";
import type { Studio } from "./studio";

/** A layer's row, and what fills it in again after a change. */
interface Row {
  element: HTMLLIElement;
  show: () => void;
}

const THUMBNAIL = 44;
const WHAT: Record<Layer["role"], string> = {
  background: t("behind everything"),
  foreground: t("cut out, in front"),
  shadow: t("darkens (multiply)"),
  light: t("brightens (add)"),
  blended: t("all in one, to compare"),
};
const ORDER: Layer["role"][] = ["blended", "light", "shadow", "foreground", "background"];

export class LayersPanel {
  private readonly list = find("layers", HTMLUListElement);
  private shown = "";
  private rows = new Map<string, Row>();

  constructor(
    private readonly studio: Studio,
    private readonly editor: Editor,
  ) {
    studio.picture.watch((picture) => this.update(picture));
  }

  /** A row is made anew only when its layer is selected or finished, so that nothing is taken out of the artist's hand. */
  private update(picture: Picture | null): void {
    const layers = picture?.layers ?? [];
    if (picture?.showsPreviews && layers.length === 0) return this.showPreviews(picture);
    const known = new Map(
      layers.map((layer) => [`${picture!.job} ${layer.key} ${layer.key === picture!.selected} ${picture!.phase}`, layer] as const),
    );
    const now = [...known.keys()].join();
    if (now !== this.shown) {
      this.shown = now;
      const focused = document.activeElement instanceof HTMLElement ? document.activeElement.dataset.keeps : undefined;
      this.rows = new Map([...known].map(([made, layer]) => [made, this.rows.get(made) ?? this.row(picture!, layer)]));
      arrange(this.list, [...this.rows.values()].map((row) => row.element).reverse());
      // On a phone the list does not scroll by itself, and the page must not jump away from the picture.
      const scrolls = this.list.scrollHeight > this.list.clientHeight;
      if (scrolls) this.list.querySelector(":scope > li:has(.details)")?.scrollIntoView({ block: "nearest" });
      if (focused !== undefined) this.list.querySelector<HTMLElement>(`[data-keeps="${focused}"]`)?.focus();
    }
    for (const row of this.rows.values()) row.show();
    find("no-layers", HTMLParagraphElement).hidden = layers.length > 0;
    find("changed", HTMLParagraphElement).hidden = !(picture?.unsettled ?? false);
  }

  private showPreviews(picture: Picture): void {
    const previews = [...picture.previews];
    previews.sort((one, other) => ORDER.indexOf(one.role) - ORDER.indexOf(other.role) || other.index - one.index);
    this.shown = "previews";
    this.rows.clear();
    this.list.replaceChildren(...previews.map(previewRow));
    find("no-layers", HTMLParagraphElement).hidden = true;
    find("changed", HTMLParagraphElement).hidden = true;
  }

  private row(picture: Picture, { key }: Layer): Row {
    const layer = (): Layer => picture.layer(key)!;
    const { editor } = this;
    const eye = make("button", { type: "button", className: "icon" });
    const mark = make("span", { className: "mark" });
    const title = make("strong", { dir: "auto" });
    const names = make("button", { type: "button", className: "names" }, title, make("small", {}, WHAT[layer().role]));
    names.dataset.keeps = `names ${key}`;
    const alone = make("button", { type: "button", className: "icon" }, icon("alone"));
    const opacity = make("input", { type: "range", min: "0", max: "100" });
    const percent = make("span", { className: "percent" });
    alone.title = t("Show this layer alone");
    const row = make("li", {}, eye, mark, names, alone, make("label", { className: "opacity" }, t("Opacity"), opacity, percent));
    row.dataset.key = key;
    let marked: unknown = null;
    const show = (): void => {
      const { visible, opacity: now, source } = layer();
      const name = shownName(layer());
      title.textContent = name;
      eye.setAttribute("aria-label", t("Show {layer}", { layer: name }));
      alone.setAttribute("aria-label", t("Show {layer} alone", { layer: name }));
      opacity.setAttribute("aria-label", t("Opacity of {layer}", { layer: name }));
      eye.setAttribute("aria-pressed", String(visible));
      eye.title = visible ? t("Hide") : t("Show");
      eye.replaceChildren(icon(visible ? "seen" : "hidden"));
      alone.setAttribute("aria-pressed", String(picture.alone === key));
      names.setAttribute("aria-expanded", String(picture.selected === key));
      if (document.activeElement !== opacity) opacity.value = String(Math.round(100 * now));
      percent.textContent = `${Math.round(100 * now)} %`;
      row.classList.toggle("unseen", picture.alone === null ? !visible : picture.alone !== key);
      if (source !== marked || source === null) mark.replaceChildren(source === null ? icon("box") : drawn(thumbnail(layer())));
      marked = source;
    };
    eye.onclick = () => {
      editor.begin();
      editor.set(layer(), { visible: !layer().visible });
    };
    opacity.onpointerdown = opacity.onkeydown = () => editor.begin();
    opacity.oninput = () => editor.set(layer(), { opacity: Number(opacity.value) / 100 });
    names.onclick = () => editor.select(picture.selected === key ? null : key);
    alone.onclick = () => {
      picture.alone = picture.alone === key ? null : key;
      editor.refresh();
    };
    if (picture.selected !== key || !picture.isOver) return { element: row, show };
    const details = layerDetails(editor, layer, () => this.studio.model);
    row.append(details.element);
    const showAll = (): void => {
      show();
      details.show();
    };
    return { element: row, show: showAll };
  }
}

function previewRow(preview: SmallLayer): HTMLLIElement {
  const name = ROLES[preview.role] + (preview.index > 0 ? ` ${preview.index + 1}` : "");
  const names = make("div", { className: "names" }, make("strong", {}, name), make("small", {}, t("being drawn")));
  return make("li", {}, make("span"), drawn(preview.image), names);
}

/** A few of the layer's pixels: the nearest ones are good enough for a mark in a list. */
function thumbnail(layer: Layer): ImageData {
  const { crop } = layer.source!;
  const scale = THUMBNAIL / Math.max(layer.width, layer.height);
  const width = Math.max(1, Math.round(layer.width * scale));
  const height = Math.max(1, Math.round(layer.height * scale));
  const image = new ImageData(width, height);
  const from = new Uint32Array(crop.data.buffer);
  const to = new Uint32Array(image.data.buffer);
  for (let y = 0; y < height; y++) {
    const v = Math.floor(((y + 0.5) * layer.height) / height) - crop.y;
    if (v < 0 || v >= crop.height) continue;
    for (let x = 0; x < width; x++) {
      const u = Math.floor(((x + 0.5) * layer.width) / width) - crop.x;
      if (u >= 0 && u < crop.width) to[y * width + x] = from[v * crop.width + u]!;
    }
  }
  return image;
}
