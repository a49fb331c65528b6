// The picture that is shown: a job of the server, its layers as they arrive, and how far it is.
import type { MaskStep } from "./masks";
import type { Done, LayerBegin, Preview, Progress } from "./protocol";
import { swapRedAndBlue } from "./wire";

export interface Layer {
  index: number;
  name: string;
  role: LayerBegin["role"];
  x: number;
  y: number;
  width: number;
  height: number;
  blend: LayerBegin["blend"];
  opacity: number;
  visible: boolean;
  /** RGBA, straight alpha. */
  pixels: Uint8ClampedArray<ArrayBuffer>;
}

export interface SmallLayer {
  role: Preview["role"];
  index: number;
  image: ImageData;
}

export type Phase = "waiting" | "drawing" | "finished" | "failed" | "cancelled";

/** What a picture was made from, as the server records it; see `done.record` in PROTOCOL.md. */
export interface Origin {
  picture: { seed?: string; model?: string; preset?: string };
  layers: { source?: string; prompt?: string; seed?: string }[];
}

export class Picture {
  phase: Phase = "waiting";
  seq = 0;
  /** Events are ignored until the server says that they begin anew. */
  accepted = false;
  cancelling = false;
  /** Whether it was over before it was shown: nothing is drawn now. */
  isOpening = false;
  position = 0;
  startsIn: number | null = null;
  progress: Progress | null = null;
  origin: Origin | null = null;
  /** Whether an eye or opacity was changed here, which files do not know. */
  changed = false;
  /** Index of the layer that is shown alone. */
  alone: number | null = null;
  readonly layers: Layer[] = [];
  readonly previews: SmallLayer[] = [];
  /** In the order of the steps; empty unless they were asked for. */
  readonly masks: MaskStep[] = [];

  constructor(
    readonly job: string,
    readonly width: number,
    readonly height: number,
    readonly title: string,
  ) {}

  get isOver(): boolean {
    return this.phase !== "waiting" && this.phase !== "drawing";
  }

  /** While a picture is drawn, its previews are shown: single layers would come and go as they arrive. */
  get showsPreviews(): boolean {
    return !this.isOver && this.previews.length > 0;
  }

  addLayer(begin: LayerBegin, bytes: Uint8Array): void {
    const { index, name, role, x, y, width, height, blend, opacity, visible } = begin;
    const pixels = swapRedAndBlue(bytes);
    const others = this.layers.filter((layer) => layer.index !== index);
    const layer = { index, name, role, x, y, width, height, blend, opacity, visible, pixels };
    this.layers.splice(0, Infinity, ...[...others, layer].sort((one, other) => one.index - other.index));
  }

  addPreview(preview: Preview): void {
    const pixels = swapRedAndBlue(new Uint8Array(preview.pixels));
    const image = new ImageData(pixels, preview.width, preview.height);
    const others = this.previews.filter((each) => each.role !== preview.role || each.index !== preview.index);
    this.previews.splice(0, Infinity, ...others, { role: preview.role, index: preview.index, image });
  }

  finish(done: Done): void {
    this.phase = "finished";
    this.previews.length = 0;
    this.origin = done.record === undefined || done.record === "" ? null : (JSON.parse(done.record) as Origin);
  }

  /** The layers that are seen, bottom first. */
  get seen(): Layer[] {
    if (this.alone === null) return this.layers.filter((layer) => layer.visible);
    return this.layers
      .filter((layer) => layer.index === this.alone)
      .map((layer) => ({ ...layer, blend: "normal" as const }));
  }
}
