import type { PoolClient } from "pg";

/** All SQL of the ledger. Hashes, keys and ciphertext are `bytea`; positions are numbers; times are ISO strings in UTC. */

/** A pool, or the writer's own session. */
export interface Db {
  query: PoolClient["query"];
}

/** Postgres' refusals that have a meaning here (infra/migrations/0001_ledger.sql). */
export const SQLSTATE = { gateClosed: "SC002", headMoved: "SC003" } as const;

export function sqlState(error: unknown): string | undefined {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === "string" ? code : undefined;
}

/** True if this session is now the one that writes; it stays so until the session ends. */
export async function tryWriterLock(db: Db): Promise<boolean> {
  const { rows } = await db.query<{ got: boolean }>("select ledger.become_writer() as got");
  return rows[0]?.got === true;
}

/** A dead connection is noticed by Postgres within half a minute, so that a standby need not wait for hours. */
export async function keepSessionAlive(db: Db): Promise<void> {
  await db.query("set tcp_keepalives_idle = 10; set tcp_keepalives_interval = 5; set tcp_keepalives_count = 3");
}

export interface Head {
  size: number;
  root: Buffer;
}

export async function readHead(db: Db): Promise<Head | undefined> {
  const { rows } = await db.query<Head>("select size, root from ledger.head");
  return rows[0];
}

/** SHA-256 of the definition that this log is about, hex; undefined before the first start. */
export async function readDefinitionHash(db: Db): Promise<string | undefined> {
  const { rows } = await db.query<{ sha256: Buffer }>("select sha256 from ledger.definition");
  return rows[0]?.sha256.toString("hex");
}

export async function insertDefinition(
  db: Db,
  definition: { hash: string; origin: string; document: Uint8Array; signatures: unknown },
): Promise<void> {
  await db.query("insert into ledger.definition (sha256, origin, document, signatures) values ($1, $2, $3, $4)", [
    Buffer.from(definition.hash, "hex"),
    definition.origin,
    definition.document,
    JSON.stringify(definition.signatures),
  ]);
}

export async function insertPolls(
  db: Db,
  polls: readonly { state: string; constituency: string; closesAt: string }[],
): Promise<void> {
  await db.query(
    "insert into ledger.poll (state, constituency, closes_at) select * from unnest($1::text[], $2::text[], $3::timestamptz[])",
    [polls.map((p) => p.state), polls.map((p) => p.constituency), polls.map((p) => p.closesAt)],
  );
}

export async function insertHead(db: Db, head: { size: number; root: Uint8Array }): Promise<void> {
  await db.query("insert into ledger.head (size, root) values ($1, $2)", [head.size, head.root]);
}

/** One entry as it is stored. Entry 0 has no `signed`: the definition is a table of its own. */
export interface EntryRow {
  body: Uint8Array;
  leaf: Uint8Array;
  received: string;
  type: string;
  state: string;
  key: string | null;
  sequence: number | null;
  payload: Uint8Array | null;
  takesSequence: boolean;
  signed?: {
    sha256: Uint8Array;
    dataKey: Uint8Array;
    sealed: Uint8Array;
    judgement: Uint8Array;
    clear: Uint8Array | null;
  };
}

export interface BatchRows {
  old: { size: number; root: Uint8Array };
  root: Uint8Array;
  note: string;
  signedAt: string;
  dataKeys: readonly { id: Uint8Array; wrapped: Uint8Array }[];
  entries: readonly EntryRow[];
}

/** Appends a batch and its checkpoint. Throws SQLSTATE SC003 if the head is not where `old` says. */
export async function append(db: Db, batch: BatchRows): Promise<void> {
  const { old, entries, dataKeys } = batch;
  const signed = entries.flatMap((entry) => (entry.signed === undefined ? [] : [entry.signed]));
  await db.query(
    "select ledger.append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)",
    [
      old.size,
      old.root,
      batch.root,
      batch.note,
      batch.signedAt,
      dataKeys.map((key) => key.id),
      dataKeys.map((key) => key.wrapped),
      entries.map((entry) => entry.body),
      entries.map((entry) => entry.leaf),
      entries.map((entry) => entry.received),
      entries.map((entry) => entry.type),
      entries.map((entry) => entry.state),
      entries.map((entry) => entry.key),
      entries.map((entry) => entry.sequence),
      entries.map((entry) => entry.payload),
      entries.map((entry) => entry.takesSequence),
      signed.map((s) => s.sha256),
      signed.map((s) => s.dataKey),
      signed.map((s) => s.sealed),
      signed.map((s) => s.judgement),
      signed.map((s) => s.clear),
    ],
  );
}

export interface GateFact {
  index: number;
  kind: "closed" | "extended" | "override" | "hold" | "resume" | "void";
  state: string;
  constituency: string | null;
  until: string | null;
  /** The entry of the extension that a `void` takes away. */
  voids: number | null;
}

/** After the entry that says it. Throws SQLSTATE SC005 when Postgres finds that this entry cannot say it, or not yet. */
export async function insertGateFact(db: Db, fact: GateFact): Promise<void> {
  await db.query("select ledger.record_gate_fact($1, $2, $3, $4, $5, $6)", [
    fact.index,
    fact.kind,
    fact.state,
    fact.constituency,
    fact.until,
    fact.voids,
  ]);
}

/** Throws SQLSTATE SC002 when Postgres, by its own look at facts and clock, finds the gate closed. */
export async function insertLift(db: Db, index: number): Promise<void> {
  await db.query("select ledger.record_lift($1)", [index]);
}

export interface OriginRow {
  index: number;
  origin: string;
  /** The decision's JWS. */
  statement: Uint8Array;
}

export async function insertOrigin(db: Db, { index, origin, statement }: OriginRow): Promise<void> {
  await db.query("insert into ledger.origin (index, origin, statement) values ($1, $2, $3)", [
    index,
    origin,
    statement,
  ]);
}

export interface UsedSequence {
  index: number;
  key: string;
  sequence: number;
  payload: Buffer;
  /** False: signed for another definition. */
  takesSequence: boolean;
}

/** Every entry that has used one of these (key, sequence) pairs, in the order of the log. */
export async function findUsed(db: Db, pairs: readonly { key: string; sequence: number }[]): Promise<UsedSequence[]> {
  const { rows } = await db.query<UsedSequence>(
    `select e.index, e.key, e.sequence, e.payload, e.takes_sequence as "takesSequence"
       from (select distinct * from unnest($1::text[], $2::bigint[])) as asked (key, sequence)
       join ledger.entry e on e.key = asked.key and e.sequence = asked.sequence
      order by e.index`,
    [pairs.map((pair) => pair.key), pairs.map((pair) => pair.sequence)],
  );
  return rows;
}

export async function findStatement(db: Db, sha256: Uint8Array): Promise<number | undefined> {
  const { rows } = await db.query<{ index: number }>("select index from ledger.statement where sha256 = $1", [sha256]);
  return rows[0]?.index;
}

/** What is stored of a statement, with the wrapped data key that opens it. */
export interface StoredStatement {
  index: number;
  body: Buffer;
  leaf: Buffer;
  sha256: Buffer;
  data_key: Buffer;
  wrapped: Buffer;
  sealed: Buffer;
  judgement: Buffer;
}

const STORED = `select e.index, e.body, e.leaf, s.sha256, s.data_key, k.wrapped, s.sealed, s.judgement
  from ledger.entry e
  left join ledger.statement s on s.index = e.index
  left join ledger.data_key k on k.id = s.data_key`;

/** At most `limit` entries from `from` on, in order. Entry 0 has null for everything that a statement has. */
export async function readChunk(db: Db, from: number, limit: number): Promise<StoredStatement[]> {
  const { rows } = await db.query<StoredStatement>(`${STORED} where e.index >= $1 order by e.index limit $2`, [
    from,
    limit,
  ]);
  return rows;
}

export async function readStored(db: Db, index: number): Promise<StoredStatement | undefined> {
  const { rows } = await db.query<StoredStatement>(`${STORED} where e.index = $1`, [index]);
  return rows[0];
}

/** The JWS of statements without figures at these indexes, in order: of `maxBytes` together, or the first alone if it has more. */
export async function readKeyStatements(
  db: Db,
  indexes: readonly number[],
  maxBytes: number,
): Promise<{ index: number; jws: Buffer }[]> {
  const { rows } = await db.query<{ index: number; jws: Buffer }>(
    `select index, jws
       from (select index, clear as jws, row_number() over (order by index) as place,
                    sum(length(clear)) over (order by index) as bytes
               from ledger.statement where index = any ($1::bigint[])) as asked
      where place = 1 or bytes <= $2
      order by index`,
    [indexes, maxBytes],
  );
  return rows;
}

/** The smallest committed checkpoint that holds the entry: what every receipt for it carries. */
export async function readCheckpointOf(db: Db, index: number): Promise<string | undefined> {
  const { rows } = await db.query<{ note: string }>(
    "select note from ledger.checkpoint where size > $1 order by size limit 1",
    [index],
  );
  return rows[0]?.note;
}

export async function readCheckpoint(db: Db, size: number): Promise<string | undefined> {
  const { rows } = await db.query<{ note: string }>("select note from ledger.checkpoint where size = $1", [size]);
  return rows[0]?.note;
}

/** The leaf hashes from `from` on, in order, at most `limit`. */
export async function readLeaves(db: Db, from: number, limit: number): Promise<Buffer[]> {
  const { rows } = await db.query<{ leaf: Buffer }>(
    "select leaf from ledger.entry where index >= $1 and index < $1::bigint + $2::bigint order by index",
    [from, limit],
  );
  return rows.map(({ leaf }) => leaf);
}

/** A witness' line under a committed checkpoint; its first one stands. */
export async function insertCosignature(
  db: Db,
  cosignature: { size: number; witness: string; line: string },
): Promise<void> {
  await db.query(
    "insert into ledger.cosignature (size, witness, line) values ($1, $2, $3) on conflict (size, witness) do nothing",
    [cosignature.size, cosignature.witness, cosignature.line],
  );
}

/** The id of every data key: one per `ingest` process and minute. */
export async function readDataKeyIds(db: Db): Promise<Buffer[]> {
  const { rows } = await db.query<{ id: Buffer }>("select id from ledger.data_key");
  return rows.map(({ id }) => id);
}

/** Postgres' clock, ms since the epoch. */
export async function readClock(db: Db): Promise<number> {
  const { rows } = await db.query<{ now: Date }>("select clock_timestamp() as now");
  return (rows[0]?.now ?? new Date(Number.NaN)).getTime();
}
