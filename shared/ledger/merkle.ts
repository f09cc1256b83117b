import { createHash } from "node:crypto";

/**
 * The Merkle tree of the log (RFC 6962, section 2.1; RFC 9162, section 2.1, for the verifying algorithms). Hashes are SHA-256,
 * 32 bytes. Sizes and indexes may come from whoever offers a proof, so they are taken as plain numbers up to 2^53 and
 * never through 32-bit operators.
 */

export const HASH_BYTES = 32;
const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

/** SHA-256(0x00 ‖ entry). */
export function leafHash(entry: Uint8Array): Uint8Array {
  return createHash("sha256").update(LEAF).update(entry).digest();
}

/** SHA-256(0x01 ‖ left ‖ right). */
export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  return createHash("sha256").update(NODE).update(left).update(right).digest();
}

/** The root of a tree without leaves: SHA-256 of nothing. */
export function emptyRoot(): Uint8Array {
  return createHash("sha256").digest();
}

/**
 * All that appending needs of a tree: its size, and the roots of its complete subtrees, largest first (one for each bit that is
 * set in the size). Plain data: it can be stored and restored as it is.
 */
export interface Frontier {
  size: number;
  hashes: Uint8Array[];
}

export function createFrontier(): Frontier {
  return { size: 0, hashes: [] };
}

/** Appends one leaf hash in place: at most as many node hashes as the size has trailing ones. */
export function appendLeaf(frontier: Frontier, leaf: Uint8Array): void {
  let hash = leaf;
  for (let size = frontier.size; size % 2 === 1; size = Math.floor(size / 2)) {
    const left = frontier.hashes.pop();
    if (left === undefined) throw new RangeError("a frontier has one hash for each bit of its size");
    hash = nodeHash(left, hash);
  }
  frontier.hashes.push(hash);
  frontier.size += 1;
}

export function frontierSize(frontier: Frontier): number {
  return frontier.size;
}

/** The root of the tree so far. */
export function frontierRoot(frontier: Frontier): Uint8Array {
  const last = frontier.hashes.at(-1);
  if (last === undefined) return emptyRoot();
  return frontier.hashes.slice(0, -1).reduceRight((root, left) => nodeHash(left, root), last);
}

/** A copy that grows on its own. */
export function cloneFrontier(frontier: Frontier): Frontier {
  return { size: frontier.size, hashes: [...frontier.hashes] };
}

/** MTH of these leaf hashes. */
export function rootOf(leaves: readonly Uint8Array[]): Uint8Array {
  return rangeRoot(leaves, 0, leaves.length);
}

function rangeRoot(leaves: readonly Uint8Array[], from: number, to: number): Uint8Array {
  const frontier = createFrontier();
  for (let i = from; i < to; i++) appendLeaf(frontier, leaves[i] as Uint8Array);
  return frontierRoot(frontier);
}

/** The largest power of two below n; n > 1. */
function splitOf(n: number): number {
  let k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}

function demandSize(leaves: readonly Uint8Array[], size: number): void {
  if (!Number.isInteger(size) || size < 0 || size > leaves.length)
    throw new RangeError(`there is no tree of ${size} leaves`);
}

/**
 * PATH(index, D[size]): the audit path of a leaf in the tree of the first `size` leaf hashes, from leaf to root. Hashes
 * every leaf once. Throws a RangeError unless index < size ≤ leaves.
 */
export function inclusionProof(leaves: readonly Uint8Array[], index: number, size: number): Uint8Array[] {
  demandSize(leaves, size);
  if (!Number.isInteger(index) || index < 0 || index >= size) throw new RangeError(`there is no leaf ${index}`);
  const proof: Uint8Array[] = [];
  let from = 0;
  let to = size;
  while (to - from > 1) {
    const middle = from + splitOf(to - from);
    if (index < middle) {
      proof.push(rangeRoot(leaves, middle, to));
      to = middle;
    } else {
      proof.push(rangeRoot(leaves, from, middle));
      from = middle;
    }
  }
  return proof.reverse();
}

/**
 * PROOF(oldSize, D[newSize]): that the tree of `newSize` leaves only appends to the tree of `oldSize`. Empty for equal sizes and
 * for the empty tree. Throws a RangeError unless oldSize ≤ newSize ≤ leaves.
 */
export function consistencyProof(leaves: readonly Uint8Array[], oldSize: number, newSize: number): Uint8Array[] {
  demandSize(leaves, newSize);
  demandSize(leaves, oldSize);
  if (oldSize > newSize) throw new RangeError(`a tree of ${newSize} leaves does not extend one of ${oldSize}`);
  if (oldSize === 0 || oldSize === newSize) return [];
  const proof: Uint8Array[] = [];
  let from = 0;
  let to = newSize;
  // Down to the subtree in which the old tree ends.
  while (oldSize !== to) {
    const middle = from + splitOf(to - from);
    if (oldSize <= middle) {
      proof.push(rangeRoot(leaves, middle, to));
      to = middle;
    } else {
      proof.push(rangeRoot(leaves, from, middle));
      from = middle;
    }
  }
  // A verifier knows the old root: it need not be told that subtree when it is the whole old tree.
  if (from > 0) proof.push(rangeRoot(leaves, from, to));
  return proof.reverse();
}

const isCount = (n: number): boolean => Number.isSafeInteger(n) && n >= 0;
const areHashes = (hashes: readonly Uint8Array[]): boolean => hashes.every((hash) => hash.length === HASH_BYTES);
const equal = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

/** Hashes have 32 bytes each. */
export interface InclusionClaim {
  /** The leaf's hash. */
  leaf: Uint8Array;
  /** From 0. */
  index: number;
  /** Leaves of the tree. */
  size: number;
  /** From the leaf's sibling up to the root's child. */
  proof: readonly Uint8Array[];
  root: Uint8Array;
}

/** True if the proof shows the leaf at `index` in the tree (RFC 9162, section 2.1.3.2). False for anything malformed. */
export function verifyInclusion({ leaf, index, size, proof, root }: InclusionClaim): boolean {
  if (!isCount(index) || !isCount(size) || index >= size || !areHashes([leaf, root, ...proof])) return false;
  let node = index;
  let last = size - 1;
  let hash = leaf;
  for (const sibling of proof) {
    if (last === 0) return false;
    if (node % 2 === 1 || node === last) {
      hash = nodeHash(sibling, hash);
      while (node % 2 === 0 && node !== 0) {
        node = Math.floor(node / 2);
        last = Math.floor(last / 2);
      }
    } else {
      hash = nodeHash(hash, sibling);
    }
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 && equal(hash, root);
}

/** Sizes are numbers of leaves; hashes have 32 bytes each, those of the proof in the order of RFC 9162, section 2.1.4.1. */
export interface ConsistencyClaim {
  oldSize: number;
  newSize: number;
  proof: readonly Uint8Array[];
  oldRoot: Uint8Array;
  newRoot: Uint8Array;
}

/**
 * True if the proof shows that the new tree only appends to the old one (RFC 9162, section 2.1.4.2). Nothing is computed, and so
 * nothing is said of the roots themselves, between equal sizes (the roots must be the same bytes) and from size 0 (which every tree
 * extends): the verdicts of transparency-dev's vectors. False for anything malformed.
 */
export function verifyConsistency({ oldSize, newSize, proof, oldRoot, newRoot }: ConsistencyClaim): boolean {
  if (!isCount(oldSize) || !isCount(newSize) || oldSize > newSize) return false;
  if (oldSize === newSize) return proof.length === 0 && equal(oldRoot, newRoot);
  if (oldSize === 0) return proof.length === 0;
  if (!areHashes([oldRoot, newRoot, ...proof])) return false;
  let node = oldSize - 1;
  let last = newSize - 1;
  while (node % 2 === 1) {
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  // At the left edge the old root itself is where the proof starts.
  const [first, ...rest] = node === 0 ? [oldRoot, ...proof] : proof;
  if (first === undefined) return false;
  let oldHash = first;
  let newHash = first;
  for (const sibling of rest) {
    if (last === 0) return false;
    if (node % 2 === 1 || node === last) {
      oldHash = nodeHash(sibling, oldHash);
      newHash = nodeHash(sibling, newHash);
      while (node % 2 === 0 && node !== 0) {
        node = Math.floor(node / 2);
        last = Math.floor(last / 2);
      }
    } else {
      newHash = nodeHash(newHash, sibling);
    }
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 && equal(oldHash, oldRoot) && equal(newHash, newRoot);
}
