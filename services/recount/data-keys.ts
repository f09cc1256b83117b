import { LogBroken } from "../../shared/platform/log-reader.ts";
import { dataKeyShare } from "../../shared/platform/release-seal.ts";
import { SealBroken, unwrapDataKey } from "../../shared/platform/seal.ts";
import type { AnswerMemory, AnswerSources } from "./answers.ts";
import type { Fold } from "./fold.ts";
import { mayGiveShare } from "./gate.ts";
import { insertDataKeyShares, selectDataKeysWithout, type WrappedKey } from "./store.ts";

/** Shares in one look; each key is unwrapped for it, in some milliseconds, and cosigning must not wait for a whole night's. */
export const DATA_KEYS_AT_ONCE = 64;

/**
 * Gives this count's shares of the data keys of all statements below the last release that it has given its share of, by the same
 * gate as that share. One batch a look; which are missing the database says, so that they follow after a restart, and a share given
 * twice is one. True if more may be missing. Throws LogBroken for a key that does not open.
 */
export async function giveDataKeys(fold: Fold, memory: AnswerMemory, sources: AnswerSources): Promise<boolean> {
  const { road } = fold;
  const released = road.releases.find(({ number }) => number === memory.lastShare);
  if (released === undefined || released.size <= memory.dataKeysTo) return false;
  if (!(await mayGiveShare(road, released, sources.lookAtClocks))) return false;
  const { number, size } = released;
  const wrapped = await selectDataKeysWithout(sources.pool, memory.dataKeysTo, size, DATA_KEYS_AT_ONCE);
  const shares = await Promise.all(wrapped.map((key) => shareOf(key, fold.count.hash, sources)));
  if (wrapped.length > 0) {
    const ids = wrapped.map(({ id }) => id);
    await insertDataKeyShares(sources.pool, ids, shares);
    sources.hint({ number, size });
  }
  if (wrapped.length === DATA_KEYS_AT_ONCE) return true;
  memory.dataKeysTo = size;
  return false;
}

async function shareOf(row: WrappedKey, definition: string, { keys }: AnswerSources): Promise<Uint8Array> {
  const { vault } = keys;
  const { privateKey: vaultPrivateKey, recipient } = vault;
  const id = Buffer.from(row.id).toString("hex");
  try {
    const dataKey = await unwrapDataKey({ definition, id, wrapped: row.wrapped, vaultPrivateKey, recipient });
    return dataKeyShare(vault, "recount", id, dataKey);
  } catch (error) {
    throw error instanceof SealBroken ? new LogBroken(`data key ${id}: ${error.message}`, { cause: error }) : error;
  }
}
