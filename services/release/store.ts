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

/** A statement of this size is given with what says where it is. */
const SMALL_BYTES = 64 * 1024;
const ifSmall = (column: string) => `case when length(s.sealed) <= ${SMALL_BYTES} then s.${column} end`;

/** A statement as it lies. `dataKey`: 16 bytes. */
export interface SealedStatement {
  dataKey: Uint8Array;
  sealed: Uint8Array;
  clear: Uint8Array | null;
}

/** Where a statement is: its entry's bytes, and about how much opening it takes. */
export interface FoundStatement {
  index: number;
  body: Uint8Array;
  bytes: number;
  /** The statement itself, if it is small: most are, and a second question costs more. */
  stored?: SealedStatement | null;
}

/** By the SHA-256 (hex) of the statement's bytes. */
export async function findStatement(db: Db, sha256: string): Promise<FoundStatement | undefined> {
  const { rows } = await db.query<FoundStatement & { [P in keyof SealedStatement]: SealedStatement[P] | null }>(
    `select index, e.body, length(s.sealed) as bytes,
            ${ifSmall("data_key")} as "dataKey", ${ifSmall("sealed")} as sealed, ${ifSmall("clear")} as clear
       from ledger.statement s join ledger.entry e using (index)
      where s.sha256 = $1`,
    [Buffer.from(sha256, "hex")],
  );
  const [row] = rows;
  if (row === undefined) return undefined;
  const { index, body, bytes, dataKey, sealed, clear } = row;
  return { index, body, bytes, stored: dataKey && sealed && { dataKey, sealed, clear } };
}

/** The same of an entry, without the statement; undefined for entry 0, and for what is not there. */
export async function selectFound(db: Db, index: number): Promise<FoundStatement | undefined> {
  const { rows } = await db.query<FoundStatement>(
    `select index, e.body, length(s.sealed) as bytes
       from ledger.statement s join ledger.entry e using (index)
      where index = $1`,
    [index],
  );
  return rows[0];
}

export async function selectSealed(db: Db, index: number): Promise<SealedStatement | undefined> {
  const { rows } = await db.query<SealedStatement>(
    `select data_key as "dataKey", sealed, clear from ledger.statement where index = $1`,
    [index],
  );
  return rows[0];
}

export interface SealedJudgement {
  index: number;
  dataKey: Uint8Array;
  judgement: Uint8Array;
}

/** Judgements from `from` up to and without `to`, in order, as many as begin before `maxBytes` of them have come. */
export async function selectJudgements(db: Db, from: number, to: number, maxBytes: number): Promise<SealedJudgement[]> {
  const { rows } = await db.query<SealedJudgement>(
    `select index, data_key as "dataKey", judgement
       from (select index, data_key, judgement,
                    coalesce(sum(length(judgement)) over (order by index rows between unbounded preceding and 1 preceding), 0) as before
               from ledger.statement where index >= $1 and index < $2) as chunk
      where before < $3
      order by index`,
    [from, to, maxBytes],
  );
  return rows;
}

/** A data key (16 bytes), and how many bytes of judgements it seals. */
export interface UsedDataKey {
  id: Uint8Array;
  bytes: number;
}

/** The data keys of these entries. */
export async function selectDataKeys(db: Db, from: number, to: number): Promise<UsedDataKey[]> {
  const { rows } = await db.query<UsedDataKey>(
    `select data_key as id, sum(length(judgement)) as bytes
       from ledger.statement where index >= $1 and index < $2 group by data_key`,
    [from, to],
  );
  return rows;
}

/** The shares that were given of a data key (hex id), one from each count at most. */
export async function selectDataKeyShares(db: Db, id: string): Promise<Uint8Array[]> {
  const { rows } = await db.query<{ share: Uint8Array }>("select share from release.data_key_share where id = $1", [
    Buffer.from(id, "hex"),
  ]);
  return rows.map(({ share }) => share);
}

/** Statements without figures from these entries, in order, as many as begin before `maxBytes` of them have come. */
export async function selectClear(
  db: Db,
  indexes: readonly number[],
  maxBytes: number,
): Promise<{ index: number; clear: Uint8Array | null }[]> {
  const { rows } = await db.query<{ index: number; clear: Uint8Array | null }>(
    `select index, clear
       from (select index, clear,
                    coalesce(sum(length(clear)) over (order by index rows between unbounded preceding and 1 preceding), 0) as before
               from ledger.statement where index = any($1::bigint[])) as chunk
      where before < $2
      order by index`,
    [indexes, maxBytes],
  );
  return rows;
}

/** Which entries are asked for: of this key and sequence number, below an index, but not these; at most `limit`. */
export interface AskedUses {
  key: string;
  sequence: number;
  below: number;
  without: readonly number[];
  limit: number;
}

/** Entries that a key signed first under a sequence number, the oldest first. */
export async function selectUses(db: Db, { key, sequence, below, without, limit }: AskedUses): Promise<number[]> {
  const { rows } = await db.query<{ index: number }>(
    `select index from ledger.entry
      where key = $1 and sequence = $2 and index < $3 and index <> all($4::bigint[])
      order by index limit $5`,
    [key, sequence, below, without, limit],
  );
  return rows.map(({ index }) => index);
}

/** Entries from `from` up to and without `to` of which the ledger says that they use no sequence number up. */
export async function selectForeign(db: Db, from: number, to: number): Promise<number[]> {
  const { rows } = await db.query<{ index: number }>(
    "select index from ledger.entry where index >= $1 and index < $2 and not takes_sequence order by index",
    [from, to],
  );
  return rows.map(({ index }) => index);
}

/** Sizes of checkpoints that hold an entry and have `lines` cosignatures or more beside them, the smallest first, few. */
export async function selectCosignedOver(db: Db, index: number, lines: number): Promise<number[]> {
  const { rows } = await db.query<{ size: number }>(
    `select size from ledger.cosignature where size > $1
      group by size having count(*) >= $2 order by size limit 8`,
    [index, lines],
  );
  return rows.map(({ size }) => size);
}

/** The checkpoint that holds an entry and has most cosignatures, the newest of those; without any, the smallest that holds it. */
export async function selectBestOver(db: Db, index: number): Promise<number | undefined> {
  const { rows } = await db.query<{ size: number }>(
    `(select size, 0 as place from ledger.cosignature where size > $1
       group by size order by count(*) desc, size desc limit 1)
     union all
     (select size, 1 from ledger.checkpoint where size > $1 order by size limit 1)
     order by place limit 1`,
    [index],
  );
  return rows[0]?.size;
}

/** A checkpoint as it lies, with what witnesses' lines lie beside it. Without a note: the head has none of its size and root. */
export interface CheckpointRow {
  size: number;
  note: string | null;
  signedAt: Date | null;
  lines: string[];
}

const LINES = `
  array(select s.line from ledger.cosignature s where s.size = c.size order by s.witness)`;

/** The head of the log; undefined before the ledger's first start. */
export async function selectHead(db: Db): Promise<CheckpointRow | undefined> {
  const { rows } = await db.query<CheckpointRow>(
    `select h.size, c.note, c.signed_at as "signedAt", ${LINES} as lines
       from ledger.head h left join ledger.checkpoint c on c.size = h.size and c.root = h.root`,
  );
  return rows[0];
}

export async function selectCheckpoint(db: Db, size: number): Promise<CheckpointRow | undefined> {
  const { rows } = await db.query<CheckpointRow>(
    `select c.size, c.note, c.signed_at as "signedAt", ${LINES} as lines from ledger.checkpoint c where c.size = $1`,
    [size],
  );
  return rows[0];
}

/** Checkpoints of sizes from `from` up to and with `to` beside which `quorum` lines or more lie, the largest first, few. */
export async function selectCosigned(db: Db, from: number, to: number, quorum: number): Promise<CheckpointRow[]> {
  const { rows } = await db.query<CheckpointRow>(
    `select c.size, c.note, c.signed_at as "signedAt", ${LINES} as lines
       from (select size from ledger.cosignature where size >= $1 and size <= $2
              group by size having count(*) >= $3 order by size desc limit 4) as q
       join ledger.checkpoint c using (size)
      order by c.size desc`,
    [from, to, quorum],
  );
  return rows;
}

/** Whether the ledger made a checkpoint of a size from `from` up to and with `to`. */
export async function hasCheckpoint(db: Db, from: number, to: number): Promise<boolean> {
  const { rows } = await db.query("select from ledger.checkpoint where size >= $1 and size <= $2 limit 1", [from, to]);
  return rows.length > 0;
}

/** Leaf hashes of entries from `from` up to and without `to`, 32 bytes each, one after the other. */
export async function selectLeaves(db: Db, from: number, to: number): Promise<Uint8Array> {
  const { rows } = await db.query<{ leaves: Uint8Array | null }>(
    "select string_agg(leaf, ''::bytea order by index) as leaves from ledger.entry where index >= $1 and index < $2",
    [from, to],
  );
  return rows[0]?.leaves ?? new Uint8Array();
}

/** The bytes of these entries, in order. */
export async function selectBodies(db: Db, from: number, to: number): Promise<Uint8Array[]> {
  const { rows } = await db.query<{ body: Uint8Array }>(
    "select body from ledger.entry where index >= $1 and index < $2 order by index",
    [from, to],
  );
  return rows.map(({ body }) => body);
}

/** A release that both counts have sealed, agreed or not; whether its key was given is not asked. */
export interface SealedPair {
  number: number;
  size: number;
  candidate: Uint8Array;
  answer: Uint8Array;
}

/** Number and size of the newest that has an answer; undefined while none has. */
export async function selectNewestAnswer(db: Db): Promise<{ number: number; size: number } | undefined> {
  const { rows } = await db.query<{ number: number; size: number }>(
    "select number, size from recount.answer order by number desc, size desc limit 1",
  );
  return rows[0];
}

export async function selectSealedPair(db: Db, number: number, size: number): Promise<SealedPair | undefined> {
  const { rows } = await db.query<SealedPair>(
    `select number, size, c.sealed as candidate, a.sealed as answer
       from tabulate.candidate c join recount.answer a using (number, size)
      where number = $1 and size = $2`,
    [number, size],
  );
  return rows[0];
}

/** The last release that a key of the Parliament has fetched. */
export async function recordDelivery(db: Db, key: string, number: number, sha256: string): Promise<void> {
  await db.query("select release.record_delivery($1, $2, $3)", [key, number, Buffer.from(sha256, "hex")]);
}
