import type { Key } from "../../shared/definition/schema.ts";
import { signCompact } from "../../shared/platform/sign.ts";
import { printable } from "../../shared/platform/terminal.ts";
import {
  authenticate,
  broughtKey,
  lacksPossession,
  refusalOf,
  signersOf,
  tooFewPeople,
} from "../../shared/statement/authentic.ts";
import { type Envelope, generalEnvelope, openEnvelope } from "../../shared/statement/jws.ts";
import type { Statement } from "../../shared/statement/types.ts";
import { bytesOf, type Election } from "./definition.ts";
import { type OwnKey, trusteeOf } from "./key.ts";
import { doorWouldRefuse, Refusal } from "./refusal.ts";

/** What trustees sign: decisions, and what they say of offices' keys. */
export type Decision = Extract<Statement, { type: "decision" | "key" }>;

/** A decision on its way from hand to hand: a JWS whose signatures so far all hold. */
export interface DecisionFile {
  bytes: Uint8Array;
  envelope: Envelope;
  decision: Decision;
  /** In the order of the envelope; the first one's key owns the sequence number. */
  signers: Key[];
}

/** Reads a decision and verifies every signature in it against the definition. Rejects with a Refusal; what it says is then not shown. */
export async function readDecisionFile(path: string, election: Election): Promise<DecisionFile> {
  return openDecision(await bytesOf(path), election);
}

/** The same of bytes in hand. */
export async function openDecision(bytes: Uint8Array, { definition, hash }: Election): Promise<DecisionFile> {
  const opened = openEnvelope(bytes);
  if (opened.kind === "refused") throw doorWouldRefuse(opened.code);
  const authenticity = await authenticate(opened.envelope, signersOf(definition));
  if (authenticity.kind === "refused") {
    const { code, detail } = authenticity; // it names what it found in the file
    throw doorWouldRefuse(code, detail === undefined ? undefined : printable(detail));
  }
  const { statement } = authenticity;
  if (statement.definition !== hash)
    throw new Refusal(
      "decision.other-definition",
      `It was signed for the definition ${statement.definition}, not for ${hash}.`,
    );
  const isTrustees = statement.type === "decision" || (statement.type === "key" && statement.state === "EU");
  if (!isTrustees)
    throw new Refusal("decision.not-trustees", `It is a statement "${statement.type}" of ${statement.state}.`);
  const signers = authenticity.signers.map(({ key }) => key);
  const refusal = refusalOf(statement, signers);
  if (refusal !== undefined) throw doorWouldRefuse(refusal);
  return { bytes, envelope: opened.envelope, decision: statement as Decision, signers };
}

/** What a decision still lacks, in words; empty when it can be submitted. */
export function missingFrom(decision: Decision, signers: readonly Key[]): string[] {
  const missing: string[] = [];
  if (tooFewPeople(decision, signers, 1)) missing.push(signers.length === 0 ? "a trustee" : "one more trustee");
  const brought = decision.type === "key" ? broughtKey(decision) : undefined;
  if (brought !== undefined && lacksPossession(decision, signers)) missing.push(`the new key ${brought.id} itself`);
  return missing;
}

/**
 * Throws a Refusal unless this key may sign this decision, beside those who have. The new key of an enrolment may sign it too, which shows
 * that somebody holds it.
 */
export function checkSigner(election: Election, decision: Decision, signers: readonly Key[], own: OwnKey): void {
  if (signers.some(({ id }) => id === own.kid))
    throw new Refusal("signer.already", `${own.kid} has signed this decision already.`);
  const brought = decision.type === "key" ? broughtKey(decision) : undefined;
  if (brought?.id === own.kid) {
    if (brought.publicKey !== own.publicKey)
      throw new Refusal("key.not-of-definition", `The decision brings another key than yours as ${own.kid}.`);
    if (signers.length === 0) throw doorWouldRefuse("key.wrong-role");
    return;
  }
  const { person } = trusteeOf(election, own);
  if (signers.some((key) => key.role === "trustee" && key.person === person))
    throw new Refusal("signer.same-person", `${person} has signed this decision already, with another key.`);
  if (isOwnSuspension(election, decision, person))
    throw new Refusal("signer.own-suspension", `${person} cannot decide about the own suspension.`);
  if (signers.length > 0 && !tooFewPeople(decision, signers, 1))
    throw new Refusal("signer.enough", "Enough trustees have signed this decision.");
}

function isOwnSuspension({ definition }: Election, decision: Decision, person: string): boolean {
  if (decision.type !== "decision" || decision.decision !== "suspend") return false;
  const { trustee } = decision;
  return definition.keys.some((key) => key.id === trustee && key.role === "trustee" && key.person === person);
}

/** The first signature under a payload, in the general form that takes more. */
export function firstSigned(payload: Uint8Array, own: OwnKey): Uint8Array {
  return Buffer.from(generalEnvelope([signCompact(payload, own)]));
}

/** The same decision with one more signature behind the others, which stay as they are to the byte. */
export function cosigned({ envelope }: DecisionFile, own: OwnKey): Uint8Array {
  const before = envelope.signatures.map(
    ({ signed, signature }) =>
      `${Buffer.from(signed).toString("latin1")}.${Buffer.from(signature).toString("base64url")}`,
  );
  return Buffer.from(generalEnvelope([...before, signCompact(envelope.payload, own)]));
}
