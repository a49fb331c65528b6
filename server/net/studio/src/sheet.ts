// What a picture is painted on: tiles, each a canvas. A browser without a graphics card copies a canvas whole whenever
// something on it has changed; of a large picture, that would stop the page.
import { make } from "./elements";
import type { Rect } from "./pixels";

const SIDE = 1024; // 4 MiB; most pictures are one tile

interface Tile {
  x: number;
  y: number;
  canvas: HTMLCanvasElement;
  context: CanvasRenderingContext2D;
}

export class Sheet {
  width = 0;
  height = 0;
  private tiles: Tile[] = [];
  private scale = 1;

  /**
   * @param frame what holds the tiles.
   * @param side longest side of a tile; a sheet that is laid out by the page has one tile.
   */
  constructor(
    readonly frame: HTMLElement,
    private readonly side = SIDE,
  ) {}

  /** Make it this large, and empty. */
  resize(width: number, height: number): void {
    [this.width, this.height] = [width, height];
    this.tiles = [];
    for (let y = 0; y < height; y += this.side) {
      for (let x = 0; x < width; x += this.side) {
        const canvas = make("canvas", { width: Math.min(this.side, width - x), height: Math.min(this.side, height - y) });
        this.tiles.push({ x, y, canvas, context: canvas.getContext("2d")! });
      }
    }
    this.frame.replaceChildren(...this.tiles.map(({ canvas }) => canvas));
    this.place(this.scale);
  }

  /** Write pixels whose upper left corner lies at a point of the picture. */
  put(image: ImageData, left: number, top: number): void {
    const rect = { left, top, right: left + image.width, bottom: top + image.height };
    for (const { x, y, canvas, context } of this.tiles) {
      if (meets(rect, x, y, canvas)) context.putImageData(image, left - x, top - y);
    }
  }

  clear(): void {
    for (const { canvas, context } of this.tiles) context.clearRect(0, 0, canvas.width, canvas.height);
  }

  /** Draw an image over the whole sheet, enlarged. */
  stretch(image: HTMLCanvasElement): void {
    for (const { x, y, context } of this.tiles) context.drawImage(image, -x, -y, this.width, this.height);
  }

  /** Show it at a scale. The borders of tiles lie on pixels of the screen if its corner does, so that no seam is seen. */
  place(scale: number): void {
    this.scale = scale;
    if (this.side === Infinity) return;
    this.frame.style.width = `${onScreen(this.width * scale)}px`;
    this.frame.style.height = `${onScreen(this.height * scale)}px`;
    for (const { x, y, canvas } of this.tiles) {
      const [left, top] = [onScreen(x * scale), onScreen(y * scale)];
      const [right, bottom] = [onScreen((x + canvas.width) * scale), onScreen((y + canvas.height) * scale)];
      const [wide, high] = [(right - left) / canvas.width, (bottom - top) / canvas.height];
      canvas.style.transform = `translate(${left}px, ${top}px) scale(${wide}, ${high})`;
    }
  }
}

/** The nearest length that is a whole number of the screen's pixels; CSS has others. */
export function onScreen(length: number): number {
  return Math.round(length * devicePixelRatio) / devicePixelRatio;
}

function meets(rect: Rect, x: number, y: number, { width, height }: HTMLCanvasElement): boolean {
  return rect.left < x + width && rect.right > x && rect.top < y + height && rect.bottom > y;
}
