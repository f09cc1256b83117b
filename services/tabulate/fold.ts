import type { Pool } from "pg";
import type { Definition } from "../../shared/definition/schema.ts";
import { applyToRoad, createRoad, loadRoad, type Road, saveRoad } from "../../shared/embargo/road.ts";
import { applyToLeftOut, createLeftOut, isLeftOut, type LeftOut } from "../../shared/ledger/left-out.ts";
import { LogBroken, type LogCheckpoint, type LogReader, type ReadEntry } from "../../shared/platform/log-reader.ts";
import { withTransaction } from "../../shared/platform/postgres.ts";
import { openPart, sealPart } from "../../shared/platform/snapshot-seal.ts";
import { applyEntry, createTabulation, size, type Tabulation } from "../../shared/results/fold.ts";
import { loadTabulation, mostPartBytes, saveTabulation } from "../../shared/results/save.ts";
import { selectParts, selectPosition, upsertParts, upsertPosition } from "./store.ts";

/**
 * The fold over the log, kept between starts: exactly once, because what was derived and how far it goes are stored in one
 * transaction. A crash anywhere leaves the last stored position and its parts, and folding on from there leads to the same.
 */
export interface Fold {
  reader: LogReader;
  tabulation: Tabulation;
  road: Road;
  /** What the revocations that were folded leave out. */
  leftOut: LeftOut;
  /** The checkpoint of the last entry folded, and when that entry was received; null before any. */
  last: { checkpoint: LogCheckpoint; received: string } | null;
  /**
   * Another reader, at the start of the log: to count anew while `reader` stays where it is. A position that went back would
   * tell, before the lift, that something of a revoked key had been accepted.
   */
  readAnew: () => LogReader;
  /** Why what was stored is not used, and everything is folded from the start of the log; null if it is used, or nothing was there. */
  refused: Error | null;
}

export interface FoldSources {
  pool: Pool;
  definition: Definition;
  hash: string;
  /** Opens and seals what is stored: `vaultSecret(…, "snapshot/tabulate")`. */
  snapshotKey: Uint8Array;
  createReader: () => LogReader;
}

/** The part of the whole, as `saveTabulation` names it. */
const UNION_PART = "EU";
/** The part that holds what is not figures: the road and the last checkpoint. States have two letters, so it is none. */
const ROAD_PART = "road";
/** A part of its own, for which the least length is enough: which keys were counted would otherwise show in the road's. */
const LEFT_OUT_PART = "left-out";

interface Stored {
  position: number | undefined;
  parts: ReadonlyMap<string, Uint8Array>;
}

/**
 * Opens the stored fold, or begins at the start of the log: if there is none, or if what lies there is not what was stored. Whoever holds
 * this service's database password can write there and nobody can clean it up in the night, so a bad snapshot costs time and no more.
 * Throws LogBroken if the log is not the one that was folded.
 */
export async function openFold(sources: FoldSources): Promise<Fold> {
  const { pool, definition } = sources;
  const names = [UNION_PART, ROAD_PART, LEFT_OUT_PART, ...definition.states.map(({ id }) => id)];
  // One snapshot of both tables: the service before this one may still be committing its last.
  const stored = await withTransaction(pool, async (client) => {
    await client.query("set transaction isolation level repeatable read, read only");
    return { position: await selectPosition(client), parts: await selectParts(client, names) };
  });
  const kept = loadStored(sources, stored);
  const reader = sources.createReader();
  const readers = { reader, readAnew: sources.createReader };
  if ("refused" in kept) return { ...begin(sources), ...kept, ...readers };
  await reader.startAt(size(kept.tabulation));
  return { ...kept, refused: null, ...readers };
}

/** The fold of no entry. Every state counts as changed, so that the first snapshot replaces whatever lies under its name. */
function begin({ definition, hash }: FoldSources) {
  const tabulation = createTabulation(definition, hash);
  for (const state of tabulation.states) state.changed = true;
  return { tabulation, road: createRoad(definition), leftOut: createLeftOut(), last: null };
}

/** What was stored, or why it is not used. It asks nobody: whatever goes wrong in here is the fault of what lies there. */
function loadStored(
  { definition, hash, snapshotKey }: FoldSources,
  { position, parts: sealed }: Stored,
): Pick<Fold, "tabulation" | "road" | "leftOut" | "last"> | Pick<Fold, "refused"> {
  if (position === undefined) return { refused: null };
  try {
    const parts = new Map([...sealed].map(([name, bytes]) => [name, openPart(snapshotKey, name, bytes)]));
    const tabulation = loadTabulation(definition, hash, parts);
    const rest = jsonOf(parts, ROAD_PART) as { road: string; last: Fold["last"] };
    const { size: leftOutAt, leftOut } = jsonOf(parts, LEFT_OUT_PART) as { size: number; leftOut: LeftOut };
    const road = loadRoad(rest.road);
    // A part that opens can still be an older one, put back: all must be of the same position.
    const at = [size(tabulation), road.size, rest.last?.checkpoint.size, leftOutAt];
    if (at.some((each) => each !== position))
      throw new Error(`the stored position is ${position}, its parts are of ${at.join(", ")}`);
    return { tabulation, road, leftOut, last: rest.last };
  } catch (error) {
    return { refused: error as Error };
  }
}

function jsonOf(parts: ReadonlyMap<string, Uint8Array>, name: string): unknown {
  const bytes = parts.get(name);
  if (bytes === undefined) throw new Error(`the stored part ${name} is missing`);
  return JSON.parse(Buffer.from(bytes).toString("utf8"));
}

/**
 * Folds up to the committed head. Returns how many entries came. A revocation that leaves out what was counted has the whole
 * prefix counted anew, in the same call: what this leaves behind is the fold of the head or, after a throw or a crash, nothing, and
 * the stored fold begins with the same revocation again. Throws LogBroken; the fold is not to be used then.
 */
export async function advance(fold: Fold): Promise<number> {
  const from = fold.reader.position();
  const head = await fold.reader.head();
  if (head === undefined || head.size === from) return 0;
  let again = await foldTo(fold, fold.reader, head.size);
  while (again) {
    const { definition, hash } = fold.tabulation;
    fold.tabulation = createTabulation(definition, hash);
    again = await foldTo(fold, fold.readAnew(), head.size);
  }
  return head.size - from;
}

/**
 * Folds the entries from a reader's position up to `size`. True if the count has to begin anew: the revocations up to `size` are
 * all known then, so that however many there are it is counted once more and not once for each.
 */
async function foldTo(fold: Fold, reader: LogReader, size: number): Promise<boolean> {
  let again = false;
  for await (const read of reader.read(reader.position(), size)) {
    applyOne(fold, read);
    if (applyToLeftOut(fold.leftOut, read) === "again") again = true;
    if (read.checkpoint !== null) fold.last = { checkpoint: read.checkpoint, received: read.received };
  }
  return again;
}

function applyOne(fold: Fold, read: ReadEntry): void {
  const { entry } = read;
  try {
    applyEntry(fold.tabulation, isLeftOut(fold.leftOut, read) ? { ...read, verdict: "quarantined" } : read);
  } catch (cause) {
    throw new LogBroken(`entry ${read.index} was accepted and cannot be counted`, { cause });
  }
  applyToRoad(fold.road, read, entry.type === "definition" ? null : entry.key);
  markChanged(fold.tabulation, entry);
}

/**
 * A part is stored again after any entry of its state: that it was not would tell of a quarantine before the lift. After a `key`
 * statement all of them are, whether it left out anything that was counted or not.
 */
function markChanged({ states }: Tabulation, entry: ReadEntry["entry"]): void {
  if (entry.type === "definition") return;
  for (const count of states) if (entry.type === "key" || count.state.id === entry.state) count.changed = true;
}

/** Stores parts and position in one transaction. After a throw the fold is to be opened again: the outcome is unknown. */
export async function saveFold(fold: Fold, sources: FoldSources): Promise<void> {
  const { pool, snapshotKey } = sources;
  const at = size(fold.tabulation);
  const parts = saveTabulation(fold.tabulation, { changedOnly: true });
  const rest = JSON.stringify({ road: saveRoad(fold.road), last: fold.last });
  parts.set(ROAD_PART, Buffer.from(rest, "utf8"));
  parts.set(LEFT_OUT_PART, Buffer.from(JSON.stringify({ size: at, leftOut: fold.leftOut }), "utf8"));
  const most = (name: string) => mostPartBytes(fold.tabulation, name);
  const sealed = new Map([...parts].map(([name, bytes]) => [name, sealPart(snapshotKey, name, bytes, most(name))]));
  // The commit point. A crash before it leaves the former position with its parts, one after it this one with these.
  await withTransaction(pool, async (client) => {
    await upsertParts(client, sealed);
    await upsertPosition(client, at);
  });
}
