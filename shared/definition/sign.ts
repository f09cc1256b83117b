import { type KeyObject, sign } from "node:crypto";

/** `typ` of the protected header: a signature over a definition can never be taken for one over a statement. */
export const DEFINITION_TYP = "scrutin-definition+jws";

/** A detached general JWS (RFC 7515, appendix F): the payload is the definition's bytes, which lie beside it. */
export interface DetachedSignatures {
  signatures: { protected: string; signature: string }[];
}

/** The bytes that are signed: ASCII of `header "." base64url(bytes)`. `header` is the protected header, base64url. */
export function definitionSigningInput(header: string, bytes: Uint8Array): Uint8Array {
  const payload = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64url");
  return Buffer.from(`${header}.${payload}`, "latin1");
}

/**
 * Signs a definition's bytes as keys of the election authority: EdDSA with Ed25519 (RFC 8037), in the order of `signers`.
 * `id` is the key's id in the definition's `authority`. Throws if a private key is not an Ed25519 key.
 */
export function signDefinition(
  bytes: Uint8Array,
  signers: { id: string; privateKey: KeyObject }[],
): DetachedSignatures {
  const signatures = signers.map(({ id, privateKey }) => {
    if (privateKey.asymmetricKeyType !== "ed25519") throw new TypeError(`key ${id} is not an Ed25519 key`);
    const header = Buffer.from(JSON.stringify({ alg: "EdDSA", kid: id, typ: DEFINITION_TYP })).toString("base64url");
    const signature = sign(null, definitionSigningInput(header, bytes), privateKey).toString("base64url");
    return { protected: header, signature };
  });
  return { signatures };
}
