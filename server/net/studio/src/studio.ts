// The studio's state, and what the artist can do. Views watch the signals and call the methods.
import { Arrangements, draft, type Edits } from "./arrangements";
import { Calls, Problem } from "./calls";
import { Connection, type Link } from "./connection";
import type { Desk } from "./editor";
import { titleOf } from "./entries";
import { Live } from "./live";
import { Listing } from "./listing";
import { keep, recall } from "./memory";
import { Notices } from "./notices";
import { Picture } from "./picture";
import { apply } from "./picture_events";
import type {
  Export,
  FileBegin,
  FromServer,
  JobSummary,
  ModelInfo,
  Resubmit,
  Style,
  Submit,
  Welcome,
} from "./protocol";
import { Damaged, Transfers } from "./transfers";
import { save } from "./saving";
import { Signal } from "./signal";
import { placed, type Settings } from "./sources";
import { Queue } from "./queue";
import { Thumbnails } from "./thumbnails";
import { type Chunk, newId } from "./wire";
import { Wishes } from "./wishes";

export type Format = Export["format"];

/** `after` of events that nobody needs: only what happens from now on is sent. */
const FROM_NOW_ON = Number.MAX_SAFE_INTEGER;
/** Failures after which the same picture may well succeed. */
const WORTH_ANOTHER_TRY = new Set(["interrupted", "worker_died", "layer_lost", "server_stopping"]);

export class Studio implements Desk {
  readonly link = new Signal<Link>("connecting");
  readonly welcome = new Signal<Welcome | null>(null);
  readonly picture = new Signal<Picture | null>(null);
  readonly listing = new Listing((newest) => this.connection.send({ type: "list_jobs", newest, own: true }));
  readonly history = this.listing.jobs;
  readonly thumbnails = new Thumbnails((job, side) => this.connection.send({ type: "fetch_thumbnail", job, side }));
  readonly notices = new Notices();
  readonly arrangements = new Arrangements();
  /** The user's styles, which Krita has, too. */
  readonly styles = new Signal<Style[]>([]);
  readonly exporting = new Signal<Format | null>(null);
  readonly queue = new Queue((job) => this.connection.send({ type: "resume", job, after: FROM_NOW_ON }));
  /** Two pictures side by side. */
  readonly compared = new Signal<[Picture, Picture] | null>(null);

  /** What the form says of model, preset and seed. */
  settings: () => Settings | null = () => null;

  private readonly transfers = new Transfers();
  private readonly wishes = new Wishes((message) => this.connection.send(message));
  private readonly connection = new Connection({
    link: (link) => {
      this.transfers.clear();
      this.queue.lost();
      this.calls.clear();
      this.thumbnails.lost();
      this.listing.lost();
      this.live.lost();
      this.link.value = link;
    },
    welcome: (welcome) => this.begin(welcome),
    receive: (message) => this.receive(message),
  });
  readonly calls = new Calls(this.connection, this.transfers);
  readonly live = new Live(
    this.calls,
    this.transfers,
    (message) => this.connection.send(message),
    () => this.settings(),
    (picture) => picture === this.picture.value && this.picture.touch(),
    (error) => (error instanceof Problem ? this.complain(error.message) : this.notices.problem(error)),
  );
  /** The picture to which the artist comes back if the one that is made from it is not finished. */
  private before: Picture | null = null;

  /** The model that the form names. */
  get model(): ModelInfo | undefined {
    const name = this.settings()?.model;
    return this.welcome.value?.models.find((model) => model.name === name);
  }

  open(): void {
    this.connection.open();
  }

  close(): void {
    this.connection.close();
    this.forgetAll();
    this.link.value = "signed out";
  }

  /** What one user has done here is not for the next one. */
  forgetAll(): void {
    keep({ job: null, unanswered: [], closed: [] });
    this.picture.value = null;
    this.arrangements.clear();
    this.listing.clear();
    this.thumbnails.clear();
    this.live.end();
    this.notices.clear();
    this.queue.clear();
    this.wishes.clear();
    this.exporting.value = null;
    this.compared.value = null;
  }

  // ---- what the artist does

  /** @param from the picture whose layers are drawn as they are arranged; null if it is drawn from the form. */
  generate(submit: Submit, title: string, from: Picture | null = null): void {
    this.queue.expect(submit.job, ...(submit.variants ?? []).map(({ job }) => job));
    keep({ unanswered: [...recall().unanswered, submit], job: submit.job });
    const picture = new Picture(submit.job, submit.width, submit.height, title);
    const isKept = [submit.background, ...submit.foregrounds].some((source) => source.kind !== "generated");
    const isAsLarge = from?.width === submit.width && from.height === submit.height;
    if (isKept && from !== null && isAsLarge) picture.base = from.plies;
    this.show(picture);
    this.before = from;
    this.connection.send(submit);
  }

  cancel(job = this.picture.value?.job): void {
    if (job === undefined) return;
    const picture = this.picture.value;
    if (picture?.job === job) {
      if (picture.isOver) return;
      picture.cancelling = true;
      this.picture.touch();
    }
    this.wishes.ask(`cancel ${job}`, { type: "cancel", job });
  }

  /** Draw a waiting picture before another one, or last. */
  move(job: string, before: string | null): void {
    this.connection.send({ type: "move", job, before });
  }

  /** Show a picture of the history, with all its layers. */
  openJob(job: JobSummary): void {
    keep({ job: job.job });
    const picture = new Picture(job.job, job.width, job.height, titleOf(job));
    picture.isOpening = job.ended !== null;
    this.show(picture);
    this.connection.send({ type: "resume", job: job.job });
  }

  /** Look at a picture of the history beside the one that is shown. */
  compare(job: JobSummary): void {
    const shown = this.picture.value;
    if (shown === null || shown.job === job.job) return;
    const other = new Picture(job.job, job.width, job.height, titleOf(job));
    this.compared.value = [shown, other];
    this.connection.send({ type: "resume", job: job.job });
  }

  drawAgain(of: Picture, masks = false): void {
    const again = new Picture(newId(), of.width, of.height, of.title);
    const resubmit: Resubmit = { type: "resubmit", job: again.job, of: of.job, masks };
    this.queue.expect(again.job);
    keep({ job: again.job, unanswered: [...recall().unanswered, resubmit] });
    this.show(again);
    this.connection.send(resubmit);
  }

  /** Make a file of the picture as it is arranged. */
  export(format: Format): void {
    const picture = this.picture.value;
    if (picture === null || this.exporting.value !== null) return;
    this.exporting.value = format;
    const layers = picture.changed ? placed(picture) : [];
    this.wishes.ask("export", { type: "export", job: picture.job, format, layers });
  }

  /** Show a draft with its layers as they were arranged. */
  openDraft(edits: Edits): void {
    this.openPicture(draft(edits));
  }

  /** Throw a draft away. */
  dropDraft(job: string): void {
    this.arrangements.forget(job);
    this.leave(job);
  }

  /** Show a picture that is no job of the server, but was read from a file or begun here. */
  openPicture(picture: Picture): void {
    keep({ job: picture.job });
    picture.accepted = true;
    this.show(picture);
  }

  /** Say something that is worth knowing, and no fault. */
  remark(text: string): void {
    this.notices.say({ kind: "note", text });
  }

  complain(text: string): void {
    this.notices.say({ kind: "problem", text });
  }

  delete(job: string): void {
    this.wishes.ask(`delete ${job}`, { type: "delete", job });
  }

  rename(job: string, name: string): void {
    this.wishes.ask(`rename ${job}`, { type: "rename", job, name });
  }

  saveStyle(style: Style, replaces: string | null): void {
    this.wishes.ask(`style ${style.name}`, { type: "save_style", style, replaces });
  }

  deleteStyle(name: string): void {
    this.wishes.ask(`style ${name}`, { type: "delete_style", name });
  }

  private show(picture: Picture): void {
    this.before = null;
    this.notices.clear();
    this.picture.value = picture;
  }

  // ---- what the server says

  /** A connection is open, the first one or a further one: nothing that happened meanwhile is lost. */
  private begin(welcome: Welcome): void {
    this.welcome.value = welcome;
    this.listing.refresh();
    this.connection.send({ type: "list_styles" });
    const { unanswered } = recall();
    for (const submission of unanswered) {
      // The server may have it already: the same message twice is one job.
      if (this.picture.value === null && submission.type === "submit" && submission.job === recall().job) {
        this.show(new Picture(submission.job, submission.width, submission.height, ""));
      }
      this.connection.send(submission);
    }
    for (const picture of [this.picture.value, this.compared.value?.[1]]) {
      if (picture == null || (picture.isOver && picture.accepted)) continue;
      picture.accepted = false;
      const isSent = unanswered.some((each) => each.job === picture.job);
      if (!isSent) this.connection.send({ type: "resume", job: picture.job, after: picture.seq });
    }
    this.wishes.again();
    this.live.again();
    // A picture that was shown before a reload is opened when the list says its size.
  }

  private async receive(message: FromServer | Chunk): Promise<void> {
    if (message.type !== "chunk") this.wishes.receive(message);
    if (message.type !== "chunk" && ((await this.live.receive(message)) || (await this.calls.receive(message)))) return;
    switch (message.type) {
      case "chunk":
        return this.transfers.add(message);
      case "job_list":
        this.takeList(message.jobs);
        return;
      case "thumbnail":
        return this.thumbnails.take(message);
      case "file_begin":
        return this.transfers.begin(message);
      case "file_end":
        return this.finishFile(message.transfer);
      case "fetch_failed":
        if (message.format == null) return;
        this.wishes.answered("export");
        this.exporting.value = null;
        return this.notices.problem(message);
      case "deleted":
        return this.forget(message.job);
      case "renamed":
        return this.listing.refresh();
      case "styles":
        this.wishes.takeStyles(message.styles);
        this.styles.value = message.styles;
        return;
      case "style_failed":
        this.wishes.takeStyles([]);
        return this.notices.problem(message);
      case "delete_failed":
      case "rename_failed":
        return this.notices.problem(message);
      case "refused":
        return this.notices.refused(message);
      default:
        if ("job" in message) await this.receiveForPicture(message);
    }
  }

  private takeList(jobs: JobSummary[]): void {
    this.listing.take(jobs);
    this.arrangements.note(jobs);
    const { job } = recall();
    const found = jobs.find((each) => each.job === job);
    if (this.picture.value === null && found !== undefined) this.openJob(found);
    if (this.picture.value === null && job !== null && found === undefined) this.listing.want(Infinity); // it is older
    if (this.picture.value !== null) this.queue.expect(this.picture.value.job);
    this.queue.take(jobs);
  }

  private async receiveForPicture(message: Exclude<FromServer, { type: "job_list" }> & { job: string }): Promise<void> {
    this.queue.receive(message);
    const compared = this.compared.value?.[1];
    const other = compared?.job === message.job ? compared : null;
    const picture = other ?? this.picture.value;
    const ends = message.type === "done" || message.type === "failed" || message.type === "cancelled";
    if (ends || message.type === "started" || message.type === "accepted") this.listing.refresh();
    const isRefused = message.type === "failed" && message.seq === 0;
    const { unanswered } = recall();
    const answers = (message.type === "accepted" || isRefused) && unanswered.some((each) => each.job === message.job);
    if (answers) keep({ unanswered: unanswered.filter((each) => each.job !== message.job) });
    if (picture === null || message.job !== picture.job) {
      if (answers && isRefused) this.notices.problem(message); // there will be no such picture
      return;
    }
    if (message.type === "accepted") {
      picture.accepted = true;
      picture.position = message.position;
      picture.startsIn = message.starts_in ?? null;
      this.picture.touch();
      return;
    }
    if (isRefused) {
      picture.phase = "failed";
      if (other === null) keep({ job: null });
      if (other === null && this.before !== null) this.goBack(this.before);
      this.notices.problem(message);
      this.picture.touch();
      return;
    }
    // Events have numbers without gaps. After several requests for the same job, the rest of what was asked for first may
    // come before the beginning that is missing.
    if (!picture.accepted || ("seq" in message && message.seq !== picture.seq + 1)) return;
    await apply(picture, message, this.transfers);
    this.follows(picture, message);
    if (other !== null) this.compared.touch();
    if (this.picture.value !== picture) return;
    if ((picture.phase === "cancelled" || picture.phase === "failed") && this.before !== null) this.goBack(this.before);
    else this.picture.touch();
  }

  /** What was arranged is not lost with a picture that was not finished. */
  private goBack(picture: Picture): void {
    this.before = null;
    keep({ job: picture.job });
    this.picture.value = picture;
  }

  /** What an event means beside its picture. */
  private follows(picture: Picture, message: FromServer): void {
    const shown = picture === this.picture.value;
    if (message.type === "notice" && shown) this.notices.note(message);
    if (message.type === "done" && shown) this.before = null;
    if (message.type === "failed") {
      const again = WORTH_ANOTHER_TRY.has(message.code) ? () => this.drawAgain(picture) : undefined;
      this.notices.problem(message, again);
    }
  }

  private finishFile(transfer: number): void {
    const file = this.transfers.end(transfer);
    if (file === undefined) throw new Damaged();
    const { job, format } = file.begin as FileBegin;
    const listed = this.history.value.find((each) => each.job === job);
    save(file.bytes, listed === undefined ? "" : titleOf(listed), format);
    // The picture is in a file of the artist's now, so the server may make room if it must.
    const picture = this.picture.value;
    if (picture?.job === job) this.connection.send({ type: "ack", job, seq: picture.seq });
    this.wishes.answered("export");
    this.exporting.value = null;
  }

  private forget(job: string): void {
    this.listing.forget(job);
    this.thumbnails.forget(job);
    this.arrangements.forget(job);
    this.leave(job);
  }

  /** A picture is not there any more. */
  private leave(job: string): void {
    if (this.picture.value?.job === job) {
      keep({ job: null });
      this.notices.clear();
      this.picture.value = null;
    }
  }
}
