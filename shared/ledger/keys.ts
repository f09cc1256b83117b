import type { Definition } from "../definition/schema.ts";
import { newcomerKey, type Signer, type Signers, signersOf, verifyKeyOf } from "../statement/authentic.ts";
import type { KeyStatement, Statement } from "../statement/types.ts";

/**
 * The keys of a log: those of its definition, and what accepted `key` statements and suspensions made of them. A fold over those
 * statements in the order of the log; whoever reads the log keeps one, and asks it as of the entry in hand.
 */

/**
 * How a key ended: the entry that said so first, and from when on it counts for nothing (ms UTC) if it was revoked. What a trustee signed
 * before the suspension stays: a hold is no less in force.
 */
export type KeyEnd =
  | { index: number; how: "rotated" }
  | { index: number; how: "revoked"; since: number }
  | { index: number; how: "suspended" };

/** Two trustees' decision that a third signs no more. */
export type Suspension = Extract<Statement, { type: "decision"; decision: "suspend" }>;

/** What the keys of a log follow from. */
export const changesKeys = (statement: Statement): statement is KeyStatement | Suspension =>
  statement.type === "key" || (statement.type === "decision" && statement.decision === "suspend");

/** A key of the definition or of the log, with its life. `from`: index of the entry that brought it (0: the definition). */
export interface KeyRecord extends Signer {
  from: number;
  ended: KeyEnd | null;
  /** The key that took its place by rotation. */
  heir?: string;
}

export interface KeyBook extends Signers {
  /** Ended keys too: authenticity is not validity. */
  get(kid: string): KeyRecord | undefined;
  has(kid: string): boolean;
  /** In the order in which they came. */
  records(): Iterable<KeyRecord>;
  /** Whether the id or the public key (base64url) stands for something already, or once did: neither is used a second time. */
  isTaken(key: { id: string; publicKey: string }): boolean;
  /** For `applyKey`. */
  add(record: KeyRecord): void;
  /** A key that signs no statements, the log's own under a later origin: its id and public key are used from now on. */
  reserve(key: { id: string; publicKey: string }): void;
}

/** The keys of a definition that `readDefinition` found valid. */
export function createKeyBook(definition: Definition): KeyBook {
  const records = new Map<string, KeyRecord>();
  const { authority, vault, witnesses } = definition;
  const ids = new Set(authority.map(({ id }) => id));
  const publicKeys = new Set([...authority, ...(witnesses?.keys ?? [])].map(({ publicKey }) => publicKey));
  for (const publicKey of [vault.publicKey, vault.recoveryKey]) publicKeys.add(publicKey);
  const reserve = ({ id, publicKey }: { id: string; publicKey: string }) => {
    ids.add(id);
    publicKeys.add(publicKey);
  };
  const add = (record: KeyRecord) => {
    records.set(record.key.id, record);
    reserve(record.key);
  };
  for (const signer of signersOf(definition).values()) add({ ...signer, from: 0, ended: null });
  return {
    get: (kid) => records.get(kid),
    has: (kid) => records.has(kid),
    records: () => records.values(),
    isTaken: ({ id, publicKey }) => ids.has(id) || publicKeys.has(publicKey),
    add,
    reserve,
  };
}

/**
 * Applies the accepted statement of entry `index`, in the order of the log; one that was applied before changes nothing. Throws if the
 * statement could not have been accepted: then the log or this code is broken.
 */
export function applyKey(book: KeyBook, index: number, statement: KeyStatement | Suspension): void {
  if (statement.type === "decision") {
    suspend(book, index, statement.trustee);
    return;
  }
  if (statement.change === "revoke") {
    revoke(book, index, statement.revokes, Date.parse(statement.since));
    return;
  }
  const { id, publicKey } = statement.key;
  const known = book.get(id);
  if (known?.from === index && known.key.publicKey === publicKey) return;
  const key = newcomerKey(statement, book);
  const verify = verifyKeyOf(publicKey);
  if (key === undefined || verify === undefined || book.isTaken(statement.key))
    throw new Error(`entry ${index} brings the key ${id}, which it cannot`);
  book.add({ key, verify, from: index, ended: null });
  const replaced = statement.change === "rotate" ? book.get(statement.replaces) : undefined;
  if (replaced === undefined) return;
  replaced.ended ??= { index, how: "rotated" };
  replaced.heir = id;
}

/**
 * A second revocation can only say an earlier instant; the key ended with whatever ended it first. The keys that took its place go with
 * it: whoever stole a key could otherwise rotate it faster than anyone revokes.
 */
function revoke(book: KeyBook, index: number, id: string, since: number): void {
  const revoked = book.get(id);
  if (revoked === undefined) throw new Error(`entry ${index} revokes the unknown key ${id}`);
  for (let record: KeyRecord | undefined = revoked; record !== undefined; record = book.get(record.heir ?? "")) {
    const { ended }: KeyRecord = record;
    const earliest = ended?.how === "revoked" ? Math.min(ended.since, since) : since;
    record.ended = { index: Math.min(ended?.index ?? index, index), how: "revoked", since: earliest };
  }
}

function suspend(book: KeyBook, index: number, id: string): void {
  const suspended = book.get(id);
  if (suspended?.key.role !== "trustee") throw new Error(`entry ${index} suspends ${id}, which is no trustee`);
  suspended.ended ??= { index, how: "suspended" };
}
