import type { Tally } from "../../shared/statement/types.ts";

/**
 * The office's own look at a protocol before it signs: does it add up? A protocol that does not travels alone, so that it
 * takes no other unit with it into quarantine. `votesPerBallot` as the definition has it.
 */
export function addsUp(tally: Tally, votesPerBallot = 1): boolean {
  const votes = Object.values(tally.votes).reduce((sum, n) => sum + n, 0);
  const valid = tally.ballots - tally.blank - tally.invalid;
  return votesPerBallot === 1 ? votes === valid : valid >= 0 && votes <= valid * votesPerBallot;
}

/** True when a figure of `next` is lower than in `last`: then the ledger asks for a reason. */
export function lowersAFigure(last: Tally, next: Tally): boolean {
  const figures = ["electors", "ballots", "blank", "invalid"] as const;
  if (figures.some((name) => next[name] < last[name])) return true;
  return Object.entries(last.votes).some(([list, votes]) => (next.votes[list] ?? 0) < votes);
}

/** True when two tallies of a unit say the same. */
export function sameFigures(a: Tally, b: Tally): boolean {
  return !lowersAFigure(a, b) && !lowersAFigure(b, a);
}
