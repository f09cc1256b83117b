import type { KeyObject } from "node:crypto";
import { sign } from "node:crypto";
import type { Definition } from "../definition/schema.ts";
import { importVerifyKey, type VerifyKey } from "../statement/ed25519.ts";
import { decodeBase64url } from "../statement/jws.ts";
import { readPrivateJwk, refuseConfig } from "./config.ts";

/** The keys of a service that belongs to the vault. */
export interface VaultKeys {
  /** Its own key's id in the definition. */
  kid: string;
  /** Ed25519 over the bytes, 64 bytes, with its own key. */
  sign(message: Uint8Array): Uint8Array;
  /** Its own public key. */
  own: VerifyKey;
  /** The vault's X25519 key, which opens statements and from which the vault's own secrets follow. */
  vaultPrivateKey: KeyObject;
}

/**
 * Reads a count's two private keys and compares them with the definition: its own must be one of its role there, the vault's
 * must be the one that statements are sealed for. Otherwise prints why and exits with EX_CONFIG.
 */
export async function readVaultKeys(
  config: { SCRUTIN_KEY_FILE: string; SCRUTIN_VAULT_KEY_FILE: string },
  definition: Definition,
  role: "tabulate" | "recount",
): Promise<VaultKeys> {
  const own = await readPrivateJwk(config.SCRUTIN_KEY_FILE, "Ed25519");
  const known = definition.keys.find((key) => key.id === own.kid && key.role === role);
  const publicKey = Buffer.from(own.publicRaw).toString("base64url");
  if (known?.publicKey !== publicKey)
    refuseConfig([`SCRUTIN_KEY_FILE: ${own.kid} is no ${role} key of this definition. Give the key that it names.`]);
  return {
    kid: own.kid,
    sign: (message) => sign(null, message, own.privateKey),
    own: verifyKeyOf(publicKey),
    vaultPrivateKey: await readVaultKey(config.SCRUTIN_VAULT_KEY_FILE, definition),
  };
}

/** Reads the vault's X25519 key alone, with the same checks. */
export async function readVaultKey(file: string, definition: Definition): Promise<KeyObject> {
  const vault = await readPrivateJwk(file, "X25519");
  if (Buffer.from(vault.publicRaw).toString("base64url") !== definition.vault.publicKey)
    refuseConfig(["SCRUTIN_VAULT_KEY_FILE is not the key that this definition seals for. Give the vault's key."]);
  return vault.privateKey;
}

/** The keys of one role, by id. */
export function keysOfRole(definition: Definition, role: "tabulate" | "recount"): ReadonlyMap<string, VerifyKey> {
  const keys = definition.keys.filter((key) => key.role === role);
  return new Map(keys.map(({ id, publicKey }) => [id, verifyKeyOf(publicKey)]));
}

function verifyKeyOf(publicKey: string): VerifyKey {
  const raw = decodeBase64url(publicKey);
  const key = raw === undefined ? undefined : importVerifyKey(raw);
  if (key === undefined) throw new RangeError("a key of the definition is none under the strict rule");
  return key;
}
