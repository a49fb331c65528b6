// What the server needs before it can draw layers as they are arranged: several backgrounds as one layer, and copies of
// the layers for a smaller canvas if it does not draw one as large.
import type { Calls } from "./calls";
import { compositeOver } from "./compositing";
import { type Layer, type Picture, ply, type Source } from "./picture";
import { Breath } from "./pixels";
import type { Limits, Submit } from "./protocol";
import { fitting, shrunk, smaller } from "./shrinking";
import { parts, type Settings, submission } from "./sources";
import { swapRedAndBlue } from "./wire";

/** The message that has a picture drawn, on its canvas or on the largest one of its shape that the server draws. */
export async function prepared(picture: Picture, settings: Settings, calls: Calls, limits: Limits): Promise<Submit> {
  const behind = await merged(picture, calls);
  const size = fitting(picture, limits);
  if (size.width === picture.width && size.height === picture.height) return submission(picture, settings, behind);
  const scale = ({ sha256, width, height }: Source, to_width: number, to_height: number): Promise<string> =>
    calls.scale(sha256, [width, height], [to_width, to_height]);
  const background = behind === undefined ? undefined : await smaller(behind, picture, size, scale);
  return submission(await shrunk(picture, size, scale), settings, background);
}

/** Several backgrounds as one, which the server gets; undefined if there is none. */
async function merged(picture: Picture, calls: Calls): Promise<Layer | undefined> {
  const { backgrounds } = parts(picture);
  const last = backgrounds.at(-1);
  if (last === undefined || backgrounds.length === 1 || last.verb === "redraw") return last;
  const { width, height } = picture;
  const image = new ImageData(width, height);
  const breath = new Breath();
  for (let top = 0; top < height; top += 16) {
    const part = { left: 0, top, right: width, bottom: Math.min(top + 16, height) };
    const rows = image.data.subarray(4 * width * part.top, 4 * width * part.bottom);
    for (const each of backgrounds.flatMap((layer) => ply(layer))) compositeOver(rows, part, each);
    swapRedAndBlue(new Uint8Array(rows.buffer, rows.byteOffset, rows.length));
    await breath.take();
  }
  const source = { ...last.source!, sha256: await calls.upload(new Uint8Array(image.data.buffer), false), width, height };
  return { ...last, x: 0, y: 0, width, height, blend: "normal", opacity: 1, source, original: source };
}
