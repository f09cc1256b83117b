import { createHash, type KeyObject } from "node:crypto";
import type { Pool } from "pg";
import { readCheckpoint } from "../ledger/checkpoint.ts";
import {
  canonical,
  commitJudgement,
  type DefinitionEntry,
  type Entry,
  type Finding,
  type Judgement,
  type OpenedEntry,
} from "../ledger/entry.ts";
import { appendLeaf, createFrontier, frontierRoot, frontierSize, leafHash } from "../ledger/merkle.ts";
import { claimedSigners, refusalOf, type Signer, signaturesHold } from "../statement/authentic.ts";
import type { VerifyKey } from "../statement/ed25519.ts";
import { openEnvelope } from "../statement/jws.ts";
import { readStatement } from "../statement/read.ts";
import type { Statement } from "../statement/types.ts";
import { createKeyring, type Keyring, open, SealBroken } from "./seal.ts";

/**
 * Reads the log as the vault sees it: opened, and checked against what the ledger signed. Nothing that lies in the database is
 * believed for lying there: bodies are hashed into the tree whose root a checkpoint signs, statements and judgements are
 * compared with the commitments in those bodies, and statements' own signatures are verified again.
 */

/** Something in the log is not what was signed. Whoever reads it stops: nothing derived from it may leave. */
export class LogBroken extends Error {
  override readonly name = "LogBroken";
}

/** A prefix of the log that the ledger's key has signed. `root` is base64, as it stands in the checkpoint. */
export interface LogCheckpoint {
  size: number;
  root: string;
}

/**
 * An entry, opened. What `entry` and `statement` say is proven only once the iteration has reached an entry with a
 * `checkpoint`: that one covers everything up to and with itself. Until then it may be folded, and nothing else.
 */
export interface ReadEntry extends OpenedEntry {
  entry: Entry | DefinitionEntry;
  /** Why it was quarantined, or warned of. */
  findings: Finding[];
  /** The statement as received; null for entry 0. */
  jws: Uint8Array | null;
  /** On the last entry of each batch: the checkpoint that holds. */
  checkpoint: LogCheckpoint | null;
}

export interface LogReader {
  /** How many entries have been read and hashed: where `read` goes on. */
  position(): number;
  /**
   * Goes to a checkpointed size without opening anything: the tree is built again from the stored leaves and compared with
   * the signed checkpoint. Nothing needs to be kept for it, and nothing kept can be wrong. Throws LogBroken.
   */
  startAt(size: number): Promise<void>;
  /** The committed head; undefined before the ledger's first start. */
  head(): Promise<LogCheckpoint | undefined>;
  /** Checkpoints of a size above this one, smallest first, at most `limit`. */
  checkpointsAfter(size: number, limit?: number): Promise<LogCheckpoint[]>;
  /**
   * Entries `from` (which must be `position()`) up to and without `to` (the size of a checkpoint), in order. Throws LogBroken
   * at the first difference, and RangeError for another `from`; after a throw, or when left early, `startAt` again.
   */
  read(from: number, to: number): AsyncIterable<ReadEntry>;
}

export interface LogReaderOptions {
  pool: Pool;
  /** Hex SHA-256 of the definition: entry 0 must name it. */
  definitionHash: string;
  /** X25519, as a KeyObject or its 32 raw bytes. */
  vaultPrivateKey: KeyObject | Uint8Array;
  ledgerKey: VerifyKey;
  origin: string;
  /** The definition's keys (`signersOf`): with them the signatures of every statement are verified again. */
  signers?: ReadonlyMap<string, Signer>;
}

/** Entries taken from the database at once, by number and by bytes: a statement may have a megabyte, memory may not. */
const CHUNK_ENTRIES = 512;
const CHUNK_BYTES = 8 * 1024 * 1024;
/** 32 bytes each. */
const CHUNK_LEAVES = 50_000;
const CHECKPOINTS_AT_ONCE = 1_000;

export function createLogReader(options: LogReaderOptions): LogReader {
  const { pool, definitionHash, vaultPrivateKey } = options;
  const keyring = createKeyring({ definition: definitionHash, vaultPrivateKey });
  let frontier = createFrontier();

  const checkpoints = async (above: number, upTo: number, limit: number) =>
    (await selectCheckpoints(pool, above, upTo, limit)).map((row) => verifiedCheckpoint(row, options));

  async function* read(from: number, to: number): AsyncIterable<ReadEntry> {
    if (from !== frontierSize(frontier))
      throw new RangeError(`the log was read up to ${frontierSize(frontier)}, not to ${from}`);
    let signed: LogCheckpoint[] = [];
    for (let at = from; at < to; ) {
      const rows = await selectEntries(pool, at, to);
      if (rows.length === 0) throw new LogBroken(`the log has no entry ${at}, though its head is at ${to} or beyond`);
      const opened = await Promise.all(rows.map((row, n) => openRow(row, at + n, keyring, options)));
      for (const entry of opened) {
        appendLeaf(frontier, leafHash(rows[entry.index - at]!.body));
        const size = entry.index + 1;
        if (signed.length === 0) signed = await checkpoints(entry.index, to, CHECKPOINTS_AT_ONCE);
        const next = signed[0];
        if (next === undefined) throw new LogBroken(`no checkpoint covers entry ${entry.index}`);
        if (next.size === size) {
          compareRoot(frontierRoot(frontier), next);
          entry.checkpoint = next;
          signed.shift();
        }
        yield entry;
      }
      at += rows.length;
    }
  }

  async function startAt(size: number): Promise<void> {
    const fresh = createFrontier();
    for (let at = 0; at < size; ) {
      const leaves = await selectLeaves(pool, at, Math.min(size, at + CHUNK_LEAVES));
      if (leaves.length === 0) throw new LogBroken(`the log is shorter than ${size}, which was counted before`);
      for (const { index, leaf } of leaves) {
        if (index !== at++) throw new LogBroken(`the log has no entry ${at - 1}`);
        appendLeaf(fresh, leaf);
      }
    }
    if (size > 0) {
      const [checkpoint] = await checkpoints(size - 1, size, 1);
      if (checkpoint === undefined) throw new LogBroken(`the log has no checkpoint of size ${size}`);
      compareRoot(frontierRoot(fresh), checkpoint);
    }
    frontier = fresh;
  }

  return {
    position: () => frontierSize(frontier),
    startAt,
    read,
    async head() {
      const row = await selectHead(pool);
      if (row === undefined) return undefined;
      const checkpoint = verifiedCheckpoint(row, options);
      if (checkpoint.size < frontierSize(frontier))
        throw new LogBroken(`the head of the log went back to ${checkpoint.size} from ${frontierSize(frontier)}`);
      return checkpoint;
    },
    checkpointsAfter: (size, limit = CHECKPOINTS_AT_ONCE) => checkpoints(size, Number.MAX_SAFE_INTEGER, limit),
  };
}

function compareRoot(root: Uint8Array, signed: LogCheckpoint): void {
  if (Buffer.from(root).toString("base64") !== signed.root)
    throw new LogBroken(`the entries do not hash to the checkpoint of size ${signed.size}`);
}

interface CheckpointRow {
  size: number;
  note: string | null;
}

function verifiedCheckpoint({ size, note }: CheckpointRow, { origin, ledgerKey }: LogReaderOptions): LogCheckpoint {
  const read = note === null ? undefined : readCheckpoint(note, { origin, publicKey: ledgerKey });
  if (read === undefined || read.size !== size)
    throw new LogBroken(`the checkpoint of size ${size} is not signed by the ledger`);
  return { size, root: Buffer.from(read.root).toString("base64") };
}

interface EntryRow {
  index: number;
  body: Uint8Array;
  leaf: Uint8Array;
  sha256: Uint8Array | null;
  data_key: Uint8Array | null;
  wrapped: Uint8Array | null;
  sealed: Uint8Array | null;
  judgement: Uint8Array | null;
}

/** Opens one row and compares everything in it with the entry's own words; the tree is the caller's. */
async function openRow(row: EntryRow, index: number, keyring: Keyring, options: LogReaderOptions): Promise<ReadEntry> {
  const broken = (what: string) => new LogBroken(`entry ${index}: ${what}`);
  if (row.index !== index) throw broken("is missing");
  if (!same(leafHash(row.body), row.leaf)) throw broken("the stored leaf is not the hash of the body");
  const entry = JSON.parse(Buffer.from(row.body).toString("utf8")) as Entry | DefinitionEntry;
  if (canonical(entry) !== Buffer.from(row.body).toString("utf8") || entry.index !== index)
    throw broken("the body is not the canonical form of this entry");
  const { received } = entry;
  if (entry.type === "definition") {
    if (index !== 0 || entry.definition !== options.definitionHash) throw broken("names another definition");
    return { index, received, entry, statement: null, verdict: "accepted", findings: [], jws: null, checkpoint: null };
  }
  if (index === 0) throw broken("is not the definition");
  const { sha256, data_key, wrapped, sealed, judgement } = row;
  if (!sha256 || !data_key || !wrapped || !sealed || !judgement) throw broken("has no statement");
  if (Buffer.from(sha256).toString("hex") !== entry.statement) throw broken("names another statement");
  const unsealed = await unseal(keyring, entry.statement, { data_key, wrapped, sealed, judgement }).catch((error) => {
    throw error instanceof SealBroken ? broken(error.message) : error;
  });
  const { jws } = unsealed;
  if (createHash("sha256").update(jws).digest("hex") !== entry.statement)
    throw broken("the statement is another one than was committed to");
  const judged = JSON.parse(Buffer.from(unsealed.judgement).toString("utf8")) as Judgement;
  if (commitJudgement(judged) !== entry.judgement) throw broken("the judgement is another one than was committed to");
  const { verdict, findings } = judged;
  const statement = await authenticStatement(jws, entry, verdict, options.signers, broken);
  return { index, received, entry, statement, verdict, findings, jws, checkpoint: null };
}

type SealedParts = Record<"data_key" | "wrapped" | "sealed" | "judgement", Uint8Array>;

async function unseal(keyring: Keyring, sha256: string, row: SealedParts) {
  const key = await keyring.unwrap(Buffer.from(row.data_key).toString("hex"), row.wrapped);
  return { jws: open(key, "statement", sha256, row.sealed), judgement: open(key, "judgement", sha256, row.judgement) };
}

/** The statement in its envelope. It must be what the entry says of it and, given the keys, authentic. */
async function authenticStatement(
  jws: Uint8Array,
  entry: Entry,
  verdict: Judgement["verdict"],
  signers: ReadonlyMap<string, Signer> | undefined,
  broken: (what: string) => LogBroken,
): Promise<Statement> {
  const opened = openEnvelope(jws);
  if (opened.kind === "refused") throw broken(`the envelope is refused (${opened.code})`);
  const { envelope } = opened;
  const read = readStatement(envelope.payload);
  if (read.kind === "refused") throw broken(`the payload is refused (${read.code})`);
  const { statement } = read;
  const said = { type: statement.type, key: envelope.signatures[0]?.kid, sequence: statement.sequence };
  if (said.type !== entry.type || said.key !== entry.key || said.sequence !== entry.sequence)
    throw broken("the statement is not what the entry says of it");
  if (signers === undefined) return statement;
  const claimed = claimedSigners(envelope, signers);
  if (claimed === undefined || !(await signaturesHold(envelope, claimed))) throw broken("a signature does not hold");
  const keys = claimed.map(({ key }) => key);
  if (verdict === "accepted" && refusalOf(statement, keys) !== undefined)
    throw broken("it was accepted, and its keys may not say this");
  return statement;
}

const same = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0;

async function selectEntries(pool: Pool, from: number, to: number): Promise<EntryRow[]> {
  const { rows } = await pool.query<EntryRow>(
    `select index, body, leaf, sha256, data_key, wrapped, sealed, judgement
       from (select e.index, e.body, e.leaf, s.sha256, s.data_key, k.wrapped, s.sealed, s.judgement,
                    coalesce(sum(length(s.sealed)) over (order by e.index rows between unbounded preceding and 1 preceding), 0) as before
               from ledger.entry e
               left join ledger.statement s using (index)
               left join ledger.data_key k on k.id = s.data_key
              where e.index >= $1 and e.index < least($2::bigint, $1::bigint + ${CHUNK_ENTRIES})) as chunk
      where before < ${CHUNK_BYTES}
      order by index`,
    [from, to],
  );
  return rows;
}

async function selectLeaves(pool: Pool, from: number, to: number): Promise<{ index: number; leaf: Uint8Array }[]> {
  const { rows } = await pool.query<{ index: number; leaf: Uint8Array }>(
    "select index, leaf from ledger.entry where index >= $1 and index < $2 order by index",
    [from, to],
  );
  return rows;
}

async function selectCheckpoints(pool: Pool, above: number, upTo: number, limit: number): Promise<CheckpointRow[]> {
  const { rows } = await pool.query<CheckpointRow>(
    "select size, note from ledger.checkpoint where size > $1 and size <= $2 order by size limit $3",
    [above, upTo, limit],
  );
  return rows;
}

async function selectHead(pool: Pool): Promise<CheckpointRow | undefined> {
  const { rows } = await pool.query<CheckpointRow>(
    "select h.size, c.note from ledger.head h left join ledger.checkpoint c on c.size = h.size and c.root = h.root",
  );
  return rows[0];
}
