import { open, seal } from "./seal.ts";

/** Small states look alike, and most of what is kept of them never leaves this. */
const MIN_PART_BYTES = 16 * 1024;
/** `seal` puts the length of its plaintext before it, and this file that of the part. */
const LENGTH_BYTES = 4;

/**
 * Seals one part of what a count keeps, filled up to a power of two: its length tells no more than the order of magnitude of
 * its units. `key`: 32 bytes, the count's own. `name` binds it to its place.
 */
export function sealPart(key: Uint8Array, name: string, bytes: Uint8Array): Uint8Array {
  const whole = Math.max(MIN_PART_BYTES, 2 ** Math.ceil(Math.log2(bytes.length + 2 * LENGTH_BYTES)));
  const padded = Buffer.alloc(whole - LENGTH_BYTES);
  padded.writeUInt32BE(bytes.length);
  padded.set(bytes, LENGTH_BYTES);
  return seal(key, "snapshot", name, padded);
}

/** Throws SealBroken on any change, and for another key or name. */
export function openPart(key: Uint8Array, name: string, sealed: Uint8Array): Uint8Array {
  const padded = Buffer.from(open(key, "snapshot", name, sealed));
  return padded.subarray(LENGTH_BYTES, LENGTH_BYTES + padded.readUInt32BE());
}
