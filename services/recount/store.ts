import type { Pool, PoolClient } from "pg";
import type { ReleaseId } from "../../shared/platform/release-seal.ts";

/** All SQL of this service. What it reads of the log is in `shared/platform/log-reader.ts`. */

type Db = Pool | PoolClient;

/** Where the stored count stands in the log; undefined before the first snapshot. */
export async function selectPosition(db: Db): Promise<number | undefined> {
  const { rows } = await db.query<{ size: number }>("select size from recount.position");
  return rows[0]?.size;
}

/** The sealed parts by name; there are three, and others are nobody's. */
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

/** A row sealed for the release of its number and size, whoever wrote it. */
export type Sealed = ReleaseId & { sealed: Uint8Array };

/** The largest candidate without an answer of at least `from` entries, among those before this one (in size, then number). */
export async function selectUnanswered(db: Db, from: number, before: ReleaseId): Promise<Sealed | undefined> {
  const { rows } = await db.query<Sealed>(
    `select number, size, sealed from tabulate.candidate
      where size >= $1 and (size, number) < ($2, $3)
        and not exists (select from recount.answer a where (a.number, a.size) = (candidate.number, candidate.size))
      order by size desc, number desc limit 1`,
    [from, before.size, before.number],
  );
  return rows[0];
}

/** The largest stored answer before this one (in size, then number). */
export async function selectAnswerBefore(db: Db, before: ReleaseId): Promise<Sealed | undefined> {
  const { rows } = await db.query<Sealed>(
    `select number, size, sealed from recount.answer where (size, number) < ($1, $2)
      order by size desc, number desc limit 1`,
    [before.size, before.number],
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

const UNSIGNED_AT_ONCE = 64;

/** The proposals without our signature, some at a time. Some never get it: they were withdrawn, or were never right. */
export async function* selectUnsigned(db: Db): AsyncIterable<StoredProposal> {
  for (let after: Uint8Array = new Uint8Array(); ; ) {
    const { rows } = await db.query<StoredProposal>(
      `select sha256, type, payload, signature from tabulate.proposal p
        where sha256 > $1 and not exists (select from recount.cosignature c where c.proposal = p.sha256)
        order by sha256 limit $2`,
      [after, UNSIGNED_AT_ONCE],
    );
    yield* rows;
    const last = rows.at(-1);
    if (last === undefined || rows.length < UNSIGNED_AT_ONCE) return;
    after = last.sha256;
  }
}

export async function insertCosignature(db: Db, sha256: Uint8Array, signature: Uint8Array): Promise<void> {
  await db.query("insert into recount.cosignature (proposal, signature) values ($1, $2) on conflict do nothing", [
    sha256,
    signature,
  ]);
}

/** Of the shares in this count's name the last one before this number, or of all; undefined without one. */
export async function selectShareBefore(
  db: Db,
  number: number | null,
): Promise<(ReleaseId & { share: Uint8Array }) | undefined> {
  const { rows } = await db.query<ReleaseId & { share: Uint8Array }>(
    `select number, size, share from release.key_share
      where given_by = 'recount' and ($1::bigint is null or number < $1) order by number desc limit 1`,
    [number],
  );
  return rows[0];
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
