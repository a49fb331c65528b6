// Pictures at a smaller size: for Live, and where the canvas is larger than what the server draws.
import type { Layer, Picture, Source } from "./picture";
import type { Limits } from "./protocol";

export interface Size {
  width: number;
  height: number;
}

/** Has the server make a smaller copy of pixels, and gives its SHA-256. */
export type Scale = (source: Source, width: number, height: number) => Promise<string>;

/** The canvas, or the largest one of its shape that the server draws. */
export function fitting({ width, height }: Size, limits: Pick<Limits, "max_side" | "layer_bytes">): Size {
  const part = Math.min(1, limits.max_side / Math.max(width, height), Math.sqrt(limits.layer_bytes / (4 * width * height)));
  return { width: Math.max(1, Math.floor(part * width)), height: Math.max(1, Math.floor(part * height)) };
}

/** A layer of a canvas on a smaller one. */
export async function smaller(layer: Layer, from: Size, to: Size, scale: Scale): Promise<Layer> {
  const [across, down] = [to.width / from.width, to.height / from.height];
  const [width, height] = [Math.max(1, Math.round(layer.width * across)), Math.max(1, Math.round(layer.height * down))];
  const place = { x: Math.round(layer.x * across), y: Math.round(layer.y * down), width, height };
  const { original } = layer;
  if (original === null) return { ...layer, ...place };
  const { left, top, right, bottom } = (layer.source ?? original).crop.seen;
  const seen = { left: left * across, top: top * down, right: right * across, bottom: bottom * down };
  const source = { sha256: await scale(original, width, height), width, height, crop: { ...original.crop, seen } };
  return { ...layer, ...place, source };
}

/** What is drawn of a picture, on a smaller canvas. */
export async function shrunk(picture: Picture, to: Size, scale: Scale): Promise<Size & { layers: Layer[]; origin: null }> {
  return { ...to, layers: await Promise.all(picture.layers.map((layer) => smaller(layer, picture, to, scale))), origin: null };
}
