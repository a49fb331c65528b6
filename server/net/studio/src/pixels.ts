// The pixels of a layer without its transparent margins: they are most of many layers, and cost memory and time. What
// takes long pauses often, so that the page answers the artist.

/** A part of a layer: where it lies in the layer, and its RGBA, straight alpha. Outside of it the layer is transparent. */
export interface Crop {
  x: number;
  y: number;
  width: number;
  height: number;
  data: Uint8ClampedArray<ArrayBuffer>;
  /** What an eye sees of it: faint pixels around an object do not count. */
  seen: Rect;
}

export interface Rect {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

const PATIENCE = 12; // ms; a frame takes 16
const ROWS = 64;
/** Alpha from which an eye sees something. */
export const SEEN = 16;

/** Pauses whenever the page had no turn for a while. */
export class Breath {
  private began = performance.now();

  /** Whether there was a pause. */
  async take(): Promise<boolean> {
    if (performance.now() - this.began < PATIENCE) return false;
    await turn();
    this.began = performance.now();
    return true;
  }
}

/** A turn for everything else on the page. Timers of a page that is not seen wait for a second or longer. */
function turn(): Promise<void> {
  return new Promise((resume) => {
    if (document.visibilityState === "visible") return void setTimeout(resume);
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resume();
    };
    port2.postMessage(null);
  });
}

/** What is to be seen of a layer's pixels as they came from the server: BGRA, straight alpha. */
export async function cropped(bytes: Uint8Array<ArrayBuffer>, width: number, height: number): Promise<Crop> {
  const breath = new Breath();
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, width * height);
  const seen: Rect = { left: width, top: height, right: 0, bottom: 0 };
  for (let y = 0; y < height; y++) {
    const row = y * width;
    let first = 0;
    while (first < width && words[row + first]! >>> 24 === 0) first++;
    if (first < width) {
      let last = width - 1;
      while (words[row + last]! >>> 24 === 0) last--;
      seen.left = Math.min(seen.left, first);
      seen.right = Math.max(seen.right, last + 1);
      seen.top = Math.min(seen.top, y);
      seen.bottom = y + 1;
    }
    if (y % ROWS === 0) await breath.take();
  }
  if (seen.right === 0) {
    return { x: 0, y: 0, width: 1, height: 1, data: new Uint8ClampedArray(4), seen: { left: 0, top: 0, right: 1, bottom: 1 } };
  }
  const [wide, high] = [seen.right - seen.left, seen.bottom - seen.top];
  const data = new Uint8ClampedArray(4 * wide * high);
  const made = new Uint32Array(data.buffer);
  const clear: Rect = { left: width, top: height, right: 0, bottom: 0 };
  for (let y = 0; y < high; y++) {
    const from = (seen.top + y) * width + seen.left;
    let [first, last] = [wide, -1];
    for (let x = 0; x < wide; x++) {
      const word = words[from + x]!; // 0xAARRGGBB on all machines that browsers run on
      made[y * wide + x] = (word & 0xff00ff00) | ((word >>> 16) & 0xff) | ((word & 0xff) << 16);
      if (word >>> 24 < SEEN) continue;
      if (x < first) first = x;
      last = x;
    }
    if (last !== -1) {
      clear.left = Math.min(clear.left, seen.left + first);
      clear.right = Math.max(clear.right, seen.left + last + 1);
      clear.top = Math.min(clear.top, seen.top + y);
      clear.bottom = seen.top + y + 1;
    }
    if (y % ROWS === 0) await breath.take();
  }
  return { x: seen.left, y: seen.top, width: wide, height: high, data, seen: clear.right === 0 ? seen : clear };
}

/**
 * A crop of another size, bilinear: good enough while something moves. The server makes what is kept.
 *
 * @param part how large the result is, as a part of the crop in both directions.
 */
export async function stretched(crop: Crop, part: { x: number; y: number }): Promise<Crop> {
  const breath = new Breath();
  const left = Math.floor(crop.x * part.x);
  const top = Math.floor(crop.y * part.y);
  const width = Math.max(1, Math.ceil((crop.x + crop.width) * part.x) - left);
  const height = Math.max(1, Math.ceil((crop.y + crop.height) * part.y) - top);
  const data = new Uint8ClampedArray(4 * width * height);
  for (let y = 0; y < height; y++) {
    const v = Math.min(Math.max((top + y + 0.5) / part.y - crop.y - 0.5, 0), crop.height - 1);
    const upper = Math.floor(v);
    const lower = Math.min(upper + 1, crop.height - 1);
    for (let x = 0; x < width; x++) {
      const u = Math.min(Math.max((left + x + 0.5) / part.x - crop.x - 0.5, 0), crop.width - 1);
      mix(crop, Math.floor(u), Math.min(Math.floor(u) + 1, crop.width - 1), upper, lower, u % 1, v % 1, data, 4 * (y * width + x));
    }
    if (y % 8 === 0) await breath.take();
  }
  const { seen } = crop;
  const large = {
    left: Math.round(seen.left * part.x),
    top: Math.round(seen.top * part.y),
    right: Math.round(seen.right * part.x),
    bottom: Math.round(seen.bottom * part.y),
  };
  return { x: left, y: top, width, height, data, seen: large };
}

/** Write the mean of four pixels, weighted by distance and alpha. */
function mix(
  crop: Crop,
  left: number,
  right: number,
  upper: number,
  lower: number,
  u: number,
  v: number,
  to: Uint8ClampedArray,
  at: number,
): void {
  let [red, green, blue, alpha] = [0, 0, 0, 0];
  for (let corner = 0; corner < 4; corner++) {
    const from = 4 * ((corner < 2 ? upper : lower) * crop.width + (corner % 2 === 0 ? left : right));
    const weight = (corner < 2 ? 1 - v : v) * (corner % 2 === 0 ? 1 - u : u) * crop.data[from + 3]!;
    red += weight * crop.data[from]!;
    green += weight * crop.data[from + 1]!;
    blue += weight * crop.data[from + 2]!;
    alpha += weight;
  }
  if (alpha === 0) return;
  to[at] = red / alpha;
  to[at + 1] = green / alpha;
  to[at + 2] = blue / alpha;
  to[at + 3] = alpha;
}

export function union(one: Rect | null, other: Rect | null): Rect | null {
  if (one === null || other === null) return one ?? other;
  return {
    left: Math.min(one.left, other.left),
    top: Math.min(one.top, other.top),
    right: Math.max(one.right, other.right),
    bottom: Math.max(one.bottom, other.bottom),
  };
}

/** The part of a rectangle on a canvas; null if there is none. */
export function within(rect: Rect | null, width: number, height: number): Rect | null {
  if (rect === null) return null;
  const { left, top, right, bottom } = rect;
  const inside = { left: Math.max(left, 0), top: Math.max(top, 0), right: Math.min(right, width), bottom: Math.min(bottom, height) };
  return inside.left < inside.right && inside.top < inside.bottom ? inside : null;
}
