import { HASH_BYTES, leafHash, rootOf } from "../../shared/ledger/merkle.ts";
import {
  decodeBundle,
  encodeBundle,
  entriesPath,
  TILE_WIDTH,
  type Tile,
  type TileTree,
  tilePath,
  widthAt,
} from "../../shared/ledger/tiles.ts";
import { LogBroken } from "../../shared/platform/log-reader.ts";
import { plain, type Representation } from "./representation.ts";

/** Tiles and bundles of the log. What the database gives is hashed into the tree that a signed checkpoint vouches for, or does not leave. */

export interface TileSources {
  /** The leaves' hashes `from` up to and without `to`, one after the other; fewer if there are fewer. */
  selectLeaves: (from: number, to: number) => Promise<Uint8Array>;
  /** The entries' bytes, likewise. */
  selectBodies: (from: number, to: number) => Promise<Uint8Array[]>;
}

export interface Tiles {
  /** The first `width` hashes of a tile that `tree` has. Rejects with LogBroken if the stored leaves are not those of the tree. */
  hashes(tree: TileTree, tile: Tile): Promise<Uint8Array>;
  /** The first `width` entries of a bundle that `tree` has, likewise. */
  entries(tree: TileTree, index: number, width: number): Promise<Representation>;
  /** True while something that was looked for in the database was not what the tree holds. */
  damaged(): boolean;
}

export const OCTETS = "application/octet-stream";

/**
 * Two thousand tiles, and some hundred bundles: the newest part of the log, which is what is asked for. Compressed, a bundle takes as much
 * again.
 */
const TILE_BYTES = 16 * 1024 * 1024;
const BUNDLE_BYTES = 32 * 1024 * 1024;

export function createTiles({ selectLeaves, selectBodies }: TileSources): Tiles {
  const damaged = new Set<string>();
  const tiles = createKept<Uint8Array>(TILE_BYTES, damaged, (bytes) => bytes.length);
  const bundles = createKept<Representation>(BUNDLE_BYTES, damaged, ({ identity }) => identity.length);

  const loadLeaves = async (tree: TileTree, index: number, path: string): Promise<Uint8Array> => {
    const bytes = await selectLeaves(index * TILE_WIDTH, (index + 1) * TILE_WIDTH);
    const leaves = Array.from({ length: bytes.length / HASH_BYTES }, (_, n) =>
      bytes.subarray(n * HASH_BYTES, (n + 1) * HASH_BYTES),
    );
    demandLeaves(tree, { level: 0, index, width: TILE_WIDTH }, leaves, path);
    return bytes;
  };

  const loadEntries = async (tree: TileTree, tile: Tile, path: string): Promise<Representation> => {
    const from = tile.index * TILE_WIDTH;
    const bodies = await selectBodies(from, from + tile.width);
    demandLeaves(tree, tile, bodies.map(leafHash), path);
    return plain(OCTETS, encodeBundle(bodies));
  };

  return {
    async hashes(tree, tile) {
      const { level, index, width } = tile;
      if (level > 0 || index === openTile(tree)) return tree.tile(level, index, width);
      const path = tilePath({ level, index, width: TILE_WIDTH });
      const bytes = await tiles.get(path, () => loadLeaves(tree, index, path));
      return bytes.subarray(0, width * HASH_BYTES);
    },
    async entries(tree, index, width) {
      const widest = widthAt(tree.size(), 0, index);
      const path = entriesPath(index, widest);
      const bundle = await bundles.get(path, () => loadEntries(tree, { level: 0, index, width: widest }, path));
      if (width === widest) return bundle;
      return plain(OCTETS, encodeBundle((decodeBundle(bundle.identity) ?? []).slice(0, width)));
    },
    damaged: () => damaged.size > 0,
  };
}

const openTile = (tree: TileTree) => Math.floor(tree.size() / TILE_WIDTH);

/** A full tile of leaves hashes to one hash of level 1; of the open one the tree keeps the leaves themselves. */
function demandLeaves(tree: TileTree, { index, width }: Tile, leaves: readonly Uint8Array[], path: string): void {
  const isOpen = index === openTile(tree);
  const at = index % TILE_WIDTH;
  const held = isOpen
    ? tree.tile(0, index, width)
    : tree.tile(1, Math.floor(index / TILE_WIDTH), at + 1).subarray(at * HASH_BYTES);
  const found = isOpen ? Buffer.concat(leaves) : rootOf(leaves);
  if (leaves.length !== width || Buffer.compare(held, found) !== 0)
    throw new LogBroken(`what lies in the database for ${path} is not what the log's checkpoint holds`);
}

interface Kept<T> {
  /** What is kept under the path, or else what `load` gives: asked once by however many want it. */
  get(path: string, load: () => Promise<T>): Promise<T>;
}

/** Keeps what was used last, as much as fits in `maxBytes`. Paths that came out broken are in `damaged` until they come out whole. */
function createKept<T>(maxBytes: number, damaged: Set<string>, bytesOf: (value: T) => number): Kept<T> {
  // In order of last use: the oldest first.
  const kept = new Map<string, T>();
  const loading = new Map<string, Promise<T>>();
  let bytes = 0;

  const keep = (path: string, value: T) => {
    kept.set(path, value);
    bytes += bytesOf(value);
    for (const [oldest, old] of kept) {
      if (bytes <= maxBytes) break;
      kept.delete(oldest);
      bytes -= bytesOf(old);
    }
  };

  const loadOnce = async (path: string, load: () => Promise<T>): Promise<T> => {
    try {
      const value = await load();
      damaged.delete(path);
      keep(path, value);
      return value;
    } catch (error) {
      if (error instanceof LogBroken) damaged.add(path);
      throw error;
    } finally {
      loading.delete(path);
    }
  };

  return {
    async get(path, load) {
      const known = kept.get(path);
      if (known !== undefined) {
        kept.delete(path);
        kept.set(path, known);
        return known;
      }
      const begun = loading.get(path) ?? loadOnce(path, load);
      loading.set(path, begun);
      return begun;
    },
  };
}
