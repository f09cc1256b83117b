import { type Correction, MAX_CORRECTIONS } from "../formats/release.ts";
import { FIRST, REPLACED } from "./columns.ts";
import type { StateCount } from "./fold.ts";

/**
 * What has been corrected since a release showed it. Kept from the first entry on, for a release may count a prefix that ended before
 * the lift: by unit when it was first counted and last replaced, and the words of the last few. So what is kept has a bound, and a
 * snapshot's length says nothing before the lift.
 */

/** A replaced tally as it stands: `at` is the index of its entry. */
export interface Replacement extends Correction {
  at: number;
}

/** The state's last replaced units, each once, in the log's order. */
export function noteReplacement(state: StateCount, replacement: Replacement): void {
  const others = state.replacements.filter(({ unit }) => unit !== replacement.unit);
  state.replacements = [...others, replacement].slice(-MAX_CORRECTIONS);
}

/** An accepted release of the first `size` entries: it showed every state that was not withheld then. */
export function noteRelease(states: readonly StateCount[], size: number): void {
  for (const state of states) {
    const held = state.holds.findLast(({ at }) => at < size)?.withheld ?? false;
    if (!held) state.shown = size;
  }
}

/** `corrected` and `corrections` of a state as they stand (`shared/formats/release.ts`). */
export function correctionsOf(
  state: StateCount,
  firstOf: (unit: string) => number,
): { corrected: number; corrections: Correction[] } {
  const { shown, replacements } = state;
  const last = replacements.at(-1);
  if (last === undefined || last.at < shown) return { corrected: 0, corrections: [] };
  let corrected = 0;
  for (const { rows, width } of state.constituencies)
    for (let row = 0; row < rows.length; row += width)
      if (isCorrection(rows[row + FIRST]!, rows[row + REPLACED]!, shown)) corrected++;
  const corrections = replacements
    .filter(({ at, unit }) => isCorrection(firstOf(unit), at, shown))
    .map(({ unit, version, reason }) => ({ unit, version, reason }));
  return { corrected, corrections };
}

/** The release had counted the unit, and has not seen what stands for it now. No entry of a tally has index 0. */
const isCorrection = (first: number, replaced: number, shown: number) => first < shown && replaced >= shown;
