import type { Register } from "../../shared/definition/register.ts";
import { authorityOf, firstAuthority, isSameAuthority } from "../../shared/ledger/authority.ts";
import { readCheckpoint as readNote, signCheckpoint } from "../../shared/ledger/checkpoint.ts";
import { canonical, type DefinitionEntry } from "../../shared/ledger/entry.ts";
import { createGaps, sequenceSeen } from "../../shared/ledger/gaps.ts";
import { appendLeaf, createFrontier, emptyRoot, frontierRoot, leafHash } from "../../shared/ledger/merkle.ts";
import { applyAccepted, createLedgerState } from "../../shared/ledger/state.ts";
import { readAuthorities } from "../../shared/platform/log-authorities.ts";
import type { Keyring } from "../../shared/platform/seal.ts";
import { type OpenLog, takesSequence } from "./decide.ts";
import { requireLogKey } from "./origin.ts";
import { type LedgerKey, LogBroken, openStored } from "./receipts.ts";
import {
  append,
  type Db,
  insertDefinition,
  insertHead,
  insertPolls,
  readCheckpoint,
  readChunk,
  readDataKeyIds,
  readHead,
  type StoredStatement,
} from "./store.ts";

/** Entries read at once: statements of the largest size must not fill the memory. */
const CHUNK = 64;

/** The election, and the key that signs its log. */
export interface LogIdentity {
  register: Register;
  bytes: Uint8Array;
  signatures: unknown;
  key: LedgerKey;
  keyring: Keyring;
}

/**
 * Reads the whole log and checks it: bodies against leaves, leaves against the head's root, the head against its signed
 * checkpoint, statements and judgements against what the entries commit to. Throws LogBroken when anything differs. A database
 * without a log gets entry 0 first. `db` is the writer's session.
 */
export async function openLog(db: Db, identity: LogIdentity, now: number): Promise<OpenLog> {
  const { register, keyring } = identity;
  const head = (await readHead(db)) ?? (await writeFirst(db, identity, now));
  const log: OpenLog = {
    state: createLedgerState(register.definition, register),
    frontier: createFrontier(),
    root: emptyRoot(),
    lastReceived: 0,
    gaps: createGaps(),
    dataKeys: new Map((await readDataKeyIds(db)).map((id) => [id.toString("hex"), new Uint8Array()])),
  };
  while (log.frontier.size < head.size) {
    const chunk = await readChunk(db, log.frontier.size, Math.min(CHUNK, head.size - log.frontier.size));
    if (chunk.length === 0) throw new LogBroken(`the head is at ${head.size}, the log ends at ${log.frontier.size}`);
    for (const stored of chunk) await fold(log, stored, keyring);
  }
  log.root = frontierRoot(log.frontier);
  if (!head.root.equals(log.root)) throw new LogBroken("the leaves do not give the root of the head");
  await checkOrigins(db, identity, log);
  await checkHead(db, log);
  return log;
}

async function fold(log: OpenLog, stored: StoredStatement, keyring: Keyring): Promise<void> {
  if (stored.index !== log.frontier.size) throw new LogBroken(`entry ${log.frontier.size} is missing`);
  if (stored.index === 0) {
    if (!Buffer.from(leafHash(stored.body)).equals(stored.leaf)) throw new LogBroken("entry 0 is not what was hashed");
    const { received } = JSON.parse(stored.body.toString("utf8")) as DefinitionEntry;
    log.lastReceived = Date.parse(received);
  } else {
    const { entry, statement, judgement } = await openStored(stored, keyring);
    const id = stored.data_key.toString("hex");
    log.dataKeys.set(id, await keyring.unwrap(id, stored.wrapped));
    log.lastReceived = Date.parse(entry.received);
    if (takesSequence(statement, log.state.register))
      sequenceSeen(log.gaps, entry.key, entry.sequence, log.lastReceived);
    if (judgement.verdict === "accepted") {
      try {
        applyAccepted(log.state, statement, entry);
      } catch (cause) {
        throw new LogBroken(`entry ${entry.index}: it was accepted, and could not have been`, { cause });
      }
      if (statement.type === "void") sequenceSeen(log.gaps, entry.key, statement.voids, log.lastReceived);
    }
  }
  appendLeaf(log.frontier, stored.leaf);
}

/** Whoever reads the log learns from these rows who signs it: what they say must be what its entries say. */
async function checkOrigins(db: Db, { register }: LogIdentity, { state }: OpenLog): Promise<void> {
  const rows = await readAuthorities(db, register);
  const same = (n: number) => {
    const [row, folded] = [rows[n], state.authorities[n]];
    return row !== undefined && folded !== undefined && isSameAuthority(row, folded);
  };
  if (rows.length !== state.authorities.length || !rows.every((_, n) => same(n)))
    throw new LogBroken("the origins are not those that the entries opened");
}

async function checkHead(db: Db, { frontier: { size }, root, state }: OpenLog): Promise<void> {
  const note = await readCheckpoint(db, size);
  const { origin, kid, key } = authorityOf(state.authorities, size);
  const read = note === undefined ? undefined : readNote(note, { origin, publicKey: key });
  if (read === undefined) throw new LogBroken(`the checkpoint of size ${size} is missing or not signed by ${kid}`);
  if (read.size !== size || !Buffer.from(read.root).equals(root))
    throw new LogBroken(`the checkpoint of size ${size} was signed for another log`);
}

/** Entry 0, the schedule and the first checkpoint, in one transaction. */
async function writeFirst(db: Db, identity: LogIdentity, now: number): Promise<{ size: number; root: Buffer }> {
  const { register, bytes, signatures, key } = identity;
  const { definition, hash } = register;
  requireLogKey([firstAuthority(definition)], key, undefined);
  const received = new Date(now).toISOString();
  const entry: DefinitionEntry = {
    index: 0,
    received,
    type: "definition",
    definition: hash,
    signatures: entrySignatures(signatures),
  };
  const body = Buffer.from(canonical(entry), "utf8");
  const leaf = leafHash(body);
  const frontier = createFrontier();
  appendLeaf(frontier, leaf);
  const root = Buffer.from(frontierRoot(frontier));
  const { origin } = definition;
  const note = await signCheckpoint({ origin, size: 1, root, sign: key.sign, publicRaw: key.own.raw });
  await db.query("begin");
  await insertDefinition(db, { hash, origin, document: bytes, signatures });
  await insertPolls(db, pollsOf(register));
  await insertHead(db, { size: 0, root: emptyRoot() });
  await append(db, {
    old: { size: 0, root: emptyRoot() },
    root,
    note,
    signedAt: received,
    dataKeys: [],
    entries: [
      {
        body,
        leaf,
        received,
        type: "definition",
        state: "EU",
        key: null,
        sequence: null,
        payload: null,
        takesSequence: true,
      },
    ],
  });
  const { command } = await db.query("commit");
  if (command !== "COMMIT") throw new Error(`COMMIT was answered with ${command}`);
  return { size: 1, root };
}

/** Postgres' own schedule: a constituency's polls close when its state's last counted closing says. */
function pollsOf(register: Register): { state: string; constituency: string; closesAt: string }[] {
  return register.definition.states.flatMap(({ id, constituencies }) => {
    const closesAt = new Date(register.closesAt(id)).toISOString();
    return constituencies.map((constituency) => ({ state: id, constituency: constituency.id, closesAt }));
  });
}

/** The detached signatures as entry 0 names them: key id and signature. The definition was found valid before. */
function entrySignatures(signatures: unknown): DefinitionEntry["signatures"] {
  const list = (signatures as { signatures: { protected: string; signature: string }[] }).signatures;
  return list.map((part) => {
    const header = JSON.parse(Buffer.from(part.protected, "base64url").toString("utf8")) as { kid: string };
    return { key: header.kid, signature: part.signature };
  });
}
