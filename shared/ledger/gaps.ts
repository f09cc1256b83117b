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

/**
 * A statement of this key with this sequence number is in the log, or one that voids it; received at `at` (ms). False if the number
 * was seen before.
 */
export function sequenceSeen(gaps: Gaps, key: string, sequence: number, at: number): boolean {
  const known = gaps.keys.get(key) ?? { highest: 0, missing: [] };
  gaps.keys.set(key, known);
  if (sequence <= known.highest) return close(known, sequence);
  if (sequence > known.highest + 1)
    known.missing.push({ from: known.highest + 1, to: sequence - 1, since: at, told: false });
  known.highest = sequence;
  return true;
}

function close(known: KeyGaps, sequence: number): boolean {
  const at = known.missing.findIndex(({ from, to }) => from <= sequence && sequence <= to);
  const range = known.missing[at];
  if (range === undefined) return false;
  const rest = [
    { ...range, to: sequence - 1 },
    { ...range, from: sequence + 1 },
  ].filter(({ from, to }) => from <= to);
  known.missing.splice(at, 1, ...rest);
  return true;
}

/**
 * Takes back that a number was seen: whoever reads only entries learns later that a statement was signed for another definition and
 * uses no number up. A gap that opens so counts from `at` (ms). A number that was not seen stays so.
 */
export function sequenceUnseen(gaps: Gaps, key: string, sequence: number, at: number): void {
  const known = gaps.keys.get(key);
  if (known === undefined || sequence > known.highest) return;
  const { missing } = known;
  if (missing.some(({ from, to }) => from <= sequence && sequence <= to)) return;
  const below = missing.findIndex(({ to }) => to === sequence - 1);
  const above = missing.findIndex(({ from }) => from === sequence + 1);
  if (sequence === known.highest) {
    // What was missing only below it is not missing any more.
    known.highest = below < 0 ? sequence - 1 : (missing[below] as Range).from - 1;
    if (below >= 0) missing.splice(below, 1);
    if (known.highest === 0) gaps.keys.delete(key);
    return;
  }
  const after = above < 0 ? undefined : missing[above];
  const before = below < 0 ? undefined : missing[below];
  const range = { from: before?.from ?? sequence, to: after?.to ?? sequence, since: at, told: false };
  const firstAfter = missing.findIndex(({ from }) => from > sequence);
  const place = below >= 0 ? below : firstAfter < 0 ? missing.length : firstAfter;
  missing.splice(place, Number(before !== undefined) + Number(after !== undefined), range);
}

/** Gaps older than a minute at `now`, by key in the order in which the keys came; at most `limit`. */
export function lastingGaps(gaps: Gaps, now: number, limit: number): Gap[] {
  const lasting: Gap[] = [];
  for (const [key, { missing }] of gaps.keys)
    for (const { from, to, since } of missing) {
      if (lasting.length === limit) return lasting;
      if (now - since > GAP_MS) lasting.push({ key, from, to });
    }
  return lasting;
}

/** True if exactly these numbers of the key are a gap that is older than a minute at `now`. */
export function isLastingGap(gaps: Gaps, { key, from, to }: Gap, now: number): boolean {
  const range = gaps.keys.get(key)?.missing.find((missing) => missing.from === from);
  return range !== undefined && range.to === to && now - range.since > GAP_MS;
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
