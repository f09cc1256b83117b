import { setTimeout as sleep } from "node:timers/promises";
import type { Pool } from "pg";
import type { Logger } from "pino";
import type { Definition } from "../definition/schema.ts";
import { isRecovery } from "../ledger/decision.ts";
import { createAuthority, openRow, verifyEntries } from "./log-entry.ts";
import { selectKeyEntries } from "./log-rows.ts";
import { createKeyring, type VaultKey } from "./seal.ts";

/** How often a count that waits for the decision looks for it. */
const LOOK_MS = 500;

interface Log {
  pool: Pool;
  definition: Definition;
  hash: string;
  vault: VaultKey;
}

/**
 * Asks whether the log holds the accepted decision of two trustees that the vault goes on with the recovery key; each time from where it has
 * read to. That key opens decisions for it, which are public, and their judgements; nothing else. Rejects with LogBroken.
 */
export function watchForRecovery({ pool, definition, hash, vault }: Log): () => Promise<boolean> {
  const { privateKey: vaultPrivateKey, recipient } = vault;
  const keyring = createKeyring({ definition: hash, vaultPrivateKey, recipient });
  const authority = createAuthority(definition, hash);
  let next = 1;
  let decided = false;
  return async () => {
    while (!decided) {
      const rows = await selectKeyEntries(pool, next, Number.MAX_SAFE_INTEGER);
      if (rows.length === 0) break;
      const unsealed = await Promise.all(rows.map((row) => openRow(row, row.index, keyring, hash)));
      for (const { index, statement, verdict } of await verifyEntries(unsealed, authority)) {
        if (statement !== null && isRecovery(statement) && verdict === "accepted") decided = true;
        next = index + 1;
      }
    }
    return decided;
  };
}

/**
 * For a count. Returns at once with the vault's own key; with the recovery key only when the log holds the decision to use it: it may be
 * started before the ledger has written that. Rejects with LogBroken, and with the signal's reason when aborted.
 */
export async function waitForRecovery(opts: Log & { log: Logger; signal: AbortSignal }): Promise<void> {
  const { vault, log, signal } = opts;
  if (vault.recipient === "vault") return;
  const decided = watchForRecovery(opts);
  for (let attempt = 1; !(await decided()); attempt++) {
    if (attempt === 1)
      log.warn("this is the recovery key; it does nothing before the log holds two trustees' decision to use it");
    await sleep(LOOK_MS, undefined, { signal });
  }
  log.warn("working with the recovery key, as two trustees decided");
}
