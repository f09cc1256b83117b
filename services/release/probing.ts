import { createHash } from "node:crypto";

/** Notices who asks for results in many ways while there is nothing to give. A client that waits asks for the same few, again and again. */
export interface Probing {
  /** A request was refused by the embargo. Answers in how many ways this address has asked, if that has just become too many. */
  refused(address: string, method: string, path: string): number | undefined;
}

/** A client that reads all that it may ask for asks for fewer than this. */
export const MOST_WAYS = 16;
const WINDOW_MS = 10 * 60_000;
const MOST_ADDRESSES = 10_000;

interface Asked {
  since: number;
  ways: Set<string>;
}

export function createProbing(now: () => number): Probing {
  const asked = new Map<string, Asked>();
  return {
    refused(address, method, path) {
      const found = asked.get(address);
      const current =
        found !== undefined && now() - found.since < WINDOW_MS ? found : { since: now(), ways: new Set<string>() };
      if (current.ways.size >= MOST_WAYS) return undefined;
      const before = current.ways.size;
      // A path may be long, and there may be many: its hash is neither.
      current.ways.add(createHash("sha256").update(`${method} ${path}`).digest("base64url").slice(0, 16));
      asked.delete(address); // and in again, as the newest
      asked.set(address, current);
      const [oldest] = asked.keys();
      if (asked.size > MOST_ADDRESSES && oldest !== undefined) asked.delete(oldest);
      return current.ways.size === MOST_WAYS && before < MOST_WAYS ? MOST_WAYS : undefined;
    },
  };
}
