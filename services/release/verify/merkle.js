/**
 * The Merkle tree of the log (RFC 6962, section 2.1): how a proof is checked (RFC 9162, sections 2.1.3.2 and 2.1.4.2). Hashes are SHA-256,
 * 32 bytes. Sizes and indexes come from whoever offers the proof: plain numbers up to 2^53, never through 32-bit operators.
 */

import { concat, equal, sha256 } from "./bytes.js";

export const HASH_BYTES = 32;

/** SHA-256(0x00 ‖ entry). */
export function leafHash(entry) {
  return sha256(concat([0], entry));
}

/** SHA-256(0x01 ‖ left ‖ right). */
export function nodeHash(left, right) {
  return sha256(concat([1], left, right));
}

const isCount = (n) => Number.isSafeInteger(n) && n >= 0;
const areHashes = (hashes) => hashes.every((hash) => hash.length === HASH_BYTES);

/**
 * Where a node stands: its place in its row, and the last place of that row. `isRight`: its sibling is to the left, or it is the last of
 * its row and was lifted to a row where it has one.
 */
function climb({ node, last }) {
  if (last === 0) return undefined;
  const isRight = node % 2 === 1 || node === last;
  if (isRight)
    while (node % 2 === 0 && node !== 0) {
      node = Math.floor(node / 2);
      last = Math.floor(last / 2);
    }
  return { isRight, above: { node: Math.floor(node / 2), last: Math.floor(last / 2) } };
}

/** True if the proof shows the leaf at `index` in the tree of `size` leaves with this root. False for anything malformed. */
export async function verifyInclusion({ leaf, index, size, proof, root }) {
  if (!isCount(index) || !isCount(size) || index >= size || !areHashes([leaf, root, ...proof])) return false;
  let place = { node: index, last: size - 1 };
  let hash = leaf;
  for (const sibling of proof) {
    const step = climb(place);
    if (step === undefined) return false;
    hash = await (step.isRight ? nodeHash(sibling, hash) : nodeHash(hash, sibling));
    place = step.above;
  }
  return place.last === 0 && equal(hash, root);
}

/**
 * True if the proof shows that the new tree only appends to the old one. Every tree extends the empty one, without a proof. False for
 * anything malformed.
 */
export async function verifyConsistency({ oldSize, newSize, proof, oldRoot, newRoot }) {
  if (!isCount(oldSize) || !isCount(newSize) || oldSize > newSize) return false;
  if (oldSize === newSize) return proof.length === 0 && equal(oldRoot, newRoot);
  if (oldSize === 0) return proof.length === 0;
  if (!areHashes([oldRoot, newRoot, ...proof])) return false;
  let place = { node: oldSize - 1, last: newSize - 1 };
  while (place.node % 2 === 1) place = { node: Math.floor(place.node / 2), last: Math.floor(place.last / 2) };
  // At the left edge the old root itself is where the proof starts.
  const [first, ...rest] = place.node === 0 ? [oldRoot, ...proof] : proof;
  if (first === undefined) return false;
  let oldHash = first;
  let newHash = first;
  for (const sibling of rest) {
    const step = climb(place);
    if (step === undefined) return false;
    if (step.isRight) oldHash = await nodeHash(sibling, oldHash);
    newHash = await (step.isRight ? nodeHash(sibling, newHash) : nodeHash(newHash, sibling));
    place = step.above;
  }
  return place.last === 0 && equal(oldHash, oldRoot) && equal(newHash, newRoot);
}
