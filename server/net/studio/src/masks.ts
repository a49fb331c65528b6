// The priors and masks of a picture's steps (Fig. 3 of the paper), as the server records them for those who ask.
import type { Masks } from "./protocol";

/** Names of the four maps in the protocol's order. */
export type MapName = "structure" | "content" | "soft" | "hard";
export const MAPS: MapName[] = ["structure", "content", "soft", "hard"];

/** The paper shows its masks at t = 0.8 T. */
export const FIGURE_TIME = 0.8;

export interface MaskStep {
  foreground: number;
  /** t / T, from 1 (noise) to 0. */
  time: number;
  /** How much the masks were trusted, 0 to 1. */
  trust: number;
  width: number;
  height: number;
  /** Each width × height bytes from 0 to 255. */
  maps: Record<MapName, Uint8Array>;
}

export async function unpackMasks(masks: Masks): Promise<MaskStep> {
  const { foreground, time, trust, width, height } = masks;
  const packed = new Blob([new Uint8Array(masks.maps)]).stream();
  const buffer = await new Response(packed.pipeThrough(new DecompressionStream("deflate"))).arrayBuffer();
  const map = (number: number): Uint8Array => new Uint8Array(buffer, number * width * height, width * height);
  return { foreground, time, trust, width, height, maps: { structure: map(0), content: map(1), soft: map(2), hard: map(3) } };
}

/** The step that Fig. 3 shows: the first with t <= 0.8 T, else the last. */
export function figureStep(steps: MaskStep[]): number {
  const found = steps.findIndex((step) => step.time <= FIGURE_TIME);
  return found === -1 ? steps.length - 1 : found;
}
