/** Whether something is well, and since when that is so. */
export interface Seen {
  well: boolean;
  /** Ms since the epoch; null before the first look. */
  since: number | null;
}

export const notSeen = (): Seen => ({ well: false, since: null });

/** What was seen now; `since` moves only when the answer changes. */
export function see(before: Seen, well: boolean, now: number): Seen {
  return before.since !== null && before.well === well ? before : { well, since: now };
}

export const isoOrNull = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString());

/** Since when something has not caught up: whoever follows a log that grows is always a little behind, and that is well. */
export interface Behind {
  see(position: number, head: number, now: number): void;
  /** Ms since the epoch; null if it is not behind. */
  since(): number | null;
}

export function createBehind(): Behind {
  /** The head that is waited for, and since when. */
  let target: { head: number; at: number } | undefined;
  return {
    see(position, head, now) {
      if (target !== undefined && position >= target.head) target = undefined;
      if (position < head) target ??= { head, at: now };
    },
    since: () => target?.at ?? null,
  };
}
