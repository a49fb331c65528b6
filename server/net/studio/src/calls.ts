// Questions to the server that have one answer: to keep a file or pixels, to read a file, to scale a layer, to send its
// pixels. A call fails with a `Problem` that the artist can read.
import { digestOf } from "./digest";
import { t } from "./language";
import { sentences, type ServerProblem } from "./server_words";
import type { FileRead, FromClient, FromServer, PixelsBegin } from "./protocol";
import { Damaged, type Transfers } from "./transfers";
import { chunks } from "./wire";

/** Why something could not be done, in words. */
export class Problem extends Error {
  /** @param code of the server's error; empty if it did not answer, or was not asked. */
  constructor(
    message: string,
    readonly code = "",
  ) {
    super(message);
  }
}

/** It may have been done or not: the connection was lost before the server answered. */
export class Lost extends Problem {
  constructor() {
    super(t("The connection was lost. Try it again."));
  }
}

/** What sends messages; `send` says whether there is a connection, `sendAll` waits while the network is slower than the page. */
export interface Line {
  send(message: FromClient): boolean;
  sendAll(frames: Iterable<Uint8Array<ArrayBuffer>>): Promise<void>;
}

type Answer = Extract<
  FromServer,
  { type: "upload_ready" | "uploaded" | "upload_refused" | "file_read" | "read_failed" | "layer_scaled" | "layer_failed" }
>;

export class Calls {
  private readonly waiting: { wanted: (answer: Answer) => boolean; settle: (answer: Answer | Problem) => void }[] = [];
  private readonly pixelsWaiting = new Map<string, ((bytes: Uint8Array<ArrayBuffer> | Problem) => void)[]>();
  private uploads = 0;
  private uploading: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly line: Line,
    private readonly transfers: Transfers,
  ) {}

  /** Give the server a file, or a layer's pixels (BGRA), and return the SHA-256. */
  upload(bytes: Uint8Array<ArrayBuffer>, file: boolean): Promise<string> {
    const done = this.uploading.then(() => this.uploadNow(bytes, file)); // the server takes one after the other
    this.uploading = done.catch(() => undefined);
    return done;
  }

  private async uploadNow(bytes: Uint8Array<ArrayBuffer>, file: boolean): Promise<string> {
    const layer = await digestOf(bytes);
    const transfer = this.uploads++;
    const mine = (answer: Answer): boolean => "transfer" in answer && answer.transfer === transfer;
    const ready = await this.ask({ type: "upload", transfer, layer, bytes: bytes.length, file }, mine);
    if (ready.type === "uploaded") return layer;
    const uploaded = this.next(mine);
    await this.line.sendAll(chunks(transfer, bytes));
    await uploaded;
    return layer;
  }

  /** What the server reads from a file that was uploaded. */
  async read(file: string, name: string): Promise<FileRead> {
    const about = (answer: Answer): boolean => "file" in answer && answer.file === file;
    const answer = await this.ask({ type: "read_file", file, name: name.slice(0, 255) || "file" }, about);
    return answer as FileRead;
  }

  /** The SHA-256 of a larger or smaller copy of a layer. */
  async scale(layer: string, from: [number, number], to: [number, number]): Promise<string> {
    const [width, height] = from;
    const [to_width, to_height] = to;
    if (width === to_width && height === to_height) return layer;
    const about = (answer: Answer): boolean =>
      (answer.type === "layer_failed" && answer.layer === layer) ||
      (answer.type === "layer_scaled" && answer.layer === layer && answer.to_width === to_width && answer.to_height === to_height);
    const answer = await this.ask({ type: "scale_layer", layer, width, height, to_width, to_height }, about);
    return answer.type === "layer_scaled" ? answer.scaled : layer;
  }

  /** A layer's pixels, BGRA. */
  pixels(layer: string): Promise<Uint8Array<ArrayBuffer>> {
    return new Promise((resolve, reject) => {
      const settle = (answer: Uint8Array<ArrayBuffer> | Problem): void => {
        if (answer instanceof Problem) reject(answer);
        else resolve(answer);
      };
      const others = this.pixelsWaiting.get(layer);
      if (others !== undefined) return void others.push(settle);
      this.pixelsWaiting.set(layer, [settle]);
      if (!this.line.send({ type: "fetch_pixels", layer })) this.givePixels(layer, new Lost());
    });
  }

  /** Take a message if it is an answer to a call. */
  async receive(message: FromServer): Promise<boolean> {
    switch (message.type) {
      case "pixels_begin":
        this.transfers.begin(message);
        return true;
      case "pixels_end": {
        const sent = this.transfers.end(message.transfer);
        if (sent === undefined) throw new Damaged();
        this.givePixels((sent.begin as PixelsBegin).sha256, sent.bytes);
        return true;
      }
      case "layer_failed":
        this.givePixels(message.layer, problem(message));
        break;
      case "upload_ready":
      case "uploaded":
      case "upload_refused":
      case "file_read":
      case "read_failed":
      case "layer_scaled":
        break;
      default:
        return false;
    }
    const at = this.waiting.findIndex(({ wanted }) => wanted(message));
    if (at !== -1) {
      const [call] = this.waiting.splice(at, 1);
      call!.settle("code" in message ? problem(message) : message);
    }
    return true;
  }

  /** The connection was lost: what was asked for is not answered any more. */
  clear(): void {
    for (const { settle } of this.waiting.splice(0)) settle(new Lost());
    for (const layer of [...this.pixelsWaiting.keys()]) this.givePixels(layer, new Lost());
  }

  private ask(message: FromClient, wanted: (answer: Answer) => boolean): Promise<Answer> {
    const answer = this.next(wanted);
    if (!this.line.send(message)) this.waiting.pop()!.settle(new Lost());
    return answer;
  }

  private next(wanted: (answer: Answer) => boolean): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const settle = (answer: Answer | Problem): void => (answer instanceof Problem ? reject(answer) : resolve(answer));
      this.waiting.push({ wanted, settle });
    });
  }

  private givePixels(layer: string, answer: Uint8Array<ArrayBuffer> | Problem): void {
    const settles = this.pixelsWaiting.get(layer) ?? [];
    this.pixelsWaiting.delete(layer);
    for (const settle of settles) settle(answer);
  }
}

function problem(error: ServerProblem): Problem {
  return new Problem(sentences(error), error.code);
}
