import type { UnitPlace } from "../definition/register.ts";
import type { Tally } from "../statement/types.ts";
import type { VerdictCode } from "./codes.ts";
import { type LedgerState, rowOf, type UnitTable } from "./state.ts";

/** The rules for one tally, in the spirit of Abacus' F and W rules: F quarantines the statement, W stands beside it. */

/** A unit's version may be this much ahead of the accepted one: room for corrections that never left the office. */
export const MAX_VERSION_LEAP = 100;

/**
 * Every code that a tally gets, in the order of the rule book; empty when nothing is wrong with it. `stateId` is the state of the
 * statement. Of a unit that is not that state's nothing more is said. `place` and `at`: the unit's, for whoever has looked them up.
 */
export function tallyFindings(
  state: LedgerState,
  stateId: string,
  tally: Tally,
  place = state.register.unit(tally.unit),
  at = rowOf(state, tally.unit, place),
): VerdictCode[] {
  if (place === undefined || at === undefined) return ["F.201"];
  if (place.state !== stateId) return ["F.202"];
  const codes: VerdictCode[] = [];
  for (const list in tally.votes) {
    if (at.table.columns.has(list)) continue;
    codes.push("F.204");
    break;
  }
  versionFindings(at, tally, codes);
  const votesPerBallot = state.register.state(stateId)?.votesPerBallot ?? 1;
  figureFindings(tally, votesPerBallot, place, codes);
  return codes;
}

/** Against the accepted version: only a version that follows it can be said to lower its figures. */
function versionFindings({ table, row }: { table: UnitTable; row: number }, tally: Tally, codes: VerdictCode[]): void {
  const last = table.versions[row] as number;
  if (tally.version <= last) {
    codes.push("F.205");
    return;
  }
  if (tally.version > last + MAX_VERSION_LEAP) codes.push("F.206");
  // Nothing is below the figures of a unit that has none yet.
  if (last > 0 && tally.reason === undefined && lowersAFigure(table, row, tally)) codes.push("F.208");
}

/** A list that a tally leaves out has no votes. */
function lowersAFigure(table: UnitTable, row: number, tally: Tally): boolean {
  const start = row * table.width;
  const figures = table.figures;
  if (tally.electors < (figures[start] as number)) return true;
  if (tally.ballots < (figures[start + 1] as number)) return true;
  if (tally.blank < (figures[start + 2] as number)) return true;
  if (tally.invalid < (figures[start + 3] as number)) return true;
  for (const [list, column] of table.columns)
    if ((tally.votes[list] ?? 0) < (figures[start + column] as number)) return true;
  return false;
}

/**
 * What the figures say among themselves. One vote a ballot: every ballot is a vote, blank or invalid. More (Luxembourg: six):
 * a valid ballot may hold fewer votes than it could.
 */
export function figureFindings(
  tally: Tally,
  votesPerBallot: number,
  { kind }: Pick<UnitPlace, "kind">,
  codes: VerdictCode[],
): void {
  const { electors, ballots, blank, invalid } = tally;
  let votes = 0;
  for (const list in tally.votes) votes += tally.votes[list] as number;
  const valid = ballots - blank - invalid;
  if (votesPerBallot === 1 ? votes !== valid : valid < 0) codes.push("F.301");
  else if (votes > votesPerBallot * valid) codes.push("F.302");
  if (ballots > electors && kind.register) codes.push("F.303");
  else if (ballots > electors && electors > 0) codes.push("W.201");
  // More ballots than electors has been said already; without electors there is no turnout.
  else if (electors > 0 && exceeds(ballots, electors, kind.limits.turnout)) codes.push("W.202");
  if (exceeds(blank, ballots, kind.limits.blank)) codes.push("W.203");
  if (exceeds(invalid, ballots, kind.limits.invalid)) codes.push("W.204");
  if (votes === 0) codes.push("W.205");
}

/** True if part / whole is above the limit, a percentage as an exact decimal ("95", "3.5"). Integers only. */
export function exceeds(part: number, whole: number, limit: string | undefined): boolean {
  if (limit === undefined) return false;
  const { scale, digits } = scaled(limit);
  const left = part * 100 * scale;
  const right = digits * whole;
  if (Number.isSafeInteger(left) && Number.isSafeInteger(right)) return left > right;
  return BigInt(part) * 100n * BigInt(scale) > BigInt(digits) * BigInt(whole);
}

/** An exact decimal as a whole number of its last place: "3.5" is 35 of scale 10. Of a definition's few limits each is taken apart once. */
function scaled(limit: string): { scale: number; digits: number } {
  const known = LIMITS.get(limit);
  if (known !== undefined) return known;
  const [integer, fraction = ""] = limit.split(".");
  const made = { scale: 10 ** fraction.length, digits: Number(`${integer}${fraction}`) };
  if (LIMITS.size < MOST_LIMITS) LIMITS.set(limit, made);
  return made;
}

const MOST_LIMITS = 1_000;
const LIMITS = new Map<string, { scale: number; digits: number }>();
