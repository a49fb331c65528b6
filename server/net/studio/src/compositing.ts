// The arithmetic of engine/image/compositing.py, which explains it: stored sRGB values, straight alpha, rounded to
// 8 bits after every layer. The tests compare the two.
import type { Layer } from "./picture";
import type { Crop, Rect } from "./pixels";

type Blend = Layer["blend"];

/** What is composited of a layer: its pixels, and how. `x` and `y` are those of the layer on the canvas. */
export interface Ply {
  crop: Crop;
  x: number;
  y: number;
  blend: Blend;
  opacity: number;
}

/**
 * Composite a layer over a part of a canvas, in place.
 *
 * @param canvas RGBA, straight alpha: the part `area` of the picture.
 */
export function compositeOver(canvas: Uint8ClampedArray, area: Rect, ply: Ply): void {
  const strength = Math.round(ply.opacity * 255);
  if (strength === 0) return;
  const { crop } = ply;
  const [left, top] = [ply.x + crop.x, ply.y + crop.y];
  const first = Math.max(area.left, left);
  const last = Math.min(area.right, left + crop.width);
  const wide = area.right - area.left;
  for (let y = Math.max(area.top, top); y < Math.min(area.bottom, top + crop.height); y++) {
    let below = 4 * ((y - area.top) * wide + first - area.left);
    let above = 4 * ((y - top) * crop.width + first - left);
    for (let x = first; x < last; x++, below += 4, above += 4) {
      if (crop.data[above + 3] !== 0) over(canvas, below, crop.data, above, ply.blend, strength);
    }
  }
}

function over(
  canvas: Uint8ClampedArray,
  below: number,
  pixels: Uint8ClampedArray,
  above: number,
  blend: Blend,
  strength: number,
): void {
  const beta = canvas[below + 3]! / 255;
  const alpha = (pixels[above + 3]! * strength) / 65025;
  const result = alpha + beta - alpha * beta;
  for (let channel = 0; channel < 3; channel++) {
    const b = canvas[below + channel]!;
    const s = pixels[above + channel]!;
    const both = blend === "multiply" ? (b * s) / 255 : blend === "add" ? Math.min(b + s, 255) : s;
    const colour = (1 - alpha) * beta * b + (1 - beta) * alpha * s + alpha * beta * both;
    // The engine makes pixels black whose alpha rounds to 0.
    canvas[below + channel] = result > 0.5 / 255 ? Math.floor(colour / result + 0.5) : 0;
  }
  canvas[below + 3] = Math.floor(255 * result + 0.5);
}
