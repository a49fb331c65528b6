// The list of the user's pictures, newest first: as many of them as the page wants to show. One request is on its way at a
// time; its answer alone says whether there are older pictures, and what was wanted meanwhile makes the next request.
import { entries } from "./entries";
import type { JobSummary } from "./protocol";
import { Signal } from "./signal";

const AT_FIRST = 200;
/** The server lists no more. */
const MOST = 1000;

export class Listing {
  readonly jobs = new Signal<JobSummary[]>([]);
  /** Entries that the page would show if there were as many. */
  private wanted = 0;
  private newest = AT_FIRST;
  /** How many the request asks for that is not answered yet. */
  private asked: number | null = null;
  private outdated = false;
  private older = false;

  /** @param ask asks for the newest jobs, and says whether there is a connection. */
  constructor(private readonly ask: (newest: number) => boolean) {}

  /** Whether there may be pictures that are older than those of the list, as far as it is known. */
  get hasOlder(): boolean {
    return this.older;
  }

  /** List so many entries, if there are as many. */
  want(count: number): void {
    this.wanted = Math.max(this.wanted, count);
    if (this.asked === null && this.lacks) this.refresh();
  }

  /** Ask for the list as it is from now on. */
  refresh(): void {
    this.outdated = this.asked !== null;
    if (this.outdated) return;
    if (this.lacks) this.newest = Math.min(MOST, Math.max(2 * this.newest, this.wanted));
    if (this.ask(this.newest)) this.asked = this.newest;
  }

  /** Take the answer to the request. */
  take(jobs: JobSummary[]): void {
    this.older = this.asked !== null && this.asked < MOST && jobs.length >= this.asked;
    this.asked = null;
    this.jobs.value = jobs;
    if (this.outdated || this.lacks) this.refresh();
  }

  forget(job: string): void {
    this.jobs.value = this.jobs.value.filter((each) => each.job !== job);
  }

  /** The connection was lost: what was asked for is not answered any more. */
  lost(): void {
    this.asked = null;
    this.outdated = false;
  }

  clear(): void {
    this.lost();
    this.older = false;
    this.jobs.value = [];
  }

  private get lacks(): boolean {
    return this.older && entries(this.jobs.value).length < this.wanted;
  }
}
