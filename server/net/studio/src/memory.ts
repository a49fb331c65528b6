// What outlives a reload of this tab. Signing out forgets it.
import type { Resubmit, Submit } from "./protocol";

interface Kept {
  /** The job that is shown. */
  job: string | null;
  /** A submission that the server has not acknowledged yet. */
  unanswered: Submit | Resubmit | null;
  /** What the form says: name of the field -> value. */
  form: Record<string, string>;
}

const NAME = "layerfusion-studio";
const NOTHING: Kept = { job: null, unanswered: null, form: {} };

export function recall(): Kept {
  return { ...NOTHING, ...(JSON.parse(sessionStorage.getItem(NAME) ?? "{}") as Partial<Kept>) };
}

export function keep(changes: Partial<Kept>): void {
  sessionStorage.setItem(NAME, JSON.stringify({ ...recall(), ...changes }));
}
