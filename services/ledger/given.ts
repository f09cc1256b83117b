import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Definition, Key } from "../../shared/definition/schema.ts";
import type { ReadDecision } from "../../shared/ledger/decision.ts";
import { LogBroken } from "../../shared/platform/log-entry.ts";
import { createDataKey, seal } from "../../shared/platform/seal.ts";
import type { Statement } from "../../shared/statement/types.ts";
import type { Authentic } from "./delivery.ts";

/**
 * A decision of two trustees that the ledger is given at its start, as a file, because it cannot write without it: the door may be shut
 * by then, or the decision is about the very keys that the ledger opens and signs with.
 */
export interface Given<D extends Statement> extends Authentic {
  statement: D;
}

export interface Loaded {
  definition: Definition;
  hash: string;
}

/** With this decision or this key the ledger must not write. A restart will not help, a person must change something. */
export class StartRefused extends LogBroken {
  override readonly name: string = "StartRefused";
}

export const refusedBy = (variable: string) => (sentence: string) =>
  new StartRefused(`${variable}: ${sentence} Nothing was written.`);

/** Reads the file that the variable names. Rejects with StartRefused. */
export async function readGivenFile(variable: string, path: string): Promise<Uint8Array> {
  return readFile(path).catch((error: NodeJS.ErrnoException) => {
    throw refusedBy(variable)(
      `${path} cannot be read (${error.code ?? error.message}). Correct the path or the rights.`,
    );
  });
}

/** The decision as it will be written: sealed with a data key of its own, as if it had come by the door. */
export async function sealGiven<D extends Extract<Statement, { type: "decision" }>>(
  jws: Uint8Array,
  { decision, signers, payload }: ReadDecision<D>,
  { definition, hash }: Loaded,
): Promise<Given<D>> {
  const { publicKey: vaultPublicKey, recoveryKey: recoveryPublicKey } = definition.vault;
  const dataKey = await createDataKey({ definition: hash, vaultPublicKey, recoveryPublicKey });
  const sha256 = createHash("sha256").update(jws).digest();
  return {
    kind: "authentic",
    bytes: jws,
    sha256,
    payload: createHash("sha256").update(payload).digest(),
    statement: decision,
    signers: signers.map((signer) => signer.key) as [Key, ...Key[]],
    dataKey: { id: Buffer.from(dataKey.id, "hex"), wrapped: Buffer.from(dataKey.wrapped), key: dataKey.key },
    sealed: seal(dataKey.key, "statement", sha256.toString("hex"), jws),
  };
}
