import type { KeyObject } from "node:crypto";
import type { Pool } from "pg";
import type { Definition } from "../definition/schema.ts";
import { authorityOf, isOriginDecision } from "../ledger/authority.ts";
import { readCheckpoint } from "../ledger/checkpoint.ts";
import { appendLeaf, createFrontier, type Frontier, frontierRoot, frontierSize, leafHash } from "../ledger/merkle.ts";
import { type ReadAuthority, readAuthorities, requireOpened } from "./log-authorities.ts";
import {
  type Authority,
  createAuthority,
  LogBroken,
  type LogCheckpoint,
  openRow,
  type ReadEntry,
  verifyEntries,
} from "./log-entry.ts";
import {
  type CheckpointRow,
  type EntryRow,
  selectBodies,
  selectCheckpoints,
  selectEntries,
  selectHead,
  selectKeyEntries,
} from "./log-rows.ts";
import { createKeyring, type Recipient } from "./seal.ts";

export { LogBroken, type LogCheckpoint, type ReadEntry };

/**
 * Reads the log as the vault sees it: opened, and checked against what the ledger signed. Nothing that lies in the database is
 * believed for lying there: bodies are hashed into the tree whose root a checkpoint signs, statements and judgements are
 * compared with the commitments in those bodies, and statements' own signatures are verified again.
 */

export interface LogReader {
  /** How many entries have been read and hashed: where `read` goes on. */
  position(): number;
  /**
   * Goes to a checkpointed size: the tree is built again from the stored bodies and compared with the signed checkpoint, and the
   * keys from the `key` statements and the decisions among them; nothing else is opened. Nothing needs to be kept for it, and nothing kept can be
   * wrong. Throws LogBroken.
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
  /** "recovery": it is the recovery key instead. */
  recipient?: Recipient;
  /** It names who signs the log, until two of its trustees name another; and its keys, and those that the log brought, are what the
   * signatures of every statement are verified with again. */
  definition: Definition;
}

/** Some 400 bytes each. */
const CHUNK_BODIES = 10_000;
const CHECKPOINTS_AT_ONCE = 1_000;

export function createLogReader(options: LogReaderOptions): LogReader {
  const { pool, definition, definitionHash, vaultPrivateKey, recipient = "vault" } = options;
  const keyring = createKeyring({ definition: definitionHash, vaultPrivateKey, recipient });
  let frontier = createFrontier();
  let authority = createAuthority(definition, definitionHash);
  let authorities: readonly ReadAuthority[] | undefined;

  /** Those rows were read before; who signs is read after them. */
  const verified = async (rows: readonly CheckpointRow[]): Promise<LogCheckpoint[]> => {
    const present = await readAuthorities(pool, { definition, hash: definitionHash }, authorities);
    authorities = present;
    return rows.map((row) => verifiedCheckpoint(row, present));
  };
  const checkpoints = async (above: number, upTo: number, limit: number) =>
    verified(await selectCheckpoints(pool, above, upTo, limit));

  async function* read(from: number, to: number): AsyncIterable<ReadEntry> {
    if (from !== frontierSize(frontier))
      throw new RangeError(`the log was read up to ${frontierSize(frontier)}, not to ${from}`);
    let signed: LogCheckpoint[] = [];
    for (let at = from; at < to; ) {
      const rows = await selectEntries(pool, at, to);
      if (rows.length === 0) throw new LogBroken(`the log has no entry ${at}, though its head is at ${to} or beyond`);
      const unsealed = await Promise.all(rows.map((row, n) => openRow(row, at + n, keyring, definitionHash)));
      for (const entry of await verifyEntries(unsealed, authority)) {
        const size = entry.index + 1;
        if (signed.length === 0) signed = await checkpoints(entry.index, to, CHECKPOINTS_AT_ONCE);
        if (requireOrigin(authorities, frontier, rows[entry.index - at]!) !== opensOrigin(entry))
          throw new LogBroken(`entry ${entry.index}: what was read of the origins is not what the log says of them`);
        appendLeaf(frontier, leafHash(rows[entry.index - at]!.body));
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

  /** The keys as of `size`, and the leaves of the entries that made them so, by index. */
  async function readKeys(size: number): Promise<{ keys: Authority; leaves: Map<number, Uint8Array> }> {
    const keys = createAuthority(definition, definitionHash);
    const leaves = new Map<number, Uint8Array>();
    for (let at = 0; ; ) {
      const rows = await selectKeyEntries(pool, at, size);
      const last = rows.at(-1);
      if (last === undefined) return { keys, leaves };
      const unsealed = await Promise.all(rows.map((row) => openRow(row, row.index, keyring, definitionHash)));
      await verifyEntries(unsealed, keys);
      for (const { index, leaf } of rows) leaves.set(index, leaf);
      at = last.index + 1;
    }
  }

  async function startAt(size: number): Promise<void> {
    const { keys, leaves: ofKeys } = await readKeys(size);
    const [checkpoint] = size === 0 ? [] : await checkpoints(size - 1, size, 1);
    if (size > 0 && checkpoint === undefined) throw new LogBroken(`the log has no checkpoint of size ${size}`);
    const fresh = createFrontier();
    for (let at = 0; at < size; ) {
      const rows = await selectBodies(pool, at, Math.min(size, at + CHUNK_BODIES));
      if (rows.length === 0) throw new LogBroken(`the log is shorter than ${size}, which was counted before`);
      for (const row of rows) {
        if (row.index !== at++) throw new LogBroken(`the log has no entry ${at - 1}`);
        requireOrigin(authorities, fresh, row);
        appendLeaf(fresh, leafOf(row, ofKeys.get(row.index)));
      }
    }
    if (checkpoint !== undefined) compareRoot(frontierRoot(fresh), checkpoint);
    frontier = fresh;
    authority = keys;
  }

  return {
    position: () => frontierSize(frontier),
    startAt,
    read,
    async head() {
      const row = await selectHead(pool);
      if (row === undefined) return undefined;
      const [checkpoint] = (await verified([row])) as [LogCheckpoint];
      if (checkpoint.size < frontierSize(frontier))
        throw new LogBroken(`the head of the log went back to ${checkpoint.size} from ${frontierSize(frontier)}`);
      return checkpoint;
    },
    checkpointsAfter: (size, limit = CHECKPOINTS_AT_ONCE) => checkpoints(size, Number.MAX_SAFE_INTEGER, limit),
  };
}

/** In the canonical form of an entry these can stand nowhere else: no other value of one holds a quotation mark. */
const SAY_KEYS = ["key", "decision"].map((type) => Buffer.from(`"type":"${type}"`));

/** The hash of the body. `read` is the leaf of the entry at its place that was read for the keys: of those that may change them, and of no other. */
function leafOf({ index, body, leaf }: Pick<EntryRow, "index" | "body" | "leaf">, read: Uint8Array | undefined) {
  const hash = leafHash(body);
  if (Buffer.compare(hash, leaf) !== 0)
    throw new LogBroken(`entry ${index}: the stored leaf is not the hash of the body`);
  const text = Buffer.from(body.buffer, body.byteOffset, body.length);
  if (SAY_KEYS.some((says) => text.includes(says)) !== (read !== undefined) || Buffer.compare(hash, read ?? hash) !== 0)
    throw new LogBroken(`entry ${index}: what was read of the keys is not what the log says of them`);
  return hash;
}

/** True if an origin is opened in this entry. Throws LogBroken if it was opened for another log. */
function requireOrigin(
  authorities: readonly ReadAuthority[] | undefined,
  before: Frontier,
  { index, body }: Pick<EntryRow, "index" | "body">,
): boolean {
  const authority = authorities?.find(({ from }) => from === index + 1);
  if (authority === undefined || authority.opened === null) return false;
  requireOpened(authority, body, frontierRoot(before));
  return true;
}

const opensOrigin = ({ statement, verdict }: ReadEntry): boolean =>
  statement !== null && isOriginDecision(statement) && verdict === "accepted";

function compareRoot(root: Uint8Array, signed: LogCheckpoint): void {
  if (Buffer.from(root).toString("base64") !== signed.root)
    throw new LogBroken(`the entries do not hash to the checkpoint of size ${signed.size}`);
}

function verifiedCheckpoint({ size, note }: CheckpointRow, authorities: readonly ReadAuthority[]): LogCheckpoint {
  const { origin, key } = authorityOf(authorities, size);
  const read = note === null ? undefined : readCheckpoint(note, { origin, publicKey: key });
  if (read === undefined || read.size !== size)
    throw new LogBroken(`the checkpoint of size ${size} is not signed by the ledger`);
  return { origin, size, root: Buffer.from(read.root).toString("base64") };
}
