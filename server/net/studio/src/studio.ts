// The studio's state, and what the artist can do. Views watch the signals and call the methods.
import { Connection, type Link } from "./connection";
import { t } from "./language";
import { keep, recall } from "./memory";
import { Picture } from "./picture";
import type { Export, FileBegin, FromServer, JobSummary, LayerBegin, Resubmit, Submit, Thumbnail, Welcome } from "./protocol";
import { Damaged, Transfers } from "./transfers";
import { save } from "./saving";
import { Signal } from "./signal";
import { type Chunk, newId, swapRedAndBlue } from "./wire";

/** Something to tell the artist. */
export interface Message {
  kind: "note" | "problem";
  text: string;
  /** What helps, as a button. */
  remedy?: { label: string; act: () => void };
}

export type Format = Export["format"];

const LISTED = 200;
/** Failures after which the same picture may well succeed. */
const WORTH_ANOTHER_TRY = new Set(["interrupted", "worker_died", "layer_lost", "server_stopping"]);

export class Studio {
  readonly link = new Signal<Link>("connecting");
  readonly welcome = new Signal<Welcome | null>(null);
  readonly picture = new Signal<Picture | null>(null);
  readonly history = new Signal<JobSummary[]>([]);
  readonly thumbnails = new Signal<Map<string, ImageData>>(new Map());
  readonly messages = new Signal<Message[]>([]);
  readonly exporting = new Signal<Format | null>(null);

  private readonly transfers = new Transfers();
  private readonly connection = new Connection({
    link: (link) => {
      this.transfers.clear();
      if (link !== "open") this.exporting.value = null;
      this.link.value = link;
    },
    welcome: (welcome) => this.begin(welcome),
    receive: (message) => this.receive(message),
  });

  open(): void {
    this.connection.open();
  }

  close(): void {
    this.connection.close();
    this.picture.value = null;
    this.history.value = [];
    this.thumbnails.value = new Map();
    this.messages.value = [];
    this.link.value = "signed out";
  }

  // ---- what the artist does

  generate(submit: Submit, title: string): void {
    keep({ unanswered: submit, job: submit.job });
    this.show(new Picture(submit.job, submit.width, submit.height, title));
    this.connection.send(submit);
  }

  cancel(): void {
    const picture = this.picture.value;
    if (picture === null || picture.isOver) return;
    picture.cancelling = true;
    this.picture.touch();
    this.connection.send({ type: "cancel", job: picture.job });
  }

  /** Show a picture of the history, with all its layers. */
  openJob(job: JobSummary): void {
    keep({ job: job.job, unanswered: null });
    this.show(new Picture(job.job, job.width, job.height, job.title));
    this.connection.send({ type: "resume", job: job.job });
  }

  drawAgain(of: Picture): void {
    const again = new Picture(newId(), of.width, of.height, of.title);
    const resubmit: Resubmit = { type: "resubmit", job: again.job, of: of.job };
    keep({ job: again.job, unanswered: resubmit });
    this.show(again);
    this.connection.send(resubmit);
  }

  export(format: Format): void {
    if (this.picture.value === null || this.exporting.value !== null) return;
    this.exporting.value = format;
    this.connection.send({ type: "export", job: this.picture.value.job, format });
  }

  delete(job: string): void {
    this.connection.send({ type: "delete", job });
  }

  askForThumbnail(job: string, side: number): void {
    this.connection.send({ type: "fetch_thumbnail", job, side });
  }

  refreshHistory(): void {
    this.connection.send({ type: "list_jobs", newest: LISTED });
  }

  private show(picture: Picture): void {
    this.messages.value = [];
    this.picture.value = picture;
  }

  private say(message: Message): void {
    if (this.messages.value.some((each) => each.text === message.text)) return;
    this.messages.value = [...this.messages.value, message];
  }

  // ---- what the server says

  /** A connection is open, the first one or a further one: nothing that happened meanwhile is lost. */
  private begin(welcome: Welcome): void {
    this.welcome.value = welcome;
    this.refreshHistory();
    const { unanswered } = recall();
    const picture = this.picture.value;
    if (unanswered !== null) {
      // The server may have it already: the same message twice is one job.
      if (picture === null && unanswered.type === "submit") {
        this.show(new Picture(unanswered.job, unanswered.width, unanswered.height, ""));
      }
      this.connection.send(unanswered);
    } else if (picture !== null && !(picture.isOver && picture.accepted)) {
      picture.accepted = false;
      this.connection.send({ type: "resume", job: picture.job, after: picture.seq });
    }
    // A picture that was shown before a reload is opened when the list says its size.
  }

  private async receive(message: FromServer | Chunk): Promise<void> {
    switch (message.type) {
      case "chunk":
        return this.transfers.add(message);
      case "job_list":
        this.listed(message.jobs);
        return;
      case "thumbnail":
        return this.addThumbnail(message);
      case "file_begin":
        return this.transfers.begin(message);
      case "file_end":
        return this.finishFile(message.transfer);
      case "fetch_failed":
        if (message.format == null) return;
        this.exporting.value = null;
        return this.problem(message);
      case "deleted":
        return this.forget(message.job);
      case "delete_failed":
      case "refused":
        return this.problem(message);
      default:
        if ("job" in message) await this.receiveForPicture(message);
    }
  }

  private listed(jobs: JobSummary[]): void {
    this.history.value = jobs;
    const { job } = recall();
    const found = jobs.find((each) => each.job === job);
    if (this.picture.value === null && found !== undefined) this.openJob(found);
  }

  private async receiveForPicture(message: Exclude<FromServer, { type: "job_list" }> & { job: string }): Promise<void> {
    const picture = this.picture.value;
    const ends = message.type === "done" || message.type === "failed" || message.type === "cancelled";
    if (ends || message.type === "started" || message.type === "accepted") this.refreshHistory();
    const answers = message.type === "accepted" || (message.type === "failed" && message.seq === 0);
    if (answers && recall().unanswered?.job === message.job) keep({ unanswered: null });
    if (picture === null || message.job !== picture.job) return;
    if (message.type === "accepted") {
      picture.accepted = true;
      picture.position = message.position;
      picture.startsIn = message.starts_in ?? null;
      this.picture.touch();
      return;
    }
    if (message.type === "failed" && message.seq === 0) {
      keep({ job: null });
      picture.phase = "failed";
      this.problem(message);
      this.picture.touch();
      return;
    }
    const seq = "seq" in message ? message.seq : Infinity;
    if (!picture.accepted || seq <= picture.seq) return;
    await this.apply(picture, message);
    if (this.picture.value === picture) this.picture.touch();
  }

  private async apply(picture: Picture, message: FromServer): Promise<void> {
    switch (message.type) {
      case "queued":
        picture.position = message.position;
        picture.startsIn = message.starts_in ?? null;
        return;
      case "started":
        picture.phase = "drawing";
        break;
      case "notice":
        this.say({ kind: "note", text: message.text });
        break;
      case "progress":
        picture.phase = "drawing";
        picture.progress = message;
        return;
      case "preview":
        return picture.addPreview(message);
      case "layer_begin":
        return this.transfers.begin(message);
      case "layer_end": {
        const layer = await this.transfers.end(message.transfer);
        if (layer === undefined) return;
        picture.addLayer(layer.begin as LayerBegin, layer.bytes);
        break;
      }
      case "done":
        picture.finish(message);
        break;
      case "cancelled":
        picture.phase = "cancelled";
        break;
      case "failed":
        picture.phase = "failed";
        this.problem(message, picture);
        break;
      default:
        return;
    }
    if ("seq" in message) picture.seq = message.seq;
  }

  private problem(error: { code: string; message: string; hint?: string }, picture?: Picture): void {
    const again = picture !== undefined && WORTH_ANOTHER_TRY.has(error.code);
    this.say({
      kind: "problem",
      text: again ? error.message : `${error.message} ${error.hint ?? ""}`.trim(),
      ...(again ? { remedy: { label: t("Draw it again"), act: () => this.drawAgain(picture) } } : {}),
    });
  }

  private addThumbnail({ job, width, height, pixels }: Thumbnail): void {
    this.thumbnails.value.set(job, new ImageData(swapRedAndBlue(new Uint8Array(pixels)), width, height));
    this.thumbnails.touch();
  }

  private async finishFile(transfer: number): Promise<void> {
    const file = await this.transfers.end(transfer);
    if (file === undefined) throw new Damaged();
    const { job, format } = file.begin as FileBegin;
    const title = this.history.value.find((each) => each.job === job)?.title ?? "";
    save(file.bytes, title, format);
    // The picture is in a file of the artist's now, so the server may make room if it must.
    const picture = this.picture.value;
    if (picture?.job === job) this.connection.send({ type: "ack", job, seq: picture.seq });
    this.exporting.value = null;
  }

  private forget(job: string): void {
    this.history.value = this.history.value.filter((each) => each.job !== job);
    this.thumbnails.value.delete(job);
    if (this.picture.value?.job === job) {
      keep({ job: null, unanswered: null });
      this.messages.value = [];
      this.picture.value = null;
    }
  }
}
