import type { Definition, List, State } from "../definition/schema.ts";
import type { ListResult, Release, StateResult } from "./release.ts";
import { type Percent, percentOf, type SheetValue, sheetTime } from "./sheets-form.ts";

/**
 * The European Parliament's data sheets, as it published them in July 2024: the Union, and each division (a state, or a college of
 * a state that has several constituencies). What they cannot say stands in `sheets/notes.json`; gender balance is not among them, as
 * no candidates are known here.
 */

/** In place of one of the Parliament's status words: a reader that does not know it stops, and takes no empty sheet for a result. */
export const WITHHELD = "WITHHELD";

/** The states in the order of the Parliament's own files (the treaties' languages; Croatia, the last to join, last). */
const PROTOCOL = "BE BG CZ DK DE EE IE EL ES FR IT CY LV LT LU HU MT NL AT PL PT RO SI SK FI SE HR".split(" ");

/** States whose own authority, and with it the Parliament, gives percentages to one decimal. */
const ONE_DECIMAL: ReadonlySet<string> = new Set(["DE"]);

/** A state or a college of it, with what a release says of it. */
export interface Division {
  id: string;
  parent: string | null;
  /** Its colleges; null where there are none. */
  districts: string[] | null;
  seats: number;
  status: StateResult["status"] | typeof WITHHELD;
  state: StateResult;
  /** By id. `share` is null without votes, and where shares of several constituencies do not add up to one. */
  lists: DivisionList[];
}

export interface DivisionList {
  list: List;
  seats: number;
  groups: Record<string, number>;
  share: Percent | null;
}

/** Every division in the Parliament's order, a state's colleges after it. Throws RangeError for a release of another definition. */
export function divisionsOf(release: Release, definition: Definition): Division[] {
  return inProtocolOrder(definition.states).flatMap((state) => {
    const result = release.states.find((found) => found.state === state.id);
    if (result === undefined) throw new RangeError(`the release says nothing of ${state.id}`);
    return divisionsOfState(state, result);
  });
}

export function inProtocolOrder(states: readonly State[]): State[] {
  const place = ({ id }: State) => (PROTOCOL.includes(id) ? PROTOCOL.indexOf(id) : PROTOCOL.length);
  return [...states].sort((a, b) => place(a) - place(b));
}

/** Ids of the state's colleges in their order; none where its one constituency is the state. */
export function collegesOf({ constituencies }: State): string[] {
  return constituencies.length === 1 ? [] : constituencies.map(({ id }) => id).sort();
}

function divisionsOfState(state: State, result: StateResult): Division[] {
  const colleges = collegesOf(state);
  const common = { status: result.withheld ? WITHHELD : result.status, state: result } as const;
  // Rebuilt votes have a scale of their own in each constituency: a share of their sum would mean nothing.
  const adds = result.votesFrom === "counted" || colleges.length === 0;
  const whole: Division = {
    ...common,
    id: state.id,
    parent: null,
    districts: colleges.length === 0 ? null : colleges,
    seats: state.seats,
    lists: listsOf(state, result, result.lists, adds ? result.valid : 0),
  };
  const parts = colleges.map((id): Division => {
    const own = result.constituencies.find(({ constituency }) => constituency === id);
    const seats = state.constituencies.find((constituency) => constituency.id === id)?.seats ?? 0;
    const lists = listsOf(state, result, own?.lists ?? [], own?.valid ?? 0);
    return { ...common, id, parent: state.id, districts: null, seats, lists };
  });
  return [whole, ...parts];
}

function listsOf(state: State, result: StateResult, found: readonly ListResult[], valid: number): DivisionList[] {
  const lists = found.map(({ id, votes, seats }): DivisionList => {
    const list = state.lists.find((one) => one.id === id);
    if (list === undefined) throw new RangeError(`${id} is no list of ${state.id}`);
    const groups = result.lists.find((one) => one.id === id)?.groups ?? {};
    return { list, seats, groups, share: percentOf(votes, valid, ONE_DECIMAL.has(state.id) ? 1 : 2) };
  });
  return lists.sort((a, b) => (a.list.id < b.list.id ? -1 : 1));
}

/** `eu.json`: seats of the Union by political group. */
export function euSheet(release: Release, definition: Definition): SheetValue {
  return {
    title: title("EU_HEMICYCLE_TITLE", release),
    status: release.status,
    time: sheetTime(release.asOf),
    seatsTotal: definition.seats,
    groupDistribution: distribution(release.union.groups, definition),
  };
}

/** `<division>.json`. */
export function divisionSheet(division: Division, release: Release, definition: Definition): SheetValue {
  const header = (name: string) => {
    return { title: title(name, release), status: division.status, time: sheetTime(release.asOf) };
  };
  return {
    id: division.id,
    parentDivision: division.parent,
    districts: division.districts,
    seatsTotal: division.seats,
    seatsPercentEU: percentOf(division.seats, definition.seats),
    groupSummary: {
      ...header("SEATS_BY_GROUP_TITLE"),
      groupDistribution: distribution(summed(division.lists), definition),
    },
    partySummary: {
      breakdownByPartyHeader: header("BREAKDOWN_BY_PARTY_TITLE"),
      resultsByPartyHeader: header("RESULTS_BY_PARTY_TITLE"),
      seatsByParty: division.lists.map(({ list, seats, groups, share }) => ({
        id: list.id,
        type: "PARTY",
        seatsTotal: seats,
        votesPercent: share,
        members: null,
        groupDistribution: seats === 0 ? null : distribution(groups, definition),
      })),
    },
  };
}

/** Titles are names of texts that a page looks up. An exercise's are none that it finds, and say what they are. */
const title = (name: string, { mode }: Release): string => (mode === "exercise" ? `EXERCISE_${name}` : name);

function summed(lists: readonly DivisionList[]): Record<string, number> {
  const sum: Record<string, number> = {};
  for (const { groups } of lists)
    for (const [group, seats] of Object.entries(groups)) sum[group] = (sum[group] ?? 0) + seats;
  return sum;
}

/** Groups with seats, in the definition's order; the percentage is of all seats of the Parliament. */
function distribution(groups: Record<string, number>, definition: Definition): SheetValue {
  const held = definition.groups.filter(({ id }) => (groups[id] ?? 0) > 0);
  return held.map(({ id }) => {
    const seatsTotal = groups[id] ?? 0;
    return { id, seatsTotal, seatsPercentEU: percentOf(seatsTotal, definition.seats) };
  });
}
