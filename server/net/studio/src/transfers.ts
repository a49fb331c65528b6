// Layers and files on their way: chunks in, whole and checked bytes out.
import type { FileBegin, LayerBegin, PixelsBegin } from "./protocol";
import type { Chunk } from "./wire";

export type Begin = LayerBegin | FileBegin | PixelsBegin;

interface Transfer {
  begin: Begin;
  bytes: Uint8Array<ArrayBuffer>;
  received: number;
  next: number;
}

/** Bytes that arrived are not those that were sent. */
export class Damaged extends Error {}

export class Transfers {
  private readonly open = new Map<number, Transfer>();

  begin(begin: Begin): void {
    this.open.set(begin.transfer, { begin, bytes: new Uint8Array(begin.bytes), received: 0, next: 0 });
  }

  /** Chunks of transfers that nobody has begun here belong to a picture that is not shown any more. */
  add(chunk: Chunk): void {
    const transfer = this.open.get(chunk.transfer);
    if (transfer === undefined) return;
    if (chunk.index !== transfer.next || transfer.received + chunk.data.length > transfer.bytes.length) {
      throw new Damaged();
    }
    transfer.bytes.set(chunk.data, transfer.received);
    transfer.received += chunk.data.length;
    transfer.next += 1;
  }

  /** The begin and the bytes of a finished transfer; undefined if it was not begun here. */
  async end(number: number): Promise<{ begin: Begin; bytes: Uint8Array<ArrayBuffer> } | undefined> {
    const transfer = this.open.get(number);
    if (transfer === undefined) return undefined;
    this.open.delete(number);
    if (transfer.received !== transfer.bytes.length) throw new Damaged();
    // Browsers compute digests only for pages from this machine or with encryption.
    if (crypto.subtle !== undefined) {
      const digest = await crypto.subtle.digest("SHA-256", transfer.bytes);
      if (hexadecimal(digest) !== transfer.begin.sha256) throw new Damaged();
    }
    return { begin: transfer.begin, bytes: transfer.bytes };
  }

  /** Transfer numbers begin again with each connection. */
  clear(): void {
    this.open.clear();
  }
}

export function hexadecimal(bytes: ArrayBuffer): string {
  return [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
