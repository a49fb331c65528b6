// What the history shows as one entry: the pictures that were submitted together.
import { t } from "./language";
import type { JobSummary } from "./protocol";

/** The pictures of one submission, in the order in which they were submitted. */
export type Entry = JobSummary[];

let latest: { jobs: JobSummary[]; entries: Entry[] } = { jobs: [], entries: [] };

/** The entries of a list of jobs, newest first. They are made once for each list, because many views ask for them. */
export function entries(jobs: JobSummary[]): Entry[] {
  if (latest.jobs === jobs) return latest.entries;
  const found = new Map<string, Entry>();
  for (const job of jobs) {
    const submission = job.submission ?? job.job;
    const entry = found.get(submission);
    if (entry === undefined) found.set(submission, [job]);
    else entry.unshift(job);
  }
  latest = { jobs, entries: [...found.values()] };
  return latest.entries;
}

/** The entry that a job belongs to. */
export function entryOf(jobs: JobSummary[], job: string | undefined): Entry | undefined {
  return job === undefined ? undefined : entries(jobs).find((entry) => entry.some((each) => each.job === job));
}

/** The picture that stands for an entry: the first that is finished. */
export function face(entry: Entry): JobSummary {
  return entry.find((job) => job.state === "finished") ?? entry[0]!;
}

/** What a picture is called: the name that the artist gave it, else its prompts. */
export function titleOf(job: JobSummary): string {
  return job.name || job.title || t("Picture");
}
