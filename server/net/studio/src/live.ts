// While a foreground is moved or made larger, Shadow and Light follow: a small picture of what is there now is drawn, one
// at a time, and what happened meanwhile makes the next one. When the artist pauses, a picture that has hardly begun and
// shows an earlier arrangement is given up for the present one.
import { type Calls, Lost, Problem } from "./calls";
import type { Ply } from "./compositing";
import type { Picture, Source } from "./picture";
import { cropped, stretched } from "./pixels";
import type { FromClient, FromServer, LayerBegin, Submit } from "./protocol";
import type { ServerProblem } from "./server_words";
import { smaller } from "./shrinking";
import { parts, type Settings, submission } from "./sources";
import type { Transfers } from "./transfers";

/** Longer side at which it is drawn (our choice): Shadow and Light are soft. */
const LONGER_SIDE = 512;
const PRESET = "fast";
/** Milliseconds without a change that are a pause (our choice). */
const PAUSE = 400;

export class Live {
  /** Ids of jobs that are no pictures of the artist's. */
  private readonly jobs = new Set<string>();
  enabled = true;
  private picture: Picture | null = null;
  private due = false;
  private drawing: { job: string; picture: Picture; part: number; plies: Ply[]; done: number } | null = null;
  private pausing = 0;
  /** Layer and size -> the SHA-256 of its small copy, which the server has as long as the connection lasts. */
  private readonly copies = new Map<string, Promise<string>>();
  /** What is being made ready to be sent. */
  private preparing: object | null = null;
  private isConnected = false;

  /**
   * @param show shows new Shadow and Light.
   * @param fail tells the artist why they do not follow.
   */
  constructor(
    private readonly calls: Calls,
    private readonly transfers: Transfers,
    private readonly send: (message: FromClient) => void,
    private readonly settings: () => Settings | null,
    private readonly show: (picture: Picture) => void,
    private readonly fail: (error: ServerProblem | Problem) => void,
  ) {}

  /** The arrangement has changed. */
  follow(picture: Picture): void {
    if (!this.enabled) return;
    this.picture = picture;
    this.due = true;
    clearTimeout(this.pausing);
    this.pausing = window.setTimeout(() => this.supersede(), PAUSE);
    void this.draw();
  }

  /** Draw the present arrangement at once, unless most of an earlier one is done. */
  private supersede(): void {
    if (!this.due || this.drawing === null || this.drawing.done > 0.5) return;
    this.send({ type: "cancel", job: this.drawing.job });
    this.drawing = null;
    void this.draw();
  }

  /** Stop: another picture is shown, or this one is being drawn. */
  end(): void {
    this.due = false;
    clearTimeout(this.pausing);
    this.picture = null;
    this.copies.clear();
    if (this.drawing !== null) this.send({ type: "cancel", job: this.drawing.job });
    this.drawing = null;
  }

  /** The connection was lost, and with it what was drawn: the server keeps none of it. */
  lost(): void {
    this.jobs.clear();
    this.isConnected = false;
    this.drawing = null;
    this.preparing = null;
    this.copies.clear();
  }

  /** There is a connection again: what is shown is still to be followed. */
  again(): void {
    this.isConnected = true;
    this.due = this.picture?.unsettled ?? false;
    void this.draw();
  }

  private async draw(): Promise<void> {
    const settings = this.settings();
    const { picture } = this;
    const waits = !this.isConnected || this.drawing !== null || this.preparing !== null;
    if (!this.due || waits || picture === null || settings === null) return;
    this.due = false;
    const mine = (this.preparing = {});
    try {
      const submit = await this.small(picture, settings);
      if (submit === null || this.picture !== picture || this.preparing !== mine) return;
      this.drawing = { job: submit.job, picture, part: submit.width / picture.width, plies: [], done: 0 };
      this.jobs.add(submit.job);
      this.send(submit);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.copies.clear();
      if (!(error instanceof Lost)) this.fail(error); // else it is drawn on the next connection
    } finally {
      if (this.preparing === mine) this.preparing = null;
    }
    if (this.drawing === null) void this.draw();
  }

  /** The message that draws a small picture with everything kept; null if there is nothing to which light could fit. */
  private async small(picture: Picture, settings: Settings): Promise<Submit | null> {
    const part = Math.min(1, LONGER_SIDE / Math.max(picture.width, picture.height));
    const size = { width: Math.max(1, Math.round(picture.width * part)), height: Math.max(1, Math.round(picture.height * part)) };
    const { backgrounds, foregrounds } = parts(picture);
    const kept = [...backgrounds.slice(-1), ...foregrounds].filter((layer) => layer.source !== null);
    if (kept.length < 2 || backgrounds.length === 0 || kept.some((layer) => layer.prompt.trim() === "")) return null;
    const scale = (from: Source, width: number, height: number): Promise<string> => this.copy(from, width, height);
    const small = await Promise.all(kept.map((layer) => smaller(layer, picture, size, scale)));
    const layers = small.map((layer) => ({ ...layer, verb: "keep" as const }));
    const submit = submission({ ...size, layers, origin: null }, { ...settings, preset: PRESET, style: null });
    return { ...submit, passing: true };
  }

  private copy({ sha256, width, height }: Source, to_width: number, to_height: number): Promise<string> {
    const key = `${sha256} ${to_width} ${to_height}`;
    const made = this.copies.get(key) ?? this.calls.scale(sha256, [width, height], [to_width, to_height]);
    this.copies.set(key, made);
    return made;
  }

  /** Take a message if it is about a job of this. */
  async receive(message: FromServer): Promise<boolean> {
    if (!("job" in message) || !this.jobs.has(message.job)) return false;
    const ends = message.type === "done" || message.type === "failed" || message.type === "cancelled";
    if (ends) this.send({ type: "delete", job: message.job });
    if (message.type === "deleted") this.jobs.delete(message.job);
    const { drawing } = this;
    if (message.type === "layer_begin" && drawing?.job === message.job) this.transfers.begin(message);
    if (drawing?.job !== message.job) return true;
    if (message.type === "progress") drawing.done = message.step / Math.max(1, message.total);
    if (message.type === "layer_end") {
      const sent = this.transfers.end(message.transfer);
      const begin = sent?.begin as LayerBegin | undefined;
      if (sent !== undefined && begin !== undefined && (begin.role === "shadow" || begin.role === "light")) {
        const crop = await cropped(sent.bytes, begin.width, begin.height);
        const large = drawing.part === 1 ? crop : await stretched(crop, { x: 1 / drawing.part, y: 1 / drawing.part });
        const [x, y] = [Math.round(begin.x / drawing.part), Math.round(begin.y / drawing.part)];
        drawing.plies.push({ crop: large, x, y, blend: begin.blend, opacity: begin.opacity });
      }
    }
    if (ends) {
      this.drawing = null;
      if (message.type === "done" && drawing.picture.unsettled) {
        drawing.picture.following = drawing.plies;
        this.show(drawing.picture);
      }
      if (message.type === "failed") this.fail(message);
      void this.draw();
    }
    return true;
  }
}
