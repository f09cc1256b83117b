import { authenticate, refusalOf, type Signer, type Signers, tooFewSigned } from "../statement/authentic.ts";
import { openEnvelope } from "../statement/jws.ts";
import type { Statement } from "../statement/types.ts";

/** Decisions of two trustees that are given to a service as a file, beside those that come by the door. */

type Decision = Extract<Statement, { type: "decision" }>;

/** Two trustees' decision that the vault goes on with the recovery key. */
export type Recovery = Extract<Decision, { decision: "recover" }>;

export const isRecovery = (statement: Statement): statement is Recovery =>
  statement.type === "decision" && statement.decision === "recover";

/** An authentic decision, who signed it, and the payload that they signed. */
export interface ReadDecision<D extends Decision> {
  decision: D;
  signers: [Signer, ...Signer[]];
  payload: Uint8Array;
}

/**
 * A decision of one kind that two trustees have signed for this definition; otherwise what it is instead, in words. `what` completes
 * "it is no decision …".
 */
export async function readDecision<D extends Decision>(
  jws: Uint8Array,
  hash: string,
  trustees: Signers,
  isKind: (statement: Statement) => statement is D,
  what: string,
): Promise<ReadDecision<D> | string> {
  const opened = openEnvelope(jws);
  if (opened.kind === "refused") return `it is no JWS (${opened.code})`;
  const authenticity = await authenticate(opened.envelope, trustees);
  if (authenticity.kind === "refused") return `it is not authentic (${authenticity.code})`;
  const { statement, signers } = authenticity;
  if (!isKind(statement)) return `it is no decision ${what}`;
  if (statement.definition !== hash) return "it was signed for another definition";
  const keys = signers.map(({ key }) => key);
  if (refusalOf(statement, keys) !== undefined || tooFewSigned(statement, keys, 1))
    return "two trustees must have signed it, and nobody else";
  return { decision: statement, signers, payload: opened.envelope.payload };
}

/** The decision that the vault goes on with the recovery key. */
export function readRecovery(
  jws: Uint8Array,
  hash: string,
  trustees: Signers,
): Promise<ReadDecision<Recovery> | string> {
  return readDecision(jws, hash, trustees, isRecovery, "to go on with the recovery key");
}
