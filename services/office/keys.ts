import { createPrivateKey, generateKeyPairSync, sign } from "node:crypto";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { CompactEncrypt, compactDecrypt } from "jose";
import { z } from "zod";
import { KEY_ID, Key32 } from "../../shared/definition/schema.ts";
import { readOwnSecret, readSigner, SecretRefused, type Signer } from "../../shared/platform/sign.ts";
import { PUBLIC_MODE, SECRET_MODE } from "../../shared/platform/write-new.ts";
import { fingerprintOf, type RequestedKey, writeRequest } from "../../shared/statement/enrolment.ts";
import { type Office, writeOwn } from "./folder.ts";
import { Refusal } from "./refusal.ts";

/**
 * An office's keys, each in three files of `keys/`: `<kid>.key.jwe`, the private JWK encrypted with a passphrase (RFC 7517, section 7, and appendix C: any JOSE library
 * opens it), `<kid>.public.json`, and `<kid>.request.jws`, which asks for its enrolment.
 */

/** PBKDF2 rounds: half a second for whoever knows the passphrase, for whoever guesses it half a second a guess (OWASP asks for 210,000 with SHA-512). */
const ROUNDS = 600_000;
/** A header may not ask for more work than that. */
const MOST_ROUNDS = 2_000_000;

const PublicKey = z.strictObject({
  id: z.string().regex(KEY_ID),
  publicKey: Key32,
  state: z.string(),
  official: z.string(),
  backup: z.literal(true).optional(),
});

/** A private key in hand, with its public half. */
export interface OwnKey extends Signer {
  publicKey: string;
}

const keysIn = (folder: string) => join(folder, "keys");

export interface NewKey {
  id: string | undefined;
  state: string;
  official: string;
  backup: boolean;
  /** A private JWK that there is already. */
  from: string | undefined;
  /** ms since the epoch. */
  now: number;
}

/** Makes a key, or takes one over, and writes its three files. Rejects with a Refusal; nothing is ever overwritten. */
export async function makeKey(
  folder: string,
  wanted: NewKey,
  passphrase: string,
): Promise<RequestedKey & { request: string }> {
  const pair = wanted.from === undefined ? newPair() : await takenOver(wanted.from);
  const id = wanted.id ?? pair.kid ?? `${wanted.state}-${fingerprintOf(pair.x).replace(" ", "").slice(0, 8)}`;
  const { state, official } = wanted;
  const key = PublicKey.safeParse({ id, publicKey: pair.x, state, official, ...(wanted.backup && { backup: true }) });
  if (!key.success)
    throw new Refusal("command.wrong", `"${id}" is no key id: letters, digits, dots, dashes, at most 64.`);
  const jwk = { kty: "OKP", crv: "Ed25519", x: pair.x, d: pair.d, kid: id, alg: "EdDSA", use: "sig" };
  const sealed = await new CompactEncrypt(Buffer.from(JSON.stringify(jwk)))
    .setProtectedHeader({ alg: "PBES2-HS512+A256KW", enc: "A256GCM", cty: "jwk+json", kid: id })
    .setKeyManagementParameters({ p2c: ROUNDS })
    .encrypt(Buffer.from(passphrase.normalize("NFKC")));
  const privateKey = createPrivateKey({ key: jwk, format: "jwk" });
  const request = writeRequest(key.data, wanted.now, (bytes) => sign(null, bytes, privateKey));
  await mkdir(keysIn(folder), { recursive: true, mode: 0o700 });
  const at = (name: string) => join(keysIn(folder), `${id}.${name}`);
  await writeOwn(at("key.jwe"), `${sealed}\n`, SECRET_MODE);
  await writeOwn(at("public.json"), `${JSON.stringify(key.data, null, 2)}\n`, PUBLIC_MODE);
  await writeOwn(at("request.jws"), `${request}\n`, PUBLIC_MODE);
  return { ...key.data, request: at("request.jws") };
}

function newPair(): { x: string; d: string; kid?: string } {
  const { x, d } = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" });
  if (x === undefined || d === undefined) throw new TypeError("a key pair without both halves");
  return { x, d };
}

async function takenOver(path: string): Promise<{ x: string; d: string; kid?: string }> {
  const { kid, publicKey, privateKey } = await readSigner(path).catch(secretRefused);
  const { d } = privateKey.export({ format: "jwk" });
  if (d === undefined) throw new TypeError("a private key without its private half");
  return { x: publicKey, d, kid };
}

function secretRefused(error: unknown): never {
  if (!(error instanceof SecretRefused)) throw error;
  const code = { unreadable: "file.unreadable", exposed: "key.exposed", malformed: "key.malformed" } as const;
  throw new Refusal(code[error.why], error.message);
}

/** The keys of a folder, by their public halves. */
export async function listKeys(folder: string): Promise<RequestedKey[]> {
  const names = await readdir(keysIn(folder)).catch(() => [] as string[]);
  const keys = await Promise.all(
    names
      .filter((name) => name.endsWith(".public.json"))
      .sort()
      .map(async (name) => {
        const path = join(keysIn(folder), name);
        const read = PublicKey.safeParse(parsed(await readFile(path, "utf8")));
        if (!read.success) throw new Refusal("key.malformed", `${path} is not what keygen writes.`);
        return read.data;
      }),
  );
  return keys;
}

/** The key that is meant: the one that is named, or the only one that is no back-up. Rejects with `key.missing`. */
export async function chooseKey(folder: string, kid: string | undefined): Promise<RequestedKey> {
  const keys = await listKeys(folder);
  const found = keys.filter((key) => (kid === undefined ? key.backup !== true : key.id === kid));
  const [only, ...others] = found;
  if (only !== undefined && others.length === 0) return only;
  const ids = keys.map(({ id }) => id).join(", ");
  if (only === undefined)
    throw new Refusal(
      "key.missing",
      `${keysIn(folder)} has no key${kid === undefined ? "" : ` ${kid}`}${ids === "" ? "" : `, only ${ids}`}.`,
    );
  throw new Refusal("key.missing", `${keysIn(folder)} has several keys: ${ids}. Name one with --key.`);
}

/** Opens a key with its passphrase. Rejects with a Refusal. */
export async function openKey(folder: string, kid: string | undefined, passphrase: string): Promise<OwnKey> {
  const { id, publicKey } = await chooseKey(folder, kid);
  const path = join(keysIn(folder), `${id}.key.jwe`);
  const sealed = await readOwnSecret(path).catch(secretRefused);
  const { plaintext } = await compactDecrypt(sealed.trim(), Buffer.from(passphrase.normalize("NFKC")), {
    maxPBES2Count: MOST_ROUNDS,
    keyManagementAlgorithms: ["PBES2-HS512+A256KW"],
    contentEncryptionAlgorithms: ["A256GCM"],
  }).catch((error: { code?: string }) => {
    if (error.code === "ERR_JWE_DECRYPTION_FAILED")
      throw new Refusal("passphrase.wrong", "This is not the key's passphrase.");
    throw new Refusal("key.malformed", `${path} is not what keygen writes.`);
  });
  const jwk = parsed(Buffer.from(plaintext).toString("utf8")) as Record<string, unknown> | undefined;
  if (jwk?.kid !== id || jwk.x !== publicKey)
    throw new Refusal("key.malformed", `${path} holds another key than it says.`);
  return { kid: id, publicKey, privateKey: createPrivateKey({ key: jwk, format: "jwk" }) };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Who holds which key of this office's state, as the definition and this folder know it: by key id. */
export async function ownKeys({ folder, election, state }: Office): Promise<Map<string, string>> {
  const people = new Map<string, string>();
  for (const key of election.definition.keys)
    if (key.role === "office" && key.state === state) people.set(key.id, key.official);
  for (const { id, official } of await listKeys(folder)) people.set(id, official);
  return people;
}
