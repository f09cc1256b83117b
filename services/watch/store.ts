import type { Pool, PoolClient } from "pg";

/** All SQL of this service: it only reads, and nothing that holds or depends on a figure. */

type Db = Pool | PoolClient;

/** What entries of one state and type, received in one slice of time, say in sum. */
export interface FeedRow {
  state: string;
  type: string;
  /** Which slice: seconds since the epoch, divided by its length. */
  slice: number;
  entries: number;
  /** Tallies that the statements hold, corrections counted again. */
  units: number;
  first: Date;
  received: Date;
  lastIndex: number;
}

/** The length of a slice, seconds. */
export const SLICE_S = 5;

/**
 * Entries `from`, …, at most `limit` of them, in sum by state, type and slice. Entries appear in the order of their index and never
 * change, so a sum goes on where the last one ended.
 */
export async function selectFeeds(db: Db, from: number, limit: number): Promise<FeedRow[]> {
  const { rows } = await db.query<FeedRow>(
    `select state, type, floor(extract(epoch from received) / ${SLICE_S})::bigint as slice,
            count(*) as entries, min(received) as first, max(received) as received, max(index) as "lastIndex",
            coalesce(sum((convert_from(body, 'UTF8')::jsonb ->> 'units')::bigint), 0)::bigint as units
       from ledger.entry where index >= $1 and index < $1 + $2 group by state, type, slice`,
    [from, limit],
  );
  return rows;
}

/** The newest cosignatures of checkpoints, the largest size first. */
export async function selectCosignatures(db: Db): Promise<{ size: number; witness: string; at: Date }[]> {
  const { rows } = await db.query<{ size: number; witness: string; at: Date }>(
    "select size, witness, cosigned_at as at from ledger.cosignature order by size desc limit 64",
  );
  return rows;
}

export interface HeadRow {
  size: number;
  signedAt: Date;
  /** Postgres' clock at this look. */
  now: Date;
}

/** The head of the log with its checkpoint; undefined before the ledger's first start. */
export async function selectHead(db: Db): Promise<HeadRow | undefined> {
  const { rows } = await db.query<HeadRow>(
    `select h.size, c.signed_at as "signedAt", clock_timestamp() as now
       from ledger.head h join ledger.checkpoint c on c.size = h.size`,
  );
  return rows[0];
}

/** The definition that this log is about, hex; undefined before the ledger's first start. */
export async function selectDefinition(db: Db): Promise<string | undefined> {
  const { rows } = await db.query<{ definition: string }>(
    "select convert_from(body, 'UTF8')::jsonb ->> 'definition' as definition from ledger.entry where index = 0",
  );
  return rows[0]?.definition;
}

/** What the gate depends on, in the order of the log. */
export interface FactRow {
  index: number;
  kind: "closed" | "extended" | "override" | "hold" | "resume" | "void";
  state: string;
  constituency: string | null;
  until: Date | null;
  /** The entry of the extension that a `void` takes away. */
  voids: number | null;
}

export async function selectFacts(db: Db): Promise<FactRow[]> {
  const { rows } = await db.query<FactRow>(
    "select index, kind, state, constituency, until, voids from ledger.gate_fact order by index",
  );
  return rows;
}

export async function selectLift(db: Db): Promise<{ index: number; at: Date } | undefined> {
  const { rows } = await db.query<{ index: number; at: Date }>("select index, at from ledger.lift");
  return rows[0];
}

/** The last release whose key both counts have given. */
export async function selectLastGiven(db: Db): Promise<{ number: number; size: number; at: Date } | undefined> {
  const { rows } = await db.query<{ number: number; size: number; at: Date }>(
    `select number, min(size) as size, max(given_at) as at from release.key_share
      group by number having count(*) = 2 order by number desc limit 1`,
  );
  return rows[0];
}

/** What the log has announced from entry `from` on: the statements of releases, as received. */
export async function selectAnnounced(
  db: Db,
  from: number,
): Promise<{ index: number; received: Date; clear: Uint8Array }[]> {
  const { rows } = await db.query<{ index: number; received: Date; clear: Uint8Array }>(
    "select index, received, clear from ledger.announced where index >= $1 order by index limit 1000",
    [from],
  );
  return rows;
}

/** The last release that each key of the Parliament has fetched. */
export async function selectDeliveries(db: Db): Promise<{ key: string; number: number; sha256: Buffer; at: Date }[]> {
  const { rows } = await db.query<{ key: string; number: number; sha256: Buffer; at: Date }>(
    "select key, number, sha256, at from release.delivery order by key limit 64",
  );
  return rows;
}

export async function selectPostgresTime(db: Db): Promise<Date> {
  const { rows } = await db.query<{ now: Date }>("select clock_timestamp() as now");
  if (rows[0] === undefined) throw new Error("Postgres gave no time");
  return rows[0].now;
}

/** The first sequence number that a key has not used. */
export async function selectNextSequence(db: Db, key: string): Promise<number> {
  const { rows } = await db.query<{ next: number }>(
    "select coalesce(max(sequence), 0) + 1 as next from ledger.entry where key = $1",
    [key],
  );
  return rows[0]?.next ?? 1;
}
