import { createTileTree, type ReadTile, rootFromTiles, TILE_WIDTH, type TileTree } from "../../shared/ledger/tiles.ts";
import { LogBroken } from "./receipts.ts";
import { type Db, readLeaves } from "./store.ts";

/** Leaves read at once: two megabytes of hashes. */
const CHUNK = 65_536;

/** The log's tree as committed, for proofs: it follows the database and never runs ahead of it. */
export interface CommittedTree {
  /** Reads on until it has `size` leaves; rejects with LogBroken if its root is not `root`. */
  grow(size: number, root: Uint8Array): Promise<void>;
  /** The root of the first `size` leaves; it must have grown so far. */
  rootAt(size: number): Promise<Uint8Array>;
  read: ReadTile;
}

/** `db` must go on being the database that it is. */
export function createCommittedTree(db: Db): CommittedTree {
  const tree = createTileTree();
  let turn = Promise.resolve();
  const read: ReadTile = async ({ level, index, width }) => {
    const isOpen = index === Math.floor(tree.size() / TILE_WIDTH);
    if (level > 0 || isOpen) return tree.tile(level, index, width);
    return Buffer.concat(await readLeaves(db, index * TILE_WIDTH, width));
  };
  const extend = async (size: number, root: Uint8Array) => {
    if (size <= tree.size()) return;
    await fill(db, tree, size);
    if (Buffer.compare(tree.root(), root) !== 0)
      throw new LogBroken(`the leaves do not give the root of the checkpoint of size ${size}`);
  };
  return {
    grow(size, root) {
      const grown = turn.then(() => extend(size, root));
      turn = grown.catch(() => undefined); // told to whoever asked
      return grown;
    },
    rootAt: (size) => rootFromTiles(size, read),
    read,
  };
}

async function fill(db: Db, tree: TileTree, size: number): Promise<void> {
  while (tree.size() < size) {
    const leaves = await readLeaves(db, tree.size(), Math.min(CHUNK, size - tree.size()));
    if (leaves.length === 0) throw new LogBroken(`the log ends at ${tree.size()}, its head is at ${size}`);
    for (const leaf of leaves) tree.append(leaf);
  }
}
