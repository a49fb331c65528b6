// The picture that is shown: a job of the server, its layers as they arrive and as the artist arranges them, and how far
// it is.
import type { Ply } from "./compositing";
import type { MaskStep } from "./masks";
import { type Crop, cropped } from "./pixels";
import type { Done, LayerBegin, Placed, Preview, Progress } from "./protocol";
import { swapRedAndBlue } from "./wire";

/** What becomes of a layer when the picture is drawn the next time. */
export type Verb = "keep" | "redraw" | "relight";

/** Pixels that the server has. */
export interface Source {
  sha256: string;
  width: number;
  height: number;
  crop: Crop;
}

export interface Layer {
  /** Stays the same while the layer is edited. */
  readonly key: string;
  /** Index among the job's layers; -1 if the artist has added the layer. */
  readonly index: number;
  /** Index among the layers of the record of what the picture was made from; -1 if it says nothing of this one. */
  readonly record: number;
  readonly role: LayerBegin["role"];
  name: string;
  x: number;
  y: number;
  width: number;
  height: number;
  blend: LayerBegin["blend"];
  opacity: number;
  visible: boolean;
  /** Pixels of `width` × `height`; null if the layer is to be drawn, in the box that it is. */
  source: Source | null;
  /** The pixels before they were made larger or smaller. */
  original: Source | null;
  /** Where the layer was when it was drawn or added. */
  home: { x: number; y: number };
  prompt: string;
  /** What it should not show. */
  negative: string;
  seed: string;
  verb: Verb;
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
  layers: { source?: string; prompt?: string; negative_prompt?: string; seed?: string; box?: string; shape?: string }[];
}

const FOLLOWING: Layer["role"][] = ["shadow", "light"];
let made = 0;

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
  /** Whether it was read from a file, so that the server has no job of it. */
  fromFile = false;
  /** Whether the artist has changed something since it was drawn. */
  changed = false;
  /** Whether its layers are not yet as the artist had arranged them. */
  isRestoring = false;
  /** Whether Shadow and Light are those of another arrangement. */
  unsettled = false;
  /** Key of the layer that is shown alone. */
  alone: string | null = null;
  /** Key of the layer that is edited. */
  selected: string | null = null;
  /** Bottom first. */
  layers: Layer[] = [];
  /** Shadow and Light of the present arrangement, as long as it is unsettled; null before the first ones. */
  following: Ply[] | null = null;
  /** What was composited when the picture was finished. */
  drawn: Ply[] = [];
  /** The picture from which this one is made; it is shown until there is something of this one. */
  base: Ply[] = [];
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

  layer(key: string | null): Layer | undefined {
    return this.layers.find((layer) => layer.key === key);
  }

  async addLayer(begin: LayerBegin, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const { index, role, sha256, width, height } = begin;
    const source = { sha256, width, height, crop: await cropped(bytes, width, height) };
    const others = this.layers.filter((layer) => layer.index !== index);
    const layer = { ...asLayer({ ...begin, layer: sha256 }, source), index, record: index, role };
    this.layers = [...others, layer].sort((one, other) => one.index - other.index);
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
    for (const layer of this.layers) {
      layer.prompt = this.origin?.layers[layer.record]?.prompt ?? "";
      layer.negative = this.origin?.layers[layer.record]?.negative_prompt ?? "";
    }
    this.drawn = this.plies;
  }

  /** The layers that are seen, bottom first. */
  get seen(): Layer[] {
    if (this.alone !== null) return this.layers.filter((layer) => layer.key === this.alone);
    return this.layers.filter((layer) => layer.visible && !(this.unsettled && FOLLOWING.includes(layer.role)));
  }

  /** What is composited, bottom first. */
  get plies(): Ply[] {
    if (!this.isOver && this.base.length > 0) return this.base;
    const plies = this.seen.flatMap((layer) => ply(layer, this.alone !== null));
    return this.alone === null && this.unsettled ? [...plies, ...(this.following ?? [])] : plies;
  }
}

/** What is composited of a layer: nothing of one that is still to be drawn. */
export function ply(layer: Layer, alone = false): Ply[] {
  const { source, x, y, opacity } = layer;
  return source === null ? [] : [{ crop: source.crop, x, y, opacity, blend: alone ? "normal" : layer.blend }];
}

/** A layer that the artist adds. */
export function asLayer(placed: Omit<Placed, "prompt"> & { prompt?: string }, source: Source | null): Layer {
  const { role, name, width, height } = placed;
  return {
    key: `layer-${++made}`,
    index: -1,
    record: -1,
    role,
    name,
    x: placed.x ?? 0,
    y: placed.y ?? 0,
    width,
    height,
    blend: placed.blend ?? "normal",
    opacity: placed.opacity ?? 1,
    visible: placed.visible ?? true,
    source,
    original: source,
    home: { x: placed.x ?? 0, y: placed.y ?? 0 },
    prompt: placed.prompt ?? "",
    negative: "",
    seed: "",
    verb: source === null ? "redraw" : "keep",
  };
}
