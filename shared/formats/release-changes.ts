import type { Correction, Figures, Release, StateResult } from "./release.ts";

/** What has changed between two releases of one election: for whoever holds the first and wants to know why it is not so any more. */

/** What stood and what stands; null: it was not there. */
export interface Changed<T> {
  before: T | null;
  after: T;
}

const changed = <T>(before: T | null | undefined, after: T): Changed<T> => ({ before: before ?? null, after });

export interface StandingFigures extends Figures {
  seats: { total: number; allocated: number };
}

export interface StateChanges {
  state: string;
  status: Changed<StateResult["status"]>;
  withheld: Changed<boolean>;
  figures: Changed<StandingFigures>;
  /** Lists whose votes or seats have changed, in the definition's order. */
  lists: { id: string; votes: Changed<number>; seats: Changed<number> }[];
  groups: Changed<Record<string, number>>;
  /** Tallies that replaced what had been shown, of every release after the first of the two: how many, and those that a release names. */
  corrected: number;
  corrections: Correction[];
}

export interface Changes {
  /** Number of the release before; 0: from nothing. */
  from: number;
  to: number;
  union: Changed<StandingFigures & { groups: Record<string, number> }>;
  /** States of which anything is different, in the definition's order. */
  states: StateChanges[];
}

/** `chain`: the releases from the first to the last, without a gap; of one release alone, what it changed from nothing. */
export function changesBetween(chain: readonly Release[], isFirst: boolean): Changes {
  const to = chain.at(-1);
  if (to === undefined) throw new RangeError("changes are between releases");
  const from = isFirst ? undefined : chain[0];
  const later = isFirst ? chain : chain.slice(1);
  const before = new Map(from?.states.map((state) => [state.state, state]));
  const states = to.states.flatMap((after) => {
    const made = later.flatMap((release) => release.states.filter(({ state }) => state === after.state));
    const changes = changesOf(before.get(after.state), after, made);
    return changes === undefined ? [] : [changes];
  });
  const unionOf = ({ union }: Release) => ({ ...standing(union), groups: union.groups });
  return { from: from?.number ?? 0, to: to.number, union: changed(from && unionOf(from), unionOf(to)), states };
}

function standing({
  units,
  electors,
  ballots,
  blank,
  invalid,
  valid,
  turnout,
  seats,
}: StandingFigures): StandingFigures {
  return { units, electors, ballots, blank, invalid, valid, turnout, seats };
}

function changesOf(
  before: StateResult | undefined,
  after: StateResult,
  made: readonly StateResult[],
): StateChanges | undefined {
  const old = new Map(before?.lists.map((list) => [list.id, list]));
  const lists = after.lists
    .map(({ id, votes, seats }) => ({
      id,
      votes: changed(old.get(id)?.votes, votes),
      seats: changed(old.get(id)?.seats, seats),
    }))
    .filter(({ votes, seats }) => votes.before !== votes.after || seats.before !== seats.after);
  const changes: StateChanges = {
    state: after.state,
    status: changed(before?.status, after.status),
    withheld: changed(before?.withheld, after.withheld),
    figures: changed(before && standing(before), standing(after)),
    lists,
    groups: changed(before?.groups, after.groups),
    corrected: made.reduce((sum, { corrected }) => sum + corrected, 0),
    corrections: made.flatMap(({ corrections }) => corrections),
  };
  const isSame =
    lists.length === 0 &&
    changes.corrected === 0 &&
    [changes.status, changes.withheld, changes.figures, changes.groups].every(
      ({ before: was, after: is }) => JSON.stringify(was) === JSON.stringify(is),
    );
  return isSame ? undefined : changes;
}
