import { generateKeyPairSync, type JsonWebKey } from "node:crypto";
import {
  checkShares,
  joinRecoveryShares,
  RecoveryRefused,
  type RecoveryShare,
  readRecoveryShare,
  splitRecoveryKey,
} from "../../shared/platform/recovery.ts";
import { readOwnSecret } from "../../shared/platform/sign.ts";
import type { Election } from "./definition.ts";
import { secretRefused } from "./key.ts";
import type { ShareFile } from "./options.ts";
import { Refusal } from "./refusal.ts";
import { mustBeFree, SECRET_MODE, writeNew } from "./write.ts";

/** The recovery key's life in the trustees' hands. Each function rejects with a Refusal. */

/** Makes a recovery key and splits it at once; answers its public half. The whole key is never written. */
export async function newRecoveryKey(to: readonly ShareFile[]): Promise<string> {
  const jwk = generateKeyPairSync("x25519").privateKey.export({ format: "jwk" });
  return splitTo(jwk, to);
}

/** Splits the key in a file; answers its public half. The file stays for its holder to remove. */
export async function splitRecoveryFile(keyFile: string, to: readonly ShareFile[]): Promise<string> {
  const text = await readOwnSecret(keyFile).catch(secretRefused);
  let jwk: JsonWebKey;
  try {
    jwk = { ...(JSON.parse(text) as JsonWebKey) };
  } catch {
    throw new Refusal("key.malformed", `${keyFile} is not JSON.`);
  }
  return splitTo(jwk, to);
}

async function splitTo(jwk: JsonWebKey, to: readonly ShareFile[]): Promise<string> {
  // A share that cannot be written when two others are would leave a split that nobody can trust.
  for (const { file } of to) await mustBeFree(file);
  const [a = "", b = "", c = ""] = to.map(({ trustee }) => trustee);
  const shares = await splitRecoveryKey(jwk, [a, b, c]).catch(recoveryRefused);
  for (const [n, { file }] of to.entries())
    await writeNew(file, `${JSON.stringify(shares[n], null, 2)}\n`, SECRET_MODE);
  return shares[0]?.recoveryKey ?? "";
}

/**
 * Checks shares for damage, that they are of the definition's recovery key (of one another's without a definition), and of several that
 * every pair rebuilds it. Answers whose they are, and the key's public half.
 */
export async function checkShareFiles(
  files: readonly string[],
  election: Election | undefined,
): Promise<{ trustees: string[]; recoveryKey: string; rebuilt: boolean }> {
  const shares = await readShares(files);
  const recoveryKey = election?.definition.vault.recoveryKey ?? shares[0]?.recoveryKey ?? "";
  const other = shares.find((share) => share.recoveryKey !== recoveryKey);
  if (other !== undefined)
    throw new Refusal(
      "share.refused",
      `The share of ${other.trustee} is of another recovery key (${other.recoveryKey}) than ${recoveryKey}.`,
    );
  await checkShares(shares, recoveryKey).catch(recoveryRefused);
  return { trustees: shares.map(({ trustee }) => trustee), recoveryKey, rebuilt: shares.length > 1 };
}

/** Rebuilds the recovery key and writes it, for its owner only. */
export async function joinShareFiles(files: readonly string[], { definition }: Election, out: string): Promise<void> {
  const shares = await readShares(files);
  const jwk = await joinRecoveryShares(shares, definition.vault.recoveryKey).catch(recoveryRefused);
  await writeNew(out, `${JSON.stringify(jwk, null, 2)}\n`, SECRET_MODE);
}

async function readShares(files: readonly string[]): Promise<RecoveryShare[]> {
  const texts = await Promise.all(files.map((file) => readOwnSecret(file).catch(secretRefused)));
  try {
    return texts.map((text, n) => readRecoveryShare(text, files[n] ?? ""));
  } catch (error) {
    recoveryRefused(error);
  }
}

function recoveryRefused(error: unknown): never {
  if (error instanceof RecoveryRefused) throw new Refusal("share.refused", error.message);
  throw error;
}
