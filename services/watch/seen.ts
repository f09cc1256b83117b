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
