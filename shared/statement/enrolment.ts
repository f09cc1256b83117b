import { createHash } from "node:crypto";
import { z } from "zod";
import { KEY_ID, Key32 } from "../definition/schema.ts";
import { verifyKeyOf } from "./authentic.ts";
import { verifySignature } from "./ed25519.ts";
import { parseStrict } from "./json.ts";
import { compactEnvelope, openEnvelope } from "./jws.ts";

/**
 * The request by which an office asks for a key to be enrolled: a compact JWS, signed by that very key, so that nobody can ask for a key that they do
 * not hold. It belongs to no election and opens nothing: two trustees decide.
 */

/** `typ` of the header: a request can never be taken for a statement. */
export const ENROLMENT_TYP = "scrutin-enrolment+jws";

const Request = z.strictObject({
  type: z.literal("enrolment"),
  key: z.strictObject({
    id: z.string().regex(KEY_ID),
    publicKey: Key32,
    state: z.string().regex(/^[A-Z]{2}$/),
    official: z.string().min(1).max(200),
    backup: z.literal(true).optional(),
  }),
  issued: z.iso.datetime(),
});

export type EnrolmentRequest = z.infer<typeof Request>;
export type RequestedKey = EnrolmentRequest["key"];

/** The request as it is sent; `sign` signs with the key that it is about. `now`: ms since the epoch. */
export function writeRequest(key: RequestedKey, now: number, sign: (bytes: Uint8Array) => Uint8Array): string {
  const request: EnrolmentRequest = { type: "enrolment", key, issued: new Date(now).toISOString() };
  const { signed, assemble } = compactEnvelope(key.id, Buffer.from(JSON.stringify(request)), ENROLMENT_TYP);
  return assemble(sign(signed));
}

/** A request whose proof of possession holds; undefined for anything else. */
export function readRequest(bytes: Uint8Array): EnrolmentRequest | undefined {
  const opened = openEnvelope(Buffer.from(Buffer.from(bytes).toString("latin1").trim(), "latin1"), ENROLMENT_TYP);
  if (opened.kind === "refused" || opened.envelope.signatures.length !== 1) return undefined;
  const parsed = parseStrict(opened.envelope.payload);
  const read = parsed.kind === "value" ? Request.safeParse(parsed.value) : undefined;
  const [signature] = opened.envelope.signatures;
  if (!read?.success || signature?.kid !== read.data.key.id) return undefined;
  const key = verifyKeyOf(read.data.key.publicKey);
  if (key === undefined || !verifySignature(signature.signed, signature.signature, key)) return undefined;
  return read.data;
}

/** A key as two people compare it over the telephone: SHA-256 of its 32 bytes, the first half of it, in eight groups of four hex digits. */
export function fingerprintOf(publicKey: string): string {
  const hash = createHash("sha256").update(Buffer.from(publicKey, "base64url")).digest("hex");
  return (hash.slice(0, 32).match(/.{4}/g) ?? []).join(" ");
}
