import type { Definition } from "../definition/schema.ts";
import { type Signers, verifyKeyOf } from "../statement/authentic.ts";
import type { VerifyKey } from "../statement/ed25519.ts";
import type { Statement } from "../statement/types.ts";
import { type ReadDecision, readDecision } from "./decision.ts";
import type { KeyBook } from "./keys.ts";

/**
 * Who signs the log's checkpoints and receipts. The definition names the first; a log key rotates only by opening a new origin, which
 * two trustees decide (`decision` `origin`), so that no name ever stands for two keys.
 */
export interface LogAuthority {
  /** Checkpoints of this size and above are its. */
  from: number;
  origin: string;
  /** Key id in receipts. */
  kid: string;
  key: VerifyKey;
}

/** Two trustees' decision that the log goes on under another origin and key, from the entry of this decision on. */
export type OriginDecision = Extract<Statement, { type: "decision"; decision: "origin" }>;

export const isOriginDecision = (statement: Statement): statement is OriginDecision =>
  statement.type === "decision" && statement.decision === "origin";

/** The authority that a valid definition names. Throws a RangeError without one. */
export function firstAuthority(definition: Definition): LogAuthority {
  const named = definition.keys.find((key) => key.role === "ledger");
  const key = named === undefined ? undefined : verifyKeyOf(named.publicKey);
  if (named === undefined || key === undefined) throw new RangeError("the definition names no key of the ledger");
  return { from: 0, origin: definition.origin, kid: named.id, key };
}

/** Whose the checkpoint of a size is; `authorities` ascend by `from` and begin with 0. */
export function authorityOf(authorities: readonly LogAuthority[], size: number): LogAuthority {
  const found = authorities.findLast(({ from }) => from <= size);
  if (found === undefined) throw new RangeError(`nobody signs a checkpoint of size ${size}`);
  return found;
}

/** Who signs what is written next. */
export function presentAuthority(authorities: readonly LogAuthority[]): LogAuthority {
  return authorityOf(authorities, Number.POSITIVE_INFINITY);
}

export function isSameAuthority(a: LogAuthority, b: LogAuthority): boolean {
  const same = Buffer.compare(a.key.raw, b.key.raw) === 0;
  return same && a.from === b.from && a.origin === b.origin && a.kid === b.kid;
}

/** The authority that the decision in entry `index` makes: it signs from the checkpoint on that holds this entry. Undefined if its key is none. */
export function authorityBy(
  index: number,
  { origin, key: { id, publicKey } }: OriginDecision,
): LogAuthority | undefined {
  const key = verifyKeyOf(publicKey);
  return key && { from: index + 1, origin, kid: id, key };
}

/** The head of the log as it stands before an entry; `root` in base64, as a checkpoint has it. */
export interface HeadBefore {
  size: number;
  root: string;
}

/**
 * Whether a decision may open its origin on this head: it names the head, and neither origin nor key was ever used. `authorities`: those of
 * the log so far. Who signed it is another question.
 */
export function fitsHead(
  authorities: readonly LogAuthority[],
  book: KeyBook,
  decision: OriginDecision,
  head: HeadBefore,
): boolean {
  const made = authorityBy(head.size, decision);
  if (made === undefined || decision.size !== head.size || decision.root !== head.root) return false;
  const isFresh = ({ origin, kid, key }: LogAuthority) =>
    origin !== made.origin && kid !== made.kid && Buffer.compare(key.raw, made.key.raw) !== 0;
  return !book.isTaken(decision.key) && authorities.every(isFresh);
}

/** A decision to open an origin that two trustees have signed for this definition; otherwise what it is instead, in words. */
export function readOriginDecision(
  jws: Uint8Array,
  hash: string,
  trustees: Signers,
): Promise<ReadDecision<OriginDecision> | string> {
  return readDecision(jws, hash, trustees, isOriginDecision, "that opens an origin");
}
