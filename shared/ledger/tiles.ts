import { emptyRoot, HASH_BYTES, nodeHash } from "./merkle.ts";

/**
 * The log as tiles of 256 hashes and bundles of 256 entries (C2SP tlog-tiles). Hash i of tile n at level l is the root of the
 * leaves (n·256+i)·256^l up to the next. Sizes and indexes stay below 2^53, so there are seven levels at most, and never
 * go through 32-bit operators.
 */

/** Hashes in a full tile, and entries in a full bundle. */
export const TILE_WIDTH = 256;
/** A tile covers eight levels of the tree. */
const TILE_HEIGHT = 8;
/** The specification's bound; no tree of ours has a tile above level 6. */
const MAX_LEVEL = 63;
/** An entry's length is two bytes in a bundle. */
export const MAX_ENTRY_BYTES = 65_535;

/** Hashes `index * 256` up to `index * 256 + width` of a level. `width`: 1 to 256, and 256 for a full tile. */
export interface Tile {
  level: number;
  index: number;
  width: number;
}

function indexPath(index: number): string {
  const digits = String(index);
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, "0").match(/\d{3}/g) ?? [];
  return groups.map((group, n) => (n === groups.length - 1 ? group : `x${group}`)).join("/");
}

function demandTile({ level, index, width }: Tile): void {
  const isTile =
    Number.isInteger(level) && level >= 0 && level <= MAX_LEVEL && Number.isSafeInteger(index) && index >= 0;
  if (!isTile || !Number.isInteger(width) || width < 1 || width > TILE_WIDTH)
    throw new RangeError(`there is no tile ${level}/${index} of width ${width}`);
}

const widthPath = (width: number) => (width === TILE_WIDTH ? "" : `.p/${width}`);

/** `tile/0/x001/x234/067.p/12`; without `.p` when full. Throws a RangeError for what is no tile. */
export function tilePath(tile: Tile): string {
  demandTile(tile);
  return `tile/${tile.level}/${indexPath(tile.index)}${widthPath(tile.width)}`;
}

/** `tile/entries/000.p/3`; without `.p` when full. Throws a RangeError for what is no bundle. */
export function entriesPath(index: number, width: number): string {
  demandTile({ level: 0, index, width });
  return `tile/entries/${indexPath(index)}${widthPath(width)}`;
}

const PATH = /^tile\/(entries|0|[1-9]\d?)\/((?:x\d{3}\/){0,5}\d{3})(?:\.p\/([1-9]\d{0,2}))?$/;

/**
 * What a path asks for; undefined for anything but the one canonical spelling of a tile (a leading group of zeros, a width of 0
 * or 256, and a level above 63 are not).
 */
export function parseTilePath(
  path: string,
): ({ kind: "hashes" } & Tile) | { kind: "entries"; index: number; width: number } | undefined {
  const [, level, groups, partial] = PATH.exec(path) ?? [];
  if (level === undefined || groups === undefined || groups.startsWith("x000/")) return undefined;
  const index = Number(groups.replaceAll(/[x/]/g, ""));
  const width = partial === undefined ? TILE_WIDTH : Number(partial);
  if (!Number.isSafeInteger(index) || (partial !== undefined && width >= TILE_WIDTH)) return undefined;
  if (level === "entries") return { kind: "entries", index, width };
  return Number(level) > MAX_LEVEL ? undefined : { kind: "hashes", level: Number(level), index, width };
}

/** Hashes at a level of a tree of `size` leaves. */
const hashesAt = (size: number, level: number) => Math.floor(size / TILE_WIDTH ** level);

/** How wide a tile is in a tree of `size` leaves: 256 full, 0 not there. */
export function widthAt(size: number, level: number, index: number): number {
  return Math.max(0, Math.min(TILE_WIDTH, hashesAt(size, level) - index * TILE_WIDTH));
}

/** Every tile of a tree of `size` leaves at its widest, level by level from the leaves up. */
export function* tilesOf(size: number): Generator<Tile> {
  for (let level = 0; hashesAt(size, level) > 0; level++) {
    const tiles = Math.ceil(hashesAt(size, level) / TILE_WIDTH);
    for (let index = 0; index < tiles; index++) yield { level, index, width: widthAt(size, level, index) };
  }
}

/** Each entry behind its length in two bytes, big-endian. Throws a RangeError for more than 256 entries or 65,535 bytes. */
export function encodeBundle(entries: readonly Uint8Array[]): Uint8Array {
  if (entries.length > TILE_WIDTH) throw new RangeError(`a bundle has 256 entries, not ${entries.length}`);
  const parts: Uint8Array[] = [];
  for (const entry of entries) {
    if (entry.length > MAX_ENTRY_BYTES) throw new RangeError(`an entry of ${entry.length} bytes fits no bundle`);
    parts.push(Uint8Array.of(entry.length >> 8, entry.length & 255), entry);
  }
  return Buffer.concat(parts);
}

/** The entries of a bundle, as views into it; undefined if it is cut off anywhere or holds more than 256. */
export function decodeBundle(bytes: Uint8Array): Uint8Array[] | undefined {
  const entries: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const [high, low] = bytes.subarray(at, at + 2);
    if (high === undefined || low === undefined || entries.length === TILE_WIDTH) return undefined;
    const end = at + 2 + high * 256 + low;
    if (end > bytes.length) return undefined;
    entries.push(bytes.subarray(at + 2, end));
    at = end;
  }
  return entries;
}

/**
 * Gives the hashes of a tile as they lie, 32 bytes each, at least `width` of them; it is asked for tiles of level 0 and above, at their
 * widest in the tree asked about. What it gives is believed: whoever asks compares root or proof with a signed checkpoint.
 */
export type ReadTile = (tile: Tile) => Promise<Uint8Array>;

/** Leaves `from` up to and without `to`. `from` is a multiple of the largest power of two that fits, as in RFC 6962's proofs. */
type Range = readonly [from: number, to: number];

/** A complete subtree of 2^k leaves: `count` neighbours in a tile, from 1 to 128. */
interface Subtree {
  tile: Tile;
  first: number;
  count: number;
}

/** The largest power of two that is at most n; n > 0. */
function powerWithin(n: number): number {
  let power = 1;
  while (power * 2 <= n) power *= 2;
  return power;
}

/** The complete subtrees that a range consists of, largest first. */
function subtreesOf([from, to]: Range, size: number): Subtree[] {
  const subtrees: Subtree[] = [];
  for (let at = from; at < to; ) {
    const leaves = powerWithin(to - at);
    let level = 0;
    while (TILE_WIDTH ** (level + 1) <= leaves) level++;
    const position = at / TILE_WIDTH ** level;
    const index = Math.floor(position / TILE_WIDTH);
    subtrees.push({
      tile: { level, index, width: widthAt(size, level, index) },
      first: position % TILE_WIDTH,
      count: leaves / TILE_WIDTH ** level,
    });
    at += leaves;
  }
  return subtrees;
}

function rootWithin(hashes: Uint8Array, first: number, count: number): Uint8Array {
  if (count === 1) return hashes.subarray(first * HASH_BYTES, (first + 1) * HASH_BYTES);
  const half = count / 2;
  return nodeHash(rootWithin(hashes, first, half), rootWithin(hashes, first + half, half));
}

/** The roots of ranges in the tree of `size` leaves. Each tile is read once, and all that are needed at the same time. */
async function rootsOf(ranges: readonly Range[], size: number, read: ReadTile): Promise<Uint8Array[]> {
  const subtrees = ranges.map((range) => subtreesOf(range, size));
  const tiles = new Map(subtrees.flat().map(({ tile }) => [tilePath(tile), tile]));
  const hashes = new Map<string, Uint8Array>();
  const take = async (path: string, tile: Tile) => {
    const bytes = await read(tile);
    if (bytes.length < tile.width * HASH_BYTES)
      throw new RangeError(`${path} has ${bytes.length} bytes and not the ${tile.width * HASH_BYTES} of its hashes`);
    hashes.set(path, bytes);
  };
  await Promise.all([...tiles].map(([path, tile]) => take(path, tile)));
  return subtrees.map((parts) =>
    parts
      .map(({ tile, first, count }) => rootWithin(hashes.get(tilePath(tile)) as Uint8Array, first, count))
      .reduceRight((right, left) => nodeHash(left, right)),
  );
}

function demandSize(size: number): void {
  if (!Number.isSafeInteger(size) || size < 0) throw new RangeError(`there is no tree of ${size} leaves`);
}

/** The root of the first `size` leaves. Rejects with a RangeError for what is no size, or a tile that is too short. */
export async function rootFromTiles(size: number, read: ReadTile): Promise<Uint8Array> {
  demandSize(size);
  if (size === 0) return emptyRoot();
  const [root] = await rootsOf([[0, size]], size, read);
  return root as Uint8Array;
}

/**
 * PATH(index, D[size]) of RFC 6962, from leaf to root: what `inclusionProof` of merkle.ts gives. Rejects with a RangeError unless
 * index < size, or for a tile that is too short.
 */
export async function inclusionFromTiles(index: number, size: number, read: ReadTile): Promise<Uint8Array[]> {
  demandSize(size);
  if (!Number.isInteger(index) || index < 0 || index >= size) throw new RangeError(`there is no leaf ${index}`);
  const ranges: Range[] = [];
  let from = 0;
  let to = size;
  while (to - from > 1) {
    const middle = from + powerWithin(to - from - 1);
    ranges.push(index < middle ? [middle, to] : [from, middle]);
    if (index < middle) to = middle;
    else from = middle;
  }
  return rootsOf(ranges.reverse(), size, read);
}

/**
 * PROOF(oldSize, D[newSize]) of RFC 6962: what `consistencyProof` of merkle.ts gives; empty for equal sizes and for the empty tree.
 * Rejects with a RangeError unless oldSize ≤ newSize, or for a tile that is too short.
 */
export async function consistencyFromTiles(oldSize: number, newSize: number, read: ReadTile): Promise<Uint8Array[]> {
  demandSize(oldSize);
  demandSize(newSize);
  if (oldSize > newSize) throw new RangeError(`a tree of ${newSize} leaves does not extend one of ${oldSize}`);
  if (oldSize === 0 || oldSize === newSize) return [];
  const ranges: Range[] = [];
  let from = 0;
  let to = newSize;
  while (oldSize !== to) {
    const middle = from + powerWithin(to - from - 1);
    ranges.push(oldSize <= middle ? [middle, to] : [from, middle]);
    if (oldSize <= middle) to = middle;
    else from = middle;
  }
  // A verifier knows the old root: it need not be told that subtree when it is the whole old tree.
  if (from > 0) ranges.push([from, to]);
  return rootsOf(ranges.reverse(), newSize, read);
}

/**
 * The tree of a log that grows. It keeps the hashes of level 1 and above (an eighth of a byte for each leaf) and the level-0 tile that is
 * not yet full; full tiles of level 0 are the leaves themselves, which lie elsewhere.
 */
export interface TileTree {
  size(): number;
  /** Appends a leaf's hash (32 bytes, kept as it is). */
  append(leaf: Uint8Array): void;
  root(): Uint8Array;
  /**
   * The first `width` hashes of a tile that is kept: of level 1 and above, or the open one of level 0. Throws a RangeError for any
   * other, and for more hashes than it has.
   */
  tile(level: number, index: number, width: number): Uint8Array;
  /** A copy that grows on its own. */
  copy(): TileTree;
}

export function createTileTree(): TileTree {
  return treeOf(0, [], []);
}

/**
 * `frontier`: roots of the complete subtrees, largest first. `levels`: the hashes of each level that are kept; those of level 0 begin
 * with its open tile.
 */
function treeOf(initialSize: number, frontier: Uint8Array[], levels: Uint8Array[][]): TileTree {
  let size = initialSize;

  const keep = (level: number, hash: Uint8Array) => {
    const hashes = levels[level];
    if (hashes === undefined) levels.push([hash]);
    else hashes.push(hash);
  };

  return {
    size: () => size,
    append(leaf) {
      if (leaf.length !== HASH_BYTES) throw new RangeError(`a leaf's hash has 32 bytes, not ${leaf.length}`);
      let hash = leaf;
      for (let height = 0, count = size; ; height++, count = Math.floor(count / 2)) {
        if (height % TILE_HEIGHT === 0) keep(height / TILE_HEIGHT, hash);
        if (count % 2 === 0) break;
        hash = nodeHash(frontier.pop() as Uint8Array, hash);
      }
      frontier.push(hash);
      size += 1;
      if (size % TILE_WIDTH === 0) levels[0] = [];
    },
    root: () => (size === 0 ? emptyRoot() : frontier.reduceRight((right, left) => nodeHash(left, right))),
    tile(level, index, width) {
      const open = Math.floor(size / TILE_WIDTH);
      if (width < 1 || width > widthAt(size, level, index) || (level === 0 && index !== open))
        throw new RangeError(`the tree of ${size} leaves keeps no tile ${level}/${index} of width ${width}`);
      const from = level === 0 ? 0 : index * TILE_WIDTH;
      return Buffer.concat((levels[level] ?? []).slice(from, from + width));
    },
    copy: () =>
      treeOf(
        size,
        [...frontier],
        levels.map((hashes) => [...hashes]),
      ),
  };
}
