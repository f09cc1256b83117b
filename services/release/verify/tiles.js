/**
 * The log's hashes as it serves them (C2SP tlog-tiles): hash i of tile n at level l is the root of the leaves (n·256+i)·256^l up to the
 * next. A proof made of them is worth what `verifyConsistency` says of it: the server is not believed.
 */

import { HASH_BYTES, nodeHash, verifyConsistency } from "./merkle.js";

const TILE_WIDTH = 256;

/** `tile/0/x001/x234/067.p/12`: groups of three digits, all but the last with an x; `.p` and its width unless the tile is full. */
export function tilePath(level, index, width) {
  const digits = String(index);
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, "0").match(/\d{3}/g);
  const last = groups.pop();
  const partial = width === TILE_WIDTH ? "" : `.p/${width}`;
  return `tile/${level}/${groups.map((group) => `x${group}/`).join("")}${last}${partial}`;
}

/** A tile that cannot be had: what should be computed from it is not possible now. */
export class TileMissing extends Error {}

/**
 * A reader of the hashes of the tree of `size` leaves: `(level, position)` -> 32 bytes. `get(path)` answers with `status` and `bytes`; each
 * tile is asked for once, and the full one in place of a partial one that is no more (readers of tlog-tiles do so).
 */
export function hashesOf(size, get) {
  const tiles = new Map();
  const fetchTile = async (level, index) => {
    const width = Math.min(TILE_WIDTH, Math.floor(size / TILE_WIDTH ** level) - index * TILE_WIDTH);
    for (const asked of new Set([width, TILE_WIDTH])) {
      const path = tilePath(level, index, asked);
      const { status, bytes } = await get(`/log/${path}`);
      if (status === 200 && bytes.length === asked * HASH_BYTES) return bytes;
      if (status !== 404) break;
    }
    throw new TileMissing(tilePath(level, index, width));
  };
  return async (level, position) => {
    const index = Math.floor(position / TILE_WIDTH);
    const key = `${level}/${index}`;
    if (!tiles.has(key)) tiles.set(key, fetchTile(level, index));
    const at = (position % TILE_WIDTH) * HASH_BYTES;
    return (await tiles.get(key)).subarray(at, at + HASH_BYTES);
  };
}

/** The largest power of two below n; n > 1. */
function splitOf(n) {
  let power = 1;
  while (power * 2 < n) power *= 2;
  return power;
}

/** The root of the leaves `from` up to and without `to`, which is one hash of a tile wherever tiles hold it. */
async function rangeRoot([from, to], hashAt) {
  const leaves = to - from;
  for (let level = 0; TILE_WIDTH ** level <= leaves; level++)
    if (TILE_WIDTH ** level === leaves) return hashAt(level, from / leaves);
  const middle = from + splitOf(leaves);
  const halves = [rangeRoot([from, middle], hashAt), rangeRoot([middle, to], hashAt)];
  return nodeHash(...(await Promise.all(halves)));
}

/** PROOF(oldSize, D[newSize]) of RFC 6962, section 2.1.2, from the hashes of the new tree; 0 < oldSize < newSize. */
export async function consistencyProof(oldSize, newSize, hashAt) {
  const ranges = [];
  let from = 0;
  let to = newSize;
  // Down to the subtree in which the old tree ends; of each split, the other half is in the proof.
  while (oldSize !== to) {
    const middle = from + splitOf(to - from);
    const goesLeft = oldSize <= middle;
    ranges.push(goesLeft ? [middle, to] : [from, middle]);
    if (goesLeft) to = middle;
    else from = middle;
  }
  // A verifier knows the old root: it need not be told that subtree when it is the whole old tree.
  if (from > 0) ranges.push([from, to]);
  return Promise.all(ranges.reverse().map((range) => rangeRoot(range, hashAt)));
}

/**
 * Whether the tree with the smaller size is the beginning of the other one, by the log's own hashes. `one`, `other`: `{size, root}`.
 * Throws TileMissing if they cannot be had.
 */
export async function isSameLog(one, other, get) {
  const [older, newer] = one.size <= other.size ? [one, other] : [other, one];
  const grew = older.size > 0 && older.size < newer.size;
  const proof = grew ? await consistencyProof(older.size, newer.size, hashesOf(newer.size, get)) : [];
  return verifyConsistency({
    oldSize: older.size,
    newSize: newer.size,
    proof,
    oldRoot: older.root,
    newRoot: newer.root,
  });
}
