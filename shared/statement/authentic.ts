import type { Definition, Key } from "../definition/schema.ts";
import { importVerifyKey, type VerifyKey, verifySignatureAsync } from "./ed25519.ts";
import { decodeBase64url, type Envelope } from "./jws.ts";
import type { ProblemCode } from "./problems.ts";
import type { Statement, StatementType } from "./types.ts";

/**
 * Authenticity: do the signatures hold, and may these keys say this? Every component that reads statements asks here, so
 * that the door and the ledger cannot come to differ.
 */

/** A key of the definition, ready to verify with. */
export interface Signer {
  key: Key;
  verify: VerifyKey;
}

/** Signers by key id, of a definition that `readDefinition` found valid. */
export function signersOf(definition: Definition): ReadonlyMap<string, Signer> {
  const signers = new Map<string, Signer>();
  for (const key of definition.keys) {
    const raw = decodeBase64url(key.publicKey);
    const verify = raw === undefined ? undefined : importVerifyKey(raw);
    if (verify === undefined) throw new RangeError(`${key.id} is no key under the strict rule`);
    signers.set(key.id, { key, verify });
  }
  return signers;
}

/** The signers that an envelope claims, in its order; undefined if the definition does not hold one of them. */
export function claimedSigners(envelope: Envelope, signers: ReadonlyMap<string, Signer>): Signer[] | undefined {
  const claimed = envelope.signatures.map(({ kid }) => signers.get(kid));
  return claimed.every((signer) => signer !== undefined) ? claimed : undefined;
}

/** True if every signature of the envelope holds, each under the signer at its place; through the thread pool. */
export async function signaturesHold(envelope: Envelope, claimed: readonly Signer[]): Promise<boolean> {
  const held = await Promise.all(
    envelope.signatures.map(({ signed, signature }, n) => {
      const signer = claimed[n];
      return signer !== undefined && verifySignatureAsync(signed, signature, signer.verify);
    }),
  );
  return held.length > 0 && held.every((ok) => ok);
}

/** Who says what: the roles that may sign each type. */
const ROLES: Record<StatementType, readonly Key["role"][]> = {
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
 * counts. `signaturesRequired` is what the definition asks of the statement's state. Asked at the door, so that whoever strips a
 * signature on the way cannot use up the sequence number of the whole statement; the ledger asks again.
 */
export function tooFewSigned(statement: Statement, keys: readonly Key[], signaturesRequired: number): boolean {
  const people = new Set(
    keys.map((key) => (key.role === "office" ? key.official : key.role === "trustee" ? key.person : key.role)),
  );
  return people.size < signaturesNeeded(statement, signaturesRequired);
}

function signaturesNeeded(statement: Statement, signaturesRequired: number): number {
  if (statement.type === "decision") return statement.decision === "hold" ? 1 : TWO;
  if (statement.type === "declaration") return Math.max(TWO, signaturesRequired);
  return speaksForUnion(statement) ? TWO : signaturesRequired;
}

const speaksForUnion = ({ type }: Statement): boolean => type === "lift" || type === "release";

/**
 * Why these keys may not sign this statement; undefined if they may. Role and state only: how many must sign, and in which
 * order, is another question (`tooFewSigned`, and the ledger's rules).
 */
export function refusalOf(statement: Statement, keys: readonly Key[]): ProblemCode | undefined {
  if (keys.some((key) => !ROLES[statement.type].includes(key.role))) return "key.wrong-role";
  if (keys.some((key) => speaksFor(key) !== statement.state)) return "key.other-state";
  return undefined;
}
