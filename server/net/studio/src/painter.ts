// Paints the picture onto the canvas in its own size. Large pictures are composited in bands, with pauses in which the
// page answers the artist; the newest state wins.
import { compositeRows } from "./compositing";
import { drawn } from "./elements";
import type { Layer, Picture } from "./picture";

const BAND = 64;
const PATIENCE = 12; // ms; a frame takes 16

export class Painter {
  private readonly context: CanvasRenderingContext2D;
  private round = 0;

  constructor(private readonly canvas: HTMLCanvasElement) {
    this.context = canvas.getContext("2d")!;
  }

  async paint(picture: Picture): Promise<void> {
    const round = ++this.round;
    const { width, height } = picture;
    if (this.canvas.width !== width || this.canvas.height !== height || this.canvas.dataset.job !== picture.job) {
      this.canvas.width = width; // also clears it
      this.canvas.height = height;
      this.canvas.dataset.job = picture.job;
    }
    this.canvas.dataset.painted = "";
    if (picture.showsPreviews) this.paintPreviews(picture);
    else await this.paintLayers(picture.seen, width, height, () => round === this.round);
    if (round === this.round) this.canvas.dataset.painted = "yes";
  }

  private async paintLayers(layers: Layer[], width: number, height: number, isNewest: () => boolean): Promise<void> {
    let began = performance.now();
    for (let top = 0; top < height; top += BAND) {
      const bottom = Math.min(top + BAND, height);
      const band = new ImageData(width, bottom - top);
      for (const layer of layers) compositeRows(band.data, width, top, bottom, layer);
      this.context.putImageData(band, 0, top);
      if (performance.now() - began < PATIENCE) continue;
      await new Promise((resume) => setTimeout(resume));
      if (!isNewest()) return;
      began = performance.now();
    }
  }

  private paintPreviews(picture: Picture): void {
    const order = ["background", "foreground"];
    const shown = picture.previews.filter((preview) => order.includes(preview.role));
    shown.sort((one, other) => order.indexOf(one.role) - order.indexOf(other.role) || one.index - other.index);
    this.context.clearRect(0, 0, picture.width, picture.height);
    for (const preview of shown) {
      this.context.drawImage(drawn(preview.image), 0, 0, picture.width, picture.height);
    }
  }
}
