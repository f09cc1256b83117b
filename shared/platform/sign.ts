import { createPrivateKey, createPublicKey, type JsonWebKey, type KeyObject, randomBytes, sign } from "node:crypto";
import { open } from "node:fs/promises";
import { KEY_ID } from "../definition/schema.ts";
import { compactEnvelope, generalEnvelope } from "../statement/jws.ts";
import type { Statement } from "../statement/types.ts";

/** Somebody who signs: the key id that the definition knows, and the private key. */
export interface Signer {
  kid: string;
  privateKey: KeyObject;
}

/** Why a file's secret cannot be used: `unreadable`, `exposed` (others may read or replace it), or `malformed`. The sentence never quotes it. */
export class SecretRefused extends Error {
  readonly why: "unreadable" | "exposed" | "malformed";
  constructor(why: SecretRefused["why"], sentence: string) {
    super(sentence);
    this.why = why;
  }
}

/** Reads a person's secret file: theirs (or root's), and nobody else may read it. Rejects with SecretRefused. */
export async function readOwnSecret(path: string): Promise<string> {
  const handle = await open(path, "r").catch((error: NodeJS.ErrnoException) => {
    throw new SecretRefused("unreadable", `${path} cannot be read (${error.code ?? error.message}).`);
  });
  try {
    // Asked of the open file, not of the path, which could be another file by then.
    const { mode, uid } = await handle.stat();
    if ((mode & 0o077) !== 0)
      throw new SecretRefused("exposed", `${path} holds a secret that others may read. Run: chmod 600 ${path}`);
    if (uid !== 0 && uid !== process.getuid?.())
      throw new SecretRefused("exposed", `${path} holds a secret and belongs to somebody else.`);
    return await handle.readFile("utf8");
  } finally {
    await handle.close();
  }
}

/** Reads a private Ed25519 JWK with its `kid` and gives the public half too (32 bytes, base64url). Rejects with SecretRefused. */
export async function readSigner(path: string): Promise<Signer & { publicKey: string }> {
  const text = await readOwnSecret(path);
  const refused = () => new SecretRefused("malformed", `${path} is not a private Ed25519 JWK with a kid.`);
  let jwk: Record<string, unknown>;
  let privateKey: KeyObject;
  try {
    jwk = { ...JSON.parse(text) } as Record<string, unknown>;
    const { kty, crv, d, x } = jwk;
    privateKey = createPrivateKey({ key: { kty, crv, d, x } as JsonWebKey, format: "jwk" });
  } catch {
    throw refused(); // the reason is left out: it could quote the key
  }
  const { kid, x } = jwk;
  if (typeof kid !== "string" || !KEY_ID.test(kid) || typeof x !== "string") throw refused();
  if (privateKey.asymmetricKeyType !== "ed25519") throw refused();
  if (createPublicKey(privateKey).export({ format: "jwk" }).x !== x)
    throw new SecretRefused("malformed", `${path} contradicts itself: x is not the public key of d.`);
  return { kid, privateKey, publicKey: x };
}

/** What a statement says, without what every statement says of itself. */
export type Saying = Unsaid<Statement>;
type Unsaid<S> = S extends Statement ? Omit<S, "definition" | "state" | "sequence" | "nonce" | "issued"> : never;

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

/** One person's signature under a payload, as a compact JWS. */
export function signCompact(payload: Uint8Array, { kid, privateKey }: Signer): string {
  const { signed, assemble } = compactEnvelope(kid, payload);
  return assemble(sign(null, signed, privateKey));
}

/** Signs a payload: a compact JWS for one signer, the general form for several, in the order given. */
export function signStatement(payload: Uint8Array, signers: Signer[]): Uint8Array {
  const compacts = signers.map((signer) => signCompact(payload, signer));
  const [only, ...others] = compacts;
  if (only === undefined) throw new Error("a statement without a signer");
  return Buffer.from(others.length === 0 ? only : generalEnvelope(compacts));
}
