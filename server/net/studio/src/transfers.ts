// Layers and files on their way: chunks in, whole and checked bytes out.
import { Digest } from "./digest";
import type { FileBegin, LayerBegin, PixelsBegin } from "./protocol";
import type { Chunk } from "./wire";

export type Begin = LayerBegin | FileBegin | PixelsBegin;

interface Transfer {
  begin: Begin;
  bytes: Uint8Array<ArrayBuffer>;
  digest: Digest;
  received: number;
  next: number;
}

/** Bytes that arrived are not those that were sent. */
export class Damaged extends Error {}

export class Transfers {
  private readonly open = new Map<number, Transfer>();

  begin(begin: Begin): void {
    this.open.set(begin.transfer, { begin, bytes: new Uint8Array(begin.bytes), digest: new Digest(), received: 0, next: 0 });
  }

  /** Chunks of transfers that nobody has begun here belong to a picture that is not shown any more. */
  add(chunk: Chunk): void {
    const transfer = this.open.get(chunk.transfer);
    if (transfer === undefined) return;
    if (chunk.index !== transfer.next || transfer.received + chunk.data.length > transfer.bytes.length) {
      throw new Damaged();
    }
    transfer.bytes.set(chunk.data, transfer.received);
    transfer.digest.add(chunk.data);
    transfer.received += chunk.data.length;
    transfer.next += 1;
  }

  /** The begin and the bytes of a finished transfer; undefined if it was not begun here. */
  end(number: number): { begin: Begin; bytes: Uint8Array<ArrayBuffer> } | undefined {
    const transfer = this.open.get(number);
    if (transfer === undefined) return undefined;
    this.open.delete(number);
    const { begin, bytes, digest, received } = transfer;
    if (received !== bytes.length || digest.end() !== begin.sha256) throw new Damaged();
    return { begin, bytes };
  }

  /** Transfer numbers begin again with each connection. */
  clear(): void {
    this.open.clear();
  }
}
