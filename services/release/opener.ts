import { createHash } from "node:crypto";
import type { DefinitionEntry, Entry } from "../../shared/ledger/entry.ts";
import { HASH_BYTES, leafHash } from "../../shared/ledger/merkle.ts";
import { TILE_WIDTH, widthAt } from "../../shared/ledger/tiles.ts";
import { Problem } from "../../shared/platform/http.ts";
import { LogBroken } from "../../shared/platform/log-reader.ts";
import { open, type Purpose, SealBroken } from "../../shared/platform/seal.ts";
import { OPEN_TYPES } from "../../shared/statement/types.ts";
import type { DataKeys } from "./data-keys.ts";
import type { PublicLog } from "./log.ts";
import type { Shown } from "./shelf.ts";
import type { SealedJudgement, SealedStatement } from "./store.ts";

/**
 * Opens what lies sealed, for whoever may see it. The database is not believed: an entry is one that hashes into the verified log, and
 * nothing is given that does not hash to what the entry has committed to since it came.
 */
export interface Opener {
  /** The entry of these bytes; undefined beyond the log as it is served. Rejects with LogBroken if the log holds another one. */
  entry(index: number, body: Uint8Array): Promise<LogEntry | undefined>;
  /** The entries `from` up to and without `to`, of one tile; fewer where the log as it is served ends. Rejects likewise. */
  entries(from: number, to: number): Promise<LogEntry[]>;
  /**
   * The statement as received; `known`: as it lies, if that was read already. Only for an entry that is open (`opennessOf`). Rejects with LogBroken if what lies there is not it, and
   * with Problem `service.unavailable` while a share of its key is missing.
   */
  statement(entry: Entry, known?: SealedStatement | null): Promise<Uint8Array>;
  /** The judgement's canonical JSON, likewise. */
  judgement(entry: Entry, stored: SealedJudgement): Promise<Uint8Array>;
  /** Rejects with Problem `service.unavailable` while a share of any of these keys (16 bytes) is missing. */
  demandKeys(ids: readonly Uint8Array[]): Promise<void>;
}

export type LogEntry = Entry | DefinitionEntry;

export interface OpenerSources {
  /** Entries' bytes from `from` up to and without `to`. */
  selectBodies: (from: number, to: number) => Promise<Uint8Array[]>;
  log: Pick<PublicLog, "size" | "tile" | "reach">;
  keys: DataKeys;
  selectSealed: (index: number) => Promise<SealedStatement | undefined>;
}

/** Both counts give their shares right after those of the release: within a second, for what a minute holds. */
const SHARES_MS = 1_000;

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const hexOf = (id: Uint8Array) => Buffer.from(id).toString("hex");

export function createOpener({ log, keys, selectSealed, selectBodies }: OpenerSources): Opener {
  /** The hashes of a tile's leaves as they are served: views of 32 bytes. */
  const leavesOf = async (tile: number): Promise<Uint8Array[]> => {
    const width = widthAt(log.size(), 0, tile);
    const hashes = (width === 0 ? undefined : await log.tile(0, tile, width)) ?? new Uint8Array();
    return Array.from({ length: hashes.length / HASH_BYTES }, (_, n) =>
      hashes.subarray(n * HASH_BYTES, (n + 1) * HASH_BYTES),
    );
  };

  /** The ledger signed a tree with this leaf: it is what the ledger writes, and needs no schema. */
  const read = (index: number, body: Uint8Array, leaf: Uint8Array): LogEntry => {
    if (Buffer.compare(leafHash(body), leaf) !== 0) throw new LogBroken(`entry ${index}: the log holds another one`);
    return JSON.parse(Buffer.from(body).toString("utf8")) as LogEntry;
  };

  const keyOf = async (id: string) => {
    const key = await keys.find(id);
    if (key !== undefined) return key;
    throw new Problem("service.unavailable", {
      detail: "Its key is still being given.",
      retryAfterSeconds: SHARES_MS / 1000,
    });
  };

  const unseal = async (purpose: Purpose, { index, statement }: Entry, dataKey: Uint8Array, sealed: Uint8Array) => {
    const id = hexOf(dataKey);
    const key = await keyOf(id);
    try {
      return open(key, purpose, statement, sealed);
    } catch (error) {
      if (!(error instanceof SealBroken)) throw error;
      keys.forget(id);
      throw new LogBroken(`entry ${index}: its ${purpose} does not open with its shares`);
    }
  };

  return {
    async entry(index, body) {
      await log.reach(index);
      const leaf = (await leavesOf(Math.floor(index / TILE_WIDTH)))[index % TILE_WIDTH];
      return leaf === undefined ? undefined : read(index, body, leaf);
    },
    async entries(from, to) {
      const leaves = (await leavesOf(Math.floor(from / TILE_WIDTH))).slice(from % TILE_WIDTH).slice(0, to - from);
      const bodies = leaves.length === 0 ? [] : await selectBodies(from, from + leaves.length);
      return leaves.map((leaf, n) => read(from + n, bodies[n] ?? new Uint8Array(), leaf));
    },
    async statement(entry, known) {
      const stored = known ?? (await selectSealed(entry.index));
      if (stored === undefined) throw new LogBroken(`entry ${entry.index}: its statement is missing`);
      const { clear, dataKey, sealed } = stored;
      const isOpen = OPEN_TYPES.has(entry.type);
      if (isOpen && clear === null) throw new LogBroken(`entry ${entry.index}: its statement is not there in clear`);
      const bytes = isOpen && clear !== null ? clear : await unseal("statement", entry, dataKey, sealed);
      if (sha256(bytes) !== entry.statement)
        throw new LogBroken(`entry ${entry.index}: the statement is another one than was committed to`);
      return bytes;
    },
    async judgement(entry, { dataKey, judgement }) {
      const bytes = await unseal("judgement", entry, dataKey, judgement);
      // The commitment is the hash of the canonical form, which is what the ledger sealed.
      if (sha256(bytes) !== entry.judgement)
        throw new LogBroken(`entry ${entry.index}: the judgement is another one than was committed to`);
      return bytes;
    },
    async demandKeys(ids) {
      for (const id of ids) await keyOf(hexOf(id));
    },
  };
}

export type Openness = "open" | "embargo.in-force" | "statement.not-released" | "statement.withheld";

/**
 * Whether a statement may be given, by its verified entry and the last release that this process serves (undefined before the lift): what
 * lies in the database beyond that release does not matter. A judgement may be given if it is below the release and not withheld.
 */
export function opennessOf({ type, state, index }: Entry, shown: Shown | undefined): Openness {
  if (OPEN_TYPES.has(type)) return "open";
  if (shown === undefined) return "embargo.in-force";
  if (index >= shown.listed.size) return "statement.not-released";
  return shown.withheld.has(state) ? "statement.withheld" : "open";
}
