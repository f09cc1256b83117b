import type { NatsConnection, Subscription } from "nats";

/** Hints come with every batch; what several of them say within this is read at once, unless another gap is given. */
const GAP_MS = 20;

export interface Follower {
  /** Look soon: something may have changed. */
  wake(): void;
  /** Takes no new round and waits for the one in hand. */
  stop(): Promise<void>;
}

/**
 * Runs `round` again and again, one at a time: when a hint comes on one of the subjects, and anyway after the milliseconds that
 * the last round answered. A hint lost or repeated changes nothing. `round` handles its own errors; if it rejects all the
 * same, `fail` is told and no more rounds are made.
 */
export function follow(opts: {
  nc: NatsConnection;
  subjects: readonly string[];
  round: () => Promise<number>;
  fail: (error: unknown) => void;
  gapMs?: number;
}): Follower {
  const { gapMs = GAP_MS } = opts;
  let stopped = false;
  let hinted = false;
  let ring: (() => void) | undefined;
  const wake = () => {
    hinted = true;
    ring?.();
  };
  const subscriptions: Subscription[] = opts.subjects.map((subject) => opts.nc.subscribe(subject, { callback: wake }));
  const pause = (ms: number, canWake: boolean) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      ring = () => {
        if (!canWake && !stopped) return;
        clearTimeout(timer);
        resolve();
      };
    });
  const run = async () => {
    while (!stopped) {
      hinted = false;
      const ms = await opts.round();
      if (stopped) break;
      await pause(Math.min(gapMs, ms), false);
      if (!hinted && !stopped && ms > gapMs) await pause(ms - gapMs, true);
    }
  };
  const running = run().catch(opts.fail);
  return {
    wake,
    async stop() {
      stopped = true;
      ring?.();
      for (const subscription of subscriptions) subscription.unsubscribe();
      await running;
    },
  };
}
