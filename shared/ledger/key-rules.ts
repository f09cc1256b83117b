import type { Key } from "../definition/schema.ts";
import {
  broughtKey,
  isNewcomer,
  lacksPossession,
  refusalOf,
  speaksFor,
  tooFewPeople,
  verifyKeyOf,
} from "../statement/authentic.ts";
import type { KeyStatement, Statement } from "../statement/types.ts";
import type { VerdictCode } from "./codes.ts";
import type { KeyBook, Suspension } from "./keys.ts";

/** The rules for keys: who may bring, end and use them. `book` is the log's, as of the entry that is judged. */

/** True if a signer's key has been replaced or revoked, or a trustee's suspended. The key that the statement itself brings is judged as what it brings. */
export function hasEndedSigner(book: KeyBook, statement: Statement, signers: readonly Key[]): boolean {
  return signers.some((key) => !isNewcomer(statement, key) && (book.get(key.id)?.ended ?? null) !== null);
}

/**
 * Every code that a `key` statement gets; empty when it may be applied. `isState` says what the definition holds; `received` is the
 * entry's, ms UTC. Whoever takes accepted `key` statements from elsewhere than the log asks here too, after `authenticate`:
 * signatures that hold do not make a statement an accepted one.
 */
export function keyFindings(
  book: KeyBook,
  say: KeyStatement,
  signers: readonly Key[],
  received: number,
  isState: (id: string) => boolean,
): VerdictCode[] {
  const codes: VerdictCode[] = [];
  if (hasEndedSigner(book, say, signers)) codes.push("F.105");
  if (!maySign(book, say, signers)) codes.push("F.104");
  else if (tooFewPeople(say, signers, 1)) codes.push("F.103");
  const brought = broughtKey(say);
  if (brought !== undefined) {
    if (book.isTaken(brought)) codes.push("F.409");
    if (lacksPossession(say, signers)) codes.push("F.410");
    if (verifyKeyOf(brought.publicKey) === undefined) codes.push("F.412");
  }
  if (say.change === "revoke" && !isRevocable(book, say, received)) codes.push("F.411");
  if (say.change === "enrol" && !isState(say.key.state)) codes.push("F.413");
  return codes;
}

/** Trustees decide by two: with fewer left, nobody could lift a hold again. */
const TRUSTEES_LEFT = 2;

/** Every code that a suspension gets beyond those of any decision; empty when it may be applied, if those are. */
export function suspensionFindings(book: KeyBook, { trustee }: Suspension, signers: readonly Key[]): VerdictCode[] {
  const record = book.get(trustee);
  if (record?.key.role !== "trustee" || record.ended !== null) return ["F.408"];
  const { person } = record.key;
  const isOther = (key: Key) => key.role === "trustee" && key.person !== person;
  const left = [...book.records()].flatMap(({ key, ended }) =>
    key.role === "trustee" && isOther(key) && ended === null ? [key.person] : [],
  );
  const codes: VerdictCode[] = signers.every(isOther) ? [] : ["F.104"];
  return new Set(left).size < TRUSTEES_LEFT ? [...codes, "F.408"] : codes;
}

/**
 * Whether the ledger's rules can have accepted a suspension that came from elsewhere than the log; as `keyFindings` for `key`
 * statements, after `authenticate`.
 */
export function maySuspend(book: KeyBook, say: Suspension, signers: readonly Key[]): boolean {
  if (refusalOf(say, signers) !== undefined || tooFewPeople(say, signers, 1)) return false;
  return !hasEndedSigner(book, say, signers) && suspensionFindings(book, say, signers).length === 0;
}

/** The newcomer never speaks first: the sequence number is that of whoever brings it. A back-up key revokes keys of its own state. */
function maySign(book: KeyBook, say: KeyStatement, signers: readonly Key[]): boolean {
  const [first] = signers;
  if (first === undefined || isNewcomer(say, first) || refusalOf(say, signers) !== undefined) return false;
  if (say.change === "enrol") return say.state === "EU";
  if (say.change === "rotate") return true;
  const target = book.get(say.revokes)?.key;
  return target === undefined || say.state === "EU" || speaksFor(target) === say.state;
}

/** Only offices' keys come and go in the log. A second revocation must say more than the first. */
function isRevocable(book: KeyBook, say: Extract<KeyStatement, { change: "revoke" }>, received: number): boolean {
  const record = book.get(say.revokes);
  const since = Date.parse(say.since);
  if (record === undefined || record.key.role !== "office" || since > received) return false;
  return record.ended?.how !== "revoked" || since < record.ended.since;
}
