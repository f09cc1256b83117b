import type { Pool, PoolClient } from "pg";
import type { ReleaseId } from "../../shared/platform/release-seal.ts";

/** All SQL of this service. What it reads of the log is in `shared/platform/log-reader.ts`. */

type Db = Pool | PoolClient;

/** Where the stored parts stand in the log; undefined before the first snapshot. */
export async function selectPosition(db: Db): Promise<number | undefined> {
  const { rows } = await db.query<{ size: number }>("select size from tabulate.position");
  return rows[0]?.size;
}

/** The sealed parts by name. */
export async function selectParts(db: Db): Promise<Map<string, Uint8Array>> {
  const { rows } = await db.query<{ name: string; sealed: Uint8Array }>("select name, sealed from tabulate.part");
  return new Map(rows.map(({ name, sealed }) => [name, sealed]));
}

/** Sets the position; in the transaction that stores the parts of that position. */
export async function upsertPosition(db: Db, size: number): Promise<void> {
  await db.query(
    "insert into tabulate.position (size) values ($1) on conflict (one) do update set size = excluded.size",
    [size],
  );
}

export async function upsertParts(db: Db, parts: ReadonlyMap<string, Uint8Array>): Promise<void> {
  await db.query(
    `insert into tabulate.part (name, sealed) select * from unnest($1::text[], $2::bytea[])
     on conflict (name) do update set sealed = excluded.sealed`,
    [[...parts.keys()], [...parts.values()]],
  );
}

/** The largest prefix that a candidate of this number counts, and the ms since it was written; undefined without one. */
export async function selectLastCandidate(
  db: Db,
  number: number,
): Promise<{ size: number; ageMs: number } | undefined> {
  const { rows } = await db.query<{ size: number; age_ms: number }>(
    `select size, (extract(epoch from clock_timestamp() - written_at) * 1000)::float8 as age_ms
       from tabulate.candidate where number = $1 order by size desc limit 1`,
    [number],
  );
  return rows[0] === undefined ? undefined : { size: rows[0].size, ageMs: rows[0].age_ms };
}

export async function selectCandidate(db: Db, { number, size }: ReleaseId): Promise<Uint8Array | undefined> {
  const { rows } = await db.query<{ sealed: Uint8Array }>(
    "select sealed from tabulate.candidate where number = $1 and size = $2",
    [number, size],
  );
  return rows[0]?.sealed;
}

export async function insertCandidate(db: Db, { number, size }: ReleaseId, sealed: Uint8Array): Promise<void> {
  await db.query("insert into tabulate.candidate (number, size, sealed) values ($1, $2, $3)", [number, size, sealed]);
}

/** recount's answers to candidates of this number above this size, largest first. */
export async function selectAnswers(
  db: Db,
  number: number,
  aboveSize: number,
): Promise<{ size: number; sealed: Uint8Array }[]> {
  const { rows } = await db.query<{ size: number; sealed: Uint8Array }>(
    "select size, sealed from recount.answer where number = $1 and size > $2 order by size desc limit 8",
    [number, aboveSize],
  );
  return rows;
}

export interface StoredProposal {
  sha256: Uint8Array;
  type: "lift" | "release";
  payload: Uint8Array;
  /** Ed25519, 64 bytes, over the JWS signing input of this service's key. */
  signature: Uint8Array;
}

export async function insertProposal(db: Db, proposal: StoredProposal): Promise<void> {
  const { sha256, type, payload, signature } = proposal;
  await db.query("insert into tabulate.proposal (sha256, type, payload, signature) values ($1, $2, $3, $4)", [
    sha256,
    type,
    payload,
    signature,
  ]);
}

/** The last proposals: whatever is not settled yet is among them, for there is one at a time. */
export async function selectLastProposals(db: Db): Promise<StoredProposal[]> {
  const { rows } = await db.query<StoredProposal>(
    "select sha256, type, payload, signature from tabulate.proposal order by proposed_at desc limit 100",
  );
  return rows;
}

/** recount's signature under a proposal, 64 bytes; undefined while it has not agreed. */
export async function selectCosignature(db: Db, sha256: Uint8Array): Promise<Uint8Array | undefined> {
  const { rows } = await db.query<{ signature: Uint8Array }>(
    "select signature from recount.cosignature where proposal = $1",
    [sha256],
  );
  return rows[0]?.signature;
}

/** The number of the last release that this count has given its share of; 0 before any. */
export async function selectLastShare(db: Db): Promise<number> {
  const { rows } = await db.query<{ number: number }>(
    "select coalesce(max(number), 0) as number from release.key_share where given_by = 'tabulate'",
  );
  return rows[0]?.number ?? 0;
}

/** Gives this count's share; once given it stands. Postgres refuses it before the lift (SC002). */
export async function insertShare(db: Db, { number, size }: ReleaseId, share: Uint8Array): Promise<void> {
  await db.query("select release.give_key_share($1, $2, $3)", [number, size, share]);
}

/** Ids (16 bytes) of data keys of the statements from index `from` up to and without `to` that lack this count's share. */
export async function selectDataKeysWithout(db: Db, from: number, to: number, limit: number): Promise<Uint8Array[]> {
  const { rows } = await db.query<{ id: Uint8Array }>(
    `select distinct s.data_key as id from ledger.statement s
      where s.index >= $1 and s.index < $2 and not exists (
        select from release.data_key_share d where d.id = s.data_key and d.given_by = 'tabulate')
      limit $3`,
    [from, to, limit],
  );
  return rows.map(({ id }) => id);
}

/** Gives this count's shares, in the order of the ids; once given they stand. Postgres refuses them before the lift (SC002). */
export async function insertDataKeyShares(db: Db, ids: Uint8Array[], shares: Uint8Array[]): Promise<void> {
  await db.query("select release.give_data_key_shares($1, $2)", [ids, shares]);
}
