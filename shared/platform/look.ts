import { setTimeout as sleep } from "node:timers/promises";

/** Between two looks at the same thing. */
const LOOK_MS = 1_000;

/**
 * Looks now and again every second, one look at a time, until the end; answers what ends it, after the look in hand.
 * `fail` is told once if a look rejects, and nothing is looked at any more.
 */
export function lookAgain(look: () => Promise<unknown>, fail: (error: unknown) => void): () => Promise<void> {
  const stop = new AbortController();
  const run = async () => {
    while (!stop.signal.aborted) {
      await look();
      await sleep(LOOK_MS, undefined, { signal: stop.signal }).catch(() => undefined); // the end wakes it
    }
  };
  const running = run().catch(fail);
  return async () => {
    stop.abort();
    await running;
  };
}
