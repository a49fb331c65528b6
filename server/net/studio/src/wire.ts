// Frames of the protocol: msgpack maps, and chunks with a header of 12 bytes (PROTOCOL.md, section 4).
import { decode, encode } from "@msgpack/msgpack";
import type { FromClient, FromServer } from "./protocol";

export interface Chunk {
  type: "chunk";
  transfer: number;
  index: number;
  data: Uint8Array;
}

const CHUNK = 1;
const HEADER = 12;

export function pack(message: FromClient): Uint8Array<ArrayBuffer> {
  return encode(message, { ignoreUndefined: true });
}

/** Messages of types that are not known here are returned as they are; whoever receives them ignores them. */
export function unpack(frame: ArrayBuffer): FromServer | Chunk {
  const bytes = new Uint8Array(frame);
  if (bytes[0] !== CHUNK) return decode(bytes) as FromServer;
  const header = new DataView(frame, 0, HEADER);
  return { type: "chunk", transfer: header.getUint32(4), index: header.getUint32(8), data: bytes.subarray(HEADER) };
}

const MOST = 262_144;

/** Frames with the bytes of one transfer. */
export function* chunks(transfer: number, bytes: Uint8Array): Generator<Uint8Array<ArrayBuffer>> {
  for (let index = 0; index * MOST < bytes.length; index++) {
    const data = bytes.subarray(index * MOST, (index + 1) * MOST);
    const frame = new Uint8Array(HEADER + data.length);
    const header = new DataView(frame.buffer);
    header.setUint8(0, CHUNK);
    header.setUint32(4, transfer);
    header.setUint32(8, index);
    frame.set(data, HEADER);
    yield frame;
  }
}

/** RGBA from BGRA, in place. */
export function swapRedAndBlue(pixels: Uint8Array): Uint8ClampedArray<ArrayBuffer> {
  for (let at = 0; at < pixels.length; at += 4) {
    const blue = pixels[at]!;
    pixels[at] = pixels[at + 2]!;
    pixels[at + 2] = blue;
  }
  return new Uint8ClampedArray(pixels.buffer as ArrayBuffer, pixels.byteOffset, pixels.length);
}

/** A random UUID. `crypto.randomUUID` is missing on pages that came over a network without encryption. */
export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
