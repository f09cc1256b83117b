import { createPrivateKey, createPublicKey, type JsonWebKey, type KeyObject } from "node:crypto";
import { open, readFile } from "node:fs/promises";
import { isIPv4 } from "node:net";
import { z } from "zod";
import { createRegister, type Register } from "../definition/register.ts";
import { type Definition, KEY_ID } from "../definition/schema.ts";
import { readDefinition } from "../definition/validate.ts";

/** `EX_CONFIG` of sysexits.h: a restart will not help, a person must change something. */
export const EX_CONFIG = 78;

/** Prints each sentence on a line of stderr and ends the process. */
export function refuseConfig(sentences: readonly string[]): never {
  process.stderr.write(sentences.map((sentence) => `${sentence}\n`).join(""));
  process.exit(EX_CONFIG);
}

/** True for 127.0.0.0/8, ::1 and localhost: what never leaves the machine. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[(.*)\]$/, "$1");
  return bare === "localhost" || bare === "::1" || (isIPv4(bare) && bare.startsWith("127."));
}

/** A variable that names a file. */
export const file = (what: string) => z.string().min(1, "is empty").describe(what);

/** Variables that services have in common; each description says what to do when it is missing or wrong. */
export const PORT = z
  .string()
  .regex(/^\d{1,5}$/, "is not a port")
  .transform(Number)
  .refine((port) => port <= 65_535, "is not a port")
  .default(0)
  .describe("Give a port from 0 to 65535; 0 takes a free one.");
export const HOST = z
  .string()
  .regex(/^[A-Za-z0-9.:-]{1,253}$/, "is not an address")
  .default("127.0.0.1")
  .describe("Give 127.0.0.1 or ::1, or with SCRUTIN_TLS_CERT_FILE and SCRUTIN_TLS_KEY_FILE another address.");
export const SCRUTIN_DEFINITION = file("Name the file that holds the election's definition.");
export const SCRUTIN_DEFINITION_SIGNATURES = file("Name the file that holds the signatures of the definition.");
export const SCRUTIN_AUTHORITY = file(
  'Name the JSON file that holds the trusted keys of the election authority: [{"id", "publicKey"}].',
);
export const SCRUTIN_KEY_FILE = file(
  "Name the file that holds this service's private Ed25519 key as a JWK with its kid.",
);
export const SCRUTIN_VAULT_KEY_FILE = file(
  "Name the file that holds the vault's private X25519 key as a JWK, or leave it out and set SCRUTIN_VAULT_KEY_COMMAND.",
).optional();
export const SCRUTIN_VAULT_KEY_COMMAND = z
  .string()
  .startsWith("/", "is not an absolute path")
  .describe(
    "Name the program, by its absolute path, that prints the vault's private X25519 key as a JWK, or leave it out and set SCRUTIN_VAULT_KEY_FILE.",
  )
  .optional();

type Shape = Record<string, z.ZodType>;

/**
 * Reads a service's configuration from the environment: `shape` says which variables and of what form; an empty one counts as
 * missing. On failure prints one sentence per problem (which variable, what is wrong, what to do; never its value, which may be
 * a secret) and exits with `EX_CONFIG`.
 */
export function readConfig<S extends Shape>(service: string, shape: S): z.infer<z.ZodObject<S>> {
  const given = Object.keys(shape).map((name) => [name, process.env[name] || undefined] as const);
  const parsed = z.object(shape).safeParse(Object.fromEntries(given));
  if (parsed.success) return parsed.data;
  const seen = new Set<string>();
  const sentences: string[] = [];
  for (const issue of parsed.error.issues) {
    const name = String(issue.path[0]);
    if (seen.has(name)) continue;
    seen.add(name);
    const wrong = process.env[name] ? issue.message : "is not set";
    sentences.push(`${service}: ${name} ${wrong}. ${shape[name]?.description ?? ""}`.trim());
  }
  refuseConfig(sentences);
}

/** What `loadDefinition` found to be true. */
export interface LoadedDefinition {
  definition: Definition;
  /** SHA-256 of `bytes`, hex. */
  hash: string;
  register: Register;
  bytes: Uint8Array;
  /** The detached general JWS as parsed JSON. */
  signatures: unknown;
}

const Anchors = z.array(z.strictObject({ id: z.string(), publicKey: z.string() })).min(2);

/**
 * Reads the definition, its signatures and the trust roots, and checks them (`readDefinition`). A service works with no
 * definition but a valid one: otherwise each reason is printed on a line and the process exits with `EX_CONFIG`.
 */
export async function loadDefinition(config: {
  SCRUTIN_DEFINITION: string;
  SCRUTIN_DEFINITION_SIGNATURES: string;
  SCRUTIN_AUTHORITY: string;
}): Promise<LoadedDefinition> {
  const bytes = await readOrRefuse("SCRUTIN_DEFINITION", config.SCRUTIN_DEFINITION);
  const signatures = await readJson("SCRUTIN_DEFINITION_SIGNATURES", config.SCRUTIN_DEFINITION_SIGNATURES);
  const anchors = Anchors.safeParse(await readJson("SCRUTIN_AUTHORITY", config.SCRUTIN_AUTHORITY));
  if (!anchors.success)
    refuseConfig([
      `SCRUTIN_AUTHORITY: ${config.SCRUTIN_AUTHORITY} must hold at least two keys: [{"id", "publicKey"}].`,
    ]);
  const read = readDefinition(bytes, signatures, anchors.data);
  if (read.kind === "invalid")
    refuseConfig(read.reasons.map(({ code, message }) => `${config.SCRUTIN_DEFINITION}: ${code}: ${message}`));
  const { definition, hash } = read;
  return { definition, hash, register: createRegister(definition, hash), bytes, signatures };
}

/** Reads a file that a variable names, or prints a sentence and exits with `EX_CONFIG`. */
export async function readOrRefuse(variable: string, path: string): Promise<Uint8Array> {
  return readFile(path).catch((error: NodeJS.ErrnoException) =>
    refuseConfig([
      `${variable}: ${path} cannot be read (${error.code ?? error.message}). Correct the path or the rights.`,
    ]),
  );
}

async function readJson(variable: string, path: string): Promise<unknown> {
  const text = Buffer.from(await readOrRefuse(variable, path)).toString("utf8");
  try {
    return JSON.parse(text);
  } catch {
    refuseConfig([`${variable}: ${path} is not JSON. Give the file as it was made.`]);
  }
}

/**
 * Reads a file that holds a secret. It must belong to us or to root, and group and others must have no right to it; otherwise, or
 * when it cannot be read, a sentence is printed and the process exits with `EX_CONFIG`.
 */
export async function readSecretFile(path: string): Promise<string> {
  const handle = await open(path, "r").catch((error: NodeJS.ErrnoException) =>
    refuseConfig([`${path} cannot be read (${error.code ?? error.message}). Correct the path or the rights.`]),
  );
  try {
    // Asked of the open file, not of the path, which could be another file by then.
    const { mode, uid } = await handle.stat();
    if ((mode & 0o077) !== 0)
      refuseConfig([`${path} holds a secret that others may read. Run: chmod 600 ${path}, and consider a new one.`]);
    if (uid !== 0 && uid !== process.getuid?.())
      refuseConfig([
        `${path} holds a secret and belongs to somebody else, who can read it. Make it this service's own.`,
      ]);
    return await handle.readFile("utf8");
  } finally {
    await handle.close();
  }
}

/** A private key read from a JWK file (RFC 7517, RFC 8037). */
export interface PrivateJwk {
  /** The key's id in the definition; empty for an X25519 key without one. */
  kid: string;
  jwk: JsonWebKey;
  privateKey: KeyObject;
  /** The 32 raw bytes of the public key. */
  publicRaw: Uint8Array;
}

const OkpKey = z.looseObject({
  kty: z.literal("OKP"),
  crv: z.enum(["Ed25519", "X25519"]),
  d: z.string(),
  x: z.string(),
  kid: z.string().regex(KEY_ID).optional(),
});

/**
 * Reads a private Ed25519 JWK (which must carry its `kid`) or X25519 JWK; `curve` demands one of them. The file must be
 * readable by its owner only. Whatever is wrong is printed in a sentence and the process exits with `EX_CONFIG`.
 */
export async function readPrivateJwk(path: string, curve?: "Ed25519" | "X25519"): Promise<PrivateJwk> {
  return parsePrivateJwk(await readSecretFile(path), path, curve);
}

/** The same of text that is at hand. `path` says in the sentence where it came from. */
export function parsePrivateJwk(text: string, path: string, curve?: "Ed25519" | "X25519"): PrivateJwk {
  const parsed = OkpKey.safeParse(parseOrUndefined(text));
  if (!parsed.success)
    refuseConfig([`${path} is not a private Ed25519 or X25519 key in JWK form (kty OKP, crv, d, x).`]);
  const { kty, crv, d, x, kid } = parsed.data;
  if (curve !== undefined && crv !== curve)
    refuseConfig([`${path} holds a key for ${crv}; this needs one for ${curve}.`]);
  if (crv === "Ed25519" && kid === undefined)
    refuseConfig([`${path} has no kid. Add the key's id in the definition as "kid".`]);
  const privateKey = importOrRefuse(path, { kty, crv, d, x });
  const actual = createPublicKey(privateKey).export({ format: "jwk" }).x;
  if (actual !== x) refuseConfig([`${path} contradicts itself: x is not the public key of d. Make the file again.`]);
  return { kid: kid ?? "", jwk: { kty, crv, d, x, kid }, privateKey, publicRaw: Buffer.from(x, "base64url") };
}

function parseOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // not JSON is no key: the caller says so
  }
}

function importOrRefuse(path: string, key: JsonWebKey): KeyObject {
  try {
    return createPrivateKey({ key, format: "jwk" });
  } catch {
    // The reason is left out: it could quote the key.
    refuseConfig([`${path} holds no usable ${key.crv} key: d and x must be 32 bytes in base64url.`]);
  }
}
