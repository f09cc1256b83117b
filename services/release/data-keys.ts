import { joinShares } from "../../shared/platform/release-seal.ts";

/** Keys of statements, joined from what both counts gave. */
export interface DataKeys {
  /** The data key of an id (hex), 32 bytes; undefined while a share is missing. Says nothing of whether it is the right one. */
  find(id: string): Promise<Uint8Array | undefined>;
  /** It has opened nothing: it is joined anew when it is asked for again. */
  forget(id: string): void;
}

/** Four `ingest` for a whole day; 32 bytes each. */
export const DATA_KEYS_KEPT = 6_000;

/** `select` gives the shares of an id, one from each count that has given its own. */
export function createDataKeys(select: (id: string) => Promise<Uint8Array[]>, limit = DATA_KEYS_KEPT): DataKeys {
  const joined = new Map<string, Promise<Uint8Array | undefined>>();
  const join = async (id: string) => {
    const [first, second] = await select(id);
    return first === undefined || second === undefined ? undefined : joinShares(first, second);
  };
  return {
    find(id) {
      const known = joined.get(id);
      if (known !== undefined) {
        joined.delete(id); // and back at the end: the least recently used goes first
        joined.set(id, known);
        return known;
      }
      const joining = join(id);
      joined.set(id, joining);
      const drop = () => {
        if (joined.get(id) === joining) joined.delete(id);
      };
      joining.then((key) => key ?? drop(), drop); // a share that is missing, like a failure, is not kept
      const oldest = joined.keys().next().value;
      if (joined.size > limit && oldest !== undefined) joined.delete(oldest);
      return joining;
    },
    forget: (id) => void joined.delete(id),
  };
}
