import { sign } from "node:crypto";
import { z } from "zod";
import type { Definition } from "../definition/schema.ts";
import { importVerifyKey, type VerifyKey, verifySignatureAsync } from "../statement/ed25519.ts";
import { parseStrict } from "../statement/json.ts";
import { compactEnvelope, decodeBase64url, openEnvelope } from "../statement/jws.ts";
import type { Signer } from "./sign.ts";

/**
 * The Parliament's token for the publication endpoint: a compact JWS by one of the definition's `publication.parliament`, sent as
 * `Authorization: Bearer` (RFC 6750). It proves for a few minutes who asks, and opens nothing: what it gives access to is sealed.
 */

export const PULL_TYP = "scrutin-pull+jws";
/** A stolen token is worth nothing an hour later. */
export const MAX_TOKEN_MS = 60 * 60_000;
/** So much a client's clock may be ahead of this one. Behind, it only shortens what its tokens are good for. */
export const TOKEN_SKEW_MS = 60_000;
/** Ours have 430 characters. */
const MAX_TOKEN_CHARS = 1024;

/** Of an exercise, or of another election, it opens no door here: the definition's hash is in it. */
const PullToken = z.strictObject({
  definition: z.string().regex(/^[0-9a-f]{64}$/),
  purpose: z.literal("sealed"),
  issued: z.iso.datetime().max(30),
  expires: z.iso.datetime().max(30),
  nonce: z.string().regex(/^[A-Za-z0-9_-]{22}$/),
});

/** What a token says: times in ms since 1970, `nonce` 16 random bytes, so that no two tokens are alike. */
export interface TokenTerms {
  /** SHA-256 of the definition, hex. */
  definition: string;
  issuedMs: number;
  expiresMs: number;
  nonce: Uint8Array;
}

export function writePullToken(
  { kid, privateKey }: Signer,
  { definition, issuedMs, expiresMs, nonce }: TokenTerms,
): string {
  const payload: z.infer<typeof PullToken> = {
    definition,
    purpose: "sealed",
    issued: new Date(issuedMs).toISOString(),
    expires: new Date(expiresMs).toISOString(),
    nonce: Buffer.from(nonce).toString("base64url"),
  };
  const { signed, assemble } = compactEnvelope(kid, Buffer.from(JSON.stringify(payload), "utf8"), PULL_TYP);
  return assemble(sign(null, signed, privateKey));
}

/**
 * Whose token a request carries: answers the id of the Parliament's key that signed it, or undefined for every other `Authorization`,
 * without a word on why. `nowMs`: ms since 1970.
 */
export type ReadPullToken = (authorization: string | undefined, nowMs: number) => Promise<string | undefined>;

/** `hash`: of the definition, hex. A definition that names no key of the Parliament has no token that holds. */
export function createTokenReader({ publication }: Definition, hash: string): ReadPullToken {
  const keys = new Map<string, VerifyKey>();
  for (const { id, publicKey } of publication?.parliament ?? []) {
    const key = importVerifyKey(decodeBase64url(publicKey) ?? new Uint8Array());
    if (key !== undefined) keys.set(id, key);
  }
  return async (authorization, nowMs) => {
    const [, text] = /^Bearer ([A-Za-z0-9_.-]+)$/i.exec(authorization ?? "") ?? [];
    if (text === undefined || text.length > MAX_TOKEN_CHARS) return undefined;
    const opened = openEnvelope(Buffer.from(text, "latin1"), PULL_TYP);
    const [part] = opened.kind === "envelope" ? opened.envelope.signatures : [];
    const key = part && keys.get(part.kid);
    if (opened.kind !== "envelope" || part === undefined || key === undefined) return undefined;
    if (!isNow(opened.envelope.payload, hash, nowMs)) return undefined;
    return (await verifySignatureAsync(part.signed, part.signature, key)) ? part.kid : undefined;
  };
}

function isNow(payload: Uint8Array, hash: string, nowMs: number): boolean {
  const parsed = parseStrict(payload, 1);
  const read = parsed.kind === "value" ? PullToken.safeParse(parsed.value) : undefined;
  if (!read?.success || read.data.definition !== hash) return false;
  const [issuedMs, expiresMs] = [Date.parse(read.data.issued), Date.parse(read.data.expires)];
  if (!(issuedMs < expiresMs && expiresMs - issuedMs <= MAX_TOKEN_MS)) return false;
  return issuedMs <= nowMs + TOKEN_SKEW_MS && nowMs < expiresMs;
}
