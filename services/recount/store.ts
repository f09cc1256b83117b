import type { Pool, PoolClient } from "pg";
import type { ReleaseId } from "../../shared/platform/release-seal.ts";

/** All SQL of this service. What it reads of the log is in `shared/platform/log-reader.ts`. */

type Db = Pool | PoolClient;

/** Where the stored count stands in the log; undefined before the first snapshot. */
export async function selectPosition(db: Db): Promise<number | undefined> {
  const { rows } = await db.query<{ size: number }>("select size from recount.position");
  return rows[0]?.size;
}

/** The sealed parts by name. */
export async function selectParts(db: Db): Promise<Map<string, Uint8Array>> {
  const { rows } = await db.query<{ name: string; sealed: Uint8Array }>("select name, sealed from recount.part");
  return new Map(rows.map(({ name, sealed }) => [name, sealed]));
}

/** Sets the position; in the transaction that stores the parts of that position. */
export async function upsertPosition(db: Db, size: number): Promise<void> {
  await db.query(
    "insert into recount.position (size) values ($1) on conflict (one) do update set size = excluded.size",
    [size],
  );
}

export async function upsertPart(db: Db, name: string, sealed: Uint8Array): Promise<void> {
  await db.query(
    "insert into recount.part (name, sealed) values ($1, $2) on conflict (name) do update set sealed = excluded.sealed",
    [name, sealed],
  );
}

/** The largest candidate, if it counts at least this prefix and more than every one that was answered. */
export async function selectUnanswered(
  db: Db,
  fromSize: number,
): Promise<(ReleaseId & { sealed: Uint8Array }) | undefined> {
  const { rows } = await db.query<ReleaseId & { sealed: Uint8Array }>(
    `select number, size, sealed from tabulate.candidate
      where size >= $1 and size > coalesce((select max(size) from recount.answer), 0)
      order by size desc limit 1`,
    [fromSize],
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

/** An answer that was given stands: it is the same however often it is found. */
export async function insertAnswer(db: Db, { number, size }: ReleaseId, sealed: Uint8Array): Promise<void> {
  await db.query("insert into recount.answer (number, size, sealed) values ($1, $2, $3) on conflict do nothing", [
    number,
    size,
    sealed,
  ]);
}

export async function selectAnswer(db: Db, { number, size }: ReleaseId): Promise<Uint8Array | undefined> {
  const { rows } = await db.query<{ sealed: Uint8Array }>(
    "select sealed from recount.answer where number = $1 and size = $2",
    [number, size],
  );
  return rows[0]?.sealed;
}

export interface StoredProposal {
  sha256: Uint8Array;
  type: "lift" | "release";
  payload: Uint8Array;
  /** tabulate's, 64 bytes. */
  signature: Uint8Array;
}

/** The last proposals without our signature. Some never get it: they were withdrawn, or were never right. */
export async function selectUnsigned(db: Db): Promise<StoredProposal[]> {
  const { rows } = await db.query<StoredProposal>(
    `select sha256, type, payload, signature from tabulate.proposal p
      where not exists (select from recount.cosignature c where c.proposal = p.sha256)
      order by proposed_at desc limit 8`,
  );
  return rows;
}

export async function insertCosignature(db: Db, sha256: Uint8Array, signature: Uint8Array): Promise<void> {
  await db.query("insert into recount.cosignature (proposal, signature) values ($1, $2) on conflict do nothing", [
    sha256,
    signature,
  ]);
}

/** The number of the last release that this count has given its share of; 0 before any. */
export async function selectLastShare(db: Db): Promise<number> {
  const { rows } = await db.query<{ number: number }>(
    "select coalesce(max(number), 0) as number from release.key_share where given_by = 'recount'",
  );
  return rows[0]?.number ?? 0;
}

/** Gives this count's share; once given it stands. Postgres refuses it before the lift (SC002). */
export async function insertShare(db: Db, { number, size }: ReleaseId, share: Uint8Array): Promise<void> {
  await db.query("select release.give_key_share($1, $2, $3)", [number, size, share]);
}

/** A data key as the ledger has it: its id (16 bytes), wrapped. */
export interface WrappedKey {
  id: Uint8Array;
  wrapped: Uint8Array;
}

/** Data keys of the statements from index `from` up to and without `to` that lack this count's share. */
export async function selectDataKeysWithout(db: Db, from: number, to: number, limit: number): Promise<WrappedKey[]> {
  const { rows } = await db.query<WrappedKey>(
    `select k.id, k.wrapped from ledger.data_key k
      where k.id in (select s.data_key from ledger.statement s where s.index >= $1 and s.index < $2)
        and not exists (select from release.data_key_share d where d.id = k.id and d.given_by = 'recount')
      limit $3`,
    [from, to, limit],
  );
  return rows;
}

/** Gives this count's shares, in the order of the ids; once given they stand. Postgres refuses them before the lift (SC002). */
export async function insertDataKeyShares(db: Db, ids: Uint8Array[], shares: Uint8Array[]): Promise<void> {
  await db.query("select release.give_data_key_shares($1, $2)", [ids, shares]);
}
