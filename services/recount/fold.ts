import type { Pool } from "pg";
import type { Definition } from "../../shared/definition/schema.ts";
import { applyToRoad, createRoad, loadRoad, type Road, saveRoad } from "../../shared/embargo/road.ts";
import type { OpenedEntry } from "../../shared/ledger/entry.ts";
import { applyToLeftOut, createLeftOut, isLeftOut, type LeftOut } from "../../shared/ledger/left-out.ts";
import { LogBroken, type LogCheckpoint, type LogReader, type ReadEntry } from "../../shared/platform/log-reader.ts";
import { withTransaction } from "../../shared/platform/postgres.ts";
import { openPart, sealPart } from "../../shared/platform/snapshot-seal.ts";
import { type Count, count, counted, startCount } from "../../shared/recount/count.ts";
import { loadCount, mostBytes, saveCount } from "../../shared/recount/keep.ts";
import { selectParts, selectPosition, upsertPart, upsertPosition } from "./store.ts";

/**
 * Two readings of one log. The road (gate, lift, releases) goes to the head, for what is cosigned must know the last hold. The
 * count stops wherever a candidate stops, for the same bytes come only from the same prefix; what was read beyond
 * waits in memory.
 */
export interface Fold {
  reader: LogReader;
  /** Up to the reader's position. */
  road: Road;
  /** Up to `counted(count)`. */
  count: Count;
  /** What the revocations among the counted entries leave out; one that was only read leaves out nothing yet. */
  leftOut: LeftOut;
  /** Read but not counted yet, in order. */
  waiting: Waiting[];
  /** Tallies in `waiting`. */
  waitingUnits: number;
  /** Of the last entry counted; null before any. */
  last: Prefix | null;
  /** The log's size when the reader last looked; 0 before. */
  head: number;
  /** The reader was at the head when it last looked. */
  atHead: boolean;
  /** Another reader, at the start of the log: to count anew while `reader` stays where it is. */
  readAnew: () => LogReader;
  /** Why what was stored is not used, and everything is counted from the start of the log; null if it is used, or nothing was there. */
  refused: Error | null;
}

/** A prefix that the ledger has signed, and when its last entry was received. */
export interface Prefix {
  checkpoint: LogCheckpoint;
  received: string;
}

type ToCount = OpenedEntry & Pick<ReadEntry, "signers">;

interface Waiting {
  entry: ToCount;
  checkpoint: LogCheckpoint | null;
}

export interface FoldSources {
  pool: Pool;
  definition: Definition;
  hash: string;
  /** Opens and seals what is stored: `vaultSecret(…, "snapshot/recount")`. */
  snapshotKey: Uint8Array;
  createReader: () => LogReader;
}

/** Tallies that wait in memory, about 0.5 kB each: without candidates to count up to, reading stops here. */
export const MAX_WAITING_UNITS = 50_000;

const COUNT_PART = "count";
const ROAD_PART = "road";
/** A part of its own, for which the least length is enough: which keys were counted would otherwise show in the road's. */
const LEFT_OUT_PART = "left-out";

type Kept = Pick<Fold, "road" | "count" | "leftOut" | "last">;

/**
 * Opens the stored count, or begins at the start of the log: if there is none, or if what lies there was not stored by this service. Anyone
 * with its database password can write there: a bad snapshot must cost no more than the time to count again. Throws LogBroken if the log
 * is not the one that was counted.
 */
export async function openFold(sources: FoldSources): Promise<Fold> {
  const { pool, definition, hash } = sources;
  const reader = sources.createReader();
  const begun = { reader, waiting: [], waitingUnits: 0, head: 0, atHead: false, readAnew: sources.createReader };
  const stored = await withTransaction(pool, async (client) => {
    await client.query("set transaction isolation level repeatable read, read only");
    return { position: await selectPosition(client), parts: await selectParts(client) };
  });
  const kept = stored.position === undefined ? undefined : loadKept(sources, stored.position, stored.parts);
  if (kept === undefined || kept instanceof Error) {
    const nothing = { count: startCount(definition, hash), leftOut: createLeftOut(), last: null };
    return { ...begun, ...nothing, road: createRoad(definition), refused: kept ?? null };
  }
  await reader.startAt(counted(kept.count));
  return { ...begun, ...kept, refused: null };
}

/** What was stored at this position, or what is wrong with it. Pure: an error in here is never that of the log or of a connection. */
function loadKept(
  { definition, hash, snapshotKey }: FoldSources,
  position: number,
  parts: ReadonlyMap<string, Uint8Array>,
): Kept | Error {
  const part = (name: string) => {
    const sealed = parts.get(name);
    if (sealed === undefined) throw new Error(`the stored part ${name} is missing`);
    return openPart(snapshotKey, name, sealed);
  };
  const json = (name: string): unknown => JSON.parse(Buffer.from(part(name)).toString("utf8"));
  try {
    const count = loadCount(definition, hash, part(COUNT_PART));
    const { road, last } = json(ROAD_PART) as { road: string; last: Prefix | null };
    const { size, leftOut } = json(LEFT_OUT_PART) as { size: number; leftOut: LeftOut };
    // Each may be true and of another day: an old part that was put back still opens.
    const at = [counted(count), last?.checkpoint.size, size];
    if (at.some((each) => each !== position))
      throw new Error(`the stored position is ${position}, its parts are of ${at.join(", ")}`);
    return { count, road: loadRoad(road), leftOut, last };
  } catch (error) {
    return error as Error;
  }
}

/** Reads on to the committed head, or until too much waits to be counted. Throws LogBroken; the fold is not to be used then. */
export async function readAhead(fold: Fold): Promise<void> {
  const { reader } = fold;
  const head = await reader.head();
  if (head === undefined) return;
  fold.head = head.size;
  while (reader.position() < head.size && fold.waitingUnits < MAX_WAITING_UNITS) {
    for (const { size } of await reader.checkpointsAfter(reader.position(), 16)) {
      for await (const read of reader.read(reader.position(), size)) takeUp(fold, read);
      if (fold.waitingUnits >= MAX_WAITING_UNITS) break;
    }
  }
  fold.atHead = reader.position() >= head.size;
}

function takeUp(fold: Fold, read: ReadEntry): void {
  const { index, received, statement, verdict, signers, checkpoint } = read;
  applyToRoad(fold.road, read, read.entry.type === "definition" ? null : read.entry.key);
  fold.waiting.push({ entry: { index, received, statement, verdict, signers }, checkpoint });
  fold.waitingUnits += unitsOf(read);
}

const unitsOf = ({ statement }: OpenedEntry) => (statement?.type === "tally" ? statement.tallies.length : 0);

/**
 * Counts exactly the first `size` entries, without what the revocations among them leave out; the prefix, or undefined when it
 * cannot: it was counted past, or no checkpoint has that size. `size` must not be beyond the log's head. Throws LogBroken.
 */
export async function countTo(fold: Fold, size: number): Promise<Prefix | undefined> {
  if (counted(fold.count) > size) return undefined;
  let again = countWaiting(fold, size);
  while (fold.reader.position() < size) {
    // Batch by batch: what the candidate counts need not all wait in memory first.
    const [next] = await fold.reader.checkpointsAfter(fold.reader.position(), 1);
    if (next === undefined || next.size > size) break;
    for await (const read of fold.reader.read(fold.reader.position(), next.size)) takeUp(fold, read);
    if (countWaiting(fold, size)) again = true;
  }
  while (again) again = await countAnew(fold);
  return counted(fold.count) === size && fold.last?.checkpoint.size === size ? fold.last : undefined;
}

/** Counts what waits below `size`. True if a revocation among it leaves out what was counted: see `countAnew`. */
function countWaiting(fold: Fold, size: number): boolean {
  let taken = 0;
  let again = false;
  for (const { entry, checkpoint } of fold.waiting) {
    if (entry.index >= size) break;
    if (countOne(fold, entry)) again = true;
    fold.waitingUnits -= unitsOf(entry);
    if (checkpoint !== null) fold.last = { checkpoint, received: entry.received };
    taken++;
  }
  fold.waiting.splice(0, taken);
  return again;
}

function countOne(fold: Fold, entry: ToCount): boolean {
  try {
    count(fold.count, isLeftOut(fold.leftOut, entry) ? { ...entry, verdict: "quarantined" } : entry);
  } catch (cause) {
    throw new LogBroken(`entry ${entry.index} was accepted and cannot be counted`, { cause });
  }
  return applyToLeftOut(fold.leftOut, entry) === "again";
}

/**
 * Counts what was counted once more from the first entry on, by a reader of its own, with every revocation among it known. Nothing is
 * stored before it is done: after a throw or a crash the stored count comes to the same revocation again. True if even so something
 * was counted that is left out.
 */
async function countAnew(fold: Fold): Promise<boolean> {
  const size = counted(fold.count);
  fold.count = startCount(fold.count.definition, fold.count.hash);
  const reader = fold.readAnew();
  // What is counted was proven by a checkpoint at `size` or, when a candidate has no checkpoint's size, above it.
  const [covering] = await reader.checkpointsAfter(size - 1, 1);
  if (covering === undefined) throw new LogBroken(`no checkpoint covers entry ${size - 1}`);
  let again = false;
  for await (const read of reader.read(0, covering.size)) if (read.index < size && countOne(fold, read)) again = true;
  return again;
}

/**
 * Stores count, road and position in one transaction. The road may be ahead of the count: entries that it knows already change
 * nothing when they are read again. After a throw the fold is to be opened again: the outcome is unknown.
 */
export async function saveFold(fold: Fold, sources: FoldSources): Promise<void> {
  const { pool, snapshotKey } = sources;
  const at = counted(fold.count);
  // Between checkpoints there is no place to start from again; a candidate ends at one.
  if (fold.last?.checkpoint.size !== at) return;
  const rest = Buffer.from(JSON.stringify({ road: saveRoad(fold.road), last: fold.last }), "utf8");
  const leftOut = Buffer.from(JSON.stringify({ size: at, leftOut: fold.leftOut }), "utf8");
  const sealed = [
    [COUNT_PART, sealPart(snapshotKey, COUNT_PART, saveCount(fold.count), mostBytes(fold.count))],
    [ROAD_PART, sealPart(snapshotKey, ROAD_PART, rest)],
    [LEFT_OUT_PART, sealPart(snapshotKey, LEFT_OUT_PART, leftOut)],
  ] as const;
  // The commit point. A crash before it leaves the former position with its count, one after it this one with this.
  await withTransaction(pool, async (client) => {
    for (const [name, bytes] of sealed) await upsertPart(client, name, bytes);
    await upsertPosition(client, at);
  });
}
