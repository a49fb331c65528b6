// Thumbnails of the history's pictures. The server sends those that are seen; only the latest are kept, because it has
// them all.
import type { Thumbnail } from "./protocol";
import { Signal } from "./signal";
import { swapRedAndBlue } from "./wire";

/** Longer side, in pixels. */
const SIDE = 192;
/** Most thumbnails that are kept, of 144 KB each. */
const MOST = 150;

export class Thumbnails {
  /** Job -> its thumbnail; the one that was used last is the last. */
  readonly images = new Signal<Map<string, ImageData>>(new Map());
  private readonly asked = new Set<string>();

  constructor(private readonly ask: (job: string, side: number) => void) {}

  /** The thumbnail of a finished picture; undefined if it is still to come. */
  of(job: string): ImageData | undefined {
    const image = this.images.value.get(job);
    if (image === undefined && !this.asked.has(job)) {
      this.asked.add(job);
      this.ask(job, SIDE);
    }
    if (image !== undefined) {
      this.images.value.delete(job);
      this.images.value.set(job, image);
    }
    return image;
  }

  take({ job, width, height, pixels }: Thumbnail): void {
    this.asked.delete(job);
    const images = this.images.value;
    images.set(job, new ImageData(swapRedAndBlue(new Uint8Array(pixels)), width, height));
    for (const oldest of [...images.keys()].slice(0, -MOST)) images.delete(oldest);
    this.images.touch();
  }

  forget(job: string): void {
    this.images.value.delete(job);
  }

  /** The connection was lost: what was asked for is not answered any more. */
  lost(): void {
    this.asked.clear();
  }

  clear(): void {
    this.asked.clear();
    this.images.value = new Map();
  }
}
