import { Buffer } from "node:buffer";

/**
 * The strict rule for Ed25519, written a second time for the second implementation: bytes are compared with constants, no number is ever
 * computed. 64-byte signature, 32-byte key, A and R canonical and of no small order, S below the group order.
 */

/** 2^255 - 19, the field's prime, and the order of the group; little-endian. */
const PRIME = Buffer.from("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "hex");
const ORDER = Buffer.from("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010", "hex");

/** The five y of the eight points of small order, canonical: each stands for both signs of x. */
const SMALL_ORDER = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
].map((hex) => Buffer.from(hex, "hex"));

/** True if a is below b, both 32 bytes little-endian. */
function isBelow(a: Uint8Array, b: Uint8Array): boolean {
  for (let n = 31; n >= 0; n--) if (a[n] !== b[n]) return (a[n] as number) < (b[n] as number);
  return false;
}

function isStrictPoint(bytes: Uint8Array): boolean {
  const y = Uint8Array.from(bytes);
  y[31] = (y[31] as number) & 0x7f; // the sign of x
  return isBelow(y, PRIME) && !SMALL_ORDER.some((small) => Buffer.compare(small, y) === 0);
}

/** Whether key and signature pass every check that comes before the equation. */
export function passesStrictChecks(signature: Uint8Array, publicKey: Uint8Array): boolean {
  if (signature.length !== 64 || publicKey.length !== 32) return false;
  return isStrictPoint(publicKey) && isStrictPoint(signature.subarray(0, 32)) && isBelow(signature.subarray(32), ORDER);
}
