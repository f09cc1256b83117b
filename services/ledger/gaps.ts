/**
 * Gaps: sequence numbers of a key that are missing below the highest one seen. Order of arrival does not matter, so a gap is
 * never refused; one that lasts is told, once. Kept as ranges: a leap of a billion costs as much as a leap of two.
 */
export interface Gaps {
  readonly keys: Map<string, KeyGaps>;
}

interface KeyGaps {
  highest: number;
  /** Ascending, not touching. */
  missing: Range[];
}

interface Range {
  from: number;
  to: number;
  /** When the statement that shows the gap was received, ms. */
  since: number;
  told: boolean;
}

export interface Gap {
  key: string;
  from: number;
  to: number;
}

/** A gap that lasts longer than this is an incident. */
export const GAP_MS = 60_000;

export function createGaps(): Gaps {
  return { keys: new Map() };
}

/** A statement of this key with this sequence number is in the log, or one that voids it; received at `at` (ms). */
export function sequenceSeen(gaps: Gaps, key: string, sequence: number, at: number): void {
  const known = gaps.keys.get(key) ?? { highest: 0, missing: [] };
  gaps.keys.set(key, known);
  if (sequence > known.highest) {
    if (sequence > known.highest + 1)
      known.missing.push({ from: known.highest + 1, to: sequence - 1, since: at, told: false });
    known.highest = sequence;
  } else close(known, sequence);
}

function close(known: KeyGaps, sequence: number): void {
  const at = known.missing.findIndex(({ from, to }) => from <= sequence && sequence <= to);
  const range = known.missing[at];
  if (range === undefined) return;
  const rest = [
    { ...range, to: sequence - 1 },
    { ...range, from: sequence + 1 },
  ].filter(({ from, to }) => from <= to);
  known.missing.splice(at, 1, ...rest);
}

/** Gaps older than a minute at `now` that were not told yet; from then on they are. */
export function tellGaps(gaps: Gaps, now: number): Gap[] {
  const told: Gap[] = [];
  for (const [key, { missing }] of gaps.keys)
    for (const range of missing)
      if (!range.told && now - range.since > GAP_MS) {
        range.told = true;
        told.push({ key, from: range.from, to: range.to });
      }
  return told;
}

/** How many sequence numbers are missing in all. */
export function missingCount(gaps: Gaps): number {
  let count = 0;
  for (const { missing } of gaps.keys.values()) for (const { from, to } of missing) count += to - from + 1;
  return count;
}
