import { generateKeyPairSync } from "node:crypto";
import { readSigner, SecretRefused, type Signer } from "../../shared/platform/sign.ts";
import type { Election } from "./definition.ts";
import { Refusal } from "./refusal.ts";

/** A private key in hand, with its public half (32 bytes, base64url). */
export interface OwnKey extends Signer {
  publicKey: string;
}

/** Reads the holder's key: an Ed25519 JWK that nobody else may read. Rejects with a Refusal. */
export async function readOwnKey(file: string): Promise<OwnKey> {
  return readSigner(file).catch(secretRefused);
}

/** Turns a refused secret into a Refusal; anything else is thrown on. */
export function secretRefused(error: unknown): never {
  if (!(error instanceof SecretRefused)) throw error;
  const code = { unreadable: "file.unreadable", exposed: "key.exposed", malformed: "key.malformed" } as const;
  throw new Refusal(code[error.why], error.message);
}

/** The trustee whose key this is. Throws a Refusal if the definition names no such trustee, or another key under this id. */
export function trusteeOf({ definition }: Election, own: OwnKey) {
  const named = definition.keys.find(({ id }) => id === own.kid);
  if (named?.role !== "trustee")
    throw new Refusal("key.not-of-definition", `The definition names no trustee's key ${own.kid}.`);
  if (named.publicKey !== own.publicKey)
    throw new Refusal("key.not-of-definition", `The definition names another key than yours as ${own.kid}.`);
  return named;
}

/** A fresh Ed25519 key pair: the private JWK (RFC 8037) as it is kept, and the public half for the definition. */
export function makeKey(kid: string): { jwk: object; publicKey: string } {
  const { x, ...pair } = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" });
  if (x === undefined) throw new TypeError("a key pair without a public half");
  return { jwk: { ...pair, x, kid, alg: "EdDSA", use: "sig" }, publicKey: x };
}
