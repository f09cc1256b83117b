import { z } from "zod";
import { KEY_ID } from "../definition/schema.ts";
import { type VerifyKey, verifySignature } from "../statement/ed25519.ts";
import { parseStrict } from "../statement/json.ts";
import { decodeBase64url } from "../statement/jws.ts";
import { STATEMENTS, type Statement, type StatementType } from "../statement/types.ts";
import { VERDICT_CODES, type VerdictCode } from "./codes.ts";
import { canonical, commitJudgement, type Entry, type Judgement } from "./entry.ts";

/**
 * The ledger's signed answer to an office: compact JWS (RFC 7515), payload canonical JSON. Built again from the same records it
 * is the same to the byte (Ed25519 is deterministic), so a retry gets the same receipt.
 */

/** `typ` of the header: a receipt can never be taken for a statement. */
export const RECEIPT_TYP = "scrutin-receipt+jws";

/** A statement of 1 MiB as understood, a finding for each rule and unit, and the encoding of both stay below this. */
export const MAX_RECEIPT_BYTES = 4 * 1_048_576;

export interface ReceiptParts {
  /** SHA-256 of the definition, hex. */
  definition: string;
  mode: "live" | "exercise";
  entry: Entry;
  judgement: Judgement;
  /** The statement as understood: after the strict parser. */
  statement: Statement;
  /** The signed note of the smallest committed size above the entry's index. */
  checkpoint: string;
}

export interface Receipt extends Omit<ReceiptParts, "judgement">, Judgement {
  type: "receipt";
}

/** The bytes that the ledger signs: canonical JSON (RFC 8785), UTF-8. */
export function receiptPayload({
  definition,
  mode,
  entry,
  judgement,
  statement,
  checkpoint,
}: ReceiptParts): Uint8Array {
  const { verdict, findings, salt } = judgement;
  const receipt: Receipt = { type: "receipt", definition, mode, entry, verdict, findings, salt, statement, checkpoint };
  return Buffer.from(canonical(receipt), "utf8");
}

const Hash = z.string().regex(/^[0-9a-f]{64}$/);
const Count = z.number().int().nonnegative();

const ReceiptShape = z.strictObject({
  type: z.literal("receipt"),
  definition: Hash,
  mode: z.enum(["live", "exercise"]),
  entry: z.strictObject({
    index: Count.min(1),
    received: z.iso.datetime(),
    state: z.string(),
    key: z.string().regex(KEY_ID),
    sequence: Count,
    type: z.enum(Object.keys(STATEMENTS) as [StatementType, ...StatementType[]]),
    units: Count,
    statement: Hash,
    judgement: Hash,
  }),
  verdict: z.enum(["accepted", "quarantined"]),
  findings: z.array(
    z.strictObject({
      code: z.enum(Object.keys(VERDICT_CODES) as [VerdictCode, ...VerdictCode[]]),
      unit: z.string().optional(),
    }),
  ),
  salt: Hash,
  statement: z.discriminatedUnion("type", [
    STATEMENTS.tally,
    STATEMENTS.seats,
    STATEMENTS.declaration,
    STATEMENTS.key,
    STATEMENTS.void,
    STATEMENTS.lift,
    STATEMENTS.release,
    STATEMENTS.polls,
    STATEMENTS.decision,
  ]),
  checkpoint: z.string(),
});

/**
 * Verifies a receipt (the compact JWS as text) under the ledger's key and reads it. Undefined unless the header is exactly
 * {alg: "EdDSA", kid, typ}, the signature holds, the payload has the receipt's shape, and the entry's commitment is the one to
 * this verdict, these findings and this salt. Whether the entry is under `checkpoint` takes a proof, which is not here.
 */
export function readReceipt(jws: string, ledgerKey: VerifyKey): Receipt | undefined {
  if (jws.length > MAX_RECEIPT_BYTES) return undefined;
  const [header, payload, signature, ...more] = jws.split(".", 4);
  if (header === undefined || payload === undefined || signature === undefined || more.length > 0) return undefined;
  const [headerBytes, payloadBytes, signatureBytes] = [header, payload, signature].map(decodeBase64url);
  if (headerBytes === undefined || payloadBytes === undefined || signatureBytes === undefined) return undefined;
  if (!isReceiptHeader(headerBytes)) return undefined;
  if (!verifySignature(Buffer.from(`${header}.${payload}`, "latin1"), signatureBytes, ledgerKey)) return undefined;
  const parsed = parseStrict(payloadBytes);
  const read = parsed.kind === "value" ? ReceiptShape.safeParse(parsed.value) : undefined;
  if (!read?.success) return undefined;
  const receipt: Receipt = read.data;
  return commitJudgement(receipt) === receipt.entry.judgement ? receipt : undefined;
}

/** No extension is understood (RFC 7515, section 4.1.11), so none is let through. */
function isReceiptHeader(bytes: Uint8Array): boolean {
  const parsed = parseStrict(bytes, 1);
  if (parsed.kind === "refused" || parsed.value === null || typeof parsed.value !== "object") return false;
  if (Array.isArray(parsed.value) || Object.keys(parsed.value).length !== 3) return false;
  const { alg, kid, typ } = parsed.value;
  return alg === "EdDSA" && typ === RECEIPT_TYP && typeof kid === "string" && KEY_ID.test(kid);
}
