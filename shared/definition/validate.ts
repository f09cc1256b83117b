import { createHash } from "node:crypto";
import { importVerifyKey, verifySignature } from "../statement/ed25519.ts";
import { type JsonValue, parseStrict } from "../statement/json.ts";
import { decodeBase64url } from "../statement/jws.ts";
import { contradictions } from "./consistency.ts";
import { Definition } from "./schema.ts";
import { DEFINITION_TYP, definitionSigningInput } from "./sign.ts";

/** 465,000 units are about 12 MB; more than this is no definition. */
export const MAX_DEFINITION_BYTES = 64 * 1024 * 1024;
/** A person reads these: the first hundred say enough. */
export const MAX_REASONS = 100;
/** An authority has a handful of keys. */
const MAX_DEFINITION_SIGNATURES = 16;
const SIGNATURES_NEEDED = 2;

/** Why a definition is refused: a stable code, and a sentence that names what is wrong and where. */
export interface DefinitionReason {
  code: string;
  message: string;
}

/** A trust root given to a service: the id and raw public key (32 bytes, base64url) of one key of the election authority. */
export interface Anchor {
  id: string;
  publicKey: string;
}

export type ReadDefinition =
  | { kind: "valid"; definition: Definition; hash: string; signers: Anchor[] }
  | { kind: "invalid"; reasons: DefinitionReason[] };

/**
 * Reads a definition's bytes. In this order, each step only when the one before it held: at least two distinct anchors have
 * signed these bytes (detached general JWS, RFC 7515 appendix F: `signatures` is the parsed JSON); strict JSON; the shape
 * (`schema.ts`); no contradiction (`consistency.ts`); the anchors that signed are keys of the definition's `authority`.
 * `hash` is the SHA-256 of the bytes, hex; `signers` are the anchors whose signatures were verified and hold. Returns at most `MAX_REASONS` reasons; never throws for any input.
 */
export function readDefinition(bytes: Uint8Array, signatures: unknown, anchors: readonly Anchor[]): ReadDefinition {
  if (bytes.length > MAX_DEFINITION_BYTES)
    return invalid("definition.too-large", `The definition has more than ${MAX_DEFINITION_BYTES} bytes.`);
  const signed = checkSignatures(bytes, signatures, anchors);
  if (signed.kind === "refused") return { kind: "invalid", reasons: [signed.reason] };
  const parsed = parseStrict(bytes);
  if (parsed.kind === "refused")
    return invalid(
      "definition.not-strict-json",
      `The definition is not strict JSON: ${parsed.code} at character ${parsed.at}.`,
    );
  const shaped = Definition.safeParse(parsed.value);
  if (!shaped.success) return { kind: "invalid", reasons: shaped.error.issues.slice(0, MAX_REASONS).map(shapeReason) };
  const reasons = contradictions(shaped.data, MAX_REASONS);
  for (const anchor of signed.signers) {
    const listed = shaped.data.authority.some((key) => key.id === anchor.id && key.publicKey === anchor.publicKey);
    if (!listed)
      reasons.push({
        code: "definition.signer-not-of-authority",
        message: `${anchor.id} signed the definition but is not among its authority's keys.`,
      });
  }
  if (reasons.length > 0) return { kind: "invalid", reasons: reasons.slice(0, MAX_REASONS) };
  const hash = createHash("sha256").update(bytes).digest("hex");
  return { kind: "valid", definition: shaped.data, hash, signers: signed.signers };
}

function invalid(code: string, message: string): ReadDefinition {
  return { kind: "invalid", reasons: [{ code, message }] };
}

type CheckedSignatures = { kind: "signed"; signers: Anchor[] } | { kind: "refused"; reason: DefinitionReason };

/**
 * A signature by a key that is no anchor counts for nothing; one that claims an anchor must hold. Distinct means distinct
 * public keys: one key under two ids is one signer.
 */
function checkSignatures(bytes: Uint8Array, signatures: unknown, anchors: readonly Anchor[]): CheckedSignatures {
  const entries = signatureEntries(signatures);
  if (entries === undefined)
    return refused(
      "definition.signatures-malformed",
      'The signatures must be {"signatures": [{"protected", "signature"}, …]} with the header {alg: "EdDSA", kid, typ}.',
    );
  const signers: Anchor[] = [];
  for (const { header, kid, signature } of entries) {
    const anchor = anchors.find((a) => a.id === kid);
    if (anchor === undefined) continue;
    const raw = decodeBase64url(anchor.publicKey);
    const key = raw === undefined ? undefined : importVerifyKey(raw);
    if (key === undefined)
      return refused(
        "definition.anchor-unusable",
        `The trust root ${kid} given to this service is not an Ed25519 key.`,
      );
    if (!verifySignature(definitionSigningInput(header, bytes), signature, key))
      return refused(
        "definition.signature-wrong",
        `The signature by ${kid} does not hold for these bytes: the definition or the signature was changed.`,
      );
    if (!signers.some((s) => s.publicKey === anchor.publicKey)) signers.push(anchor);
  }
  if (signers.length < SIGNATURES_NEEDED)
    return refused(
      "definition.signatures-missing",
      `${SIGNATURES_NEEDED} keys of the election authority must sign the definition; ${signers.length} of the trusted ones did.`,
    );
  return { kind: "signed", signers };
}

function refused(code: string, message: string): CheckedSignatures {
  return { kind: "refused", reason: { code, message } };
}

interface SignatureEntry {
  header: string;
  kid: string;
  signature: Uint8Array;
}

/** Undefined for anything but the one form; what a lenient reader would skip is refused. */
function signatureEntries(signatures: unknown): SignatureEntry[] | undefined {
  if (!isRecord(signatures) || Object.keys(signatures).length !== 1) return undefined;
  const list = signatures.signatures;
  if (!Array.isArray(list) || list.length > MAX_DEFINITION_SIGNATURES) return undefined;
  const entries: SignatureEntry[] = [];
  for (const item of list) {
    const entry = signatureEntry(item);
    if (entry === undefined || entries.some((e) => e.kid === entry.kid)) return undefined;
    entries.push(entry);
  }
  return entries;
}

function signatureEntry(item: unknown): SignatureEntry | undefined {
  if (!isRecord(item) || Object.keys(item).length !== 2) return undefined;
  const { protected: header, signature: text } = item;
  if (typeof header !== "string" || typeof text !== "string") return undefined;
  const headerBytes = decodeBase64url(header);
  const signature = decodeBase64url(text);
  if (headerBytes === undefined || signature === undefined) return undefined;
  const parsed = parseStrict(headerBytes, 1);
  const kid = parsed.kind === "value" ? signerOf(parsed.value) : undefined;
  return kid === undefined ? undefined : { header, kid, signature };
}

/** The `kid` of a header that is exactly {alg, kid, typ}: no extension is understood, so none is let through. */
function signerOf(header: JsonValue): string | undefined {
  if (!isRecord(header) || Object.keys(header).length !== 3) return undefined;
  const { alg, kid, typ } = header;
  return alg === "EdDSA" && typ === DEFINITION_TYP && typeof kid === "string" ? kid : undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A local time without its offset is what a person gets wrong most easily; it has a code of its own. */
function shapeReason(issue: { path: PropertyKey[]; message: string }): DefinitionReason {
  const path = issue.path.map(String).join(".");
  if (/^states\.\d+\.(timezone|closings\.\d+\.(local|timezone))$/.test(path))
    return {
      code: "definition.closing-without-zone",
      message: `${path} must say its zone: a local closing carries its offset, a state its IANA time zone (${issue.message}).`,
    };
  return { code: "definition.shape", message: `${path === "" ? "The definition" : path}: ${issue.message}.` };
}
