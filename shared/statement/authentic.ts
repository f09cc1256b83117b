import type { Definition, Key } from "../definition/schema.ts";
import { importVerifyKey, type VerifyKey, verifySignatureAsync } from "./ed25519.ts";
import { decodeBase64url, type Envelope, type EnvelopeSignature } from "./jws.ts";
import type { ProblemCode } from "./problems.ts";
import { readStatement } from "./read.ts";
import type { KeyStatement, Statement, StatementType } from "./types.ts";

/**
 * Authenticity: do the signatures hold, and may these keys say this? Every component that reads statements asks here, so
 * that the door and the ledger cannot come to differ.
 */

/** A key, ready to verify with. */
export interface Signer {
  key: Key;
  verify: VerifyKey;
}

/** Signers by key id: a Map, or the key book of a log (`shared/ledger/keys.ts`). */
export interface Signers {
  get(kid: string): Signer | undefined;
}

export type Authenticity =
  /** In the envelope's order, the newcomer too. */
  | { kind: "authentic"; statement: Statement; signers: [Signer, ...Signer[]] }
  /** `held`: those whose signatures did hold, whatever else is wrong. */
  | { kind: "refused"; code: ProblemCode; detail?: string; held: Signer[] };

/** Signers by key id, of a definition that `readDefinition` found valid. */
export function signersOf(definition: Definition): ReadonlyMap<string, Signer> {
  const signers = new Map<string, Signer>();
  for (const key of definition.keys) {
    const verify = verifyKeyOf(key.publicKey);
    if (verify === undefined) throw new RangeError(`${key.id} is no key under the strict rule`);
    signers.set(key.id, { key, verify });
  }
  return signers;
}

/** A public key as definitions and statements write it (32 bytes, base64url); undefined if it is none under the strict rule. */
export function verifyKeyOf(publicKey: string): VerifyKey | undefined {
  const raw = decodeBase64url(publicKey);
  return raw === undefined ? undefined : importVerifyKey(raw);
}

/**
 * Whether every signature of an envelope holds, and what it then says. `signers` are the keys as of the place in the log that is
 * meant: those of the definition, and what `key` statements brought before it; ended ones too, since authenticity is not validity.
 *
 * Signatures under known keys are checked first, through the thread pool; what nobody known has signed is never parsed. One signer
 * may be a newcomer: never the first, and only if the payload is the `key` statement that brings it under this very id and the
 * signature holds under the payload's own public key. It is so even if the id stands for another key by now: two statements that
 * bring the same id may be under way at once, and what was authentic stays so however many keys the log gets.
 *
 * Anything else is refused, with the code of what is wrong first.
 */
export async function authenticate(envelope: Envelope, signers: Signers): Promise<Authenticity> {
  const parts = envelope.signatures;
  const known = parts.map(({ kid }) => signers.get(kid));
  if (known[0] === undefined || known.filter((signer) => signer === undefined).length > 1)
    return { kind: "refused", code: "key.unknown", held: [] };
  const holds = await Promise.all(parts.map((part, n) => signatureHolds(part, known[n])));
  const held = known.filter((signer, n): signer is Signer => signer !== undefined && holds[n] === true);
  const refused = (code: ProblemCode, detail?: string): Authenticity =>
    detail === undefined ? { kind: "refused", code, held } : { kind: "refused", code, detail, held };
  if (holds[0] !== true || held.length < parts.length - 1) return refused("signature.invalid");
  const read = readStatement(envelope.payload);
  const doubtful = parts.findIndex((_, n) => holds[n] !== true);
  if (read.kind === "refused")
    return known[doubtful] === undefined ? refused(read.code, read.detail) : refused("signature.invalid");
  const { statement } = read;
  const brought = statement.type === "key" ? await newcomerAmong(parts, statement, signers) : undefined;
  const all = parts.map((_, n) => (brought?.at === n ? brought.signer : holds[n] ? known[n] : undefined));
  if (all.every((signer) => signer !== undefined))
    return { kind: "authentic", statement, signers: all as [Signer, ...Signer[]] };
  return refused(known[doubtful] === undefined && brought === undefined ? "key.unknown" : "signature.invalid");
}

/**
 * The key that a `key` statement brings, and its place among the signers of its envelope: -1 if its signature does not hold there.
 * Undefined if the envelope has no such signature beyond the first, or the statement replaces what is no key of an office.
 */
async function newcomerAmong(
  parts: readonly EnvelopeSignature[],
  statement: KeyStatement,
  signers: Signers,
): Promise<{ at: number; signer: Signer | undefined } | undefined> {
  const key = newcomerKey(statement, signers);
  const at = parts.findIndex(({ kid }, n) => n > 0 && kid === key?.id);
  const part = parts[at];
  if (key === undefined || part === undefined) return undefined;
  const verify = verifyKeyOf(key.publicKey);
  const signer = verify === undefined ? undefined : { key, verify };
  return (await signatureHolds(part, signer)) ? { at, signer } : { at: -1, signer };
}

/** The key that a `key` statement brings, as it says; undefined for a revocation. */
export function broughtKey(statement: KeyStatement): { id: string; publicKey: string } | undefined {
  return statement.change === "revoke" ? undefined : statement.key;
}

/**
 * The whole key that a `key` statement brings: a rotated one takes the place of the old one, with its state, its official and its
 * use. Undefined for a revocation, and for a rotation of what is no key of an office.
 */
export function newcomerKey(statement: KeyStatement, signers: Signers): Key | undefined {
  if (statement.change === "revoke") return undefined;
  if (statement.change === "enrol") return { role: "office", ...statement.key };
  const replaced = signers.get(statement.replaces)?.key;
  return replaced?.role === "office" ? { ...replaced, ...statement.key } : undefined;
}

/** The signers that an envelope claims, in its order; undefined if one of them is unknown. */
export function claimedSigners(envelope: Envelope, signers: Signers): Signer[] | undefined {
  const claimed = envelope.signatures.map(({ kid }) => signers.get(kid));
  return claimed.every((signer) => signer !== undefined) ? claimed : undefined;
}

/** True if every signature of the envelope holds, each under the signer at its place; through the thread pool. */
export async function signaturesHold(envelope: Envelope, claimed: readonly Signer[]): Promise<boolean> {
  const held = await Promise.all(envelope.signatures.map((part, n) => signatureHolds(part, claimed[n])));
  return held.length > 0 && held.every((ok) => ok);
}

async function signatureHolds({ signed, signature }: EnvelopeSignature, signer: Signer | undefined): Promise<boolean> {
  return signer !== undefined && verifySignatureAsync(signed, signature, signer.verify);
}

/** Who says what: the roles that may sign each type. Of `key`, by what it changes: see `mayRoleSign`. */
const ROLES: Record<Exclude<StatementType, "key">, readonly Key["role"][]> = {
  tally: ["office"],
  polls: ["office"],
  seats: ["office"],
  declaration: ["office"],
  void: ["office"],
  decision: ["trustee"],
  lift: ["tabulate", "recount"],
  release: ["tabulate", "recount"],
};

/** Whom a key speaks for: an office for its state, everyone else for the Union. */
export function speaksFor(key: Key): string {
  return key.role === "office" ? key.state : "EU";
}

/** Decisions, declarations and the vault's own statements need two people (or both counts), whatever a state asks. */
const TWO = 2;

/**
 * Whether too few distinct people signed: officials of an office by name, trustees by person, and for the vault's statements both
 * counts. `signaturesRequired` is what the definition asks of the statement's state. A newcomer counts for nobody, and must have
 * signed too. Asked at the door, so that whoever strips a signature on the way cannot use up the sequence number of the whole
 * statement; the ledger asks again.
 */
export function tooFewSigned(statement: Statement, keys: readonly Key[], signaturesRequired: number): boolean {
  return lacksPossession(statement, keys) || tooFewPeople(statement, keys, signaturesRequired);
}

/** As `tooFewSigned`, without the question whether a newcomer signed. */
export function tooFewPeople(statement: Statement, keys: readonly Key[], signaturesRequired: number): boolean {
  const people = new Set(
    keys
      .filter((key) => !isNewcomer(statement, key))
      .map((key) => (key.role === "office" ? key.official : key.role === "trustee" ? key.person : key.role)),
  );
  return people.size < signaturesNeeded(statement, signaturesRequired);
}

/** True for a `key` statement that brings a key which has not signed it: nothing shows that anyone holds it. */
export function lacksPossession(statement: Statement, keys: readonly Key[]): boolean {
  const brought = statement.type === "key" ? broughtKey(statement) : undefined;
  return (
    brought !== undefined && !keys.some(({ id, publicKey }) => id === brought.id && publicKey === brought.publicKey)
  );
}

function signaturesNeeded(statement: Statement, signaturesRequired: number): number {
  if (statement.type === "decision") return statement.decision === "hold" ? 1 : TWO;
  if (statement.type === "declaration") return Math.max(TWO, signaturesRequired);
  // A key is rotated by whoever holds it, and revoked by whoever holds the state's back-up key.
  if (statement.type === "key") return statement.state === "EU" ? TWO : 1;
  return speaksForUnion(statement) ? TWO : signaturesRequired;
}

const speaksForUnion = ({ type }: Statement): boolean => type === "lift" || type === "release";

/** The key that this statement brings, as one of its signers. */
export function isNewcomer(statement: Statement, key: Key): boolean {
  return statement.type === "key" && broughtKey(statement)?.id === key.id;
}

/**
 * Why these keys may not sign this statement; undefined if they may. Role and state only: how many must sign, and in which
 * order, is another question (`tooFewSigned`, and the ledger's rules).
 */
export function refusalOf(statement: Statement, keys: readonly Key[]): ProblemCode | undefined {
  if (keys.some((key) => !mayRoleSign(statement, key))) return "key.wrong-role";
  if (keys.some((key) => !isEnrolled(statement, key) && speaksFor(key) !== statement.state)) return "key.other-state";
  return undefined;
}

/** A back-up key does one thing only: it revokes, and is rotated. */
function mayRoleSign(statement: Statement, key: Key): boolean {
  const isBackup = key.role === "office" && key.backup === true;
  // Nobody has a say in the own suspension, not even for it: whoever took the key over must not choose when.
  if (statement.type === "decision" && statement.decision === "suspend" && key.id === statement.trustee) return false;
  if (statement.type !== "key") return !isBackup && ROLES[statement.type].includes(key.role);
  if (isNewcomer(statement, key)) return key.role === "office";
  if (statement.change === "rotate") return key.role === "office" && key.id === statement.replaces;
  if (statement.change === "enrol" || statement.state === "EU") return key.role === "trustee";
  return isBackup && key.id !== statement.revokes;
}

/** Trustees speak for the Union when they enrol a key, which then speaks for its state. */
const isEnrolled = (statement: Statement, key: Key): boolean =>
  statement.type === "key" && statement.change === "enrol" && isNewcomer(statement, key);
