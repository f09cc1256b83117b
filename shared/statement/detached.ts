import { type VerifyKey, verifySignature } from "./ed25519.ts";
import { compactEnvelope, decodeBase64url } from "./jws.ts";

/** A signature beside what it signs: a JWS with its payload detached, `protected..signature` (RFC 7515, appendix F). */

/** Of a release's document, by each of the two counts. */
export const RELEASE_TYP = "scrutin-release+jws";
/** Of a file that the publication endpoint makes of a release: the bytes are its own words, the figures are the release's. */
export const FILE_TYP = "scrutin-file+jws";

/** `sign` is Ed25519 over what it is given. */
export function signDetached(
  kid: string,
  typ: string,
  bytes: Uint8Array,
  sign: (message: Uint8Array) => Uint8Array,
): string {
  const envelope = compactEnvelope(kid, bytes, typ);
  const [header, , signature] = envelope.assemble(sign(envelope.signed)).split(".");
  return `${header}..${signature}`;
}

/** True if `signature` is this key's over exactly these bytes, of this type. */
export function detachedHolds(kid: string, key: VerifyKey, typ: string, bytes: Uint8Array, signature: string): boolean {
  const envelope = compactEnvelope(kid, bytes, typ);
  const [header, empty, last, ...rest] = signature.split(".");
  const raw = last === undefined ? undefined : decodeBase64url(last);
  if (raw === undefined || empty !== "" || rest.length > 0) return false;
  const expected = Buffer.from(envelope.signed).toString("latin1").split(".", 1)[0];
  return header === expected && verifySignature(envelope.signed, raw, key);
}
