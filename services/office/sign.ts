import { createPrivateKey, type KeyObject, randomBytes, sign } from "node:crypto";
import { readFile } from "node:fs/promises";
import { compactEnvelope, generalEnvelope } from "../../shared/statement/jws.ts";
import type { Statement } from "../../shared/statement/types.ts";

/** Somebody who signs: the key id that the definition knows, and the private key. */
export interface Signer {
  kid: string;
  privateKey: KeyObject;
}

/** Reads a private Ed25519 JWK with its `kid`; throws a sentence when the file holds anything else. */
export async function readSigner(file: string): Promise<Signer> {
  const jwk = JSON.parse(await readFile(file, "utf8")) as Record<string, unknown>;
  if (jwk.kty !== "OKP" || jwk.crv !== "Ed25519" || typeof jwk.kid !== "string" || typeof jwk.d !== "string") {
    throw new Error(`${file} is not a private Ed25519 JWK with a kid`);
  }
  return { kid: jwk.kid, privateKey: createPrivateKey({ key: jwk as { kty: string }, format: "jwk" }) };
}

/** What a statement says, without what every statement says of itself. */
export type Saying = {
  [T in Statement["type"]]: Omit<
    Extract<Statement, { type: T }>,
    "definition" | "state" | "sequence" | "nonce" | "issued"
  >;
}[Statement["type"]];

/**
 * A statement's payload: UTF-8 JSON. The nonce is 128 random bits, so that nothing about the figures can be guessed from a
 * hash of it. `now` is ms since the epoch.
 */
export function writeStatement(
  saying: Saying,
  about: { definition: string; state: string; sequence: number; now: number },
): Uint8Array {
  const { definition, state, sequence, now } = about;
  const { type, ...rest } = saying;
  const nonce = randomBytes(16).toString("base64url");
  const issued = new Date(now).toISOString();
  return Buffer.from(JSON.stringify({ type, definition, state, sequence, nonce, issued, ...rest }));
}

/** Signs a payload: a compact JWS for one signer, the general form for several, in the order given. */
export function signStatement(payload: Uint8Array, signers: Signer[]): Uint8Array {
  const compacts = signers.map(({ kid, privateKey }) => {
    const { signed, assemble } = compactEnvelope(kid, payload);
    return assemble(sign(null, signed, privateKey));
  });
  const [only, ...others] = compacts;
  if (only === undefined) throw new Error("a statement without a signer");
  return Buffer.from(others.length === 0 ? only : generalEnvelope(compacts));
}
