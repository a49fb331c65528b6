// The list of layers, top first: eye, alone, opacity.
import { drawn, find, make } from "./elements";
import { icon } from "./icons";
import { t } from "./language";
import type { Layer, Picture, SmallLayer } from "./picture";
import type { Studio } from "./studio";

const THUMBNAIL = 44;
const WHAT: Record<Layer["role"], string> = {
  background: t("behind everything"),
  foreground: t("cut out, in front"),
  shadow: t("darkens (multiply)"),
  light: t("brightens (add)"),
  blended: t("all in one, to compare"),
};
const NAMES: Record<Layer["role"], string> = {
  background: t("Background"),
  foreground: t("Foreground"),
  shadow: t("Shadow"),
  light: t("Light"),
  blended: t("Blended"),
};
const ORDER: Layer["role"][] = ["blended", "light", "shadow", "foreground", "background"];

export class LayersPanel {
  private readonly list = find("layers", HTMLUListElement);
  private shown = "";
  private rows: (() => void)[] = [];

  constructor(private readonly studio: Studio) {
    studio.picture.watch((picture) => this.update(picture));
  }

  /** The rows are made anew only when layers came or went, so that a slider is not taken out of the artist's hand. */
  private update(picture: Picture | null): void {
    const layers = picture?.layers ?? [];
    if (picture?.showsPreviews && layers.length === 0) return this.showPreviews(picture);
    const now = `${picture?.job} ${layers.map((layer) => layer.index).join()}`;
    if (now !== this.shown) {
      this.shown = now;
      this.rows = [];
      this.list.replaceChildren(...layers.map((layer) => this.row(picture!, layer)).reverse());
    }
    for (const show of this.rows) show();
    find("no-layers", HTMLParagraphElement).hidden = layers.length > 0;
    find("changed", HTMLParagraphElement).hidden = !(picture?.changed ?? false);
  }

  private showPreviews(picture: Picture): void {
    const previews = [...picture.previews];
    previews.sort((one, other) => ORDER.indexOf(one.role) - ORDER.indexOf(other.role) || other.index - one.index);
    this.shown = "previews";
    this.rows = [];
    this.list.replaceChildren(...previews.map(previewRow));
    find("no-layers", HTMLParagraphElement).hidden = true;
    find("changed", HTMLParagraphElement).hidden = true;
  }

  private row(picture: Picture, layer: Layer): HTMLLIElement {
    const eye = make("button", { type: "button", className: "icon" });
    const alone = make("button", { type: "button", className: "icon" }, icon("alone"));
    const opacity = make("input", { type: "range", min: "0", max: "100", value: String(Math.round(100 * layer.opacity)) });
    const percent = make("span", { className: "percent" });
    eye.setAttribute("aria-label", t("Show {layer}", { layer: layer.name }));
    alone.setAttribute("aria-label", t("Show {layer} alone", { layer: layer.name }));
    alone.title = t("Show this layer alone");
    opacity.setAttribute("aria-label", t("Opacity of {layer}", { layer: layer.name }));
    const row = make(
      "li",
      {},
      eye,
      drawn(thumbnail(layer)),
      make("div", { className: "names" }, make("strong", {}, layer.name), make("small", {}, WHAT[layer.role])),
      alone,
      make("label", { className: "opacity" }, t("Opacity"), opacity, percent),
    );
    const show = (): void => {
      eye.setAttribute("aria-pressed", String(layer.visible));
      eye.title = layer.visible ? t("Hide") : t("Show");
      eye.replaceChildren(icon(layer.visible ? "seen" : "hidden"));
      alone.setAttribute("aria-pressed", String(picture.alone === layer.index));
      percent.textContent = `${Math.round(100 * layer.opacity)} %`;
      row.classList.toggle("unseen", picture.alone === null ? !layer.visible : picture.alone !== layer.index);
    };
    const change = (): void => {
      picture.changed = true;
      this.studio.picture.touch();
    };
    eye.onclick = () => {
      layer.visible = !layer.visible;
      change();
    };
    opacity.oninput = () => {
      layer.opacity = Number(opacity.value) / 100;
      change();
    };
    alone.onclick = () => {
      picture.alone = picture.alone === layer.index ? null : layer.index;
      this.studio.picture.touch();
    };
    this.rows.push(show);
    return row;
  }
}

function previewRow(preview: SmallLayer): HTMLLIElement {
  const name = NAMES[preview.role] + (preview.index > 0 ? ` ${preview.index + 1}` : "");
  const names = make("div", { className: "names" }, make("strong", {}, name), make("small", {}, t("being drawn")));
  return make("li", {}, make("span"), drawn(preview.image), names);
}

/** A few of the layer's pixels: the nearest ones are good enough for a mark in a list. */
function thumbnail(layer: Layer): ImageData {
  const scale = THUMBNAIL / Math.max(layer.width, layer.height);
  const width = Math.max(1, Math.round(layer.width * scale));
  const height = Math.max(1, Math.round(layer.height * scale));
  const image = new ImageData(width, height);
  const from = new Uint32Array(layer.pixels.buffer);
  const to = new Uint32Array(image.data.buffer);
  for (let y = 0; y < height; y++) {
    const row = Math.floor(((y + 0.5) * layer.height) / height) * layer.width;
    for (let x = 0; x < width; x++) to[y * width + x] = from[row + Math.floor(((x + 0.5) * layer.width) / width)]!;
  }
  return image;
}
