// What outlives a reload of this tab. Signing out forgets it.
import type { Layer, Origin } from "./picture";
import type { Resubmit, Submit } from "./protocol";

/** A layer without its pixels. */
type Sketch = Omit<Layer, "source" | "original"> & {
  sha256: string | null;
  original: { sha256: string; width: number; height: number } | null;
};

/** How the layers of a picture are arranged. */
interface Edits {
  job: string;
  width: number;
  height: number;
  title: string;
  fromFile: boolean;
  unsettled: boolean;
  origin: Origin | null;
  layers: Sketch[];
}

interface Kept {
  /** The job that is shown. */
  job: string | null;
  /** A submission that the server has not acknowledged yet. */
  unanswered: Submit | Resubmit | null;
  /** What the form says: name of the field -> value. */
  form: Record<string, string>;
  edits: Edits | null;
}

const NAME = "layerfusion-studio";
const NOTHING: Kept = { job: null, unanswered: null, form: {}, edits: null };

export function recall(): Kept {
  return { ...NOTHING, ...(JSON.parse(sessionStorage.getItem(NAME) ?? "{}") as Partial<Kept>) };
}

export function keep(changes: Partial<Kept>): void {
  sessionStorage.setItem(NAME, JSON.stringify({ ...recall(), ...changes }));
}
