import type { Pool } from "pg";
import type { Definition } from "../../shared/definition/schema.ts";
import { changesKeys, type KeyBook } from "../../shared/ledger/keys.ts";
import { createAuthority, openRow, verifyEntries } from "../../shared/platform/log-entry.ts";
import { selectKeyEntries } from "../../shared/platform/log-rows.ts";
import type { Keyring } from "../../shared/platform/seal.ts";

/**
 * The keys of the log as the database holds them: what comes by the bus is opened with these, by the writer and by a standby. Only
 * what is committed is in here, so it may be a moment behind what the writer judges by, and never ahead.
 */
export interface LiveKeys {
  readonly book: KeyBook;
  /** Reads what was committed since. Rejects when the database does not answer, and with LogBroken. */
  refresh(): Promise<void>;
  /**
   * The same because of a key id that nobody knows: false if it was done within the last second. Whoever makes ids up must not
   * choose how often the database is asked.
   */
  lookAgain(): Promise<boolean>;
  /** Indexes of accepted statements that change keys (`key`, and suspensions), from this one on, ascending. */
  accepted(from: number): number[];
}

const LOOK_AGAIN_MS = 1_000;

export function createLiveKeys(opts: { pool: Pool; definition: Definition; hash: string; keyring: Keyring }): LiveKeys {
  const { pool, definition, hash, keyring } = opts;
  const authority = createAuthority(definition, hash);
  const accepted: number[] = [];
  let next = 1;
  let lookedAt = Number.NEGATIVE_INFINITY;

  const read = async () => {
    for (;;) {
      const rows = await selectKeyEntries(pool, next, Number.MAX_SAFE_INTEGER);
      if (rows.length === 0) return;
      const unsealed = await Promise.all(rows.map((row) => openRow(row, row.index, keyring, hash)));
      for (const entry of await verifyEntries(unsealed, authority)) {
        const { statement, verdict } = entry;
        if (statement !== null && changesKeys(statement) && verdict === "accepted") accepted.push(entry.index);
        next = entry.index + 1;
      }
    }
  };
  let reading: Promise<void> | undefined;
  let following: Promise<void> | undefined;
  // One at a time. Whoever asks while one is under way gets the one after it: it sees what is committed by now.
  const refresh = (): Promise<void> => {
    if (reading === undefined) {
      reading = read().finally(() => {
        reading = undefined;
      });
      return reading;
    }
    following ??= reading
      .catch(() => undefined) // told to whoever asked for that one
      .then(() => {
        following = undefined;
        return refresh();
      });
    return following;
  };
  return {
    book: authority.keys,
    refresh,
    async lookAgain() {
      if (performance.now() - lookedAt < LOOK_AGAIN_MS) return false;
      lookedAt = performance.now();
      await refresh();
      return true;
    },
    accepted: (from) => accepted.filter((index) => index >= from),
  };
}
