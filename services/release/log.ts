import type { Pool } from "pg";
import type { Logger } from "pino";
import { inclusionFromTiles, TILE_WIDTH, type TileTree, widthAt } from "../../shared/ledger/tiles.ts";
import { Problem } from "../../shared/platform/http.ts";
import type { RaiseIncident } from "../../shared/platform/incidents.ts";
import { LogBroken } from "../../shared/platform/log-reader.ts";
import { checkCheckpoint, type HeadSources, nextVerified, type Published, rootAt, type Verified } from "./log-head.ts";
import { createTiles, type TileSources } from "./log-tiles.ts";
import type { Representation } from "./representation.ts";
import * as store from "./store.ts";

export interface LogSources extends HeadSources, TileSources {
  selectCheckpoint: (size: number) => Promise<store.CheckpointRow | undefined>;
  /** Whether there is a checkpoint of a size from `from` up to and with `to`. */
  hasCheckpoint: (from: number, to: number) => Promise<boolean>;
  raise: RaiseIncident;
  log: Logger;
}

type StoredLog =
  | "selectHead"
  | "selectCheckpoint"
  | "selectCosigned"
  | "hasCheckpoint"
  | "selectLeaves"
  | "selectBodies";

/** What is asked of the database: nothing that it says is believed. */
export function storedLogIn(pool: Pool): Pick<LogSources, StoredLog> {
  return {
    selectHead: () => store.selectHead(pool),
    selectCheckpoint: (size) => store.selectCheckpoint(pool, size),
    selectCosigned: (from, to, quorum) => store.selectCosigned(pool, from, to, quorum),
    hasCheckpoint: (from, to) => store.hasCheckpoint(pool, from, to),
    selectLeaves: (from, to) => store.selectLeaves(pool, from, to),
    selectBodies: (from, to) => store.selectBodies(pool, from, to),
  };
}

/**
 * The log as it is served: as far as it has been hashed and compared with a signed checkpoint. What it gives may reject with LogBroken, or
 * with whatever the database says: see `guarded`.
 */
export interface PublicLog {
  /** One look for a newer head; answers the ms until the next. Never rejects. */
  round(): Promise<number>;
  /** `looked`: the last look reached the database. `broken`: something in it is not what was signed. */
  status(): { looked: boolean; broken: boolean };
  /** Entries that are served; 0 before the ledger's first start. */
  size(): number;
  /** What is served as the head: cosigned by a quorum unless that lags too far behind. Never smaller than the one before it. */
  checkpoint(): Published | undefined;
  /** What a proof of this entry is best made against: the newest checkpoint with a quorum, else the head. */
  newestWith(index: number): Published | undefined;
  /** The checkpoint of this size; undefined if there is none. */
  published(size: number): Promise<Published | undefined>;
  /** RFC 6962's path of an entry in the tree of `size`. A RangeError for what the log as served does not have. */
  inclusion(index: number, size: number): Promise<Uint8Array[]>;
  /** Undefined for what the log as served does not have, and for a narrower tile than it has of which no checkpoint was made. */
  tile(level: number, index: number, width: number): Promise<Uint8Array | undefined>;
  bundle(index: number, width: number): Promise<Representation | undefined>;
  /** Looks for a newer head unless entry `index` is served: who asks may have its receipt from before the hint came. */
  reach(index: number): Promise<void>;
  /** Runs it; what it throws becomes a Problem, and what is broken an incident. */
  guarded<T>(work: () => Promise<T>): Promise<T>;
}

/** Hints come with every batch; a lost one costs at most this. */
export const LOOK_MS = 1_000;

/** A fold over the log's leaves that keeps the tree above them. */
export function createPublicLog(sources: LogSources): PublicLog {
  const tiles = createTiles(sources);
  const looker = createLooker(sources, (verified) => nextVerified(sources, tiles, verified));
  const { reach, verified } = looker;

  /** The tree, if it has that tile and, where it is wider by now, once had it just so. */
  const treeWith = async (level: number, index: number, width: number): Promise<TileTree | undefined> => {
    const first = (index * TILE_WIDTH + width) * TILE_WIDTH ** level;
    await reach(first - 1);
    const tree = verified()?.tree;
    const widest = tree === undefined ? 0 : widthAt(tree.size(), level, index);
    if (tree === undefined || width > widest) return undefined;
    const last = Math.min(tree.size(), first + TILE_WIDTH ** level - 1);
    return width === widest || (await sources.hasCheckpoint(first, last)) ? tree : undefined;
  };

  return {
    async round() {
      await looker.look();
      return LOOK_MS;
    },
    status: () => ({ looked: looker.looked(), broken: looker.broken() || tiles.damaged() }),
    size: () => verified()?.tree.size() ?? 0,
    checkpoint: () => verified()?.shown,
    newestWith(index) {
      const { tree, quorum, head } = verified() ?? {};
      if (tree === undefined || index >= tree.size()) return undefined;
      return quorum !== undefined && index < quorum.size ? quorum : head;
    },
    async published(size) {
      const { tree, authorities } = verified() ?? {};
      if (tree === undefined || authorities === undefined || size > tree.size()) return undefined;
      const row = await sources.selectCheckpoint(size);
      const trust = { authorities, witnesses: sources.witnesses };
      return row && checkCheckpoint(trust, row, await rootAt(tiles, tree, size));
    },
    async inclusion(index, size) {
      const tree = verified()?.tree;
      if (tree === undefined || size > tree.size()) throw new RangeError(`the log as served has no tree of ${size}`);
      return inclusionFromTiles(index, size, (tile) => tiles.hashes(tree, tile));
    },
    async tile(level, index, width) {
      const tree = await treeWith(level, index, width);
      return tree && tiles.hashes(tree, { level, index, width });
    },
    async bundle(index, width) {
      const tree = await treeWith(0, index, width);
      return tree && tiles.entries(tree, index, width);
    },
    reach,
    guarded: looker.guarded,
  };
}

/** Keeps the last verified log, and what is wrong with the one in the database. */
function createLooker(
  { raise, log }: LogSources,
  next: (verified: Verified | undefined) => Promise<Verified | undefined>,
) {
  let verified: Verified | undefined;
  let looked = false;
  let broken = false;
  let looking: Promise<void> | undefined;
  /** What was raised once is not raised again: every round, and everyone who asks, finds the same. */
  const raised = new Set<string>();

  const breaks = async ({ message }: LogBroken) => {
    if (raised.has(message)) return;
    raised.add(message);
    await raise({ code: "log.broken", about: message });
  };

  const lookNow = async (): Promise<void> => {
    try {
      // From here on it is public.
      verified = (await next(verified)) ?? verified;
      looked = true;
      broken = false;
    } catch (error) {
      looked = broken = error instanceof LogBroken;
      if (error instanceof LogBroken) await breaks(error);
      else log.warn({ err: error }, "the look at the log failed");
    }
  };

  /** One at a time, for however many wait. */
  const look = (): Promise<void> => {
    looking ??= lookNow().finally(() => {
      looking = undefined;
    });
    return looking;
  };

  return {
    verified: () => verified,
    looked: () => looked,
    broken: () => broken,
    look,
    async reach(index: number): Promise<void> {
      const isThere = () => index < (verified?.tree.size() ?? 0);
      // A look that was under way may have begun too early.
      if (!isThere()) await looking;
      if (!isThere()) await look();
    },
    async guarded<T>(work: () => Promise<T>): Promise<T> {
      try {
        return await work();
      } catch (error) {
        if (error instanceof Problem) throw error;
        if (error instanceof LogBroken) await breaks(error);
        throw new Problem("service.unavailable", { retryAfterSeconds: LOOK_MS / 1000, cause: error });
      }
    },
  };
}
