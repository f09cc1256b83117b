import type { Pool } from "pg";
import type { Definition } from "../../shared/definition/schema.ts";
import { applyToRoad, createRoad, loadRoad, type Road, saveRoad } from "../../shared/embargo/road.ts";
import { LogBroken, type LogCheckpoint, type LogReader, type ReadEntry } from "../../shared/platform/log-reader.ts";
import { withTransaction } from "../../shared/platform/postgres.ts";
import { openPart, sealPart } from "../../shared/platform/snapshot-seal.ts";
import { applyEntry, createTabulation, size, type Tabulation } from "../../shared/results/fold.ts";
import { loadTabulation, saveTabulation } from "../../shared/results/save.ts";
import { selectParts, selectPosition, upsertParts, upsertPosition } from "./store.ts";

/**
 * The fold over the log, kept between starts: exactly once, because what was derived and how far it goes are stored in one
 * transaction. A crash anywhere leaves the last stored position and its parts, and folding on from there leads to the same.
 */
export interface Fold {
  reader: LogReader;
  tabulation: Tabulation;
  road: Road;
  /** The checkpoint of the last entry folded, and when that entry was received; null before any. */
  last: { checkpoint: LogCheckpoint; received: string } | null;
}

export interface FoldSources {
  pool: Pool;
  definition: Definition;
  hash: string;
  /** Opens and seals what is stored: `vaultSecret(…, "snapshot/tabulate")`. */
  snapshotKey: Uint8Array;
  createReader: () => LogReader;
}

/** The part that holds what is not figures: the road and the last checkpoint. States have two letters, so it is none. */
const ROAD_PART = "road";

/** Opens the stored fold, or begins at the start of the log. Throws LogBroken if the log is not the one that was folded. */
export async function openFold(sources: FoldSources): Promise<Fold> {
  const { pool, definition, hash, snapshotKey } = sources;
  const reader = sources.createReader();
  // One snapshot of both tables: the service before this one may still be committing its last.
  const stored = await withTransaction(pool, async (client) => {
    await client.query("set transaction isolation level repeatable read, read only");
    return { position: await selectPosition(client), parts: await selectParts(client) };
  });
  if (stored.position === undefined)
    return { reader, tabulation: createTabulation(definition, hash), road: createRoad(definition), last: null };
  const parts = new Map([...stored.parts].map(([name, sealed]) => [name, openPart(snapshotKey, name, sealed)]));
  const tabulation = loadTabulation(definition, hash, parts);
  const rest = JSON.parse(Buffer.from(parts.get(ROAD_PART) ?? "").toString("utf8")) as {
    road: string;
    last: Fold["last"];
  };
  const road = loadRoad(rest.road);
  const at = stored.position;
  if (size(tabulation) !== at || road.size !== at || rest.last?.checkpoint.size !== at)
    throw new Error(`the stored position is ${at}, its parts are of ${size(tabulation)} and ${road.size}`);
  await reader.startAt(at);
  return { reader, tabulation, road, last: rest.last };
}

/** Folds up to the committed head. Returns how many entries came. Throws LogBroken; the fold is not to be used then. */
export async function advance(fold: Fold): Promise<number> {
  const from = fold.reader.position();
  const head = await fold.reader.head();
  if (head === undefined || head.size === from) return 0;
  for await (const entry of fold.reader.read(from, head.size)) {
    applyOne(fold, entry);
    if (entry.checkpoint !== null) fold.last = { checkpoint: entry.checkpoint, received: entry.received };
  }
  return head.size - from;
}

function applyOne(fold: Fold, read: ReadEntry): void {
  const { entry } = read;
  try {
    applyEntry(fold.tabulation, read);
  } catch (cause) {
    throw new LogBroken(`entry ${read.index} was accepted and cannot be counted`, { cause });
  }
  applyToRoad(fold.road, read, entry.type === "definition" ? null : entry.key);
  // A part is stored again after any entry of its state: that it was not would tell of a quarantine before the lift.
  const state = entry.type === "definition" ? undefined : entry.state;
  for (const count of fold.tabulation.states) if (count.state.id === state) count.changed = true;
}

/** Stores parts and position in one transaction. After a throw the fold is to be opened again: the outcome is unknown. */
export async function saveFold(fold: Fold, sources: FoldSources): Promise<void> {
  const { pool, snapshotKey } = sources;
  const at = size(fold.tabulation);
  const parts = saveTabulation(fold.tabulation, { changedOnly: true });
  const rest = JSON.stringify({ road: saveRoad(fold.road), last: fold.last });
  parts.set(ROAD_PART, Buffer.from(rest, "utf8"));
  const sealed = new Map([...parts].map(([name, bytes]) => [name, sealPart(snapshotKey, name, bytes)]));
  // The commit point. A crash before it leaves the former position with its parts, one after it this one with these.
  await withTransaction(pool, async (client) => {
    await upsertParts(client, sealed);
    await upsertPosition(client, at);
  });
}
