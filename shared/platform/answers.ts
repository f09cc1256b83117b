import { setTimeout as sleep } from "node:timers/promises";

/** True if it resolves in time; false if it rejects, or is not settled after `limitMs`. For probes: it never rejects itself. */
export function answersWithin(limitMs: number, asked: Promise<unknown>): Promise<boolean> {
  return Promise.race([
    asked.then(
      () => true,
      () => false,
    ),
    sleep(limitMs, false, { ref: false }),
  ]);
}
