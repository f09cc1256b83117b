import type { Pool, PoolClient } from "pg";
import type { ReleaseId } from "../../shared/platform/release-seal.ts";

/** All SQL of this service. What it reads of the log is in `shared/platform/log-reader.ts`. */

type Db = Pool | PoolClient;

/** Where the stored parts stand in the log; undefined before the first snapshot. */
export async function selectPosition(db: Db): Promise<number | undefined> {
  const { rows } = await db.query<{ size: number }>("select size from tabulate.position");
  return rows[0]?.size;
}

/** The sealed parts of these names. */
export async function selectParts(db: Db, names: readonly string[]): Promise<Map<string, Uint8Array>> {
  const { rows } = await db.query<{ name: string; sealed: Uint8Array }>(
    "select name, sealed from tabulate.part where name = any($1)",
    [names],
  );
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

export interface StoredCandidate {
  size: number;
  sealed: Uint8Array;
  /** Since it was written. */
  ageMs: number;
}

/** Of the candidates of this number that count less than `below` entries the one that counts most; undefined without one. */
export async function selectCandidateBelow(
  db: Db,
  number: number,
  below: number,
): Promise<StoredCandidate | undefined> {
  const { rows } = await db.query<StoredCandidate>(
    `select size, sealed, (extract(epoch from clock_timestamp() - written_at) * 1000)::float8 as "ageMs"
       from tabulate.candidate where number = $1 and size < $2 order by size desc limit 1`,
    [number, below],
  );
  return rows[0];
}

export async function selectCandidate(db: Db, { number, size }: ReleaseId): Promise<Uint8Array | undefined> {
  const { rows } = await db.query<{ sealed: Uint8Array }>(
    "select sealed from tabulate.candidate where number = $1 and size = $2",
    [number, size],
  );
  return rows[0]?.sealed;
}

/** False if there is one of this number and size already. */
export async function insertCandidate(db: Db, { number, size }: ReleaseId, sealed: Uint8Array): Promise<boolean> {
  const { rowCount } = await db.query(
    "insert into tabulate.candidate (number, size, sealed) values ($1, $2, $3) on conflict do nothing",
    [number, size, sealed],
  );
  return rowCount === 1;
}

/** recount's answers to candidates of this number with `above` < size < `below`, largest first, at most 8. */
export async function selectAnswers(
  db: Db,
  number: number,
  { above, below }: { above: number; below: number },
): Promise<{ size: number; sealed: Uint8Array }[]> {
  const { rows } = await db.query<{ size: number; sealed: Uint8Array }>(
    `select size, a.sealed from recount.answer a join tabulate.candidate c using (number, size)
      where number = $1 and size > $2 and size < $3 order by size desc limit 8`,
    [number, above, below],
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

const PROPOSALS_AT_ONCE = 100;

/** All stored proposals, some at a time. */
export async function* selectProposals(db: Db): AsyncIterable<StoredProposal> {
  for (let after: Uint8Array = new Uint8Array(); ; ) {
    const { rows } = await db.query<StoredProposal>(
      "select sha256, type, payload, signature from tabulate.proposal where sha256 > $1 order by sha256 limit $2",
      [after, PROPOSALS_AT_ONCE],
    );
    yield* rows;
    const last = rows.at(-1);
    if (last === undefined || rows.length < PROPOSALS_AT_ONCE) return;
    after = last.sha256;
  }
}

/** recount's signature under a proposal, 64 bytes; undefined while it has not agreed. */
export async function selectCosignature(db: Db, sha256: Uint8Array): Promise<Uint8Array | undefined> {
  const { rows } = await db.query<{ signature: Uint8Array }>(
    "select signature from recount.cosignature where proposal = $1",
    [sha256],
  );
  return rows[0]?.signature;
}

/** Of the shares in this count's name the last one before this number, or of all; undefined without one. */
export async function selectShareBefore(
  db: Db,
  number: number | null,
): Promise<(ReleaseId & { share: Uint8Array }) | undefined> {
  const { rows } = await db.query<ReleaseId & { share: Uint8Array }>(
    `select number, size, share from release.key_share
      where given_by = 'tabulate' and ($1::bigint is null or number < $1) order by number desc limit 1`,
    [number],
  );
  return rows[0];
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
