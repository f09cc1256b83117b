import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { access, mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { z } from "zod";
import { isKeyName } from "../../shared/ledger/checkpoint.ts";
import { witnessVerifierKey } from "../../shared/ledger/cosignature.ts";
import { readSecretFile, refuseConfig } from "../../shared/platform/config.ts";
import { importVerifyKey, type VerifyKey } from "../../shared/statement/ed25519.ts";
import { absent, readMarker, writeMarker } from "./state.ts";

export interface WitnessKey {
  /** As it stands in every line of this witness. */
  name: string;
  publicKey: VerifyKey;
  /** What logs and verifiers are told. */
  verifierKey: string;
  sign(bytes: Uint8Array): Uint8Array;
}

const Jwk = z.looseObject({
  kty: z.literal("OKP"),
  crv: z.literal("Ed25519"),
  d: z.string(),
  x: z.string(),
  kid: z.string().refine(isKeyName).max(255),
});

/**
 * Reads the witness' key (an Ed25519 JWK whose `kid` is the witness' name), or makes one, with an empty memory, when neither file nor
 * memory is there. The two belong together: a key whose memory is gone might cosign a fork, so it is refused in a sentence (`EX_CONFIG`).
 */
export async function openKey(options: { file: string; folder: string; name?: string | undefined }): Promise<{
  key: WitnessKey;
  made: boolean;
}> {
  const { file, folder } = options;
  const marker = await readMarker(folder);
  const exists = await access(file).then(() => true, absent);
  if (exists !== true) {
    if (marker !== undefined)
      refuseConfig([`${folder} is the memory of ${marker}, and its key is not at ${file}. Put the key back.`]);
    return { key: await makeKey(options), made: true };
  }
  const key = await readKey(file);
  if (marker === undefined)
    refuseConfig([
      `${folder} holds no memory of ${key.verifierKey}: without it this key could cosign a fork. Put the folder back, or make a new key. ` +
        `If this key has never cosigned anything, write its verifier key into ${folder}/verifier-key.`,
    ]);
  if (marker !== key.verifierKey)
    refuseConfig([`${folder} is the memory of ${marker}, and ${file} is another key: ${key.verifierKey}.`]);
  return { key, made: false };
}

async function makeKey({ file, folder, name }: { file: string; folder: string; name?: string | undefined }) {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const { x = "" } = publicKey.export({ format: "jwk" });
  // Without a name it is called after its key: a name must not be another witness' as well.
  const kid = name ?? `witness-${Buffer.from(x, "base64url").toString("hex").slice(0, 8)}`;
  const jwk = { ...privateKey.export({ format: "jwk" }), kid, alg: "EdDSA", use: "sig" };
  const key = keyOf(kid, privateKey);
  // The key comes first: cut off here, the next start finds a key that it will not use, and says what to do.
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await writeFile(file, `${JSON.stringify(jwk, null, 2)}\n`, { mode: 0o600, flag: "wx", flush: true });
  await writeMarker(folder, key.verifierKey);
  return key;
}

async function readKey(file: string): Promise<WitnessKey> {
  const parsed = Jwk.safeParse(jsonOrUndefined(await readSecretFile(file)));
  if (!parsed.success)
    refuseConfig([`${file} is not a private Ed25519 key in JWK form whose kid is the witness' name.`]);
  const { kty, crv, d, x, kid } = parsed.data;
  try {
    const privateKey = createPrivateKey({ key: { kty, crv, d, x }, format: "jwk" });
    if (createPublicKey(privateKey).export({ format: "jwk" }).x === x) return keyOf(kid, privateKey);
  } catch {
    // The reason is left out: it could quote the key.
  }
  refuseConfig([`${file} holds no usable Ed25519 key: d and x must be 32 bytes in base64url, and belong together.`]);
}

function keyOf(name: string, privateKey: KeyObject): WitnessKey {
  const { x = "" } = createPublicKey(privateKey).export({ format: "jwk" });
  const publicKey = importVerifyKey(Buffer.from(x, "base64url"));
  if (publicKey === undefined) throw new RangeError("a key pair whose public half is weak");
  const verifierKey = witnessVerifierKey(name, publicKey.raw);
  return { name, publicKey, verifierKey, sign: (bytes) => sign(null, bytes, privateKey) };
}

function jsonOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // not JSON is no key: the caller says so
  }
}
