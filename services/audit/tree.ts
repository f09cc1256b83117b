import { HASH_BYTES, leafHash } from "../../shared/ledger/merkle.ts";
import {
  createTileTree,
  decodeBundle,
  encodeBundle,
  rootFromTiles,
  TILE_WIDTH,
  type Tile,
  type TileTree,
  tilesOf,
  widthAt,
} from "../../shared/ledger/tiles.ts";
import { ahead } from "../../shared/platform/publisher/ahead.ts";
import type { Head } from "../../shared/platform/publisher/checkpoint.ts";
import type { Client } from "../../shared/platform/publisher/client.ts";
import { Discrepancy } from "../../shared/platform/publisher/discrepancy.ts";
import {
  bundleAddress,
  bundlesOf,
  claimedIndex,
  fetchBundle,
  fetchTile,
  tileAddress,
} from "../../shared/platform/publisher/tiles.ts";
import type { Spool } from "./spool.ts";

/** The log whose every entry was hashed into the checkpoint's root. */
export interface VerifiedLog extends Head {
  /** The root that the log had at an earlier size. */
  rootAt(size: number): Promise<Uint8Array>;
  /** The bytes of 256 entries (fewer at the end). */
  bundle(index: number): Promise<Uint8Array[]>;
  entry(index: number): Promise<Uint8Array>;
}

export interface TreeSources {
  client: Client;
  spool: Spool;
  /** How many entries and tiles have been compared so far. */
  progress(entries: number, tiles: number): void;
}

/** Bundles and their tiles that are fetched at the same time: two requests each, about 100 kB. */
const BUNDLES_AHEAD = 8;
const TILES_AHEAD = 16;

const same = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0;

/**
 * Fetches every entry bundle and every tile of every level, builds the tree again from the entries alone, and compares: the root with the
 * checkpoint's, and each tile with the tree. Throws Discrepancy with what is not the signed log's: a tile, a bundle, or the
 * checkpoint itself. Keeps 1/256 of the hashes in memory and the entries in the spool.
 */
export async function verifyTree(head: Head, sources: TreeSources): Promise<VerifiedLog> {
  const { byEntries, firstDifference } = await hashEntries(head, sources);
  if (!same(byEntries.root(), head.root)) throw notOfTheCheckpoint(head, firstDifference);
  if (firstDifference !== undefined) {
    const { tile, index } = firstDifference;
    const what = `Hash ${index % TILE_WIDTH} of ${tileAddress(tile)} is not that of entry ${index}, which the checkpoint covers.`;
    throw new Discrepancy("tile.differs", { path: tileAddress(tile), index }, what);
  }
  await compareUpperTiles(head, byEntries, sources);
  return verifiedLog(head, byEntries, sources);
}

/** Where entries and level 0 part ways first; both trees from there on, since either may be the wrong one. */
interface Difference {
  tile: Tile;
  index: number;
  said: number | undefined;
  byTiles: TileTree;
}

async function hashEntries(
  { size }: Head,
  sources: TreeSources,
): Promise<{ byEntries: TileTree; firstDifference: Difference | undefined }> {
  const byEntries = createTileTree();
  let firstDifference: Difference | undefined;
  const work = (n: number) => bundleWithTile(n, widthAt(size, 0, n), sources);
  for await (const { tile, hashes, entries } of ahead(bundlesOf(size), work, { items: BUNDLES_AHEAD })) {
    for (const [n, entry] of entries.entries()) {
      const leaf = leafHash(entry);
      const served = hashes.subarray(n * HASH_BYTES, (n + 1) * HASH_BYTES);
      if (firstDifference === undefined && !same(leaf, served)) {
        const index = byEntries.size();
        firstDifference = { tile, index, said: claimedIndex(entry), byTiles: byEntries.copy() };
      }
      firstDifference?.byTiles.append(Uint8Array.from(served));
      byEntries.append(leaf);
    }
    sources.progress(byEntries.size(), tile.index + 1);
  }
  return { byEntries, firstDifference };
}

interface BundleWithTile {
  tile: Tile;
  hashes: Uint8Array;
  entries: Uint8Array[];
}

/** A bundle from an interrupted run is taken if it is what the tile says now; otherwise the publisher is asked for it again. */
async function bundleWithTile(index: number, width: number, { client, spool }: TreeSources): Promise<BundleWithTile> {
  const tile = { level: 0, index, width };
  const name = bundleName(index, width);
  const [hashes, kept] = await Promise.all([fetchTile(client, tile), spool.read(name)]);
  const before = kept && decodeBundle(kept);
  if (before?.length === width && same(Buffer.concat(before.map(leafHash)), hashes))
    return { tile, hashes, entries: before };
  const entries = await fetchBundle(client, index, width);
  await spool.write(name, encodeBundle(entries));
  return { tile, hashes, entries };
}

const bundleName = (index: number, width: number) => `entries-${index}-${width}`;

/** Which of the three is the odd one out: the entries, when the tiles do hash to the checkpoint; otherwise the checkpoint. */
function notOfTheCheckpoint(head: Head, difference: Difference | undefined): Discrepancy {
  const hex = Buffer.from(head.root).toString("base64");
  if (difference === undefined || !same(difference.byTiles.root(), head.root))
    return new Discrepancy(
      "checkpoint.differs",
      { path: "/log/checkpoint" },
      `The ${head.size} entries that are served do not hash to the checkpoint's root ${hex}.`,
    );
  const { tile, index, said } = difference;
  const path = bundleAddress(tile.index, tile.width);
  const instead = said === undefined || said === index ? "" : ` What lies there calls itself entry ${said}.`;
  const what = `Entry ${index} in ${path} is not the one that the checkpoint covers.${instead}`;
  return new Discrepancy("bundle.differs", { path, index }, what);
}

async function compareUpperTiles({ size }: Head, tree: TileTree, { client, progress }: TreeSources): Promise<void> {
  const upper = [...tilesOf(size)].filter(({ level }) => level > 0);
  let compared = Math.ceil(size / TILE_WIDTH);
  const work = async (tile: Tile) => ({ tile, served: await fetchTile(client, tile) });
  for await (const { tile, served } of ahead(upper, work, { items: TILES_AHEAD })) {
    const { level, index, width } = tile;
    const ours = tree.tile(level, index, width);
    if (!same(ours, served)) {
      const at = served.findIndex((byte, n) => byte !== ours[n]);
      const path = tileAddress(tile);
      const what = `Hash ${Math.floor(at / HASH_BYTES)} of ${path} is not that of the entries below it.`;
      throw new Discrepancy("tile.differs", { path }, what);
    }
    progress(size, ++compared);
  }
}

function verifiedLog({ size, root }: Head, tree: TileTree, { spool }: TreeSources): VerifiedLog {
  const bundle = async (index: number): Promise<Uint8Array[]> => {
    const bytes = await spool.read(bundleName(index, widthAt(size, 0, index)));
    const entries = bytes && decodeBundle(bytes);
    if (entries === undefined) throw new Error(`the bundle ${index} of this run has left the disk`);
    return entries;
  };
  const readTile = async ({ level, index, width }: Tile) =>
    level > 0 ? tree.tile(level, index, width) : Buffer.concat((await bundle(index)).slice(0, width).map(leafHash));
  return {
    size,
    root,
    rootAt: (earlier) => rootFromTiles(earlier, readTile),
    bundle,
    async entry(index) {
      const entries = await bundle(Math.floor(index / TILE_WIDTH));
      const entry = entries[index % TILE_WIDTH];
      if (entry === undefined) throw new RangeError(`the log has no entry ${index}`);
      return entry;
    },
  };
}
