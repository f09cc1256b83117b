import type { Road } from "../../shared/embargo/road.ts";
import { dataKeyShare } from "../../shared/platform/release-seal.ts";
import { mayGiveShare } from "./gate.ts";
import type { ReleaseMemory, ReleaseSources } from "./releases.ts";
import { insertDataKeyShares, selectDataKeysWithout } from "./store.ts";

/** Shares in one look: a whole night of a few doors has some thousands, and a release's own share must not wait for them. */
export const DATA_KEYS_AT_ONCE = 256;

/**
 * Gives this count's shares of the data keys of all statements below the last release that it has given its share of, by the same
 * gate as that share. One batch a look; which are missing the database says, so that they follow after a restart, and a share given
 * twice is one. True if more may be missing.
 */
export async function giveDataKeys(road: Road, memory: ReleaseMemory, sources: ReleaseSources): Promise<boolean> {
  const released = road.releases.find(({ number }) => number === memory.lastShare);
  if (released === undefined || released.size <= memory.dataKeysTo) return false;
  if (!(await mayGiveShare(road, released, sources.lookAtClocks))) return false;
  const { number, size } = released;
  const ids = await selectDataKeysWithout(sources.pool, memory.dataKeysTo, size, DATA_KEYS_AT_ONCE);
  const { vault } = sources.keys;
  const shares = ids.map((id) => dataKeyShare(vault, "tabulate", Buffer.from(id).toString("hex")));
  if (ids.length > 0) {
    await insertDataKeyShares(sources.pool, ids, shares);
    sources.hint({ number, size });
  }
  if (ids.length === DATA_KEYS_AT_ONCE) return true;
  memory.dataKeysTo = size;
  return false;
}
