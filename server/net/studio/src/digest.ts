// SHA-256 of what comes and goes. Browsers compute it by themselves only for pages from this machine or with encryption,
// and copy all bytes first, which stops the page for a while.
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import { Breath } from "./pixels";

const PART = 262_144; // bytes between two looks at the clock

/** Computes the SHA-256 of bytes that arrive in parts. */
export class Digest {
  private readonly hash = sha256.create();

  add(bytes: Uint8Array): void {
    this.hash.update(bytes);
  }

  /** Hexadecimal; nothing can be added afterwards. */
  end(): string {
    return bytesToHex(this.hash.digest());
  }
}

/** The SHA-256 of bytes that are all there, hexadecimal. */
export async function digestOf(bytes: Uint8Array): Promise<string> {
  const digest = new Digest();
  const breath = new Breath();
  for (let from = 0; from < bytes.length; from += PART) {
    digest.add(bytes.subarray(from, from + PART));
    await breath.take();
  }
  return digest.end();
}
