import type { Pool, PoolClient } from "pg";

/** All SQL of this service: it only reads. */

type Db = Pool | PoolClient;

/** A release of which both shares were given, as it lies: nothing of it is believed before it was opened and checked. */
export interface SealedRelease {
  number: number;
  /** The prefix of the log that each share is for. */
  size: number;
  recountSize: number;
  tabulateShare: Uint8Array;
  recountShare: Uint8Array;
  candidate: Uint8Array | null;
  answer: Uint8Array | null;
  /** The ledger's signed checkpoint of that size. */
  checkpoint: string | null;
}

const SEALED = `
  select t.number, t.size, r.size as "recountSize", t.share as "tabulateShare", r.share as "recountShare",
         c.sealed as candidate, a.sealed as answer, p.note as checkpoint
    from release.key_share t
    join release.key_share r on r.number = t.number and r.given_by = 'recount'
    left join tabulate.candidate c on c.number = t.number and c.size = t.size
    left join recount.answer a on a.number = t.number and a.size = t.size
    left join ledger.checkpoint p on p.size = t.size
   where t.given_by = 'tabulate'`;

/** Releases above `number` of which both shares are there, lowest first, at most `limit`. */
export async function selectAfter(db: Db, number: number, limit: number): Promise<SealedRelease[]> {
  const { rows } = await db.query<SealedRelease>(`${SEALED} and t.number > $1 order by t.number limit $2`, [
    number,
    limit,
  ]);
  return rows;
}

export async function selectOne(db: Db, number: number): Promise<SealedRelease | undefined> {
  const { rows } = await db.query<SealedRelease>(`${SEALED} and t.number = $1`, [number]);
  return rows[0];
}

/** Hex SHA-256 of the definition that this log is about; undefined before the ledger's first start. */
export async function selectDefinitionHash(db: Db): Promise<string | undefined> {
  const { rows } = await db.query<{ sha256: Uint8Array }>("select sha256 from ledger.definition");
  return rows[0] === undefined ? undefined : Buffer.from(rows[0].sha256).toString("hex");
}
