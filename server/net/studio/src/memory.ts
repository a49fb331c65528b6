// What outlives a reload of this tab. Signing out forgets it.
import type { Edits } from "./arrangements";
import type { Resubmit, Submit } from "./protocol";

interface Kept {
  /** The picture that is shown: a job of the server, or a draft. */
  job: string | null;
  /** Submissions that the server has not acknowledged yet. */
  unanswered: (Submit | Resubmit)[];
  /** What the form says: name of the field -> value. */
  form: Record<string, string>;
  /** How layers of pictures are arranged; what was changed last comes first. */
  arrangements: Edits[];
  /** Notes that the artist has closed. */
  closed: string[];
}

const NAME = "layerfusion-studio-tab";
const NOTHING: Kept = { job: null, unanswered: [], form: {}, arrangements: [], closed: [] };

export function recall(): Kept {
  return { ...NOTHING, ...(JSON.parse(sessionStorage.getItem(NAME) ?? "{}") as Partial<Kept>) };
}

export function keep(changes: Partial<Kept>): void {
  sessionStorage.setItem(NAME, JSON.stringify({ ...recall(), ...changes }));
}
