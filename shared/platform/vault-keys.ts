import { sign } from "node:crypto";
import type { Definition } from "../definition/schema.ts";
import { importVerifyKey, type VerifyKey } from "../statement/ed25519.ts";
import { decodeBase64url } from "../statement/jws.ts";
import { parsePrivateJwk, readPrivateJwk, readSecretFile, refuseConfig } from "./config.ts";
import { runKeyCommand } from "./key-command.ts";
import { type VaultKey, vaultKeyOf } from "./seal.ts";

/** The keys of a service that belongs to the vault. */
export interface VaultKeys {
  /** Its own key's id in the definition. */
  kid: string;
  /** Ed25519 over the bytes, 64 bytes, with its own key. */
  sign(message: Uint8Array): Uint8Array;
  /** Its own public key. */
  own: VerifyKey;
  /** It opens statements, and the vault's own secrets follow from it. */
  vault: VaultKey;
}

/** Where the vault's key comes from: exactly one of the two. */
export interface VaultKeySource {
  SCRUTIN_VAULT_KEY_FILE?: string | undefined;
  SCRUTIN_VAULT_KEY_COMMAND?: string | undefined;
}

/**
 * Reads a count's two private keys and compares them with the definition: its own must be one of its role there, the vault's
 * one that statements are sealed for (`readVaultKey`). Otherwise prints why and exits with EX_CONFIG.
 */
export async function readVaultKeys(
  config: { SCRUTIN_KEY_FILE: string } & VaultKeySource,
  { definition, hash }: { definition: Definition; hash: string },
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
    vault: await readVaultKey(config, { definition, hash }),
  };
}

/**
 * Reads the vault's X25519 key alone, or the recovery key in its place, and says which it is (`recipient`). The recovery key may be used
 * only once the log holds the decision to: that is for whoever reads it. Prints why not and exits with EX_CONFIG.
 */
export async function readVaultKey(
  config: VaultKeySource,
  { definition, hash }: { definition: Definition; hash: string },
): Promise<VaultKey> {
  const { SCRUTIN_VAULT_KEY_FILE: file, SCRUTIN_VAULT_KEY_COMMAND: command } = config;
  if ((file === undefined) === (command === undefined))
    refuseConfig(["Set either SCRUTIN_VAULT_KEY_FILE or SCRUTIN_VAULT_KEY_COMMAND, and not both."]);
  const [variable, from] =
    command === undefined
      ? ["SCRUTIN_VAULT_KEY_FILE", file ?? ""]
      : ["SCRUTIN_VAULT_KEY_COMMAND", `what ${command} printed`];
  const text = command === undefined ? await readSecretFile(file ?? "") : await runKeyCommand(command);
  const { privateKey } = parsePrivateJwk(text, from, "X25519");
  const vault = vaultKeyOf(privateKey, definition.vault, hash);
  if (vault === undefined)
    refuseConfig([
      `${variable}: this is not the key that this definition seals for. Give the vault's key, or the recovery key if that is lost.`,
    ]);
  return vault;
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
