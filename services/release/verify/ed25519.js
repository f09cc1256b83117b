/**
 * Ed25519 (RFC 8032) by the strict rule: a 64-byte signature, a 32-byte key, A and R canonical and of no small order, S below the
 * group order. Libraries differ at these edges, so they are checked here first; tweetnacl then does the equation.
 */

const FIELD = 2n ** 255n - 19n;
const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;
const SIGN_BIT = 2n ** 255n;

/** The y coordinates of the eight points of small order; two points share each of the last two, as two share 0. */
const SMALL_ORDER_Y = new Set([
  0n,
  1n,
  FIELD - 1n,
  0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n,
  0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n,
]);

/** A number whose lowest byte comes first. */
function littleEndian(bytes) {
  let number = 0n;
  for (const byte of bytes.toReversed()) number = number * 256n + BigInt(byte);
  return number;
}

/** True if 32 bytes write a point in the one canonical way, and not a point of small order. Whether it lies on the curve: the equation. */
export function isStrictPoint(bytes) {
  if (bytes.length !== 32) return false;
  const y = littleEndian(bytes) % SIGN_BIT;
  return y < FIELD && !SMALL_ORDER_Y.has(y);
}

/**
 * Whether `signature` over `message` holds under `publicKey` (raw bytes all). `nacl`: the library, as it calls itself. False for
 * everything that the strict rule refuses.
 */
export function verifySignature(nacl, message, signature, publicKey) {
  if (signature.length !== 64 || !isStrictPoint(publicKey) || !isStrictPoint(signature.subarray(0, 32))) return false;
  if (littleEndian(signature.subarray(32)) >= ORDER) return false;
  return nacl.sign.detached.verify(message, signature, publicKey);
}
