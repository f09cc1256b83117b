import { KEY_ID } from "../definition/schema.ts";
import { parseStrict } from "./json.ts";
import type { ProblemCode } from "./problems.ts";

/**
 * The signed envelope: JWS (RFC 7515) with EdDSA over Ed25519 (RFC 8037), compact with one signature or general JSON with
 * several. This file takes it apart and refuses every envelope that two readers could read differently; it verifies nothing.
 */

/** A statement's bytes at most; NATS runs with twice that, for headers and sealing. */
export const MAX_STATEMENT_BYTES = 1_048_576;
/** No state asks for more officials. */
export const MAX_SIGNATURES = 4;
/** Our header is 60 bytes; libraries add little. */
const MAX_HEADER_CHARS = 1024;

export const STATEMENT_TYP = "scrutin+jws";

export interface EnvelopeSignature {
  kid: string;
  /** ASCII of `protected "." payload`: the bytes that were signed. */
  signed: Uint8Array;
  signature: Uint8Array;
}

export interface Envelope {
  payload: Uint8Array;
  /** In the order of the envelope; the first one's key owns the sequence number. */
  signatures: EnvelopeSignature[];
}

export type OpenedEnvelope = { kind: "envelope"; envelope: Envelope } | { kind: "refused"; code: ProblemCode };

const refused = (code: ProblemCode): OpenedEnvelope => ({ kind: "refused", code });

/** Strict base64url (RFC 4648 section 5): no padding, no other characters, no set trailing bits. */
export function decodeBase64url(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, "base64url");
  return bytes.toString("base64url") === text ? bytes : undefined;
}

/**
 * Takes apart the received bytes, whose form the first byte tells: `{` opens the general JSON form, anything else must be
 * compact. `typ` is what the header must carry.
 */
export function openEnvelope(bytes: Uint8Array, typ: string = STATEMENT_TYP): OpenedEnvelope {
  if (bytes.length > MAX_STATEMENT_BYTES) return refused("statement.too-large");
  return bytes[0] === 0x7b ? openGeneral(bytes, typ) : openCompact(Buffer.from(bytes).toString("latin1"), typ);
}

function openCompact(text: string, typ: string): OpenedEnvelope {
  const [header, payload, signature, ...rest] = text.split(".", 5);
  if (header === undefined || payload === undefined || signature === undefined || rest.length > 0)
    return refused("jws.malformed");
  const bytes = decodeBase64url(payload);
  if (bytes === undefined) return refused("jws.malformed");
  const part = openSignature(header, payload, signature, typ);
  if (typeof part === "string") return refused(part);
  return { kind: "envelope", envelope: { payload: bytes, signatures: [part] } };
}

function openGeneral(bytes: Uint8Array, typ: string): OpenedEnvelope {
  const parsed = parseStrict(bytes, 4);
  if (parsed.kind === "refused") return refused("jws.malformed");
  const { value } = parsed;
  if (value === null || typeof value !== "object" || Array.isArray(value)) return refused("jws.malformed");
  const { payload, signatures, ...others } = value;
  if (typeof payload !== "string" || !Array.isArray(signatures) || Object.keys(others).length > 0)
    return refused("jws.malformed");
  if (signatures.length < 1 || signatures.length > MAX_SIGNATURES) return refused("jws.malformed");
  const content = decodeBase64url(payload);
  if (content === undefined) return refused("jws.malformed");
  const parts: EnvelopeSignature[] = [];
  for (const entry of signatures) {
    if (entry === null || typeof entry !== "object" || Array.isArray(entry)) return refused("jws.malformed");
    if ("header" in entry) return refused("jws.unsigned-header");
    const { protected: header, signature, ...more } = entry;
    if (typeof header !== "string" || typeof signature !== "string" || Object.keys(more).length > 0)
      return refused("jws.malformed");
    const part = openSignature(header, payload, signature, typ);
    if (typeof part === "string") return refused(part);
    if (parts.some((p) => p.kid === part.kid)) return refused("jws.signer-twice");
    parts.push(part);
  }
  return { kind: "envelope", envelope: { payload: content, signatures: parts } };
}

function openSignature(
  header: string,
  payload: string,
  signature: string,
  typ: string,
): EnvelopeSignature | ProblemCode {
  if (header.length > MAX_HEADER_CHARS) return "jws.malformed";
  const headerBytes = decodeBase64url(header);
  const signatureBytes = decodeBase64url(signature);
  if (headerBytes === undefined || signatureBytes === undefined) return "jws.malformed";
  const parsed = parseStrict(headerBytes, 4);
  if (parsed.kind === "refused") return "jws.malformed";
  const fields = parsed.value;
  if (fields === null || typeof fields !== "object" || Array.isArray(fields)) return "jws.malformed";
  if (fields.alg !== "EdDSA") return "jws.algorithm";
  // We understand no extension, so a header that must be understood cannot be (RFC 7515, 4.1.11).
  if ("crit" in fields || "b64" in fields) return "jws.critical-header";
  if (fields.typ !== typ) return "jws.type";
  if (typeof fields.kid !== "string" || !KEY_ID.test(fields.kid)) return "jws.key-id";
  return { kid: fields.kid, signed: Buffer.from(`${header}.${payload}`, "latin1"), signature: signatureBytes };
}

/** Bytes to sign and envelope to send for one signer: `assemble` takes the 64 signature bytes. */
export function compactEnvelope(
  kid: string,
  payload: Uint8Array,
  typ: string = STATEMENT_TYP,
): { signed: Uint8Array; assemble(signature: Uint8Array): string } {
  const header = Buffer.from(JSON.stringify({ alg: "EdDSA", kid, typ })).toString("base64url");
  const signed = `${header}.${Buffer.from(payload).toString("base64url")}`;
  return {
    signed: Buffer.from(signed, "latin1"),
    assemble: (signature) => `${signed}.${Buffer.from(signature).toString("base64url")}`,
  };
}

/** The general form of several compact signatures over the same payload, in the order given. */
export function generalEnvelope(compacts: string[]): string {
  const parts = compacts.map((compact) => compact.split("."));
  const payload = parts[0]?.[1];
  if (payload === undefined || parts.some((p) => p.length !== 3 || p[1] !== payload))
    throw new Error("signatures over different payloads");
  return JSON.stringify({
    payload,
    signatures: parts.map(([header, , signature]) => ({ protected: header, signature })),
  });
}
