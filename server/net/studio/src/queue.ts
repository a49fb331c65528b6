// How far the jobs are that are not over, those of other programs included.
import type { FromServer, JobSummary, Progress } from "./protocol";
import { Signal } from "./signal";

/** How far a job is. */
export interface Stand {
  position: number;
  startsIn: number | null;
  progress: Progress | null;
}

export class Queue {
  readonly stands = new Signal<Map<string, Stand>>(new Map());
  /** Jobs whose events come on this connection. */
  private readonly followed = new Set<string>();

  /** @param follow asks for what a job does from now on. */
  constructor(private readonly follow: (job: string) => void) {}

  /** The events of these jobs will come, because they were asked for. */
  expect(...jobs: string[]): void {
    for (const job of jobs) this.followed.add(job);
  }

  /** Follow what is drawn now, also what was begun elsewhere or before a reload, and forget what is over. */
  take(jobs: JobSummary[]): void {
    const live = jobs.filter((each) => each.ended === null).map((each) => each.job);
    for (const job of [...this.stands.value.keys()]) if (!live.includes(job)) this.stands.value.delete(job);
    for (const job of live) {
      if (this.followed.has(job)) continue;
      this.followed.add(job);
      this.follow(job);
    }
    this.stands.touch();
  }

  receive(message: FromServer): void {
    if (message.type !== "accepted" && message.type !== "queued" && message.type !== "progress") return;
    const stand = this.stands.value.get(message.job) ?? { position: 0, startsIn: null, progress: null };
    if (message.type === "progress") stand.progress = message;
    else [stand.position, stand.startsIn] = [message.position, message.starts_in ?? null];
    this.stands.value.set(message.job, stand);
    this.stands.touch();
  }

  /** The connection was lost: no events come any more. */
  lost(): void {
    this.followed.clear();
  }

  clear(): void {
    this.lost();
    this.stands.value = new Map();
  }
}
