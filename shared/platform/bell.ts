/** Rung when there is something new; heard by all who wait at that moment. */
export interface Bell {
  ring(): void;
  /** Resolves at the next ring, or when `signal` ends the wait. */
  heard(signal: AbortSignal): Promise<void>;
}

export function createBell(): Bell {
  const waiting = new Set<() => void>();
  return {
    ring() {
      for (const wake of waiting) wake();
    },
    heard: (signal) =>
      new Promise<void>((resolve) => {
        const done = () => {
          waiting.delete(done);
          signal.removeEventListener("abort", done);
          resolve();
        };
        if (signal.aborted) return resolve();
        waiting.add(done);
        signal.addEventListener("abort", done);
      }),
  };
}
