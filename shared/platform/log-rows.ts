import type { Pool } from "pg";

/** All SQL of the log reader. `bytea` as bytes, positions as numbers. What it answers is believed only after it was checked. */

export interface EntryRow {
  index: number;
  type: string;
  body: Uint8Array;
  leaf: Uint8Array;
  sha256: Uint8Array | null;
  data_key: Uint8Array | null;
  wrapped: Uint8Array | null;
  sealed: Uint8Array | null;
  judgement: Uint8Array | null;
}

export interface CheckpointRow {
  size: number;
  note: string | null;
}

/** Entries taken from the database at once, by number and by bytes: a statement may have a megabyte, memory may not. */
const CHUNK_ENTRIES = 512;
const CHUNK_BYTES = 8 * 1024 * 1024;

/** The first entries of those that `which` picks, in order, as many as a chunk holds: at least one if there is one. */
const chunkOf = (which: string) =>
  `select index, type, body, leaf, sha256, data_key, wrapped, sealed, judgement
     from (select e.index, e.type, e.body, e.leaf, s.sha256, s.data_key, k.wrapped, s.sealed, s.judgement,
                  coalesce(sum(length(s.sealed)) over (order by e.index rows between unbounded preceding and 1 preceding), 0) as before
             from ledger.entry e
             left join ledger.statement s using (index)
             left join ledger.data_key k on k.id = s.data_key
            where ${which}) as chunk
    where before < ${CHUNK_BYTES}
    order by index`;

const ENTRIES = chunkOf(`e.index >= $1 and e.index < least($2::bigint, $1::bigint + ${CHUNK_ENTRIES})`);
const KEY_ENTRIES = chunkOf(
  `e.index in (select index from ledger.entry where type in ('key', 'decision') and index >= $1 and index < $2 order by index limit ${CHUNK_ENTRIES})`,
);

/** Entries from `from` on, below `to`. */
export async function selectEntries(pool: Pool, from: number, to: number): Promise<EntryRow[]> {
  return (await pool.query<EntryRow>(ENTRIES, [from, to])).rows;
}

/** Entries that may change the keys, statements about them and decisions, from `from` on, below `to`. */
export async function selectKeyEntries(pool: Pool, from: number, to: number): Promise<EntryRow[]> {
  return (await pool.query<EntryRow>(KEY_ENTRIES, [from, to])).rows;
}

export async function selectBodies(
  pool: Pool,
  from: number,
  to: number,
): Promise<Pick<EntryRow, "index" | "body" | "leaf">[]> {
  const { rows } = await pool.query<Pick<EntryRow, "index" | "body" | "leaf">>(
    "select index, body, leaf from ledger.entry where index >= $1 and index < $2 order by index",
    [from, to],
  );
  return rows;
}

export async function selectCheckpoints(
  pool: Pool,
  above: number,
  upTo: number,
  limit: number,
): Promise<CheckpointRow[]> {
  const { rows } = await pool.query<CheckpointRow>(
    "select size, note from ledger.checkpoint where size > $1 and size <= $2 order by size limit $3",
    [above, upTo, limit],
  );
  return rows;
}

/** Origins that the log opened at entry `from` or later, each with its decision (a JWS) and the body of the entry there. */
export async function selectOrigins(
  db: { query: Pool["query"] },
  from: number,
): Promise<{ index: number; origin: string; statement: Uint8Array; body: Uint8Array }[]> {
  const { rows } = await db.query<{ index: number; origin: string; statement: Uint8Array; body: Uint8Array }>(
    "select o.index, o.origin, o.statement, e.body from ledger.origin o join ledger.entry e using (index) where o.index >= $1 order by o.index",
    [from],
  );
  return rows;
}

export async function selectHead(pool: Pool): Promise<CheckpointRow | undefined> {
  const { rows } = await pool.query<CheckpointRow>(
    "select h.size, c.note from ledger.head h left join ledger.checkpoint c on c.size = h.size and c.root = h.root",
  );
  return rows[0];
}
