// The arithmetic of engine/image/compositing.py, which explains it: stored sRGB values, straight alpha, rounded to
// 8 bits after every layer. The tests compare the two.
import type { Layer } from "./picture";

type Blend = Layer["blend"];

/**
 * Composite a layer over rows of a canvas, in place.
 *
 * @param canvas RGBA, straight alpha, rows `top` to `bottom` of the picture.
 * @param width of the picture, in pixels.
 */
export function compositeRows(canvas: Uint8ClampedArray, width: number, top: number, bottom: number, layer: Layer): void {
  const strength = Math.round(layer.opacity * 255);
  const left = Math.max(layer.x, 0);
  const right = Math.min(layer.x + layer.width, width);
  if (strength === 0) return;
  for (let y = Math.max(top, layer.y); y < Math.min(bottom, layer.y + layer.height); y++) {
    let below = 4 * ((y - top) * width + left);
    let above = 4 * ((y - layer.y) * layer.width + left - layer.x);
    for (let x = left; x < right; x++, below += 4, above += 4) {
      if (layer.pixels[above + 3] !== 0) over(canvas, below, layer.pixels, above, layer.blend, strength);
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
