// From the layers as the artist has arranged them to the message that has them drawn.
import { Problem } from "./calls";
import { t } from "./language";
import { shownName } from "./layer_names";
import type { Layer, Origin, Picture } from "./picture";
import type { Generated, Kept, Placed, Relit, Style, Submit } from "./protocol";
import { applied } from "./style";
import { newId } from "./wire";

/** Half of the steps: light and texture change, and the object stays. */
const STRENGTH = 0.5;
const SEEDS = 2 ** 32;

/** Layers, bottom first, on a canvas. */
export type Arrangement = Pick<Picture, "width" | "height" | "layers" | "origin">;

export interface Settings {
  model: string;
  preset: string | null;
  seed: string;
  style: Style | null;
}

/** What takes part in a picture, bottom first. */
export function parts(picture: Arrangement): { backgrounds: Layer[]; foregrounds: Layer[] } {
  const of = (role: Layer["role"]): Layer[] => picture.layers.filter((layer) => layer.role === role && layer.visible);
  return { backgrounds: of("background"), foregrounds: of("foreground") };
}

/** What a layer was drawn from, as the picture's record says; undefined of layers that have no words. */
export function drawnFrom({ origin }: Pick<Picture, "origin">, layer: Layer): Origin["layers"][number] | undefined {
  const made = layer.role === "background" || layer.role === "foreground" ? origin?.layers[layer.record] : undefined;
  return made?.prompt === undefined ? undefined : made;
}

/** Whether the form can say what a picture was made from: it knows one foreground, anywhere, and one negative and seed. */
export function fitsForm(picture: Pick<Picture, "origin" | "layers">): boolean {
  const made = picture.layers.flatMap((layer) => drawnFrom(picture, layer) ?? []);
  const fronts = picture.layers.filter((layer) => layer.role === "foreground" && drawnFrom(picture, layer) !== undefined);
  const seed = picture.origin?.picture.seed;
  const negatives = new Set(made.map((each) => each.negative_prompt ?? ""));
  return fronts.length <= 1 && negatives.size <= 1 && made.every((each) => !each.box && (each.seed ?? seed) === seed);
}

/** What pressing the button will do, in a word or two. */
export function verb(picture: Arrangement): string {
  const { backgrounds, foregrounds } = parts(picture);
  const [behind, front] = [backgrounds, foregrounds].map((layers) => new Set(layers.map((layer) => layer.verb)));
  const all = new Set([...behind!, ...front!]);
  if (all.size === 1 && all.has("keep")) return t("Harmonise");
  if (all.size === 1 && all.has("redraw")) return t("Draw it anew");
  if (front!.size === 1 && front!.has("keep")) return t("New background");
  if (behind!.size === 1 && behind!.has("keep")) {
    return front!.has("redraw") ? t("New foreground") : t("Relight");
  }
  return t("Draw");
}

/**
 * The message that has a picture drawn.
 *
 * @param merged the background, if it consists of several layers.
 */
export function submission(picture: Arrangement, settings: Settings, merged?: Layer): Submit {
  const { backgrounds, foregrounds } = parts(picture);
  const background = merged ?? backgrounds[0];
  if (background === undefined) throw new Problem(t("There is no background. Show one, or add a file as the background."));
  if (foregrounds.length === 0) throw new Problem(t("There is no foreground. Show one, or add one."));
  const seed = settings.seed.trim();
  const submit: Submit = {
    type: "submit",
    job: newId(),
    width: picture.width,
    height: picture.height,
    background: source(picture, background),
    foregrounds: foregrounds.map((layer) => source(picture, layer)),
    seed: seed === "" ? Math.floor(Math.random() * SEEDS) : Number(seed),
    preset: settings.preset,
    model: settings.model,
  };
  return settings.style === null ? submit : applied(settings.style, submit);
}

function source(picture: Arrangement, layer: Layer): Generated | Kept | Relit {
  const prompt = layer.prompt.trim();
  if (prompt === "") throw new Problem(t("Say in a few words what “{layer}” shows.", { layer: shownName(layer) }));
  const negative_prompt = layer.negative.trim();
  const seed = layer.seed.trim() === "" ? null : Number(layer.seed);
  if (layer.verb === "redraw" || layer.source === null) {
    const place = layer.role === "background" ? { box: null } : region(picture, layer);
    return { kind: "generated", prompt, negative_prompt, seed, ...place };
  }
  const { name, x, y, width, height, blend, opacity, visible, source: pixels } = layer;
  const kept = { layer: pixels.sha256, name, x, y, width, height, prompt, blend, opacity, visible };
  return layer.verb === "relight" ? { kind: "relit", ...kept, negative_prompt, seed, strength: STRENGTH } : { kind: "kept", ...kept };
}

/** Where a foreground is drawn: as it was recorded, or in the box where it was put. */
function region(picture: Arrangement, layer: Layer): Pick<Generated, "box" | "shape"> {
  if (layer.source === null || isMoved(layer)) return { box: box(picture, layer) };
  const recorded = picture.origin?.layers[layer.index];
  const values = recorded?.box?.split(",").map(Number);
  if (values?.length !== 4) return { box: null };
  const [x, y, width, height] = values as [number, number, number, number];
  return { box: { x, y, width, height }, shape: recorded?.shape || null };
}

/** The place of a layer on the canvas; null if that is the whole canvas. */
function box(picture: Arrangement, layer: Layer): Generated["box"] {
  const { left, top, right, bottom } = outline(layer);
  if (left <= 0 && top <= 0 && right >= picture.width && bottom >= picture.height) return null; // anywhere
  const x = Math.min(Math.max(Math.round(left), 0), picture.width - 16);
  const y = Math.min(Math.max(Math.round(top), 0), picture.height - 16);
  return {
    x,
    y,
    width: Math.max(16, Math.min(Math.round(right), picture.width) - x),
    height: Math.max(16, Math.min(Math.round(bottom), picture.height) - y),
  };
}

export function isMoved(layer: Layer): boolean {
  return layer.index === -1 || layer.x !== layer.home.x || layer.y !== layer.home.y || layer.source !== layer.original;
}

/** Where on the canvas a layer is seen. */
export function outline(layer: Layer): { left: number; top: number; right: number; bottom: number } {
  const { x, y } = layer;
  const seen = layer.source?.crop.seen ?? { left: 0, top: 0, right: layer.width, bottom: layer.height };
  return { left: x + seen.left, top: y + seen.top, right: x + seen.right, bottom: y + seen.bottom };
}

/** The layers of a file, bottom first. Shadow and Light that belong to another arrangement are hidden there. */
export function placed(picture: Picture): Placed[] {
  const stale = (layer: Layer): boolean => picture.unsettled && (layer.role === "shadow" || layer.role === "light");
  return picture.layers.flatMap((layer) => {
    if (layer.source === null) return [];
    const { name, role, x, y, width, height, blend, opacity, prompt } = layer;
    const visible = layer.visible && !stale(layer);
    return [{ layer: layer.source.sha256, name, role, x, y, width, height, blend, opacity, visible, prompt }];
  });
}
