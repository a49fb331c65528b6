// How the artist has arranged the layers of pictures. It is kept for each of them until it is drawn, also over a reload;
// the pixels are the server's. A picture of which the server has no job, because it was read from a file or begun with
// boxes, is a draft: nothing but this knows of it.
import { Problem } from "./calls";
import { keep, recall } from "./memory";
import { type Layer, type Origin, Picture, type Source } from "./picture";
import { stretched } from "./pixels";
import type { JobSummary } from "./protocol";
import { Signal } from "./signal";

/** A layer without its pixels. */
type Sketch = Omit<Layer, "source" | "original"> & {
  sha256: string | null;
  original: { sha256: string; width: number; height: number } | null;
};

/** How the layers of a picture are arranged. */
export interface Edits {
  job: string;
  width: number;
  height: number;
  title: string;
  fromFile: boolean;
  unsettled: boolean;
  origin: Origin | null;
  layers: Sketch[];
  /** The job that draws a draft as it is arranged. */
  drawnAs: string | null;
}

/** Fetches pixels of a layer. */
export type Fetch = (sha256: string, width: number, height: number) => Promise<Source>;

/** Most arrangements of jobs that are kept, so that they fit into the browser's store; drafts are all kept. */
const MOST = 50;

export class Arrangements {
  /** Pictures that the server has no job of; what was changed last comes first. */
  readonly drafts = new Signal<Edits[]>([]);
  private all: Edits[] = [];

  constructor() {
    this.all = recall().arrangements;
    this.drafts.value = this.all.filter((each) => each.fromFile);
  }

  /** How the layers of a picture were arranged; undefined if they were not. */
  of(job: string | null): Edits | undefined {
    return this.all.find((each) => each.job === job);
  }

  save(picture: Picture): void {
    const layers = picture.layers.map(({ source, original, ...rest }) => ({
      ...rest,
      sha256: source?.sha256 ?? null,
      original: original === null ? null : { sha256: original.sha256, width: original.width, height: original.height },
    }));
    const { job, width, height, title, fromFile, unsettled, origin } = picture;
    this.put({ job, width, height, title, fromFile, unsettled, origin: fromFile ? origin : null, layers, drawnAs: null });
  }

  /** A draft is being drawn: when that picture is finished, it takes the place of the draft. */
  submitted(of: string, job: string): void {
    const edits = this.of(of);
    if (edits?.fromFile) this.put({ ...edits, drawnAs: job });
  }

  /** What the server has drawn is no draft any more. */
  note(jobs: JobSummary[]): void {
    const finished = new Set(jobs.filter((each) => each.state === "finished").map((each) => each.job));
    this.keep(this.all.filter((each) => each.drawnAs === null || !finished.has(each.drawnAs)));
  }

  forget(job: string): void {
    this.keep(this.all.filter((each) => each.job !== job));
  }

  /** Whoever comes next has arranged nothing. */
  clear(): void {
    this.keep([]);
  }

  private put(edits: Edits): void {
    let jobs = 0;
    const all = [edits, ...this.all.filter((each) => each.job !== edits.job)];
    this.keep(all.filter((each) => each.fromFile || ++jobs <= MOST));
  }

  private keep(all: Edits[]): void {
    if (all.length === this.all.length && all.every((each, at) => each === this.all[at])) return;
    this.all = all;
    keep({ arrangements: all });
    this.drafts.value = all.filter((each) => each.fromFile);
  }
}

/** A draft as a picture; its layers come when it is shown. */
export function draft(edits: Edits): Picture {
  const picture = new Picture(edits.job, edits.width, edits.height, edits.title);
  picture.phase = "finished";
  picture.fromFile = true;
  picture.origin = edits.origin;
  return picture;
}

/**
 * The layers of a picture as they were arranged.
 *
 * @param complain is told of each layer whose pixels the server has not any more; such a layer is left out.
 */
export async function arranged(picture: Picture, edits: Edits, fetch: Fetch, complain: (why: Problem) => void): Promise<Layer[]> {
  const layers: Layer[] = [];
  for (const { sha256, original, ...rest } of edits.layers) {
    const own = picture.layers.find((layer) => layer.index === rest.index && rest.index !== -1);
    try {
      const isOwn = original === null || own?.original?.sha256 === original.sha256;
      const first = original === null ? null : isOwn ? own!.original : await fetch(original.sha256, original.width, original.height);
      layers.push({ ...rest, source: await pixelsOf(first, sha256, rest, fetch), original: first });
    } catch (error) {
      if (!(error instanceof Problem) || error.code === "") throw error;
      complain(error);
    }
  }
  return layers;
}

async function pixelsOf(first: Source | null, sha256: string | null, size: { width: number; height: number }, fetch: Fetch): Promise<Source | null> {
  const { width, height } = size;
  if (sha256 === null || first === null || sha256 === first.sha256) return first;
  if (sha256 !== "") return fetch(sha256, width, height);
  // The server was not asked for this size yet.
  return { sha256, width, height, crop: await stretched(first.crop, { x: width / first.width, y: height / first.height }) };
}
