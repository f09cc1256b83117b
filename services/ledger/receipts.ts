import { type KeyObject, sign } from "node:crypto";
import { headers, type MsgHdrs } from "nats";
import type { Definition } from "../../shared/definition/schema.ts";
import { commitJudgement, type Entry, type Judgement } from "../../shared/ledger/entry.ts";
import { leafHash } from "../../shared/ledger/merkle.ts";
import { RECEIPT_TYP, receiptPayload } from "../../shared/ledger/receipt.ts";
import { type ReadAuthority, readAuthorities } from "../../shared/platform/log-authorities.ts";
import { LogBroken } from "../../shared/platform/log-entry.ts";
import { type Keyring, open, seal } from "../../shared/platform/seal.ts";
import type { VerifyKey } from "../../shared/statement/ed25519.ts";
import { compactEnvelope, openEnvelope } from "../../shared/statement/jws.ts";
import { leastReceiptBytes } from "../../shared/statement/least-bytes.ts";
import { readStatement } from "../../shared/statement/read.ts";
import type { Statement } from "../../shared/statement/types.ts";
import type { Authentic } from "./delivery.ts";
import { isPresentKey } from "./origin.ts";
import { type Db, readCheckpointOf, readStored, type StoredStatement } from "./store.ts";

/** Thrown when the stored log contradicts itself: somebody changed it behind our back. Nothing more is written on it. */
export { LogBroken };

/** An entry with everything that was sealed, opened. */
export interface OpenedStatement {
  entry: Entry;
  statement: Statement;
  judgement: Judgement;
}

/** Opens a stored statement and checks every hash that binds it. Throws LogBroken on any difference. */
export async function openStored(stored: StoredStatement, keyring: Keyring): Promise<OpenedStatement> {
  const fail = (what: string, cause?: unknown) => new LogBroken(`entry ${stored.index}: ${what}`, { cause });
  if (!Buffer.from(leafHash(stored.body)).equals(stored.leaf)) throw fail("its leaf is not the hash of its body");
  const entry = JSON.parse(stored.body.toString("utf8")) as Entry;
  const sha256 = stored.sha256.toString("hex");
  if (entry.index !== stored.index || entry.statement !== sha256) throw fail("its body names another statement");
  try {
    const key = await keyring.unwrap(stored.data_key.toString("hex"), stored.wrapped);
    const bytes = open(key, "statement", sha256, stored.sealed);
    const text = Buffer.from(open(key, "judgement", sha256, stored.judgement)).toString("utf8");
    const judgement = JSON.parse(text) as Judgement;
    if (commitJudgement(judgement) !== entry.judgement) throw fail("its judgement is not the one it commits to");
    const opened = openEnvelope(bytes);
    const read = opened.kind === "envelope" ? readStatement(opened.envelope.payload) : opened;
    if (read.kind !== "statement") throw fail("its statement cannot be read");
    return { entry, statement: read.statement, judgement };
  } catch (error) {
    throw error instanceof LogBroken ? error : fail("it does not open", error);
  }
}

/** The key that signs checkpoints and receipts. */
export interface LedgerKey {
  kid: string;
  sign(bytes: Uint8Array): Promise<Uint8Array> | Uint8Array;
  own: VerifyKey;
}

export interface Receipts {
  /** The signed receipt (compact JWS). The same arguments give the same bytes: Ed25519 is deterministic. */
  make(opened: OpenedStatement, note: string): Promise<string>;
  /**
   * The same, from the database: byte for byte what was given after COMMIT, unless the log has got another key since. Rejects when this
   * process' key is not the log's any more, or not yet.
   */
  ofStored(db: Db, index: number): Promise<string>;
  /** A receipt as it travels: only whoever sealed the statement can open it, and its length says nothing of figures or findings. */
  seal(to: Authentic, receipt: string): { headers: MsgHdrs; data: Uint8Array };
  /**
   * Reads who signs for the log by now, and tells whoever asked to be told. That changes only when a ledger is started with a decision: whoever
   * writes looks once, whoever waits for its turn again and again. Rejects with LogBroken.
   */
  refresh(db: Db): Promise<void>;
  /** Calls back with whether this process' key signs for the log: at once if that is known, and at each `refresh`. */
  whenKnown(tell: (signs: boolean) => void): void;
}

export function createReceipts(opts: {
  definition: Definition;
  hash: string;
  keyring: Keyring;
  key: LedgerKey;
}): Receipts {
  const { definition, hash, keyring, key } = opts;
  const make: Receipts["make"] = async ({ entry, statement, judgement }, checkpoint) => {
    const { mode } = definition;
    const payload = receiptPayload({ definition: hash, mode, entry, judgement, statement, checkpoint });
    const { signed, assemble } = compactEnvelope(key.kid, payload, RECEIPT_TYP);
    return assemble(await key.sign(signed));
  };
  let authorities: readonly ReadAuthority[] | undefined;
  const listeners: ((signs: boolean) => void)[] = [];
  const refresh = async (db: Db) => {
    const present = await readAuthorities(db, { definition, hash }, authorities);
    authorities = present;
    for (const tell of listeners) tell(isPresentKey(present, key));
  };
  /** Whether what is known of the log's keys reaches as far as this checkpoint. */
  const isKnown = (note: string) => authorities?.some(({ origin }) => note.startsWith(`${origin}\n`)) === true;
  return {
    make,
    seal: (to, receipt) => sealReceipt(to, receipt, leastReceiptBytes(definition, to.statement)),
    refresh,
    whenKnown(tell) {
      listeners.push(tell);
      if (authorities !== undefined) tell(isPresentKey(authorities, key));
    },
    async ofStored(db, index) {
      const [stored, note] = [await readStored(db, index), await readCheckpointOf(db, index)];
      if (stored === undefined || note === undefined) throw new LogBroken(`entry ${index} is not in the log`);
      if (!isKnown(note)) await refresh(db);
      if (!isPresentKey(authorities ?? [], key)) throw new Error(`${key.kid} does not sign for this log`);
      return make(await openStored(stored, keyring), note);
    },
  };
}

/** Ed25519 through the thread pool: thousands of receipts a second would fill the event loop. */
export function signInPool(privateKey: KeyObject, bytes: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    sign(null, bytes, privateKey, (error, signature) => (error ? reject(error) : resolve(signature)));
  });
}

function sealReceipt(to: Authentic, receipt: string, atLeast: number): { headers: MsgHdrs; data: Uint8Array } {
  const sha256 = to.sha256.toString("hex");
  const head = headers();
  head.set("Scrutin-Statement", sha256);
  head.set("Scrutin-Key", to.dataKey.id.toString("hex"));
  return { headers: head, data: seal(to.dataKey.key, "receipt", sha256, Buffer.from(receipt, "ascii"), { atLeast }) };
}
