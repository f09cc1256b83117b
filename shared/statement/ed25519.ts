import { createPublicKey, type KeyObject, verify } from "node:crypto";
import nacl from "tweetnacl";

/**
 * Ed25519 (RFC 8032) with one meaning everywhere. Libraries and Node versions differ at the edges, and an archive must
 * verify the same in ten years: 64-byte signature, 32-byte key, A and R canonical and of no small order, S below the
 * group order, cofactorless equation. The checks here come first; `node:crypto`, or `tweetnacl`, then does the equation.
 */

const FIELD = (1n << 255n) - 19n;
const ORDER = (1n << 252n) + 27742317777372353535851937790883648493n;
const SIGN_BIT = 1n << 255n;

/** The y coordinates of the eight points of small order (both signs of x share one y). */
const SMALL_ORDER_Y: ReadonlySet<bigint> = new Set([
  0n,
  1n,
  FIELD - 1n,
  littleEndian(Buffer.from("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", "hex")),
  littleEndian(Buffer.from("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", "hex")),
]);

/** SubjectPublicKeyInfo header of an Ed25519 key (RFC 8410); the 32 raw bytes follow it. */
const SPKI_PREFIX = Buffer.from("302a300506032b6570032100", "hex");

/** A public key that has passed the strict point check, ready to verify with. */
export interface VerifyKey {
  readonly raw: Uint8Array;
  readonly object: KeyObject;
}

function littleEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).reverse().toString("hex")}`);
}

/** True if 32 bytes encode a point canonically (y below the field's prime) that is not of small order. */
export function isStrictPoint(bytes: Uint8Array): boolean {
  if (bytes.length !== 32) return false;
  const encoded = littleEndian(bytes);
  const y = encoded >= SIGN_BIT ? encoded - SIGN_BIT : encoded;
  return y < FIELD && !SMALL_ORDER_Y.has(y);
}

/** True if 32 raw bytes may serve as a public key. */
export function isStrictPublicKey(raw: Uint8Array): boolean {
  return importVerifyKey(raw) !== undefined;
}

/** Takes 32 raw bytes; undefined if they are no key under the strict rule. */
export function importVerifyKey(raw: Uint8Array): VerifyKey | undefined {
  if (!isStrictPoint(raw)) return undefined;
  try {
    return { raw, object: createPublicKey({ key: Buffer.concat([SPKI_PREFIX, raw]), format: "der", type: "spki" }) };
  } catch {
    return undefined; // node refuses the bytes as a key, and so do we
  }
}

/** What can be said of a signature before the equation: its length, R, and S below the order. */
function isStrictSignature(signature: Uint8Array): boolean {
  return (
    signature.length === 64 && isStrictPoint(signature.subarray(0, 32)) && littleEndian(signature.subarray(32)) < ORDER
  );
}

/**
 * Verifies one signature on the calling thread: `message` any bytes, `signature` 64 bytes (R, then S little-endian; RFC 8032,
 * 5.1.6), `publicKey` 32 raw bytes or a `VerifyKey`. False for everything that the strict rule refuses; never throws.
 */
export function verifySignature(
  message: Uint8Array,
  signature: Uint8Array,
  publicKey: Uint8Array | VerifyKey,
): boolean {
  const key = publicKey instanceof Uint8Array ? importVerifyKey(publicKey) : publicKey;
  if (key === undefined || !isStrictSignature(signature)) return false;
  return verify(null, message, key.object, signature);
}

/**
 * As `verifySignature`, with the same arguments and the same verdict on all of them, by an implementation that shares no code with
 * `node:crypto`: whoever audits asks both. About 100 a second; never on the road of a statement.
 */
export function verifySignatureTweetnacl(
  message: Uint8Array,
  signature: Uint8Array,
  publicKey: Uint8Array | VerifyKey,
): boolean {
  const raw = publicKey instanceof Uint8Array ? publicKey : publicKey.raw;
  // The same checks first: by itself it knows no upper limit of S.
  return isStrictPoint(raw) && isStrictSignature(signature) && nacl.sign.detached.verify(message, signature, raw);
}

/** As `verifySignature`, through the thread pool: a server's event loop never does the arithmetic. */
export function verifySignatureAsync(message: Uint8Array, signature: Uint8Array, key: VerifyKey): Promise<boolean> {
  if (!isStrictSignature(signature)) return Promise.resolve(false);
  return new Promise((resolve, reject) => {
    verify(null, message, key.object, signature, (error, ok) => (error ? reject(error) : resolve(ok)));
  });
}
