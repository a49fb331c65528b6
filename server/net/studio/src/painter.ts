// Paints layers onto a sheet of the picture's own size. Only what has changed is composited, in small steps with pauses
// in which the page answers the artist. A pass is finished before the next one begins, which shows the newest state.
import { compositeOver, type Ply } from "./compositing";
import { drawn } from "./elements";
import type { Picture, SmallLayer } from "./picture";
import { Breath, type Rect, union, within } from "./pixels";
import type { Sheet } from "./sheet";

const STEP = 60_000; // pixels of all layers that are composited at a time

export class Painter {
  private plies: Ply[] = [];
  private dirty: Rect | null = null;
  private job = "";
  private painting = false;
  /** The sheet shows something else than layers. */
  private foreign = false;

  constructor(private readonly sheet: Sheet) {}

  /** Show a picture as it is now. */
  paint(picture: Picture): void {
    const { job, width, height } = picture;
    if (picture.showsPreviews) this.paintPreviews(job, width, height, picture.previews);
    else this.paintPlies(job, width, height, picture.plies);
  }

  /** Show these layers, bottom first. */
  paintPlies(job: string, width: number, height: number, plies: Ply[]): void {
    if (this.sheet.width !== width || this.sheet.height !== height || this.job !== job) {
      this.sheet.resize(width, height);
      this.job = job;
      this.plies = [];
    }
    const all = this.foreign ? { left: 0, top: 0, right: width, bottom: height } : null;
    this.dirty = union(this.dirty, within(union(all, difference(this.plies, plies)), width, height));
    this.foreign = false;
    this.plies = plies;
    this.sheet.frame.dataset.painted = this.dirty === null && !this.painting ? "yes" : "";
    if (!this.painting) void this.run();
  }

  /** Show small pictures of layers, enlarged. */
  private paintPreviews(job: string, width: number, height: number, previews: SmallLayer[]): void {
    this.paintPlies(job, width, height, []);
    this.dirty = null;
    const order = ["background", "foreground"];
    const shown = previews.filter((preview) => order.includes(preview.role));
    shown.sort((one, other) => order.indexOf(one.role) - order.indexOf(other.role) || one.index - other.index);
    this.sheet.clear();
    for (const preview of shown) this.sheet.stretch(drawn(preview.image));
    this.plies = [];
    this.foreign = true;
    this.sheet.frame.dataset.painted = "yes";
  }

  private async run(): Promise<void> {
    this.painting = true;
    const breath = new Breath();
    while (this.dirty !== null) {
      const { plies, job, dirty: area } = this;
      this.dirty = null;
      const rows = Math.max(1, Math.floor(STEP / ((area.right - area.left) * Math.max(1, plies.length))));
      for (let top = area.top; top < area.bottom && job === this.job && !this.foreign; top += rows) {
        const part = { ...area, top, bottom: Math.min(top + rows, area.bottom) };
        const image = new ImageData(part.right - part.left, part.bottom - part.top);
        for (const ply of plies) compositeOver(image.data, part, ply);
        this.sheet.put(image, part.left, part.top);
        await breath.take();
      }
    }
    this.painting = false;
    this.sheet.frame.dataset.painted = "yes";
  }
}

/** Where two lists of layers look different; null if nowhere. */
function difference(before: Ply[], after: Ply[]): Rect | null {
  let changed: Rect | null = null;
  for (let at = 0; at < Math.max(before.length, after.length); at++) {
    const [one, other] = [before[at], after[at]];
    const same =
      one !== undefined && other !== undefined && one.crop === other.crop && one.x === other.x && one.y === other.y &&
      one.blend === other.blend && Math.round(255 * one.opacity) === Math.round(255 * other.opacity);
    if (!same) changed = union(changed, union(place(one), place(other)));
  }
  return changed;
}

function place(ply: Ply | undefined): Rect | null {
  if (ply === undefined) return null;
  const [left, top] = [ply.x + ply.crop.x, ply.y + ply.crop.y];
  return { left, top, right: left + ply.crop.width, bottom: top + ply.crop.height };
}
