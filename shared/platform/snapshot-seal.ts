import { open, seal } from "./seal.ts";

/** Small states look alike, and most of what is kept of them never leaves this. */
const MIN_PART_BYTES = 16 * 1024;
/** `seal` puts the length of its plaintext before it, and this file that of the part. */
const LENGTH_BYTES = 4;

/**
 * Seals one part of what a count keeps, filled up to `atLeast` bytes: the most that it can have, whatever its figures are and however
 * few units were accepted. What has no such bound is filled up to a power of two. `key`: 32 bytes, the count's own. `name` binds it to
 * its place.
 */
export function sealPart(key: Uint8Array, name: string, bytes: Uint8Array, atLeast = 0): Uint8Array {
  const whole = roomFor(bytes.length + 2 * LENGTH_BYTES, atLeast + 2 * LENGTH_BYTES);
  const padded = Buffer.alloc(whole - LENGTH_BYTES);
  padded.writeUInt32BE(bytes.length);
  padded.set(bytes, LENGTH_BYTES);
  return seal(key, "snapshot", name, padded);
}

function roomFor(length: number, atLeast: number): number {
  if (length <= atLeast) return Math.ceil(atLeast / MIN_PART_BYTES) * MIN_PART_BYTES;
  return Math.max(MIN_PART_BYTES, 2 ** Math.ceil(Math.log2(length)));
}

/** Throws SealBroken on any change, and for another key or name. */
export function openPart(key: Uint8Array, name: string, sealed: Uint8Array): Uint8Array {
  const padded = Buffer.from(open(key, "snapshot", name, sealed));
  return padded.subarray(LENGTH_BYTES, LENGTH_BYTES + padded.readUInt32BE());
}
