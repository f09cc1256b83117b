import type { Sample } from "../definition/sample.ts";
import { type Recipient, type VaultKey, vaultKeyOf } from "./seal.ts";

/** For tests: the vault's key of a sample, or its recovery key in the place of it. */
export function vaultOf(sample: Sample, recipient: Recipient = "vault"): VaultKey {
  const { privateKey } = recipient === "vault" ? sample.vault : sample.recovery;
  const key = vaultKeyOf(privateKey, sample.definition.vault, sample.hash);
  if (key === undefined) throw new Error("the sample has no key of the vault");
  return key;
}
