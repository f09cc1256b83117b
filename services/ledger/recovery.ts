import { z } from "zod";
import { type Recovery, readRecovery } from "../../shared/ledger/decision.ts";
import type { Finding } from "../../shared/ledger/entry.ts";
import type { VaultKey } from "../../shared/platform/seal.ts";
import { signersOf } from "../../shared/statement/authentic.ts";
import { type Given, type Loaded, readGivenFile, refusedBy, sealGiven } from "./given.ts";

/**
 * The vault's key is lost: two trustees rebuild the recovery key and decide that the vault goes on with it. The ledger is given both at its
 * start, and writes the decision before anything else. It may have come by the door as well, while the vault's key was still at hand.
 */
export type GivenRecovery = Given<Recovery>;

export const SCRUTIN_RECOVERY_DECISION = z
  .string()
  .min(1)
  .optional()
  .describe("Name the file of the trustees' decision to go on with the recovery key, or leave it out.");

const VARIABLE = "SCRUTIN_RECOVERY_DECISION";
const refused = refusedBy(VARIABLE);

/** Reads the file of the decision, if one is named. Rejects with StartRefused, also when the key at hand is not the recovery key. */
export async function readGivenRecovery(
  path: string | undefined,
  loaded: Loaded,
  { recipient }: VaultKey,
): Promise<GivenRecovery | undefined> {
  if (path === undefined) return undefined;
  if (recipient !== "recovery")
    throw refused(
      "the key that was given is the vault's own, which is not lost. Give the recovery key, or leave this out.",
    );
  return givenRecovery(await readGivenFile(VARIABLE, path), loaded);
}

/** The decision as it will be written. Rejects with StartRefused. */
export async function givenRecovery(jws: Uint8Array, loaded: Loaded): Promise<GivenRecovery> {
  const read = await readRecovery(jws, loaded.hash, signersOf(loaded.definition));
  if (typeof read === "string") throw refused(`${read}. Give the decision as two trustees signed it.`);
  return sealGiven(jws, read, loaded);
}

/** Throws StartRefused unless the recovery key may be used: two trustees have decided it in the log, or in what was given. */
export function requireRecovery(decided: boolean, given: GivenRecovery | undefined): void {
  if (decided || given !== undefined) return;
  throw refused(
    "this is the recovery key, and the log holds no decision to use it. Let two trustees decide it, and name the file here.",
  );
}

/**
 * Begins something that opens what is sealed, for whoever asks, as soon as the key may be used: `mayUse` resolves then, and rejects when its
 * signal is aborted. `begin` answers how it is ended; so does this. `fail` is told what nobody foresaw.
 */
export function beginWhen(
  mayUse: (signal: AbortSignal) => Promise<void>,
  begin: () => () => Promise<void>,
  fail: (error: unknown) => void,
): () => Promise<void> {
  const stop = new AbortController();
  const begun = mayUse(stop.signal).then(begin);
  begun.catch((error: unknown) => stop.signal.aborted || fail(error));
  return async () => {
    stop.abort();
    const end = await begun.catch(() => undefined); // told, or never begun
    await end?.();
  };
}

export const recoveryDoesNotFit = (findings: readonly Finding[]) =>
  refused(`the log does not accept it (${findings.map(({ code }) => code).join(", ")}). Let two trustees decide anew.`);
