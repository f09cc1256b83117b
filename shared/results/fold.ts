import type { Constituency, Definition, List, State } from "../definition/schema.ts";
import type { StateResult, Tie } from "../formats/release.ts";
import type { OpenedEntry } from "../ledger/entry.ts";
import type { Statement, Tally } from "../statement/types.ts";
import { apportion, type Draw } from "./apportionment.ts";
import { BALLOTS, BLANK, ELECTORS, FIRST, INVALID, REPLACED, VERSION, VOTES } from "./columns.ts";
import { noteRelease, noteReplacement, type Replacement } from "./corrections.ts";

/**
 * Entries to results: a fold over the opened log in index order. Half a million units are kept as rows of one Int32Array per
 * constituency, and a tally changes the sums by its difference to the row it replaces, so that an entry costs what it says and
 * not what has been counted before it.
 */

/** One constituency: its units' rows and what they add up to. */
export interface ConstituencyCount {
  constituency: Constituency;
  lists: List[];
  /** Number of its first unit; its units are numbered on from there. */
  start: number;
  expected: number;
  counted: number;
  /** Columns of a row. */
  width: number;
  /** `expected` rows. A figure is at most 10^9 (`MAX_FIGURE`), so it fits 32 bits. */
  rows: Int32Array;
  /** Sums by column (unused below `ELECTORS`). At most 5 * 10^5 units of 10^9 each, far below 2^53: exact. */
  sums: Float64Array;
  declared: Record<string, number> | null;
  /** Accepted draws, in the log's order. */
  draws: Draw[];
  /** The seats of what stands above; null when something has changed since. */
  seats: { seats: Record<string, number>; ties: Tie[] } | null;
}

export interface StateCount {
  state: State;
  status: StateResult["status"];
  withheld: boolean;
  /** Every hold and resumption of it, by its entry's index. */
  holds: { at: number; withheld: boolean }[];
  /** Entries that the last accepted release which showed it counts; 0 before any. */
  shown: number;
  replacements: Replacement[];
  constituencies: ConstituencyCount[];
  /** Something of it has changed since it was last saved. */
  changed: boolean;
  /** `size` of the tabulation when it was last saved; 0 if it never was. */
  savedAt: number;
}

/** The results of one prefix of the log. Held by whoever made it, changed only by `applyEntry` and the marks of `saveTabulation`. */
export interface Tabulation {
  definition: Definition;
  /** Hex SHA-256 of the definition. */
  hash: string;
  /** Last applied index + 1; 0 before any. */
  size: number;
  states: StateCount[];
  /** `size` when it was last saved; -1 if it never was. */
  savedAt: number;
  /** Every unit's number. */
  units: Map<string, number>;
  /** All constituencies in the definition's order, with their state. */
  places: { state: StateCount; count: ConstituencyCount }[];
  /** The place of each unit, by its number. */
  placeOf: Uint16Array;
}

/** An empty count of a valid definition (`readDefinition`), known by the hex SHA-256 of its bytes. */
export function createTabulation(definition: Definition, definitionHash: string): Tabulation {
  const units = new Map<string, number>();
  const places: Tabulation["places"] = [];
  const placeOf: number[] = [];
  const states = definition.states.map((state) => {
    const count: StateCount = {
      state,
      status: "PROVISIONAL",
      withheld: false,
      holds: [],
      shown: 0,
      replacements: [],
      constituencies: [],
      changed: false,
      savedAt: 0,
    };
    for (const constituency of state.constituencies) {
      const start = units.size;
      for (const group of state.units) {
        if (group.constituency !== constituency.id) continue;
        for (const id of group.ids) {
          units.set(id, units.size);
          placeOf.push(places.length);
        }
      }
      const made = emptyCount(state, constituency, start, units.size - start);
      count.constituencies.push(made);
      places.push({ state: count, count: made });
    }
    return count;
  });
  return {
    definition,
    hash: definitionHash,
    size: 0,
    savedAt: -1,
    states,
    units,
    places,
    placeOf: Uint16Array.from(placeOf),
  };
}

function emptyCount(state: State, constituency: Constituency, start: number, expected: number): ConstituencyCount {
  const lists = state.lists.filter((list) => list.constituency === constituency.id);
  const width = VOTES + lists.length;
  return {
    constituency,
    lists,
    start,
    expected,
    counted: 0,
    width,
    rows: new Int32Array(expected * width),
    sums: new Float64Array(width),
    declared: null,
    draws: [],
    seats: null,
  };
}

/** Last applied index + 1; 0 before any. */
export function size(t: Tabulation): number {
  return t.size;
}

/**
 * Applies one entry. An index that was applied before changes nothing, so that entries may be delivered again; one that skips
 * entries throws, for a figure passed over would be lost without a word (the log may begin at 0, the definition, or at 1).
 * Throws also when an accepted statement names a unit, list or constituency that the definition lacks, which the ledger
 * quarantines: the caller stops, for the two no longer agree on the rules. After a throw the tabulation is not to be used.
 */
export function applyEntry(t: Tabulation, e: OpenedEntry): void {
  if (e.index < t.size) return;
  if (e.index > t.size && !(t.size === 0 && e.index === 1)) {
    throw new Error(`entry ${e.index} does not follow entry ${t.size - 1}`);
  }
  if (e.verdict === "accepted" && e.statement) applyStatement(t, e.statement, e.index);
  t.size = e.index + 1;
}

function applyStatement(t: Tabulation, statement: Statement, index: number): void {
  switch (statement.type) {
    case "tally":
      for (const tally of statement.tallies) applyTally(t, tally, index);
      return;
    case "seats":
      applySeats(t, statement.constituency, statement.seats);
      return;
    case "declaration":
      applyDeclaration(t, statement.state, statement.declares);
      return;
    case "decision":
      applyDecision(t, statement, index);
      return;
    case "release":
      noteRelease(t.states, statement.size);
      return;
    case "polls":
    case "void":
    case "lift":
      return; // say nothing about figures
  }
}

/** Most decisions are about the gate or the log, whatever state they name: only these change a result. */
function applyDecision(t: Tabulation, statement: Extract<Statement, { type: "decision" }>, index: number): void {
  switch (statement.decision) {
    case "draw":
      applyDraw(t, statement);
      return;
    case "hold":
    case "resume":
      applyHold(t, statement.about, statement.decision === "hold", index);
      return;
    case "override":
    case "void":
    case "suspend":
    case "recover":
    case "origin":
      return;
  }
}

/** The highest version of a unit stands; its row is exchanged and the sums move by the difference. */
function applyTally(t: Tabulation, tally: Tally, index: number): void {
  const unit = t.units.get(tally.unit);
  const place = unit === undefined ? undefined : t.places[t.placeOf[unit]!];
  if (unit === undefined || !place) throw new Error(`an accepted tally names unit ${tally.unit}, which is not defined`);
  const { state, count } = place;
  state.status = "PROVISIONAL"; // what was declared before was not this
  state.changed = true;

  const { rows, sums, lists } = count;
  const row = (unit - count.start) * count.width;
  const standing = rows[row + VERSION]!;
  if (tally.version <= standing) return;
  rows[row + VERSION] = tally.version;
  if (standing === 0) {
    count.counted++;
    rows[row + FIRST] = index;
  } else {
    rows[row + REPLACED] = index;
    noteReplacement(state, { at: index, unit: tally.unit, version: tally.version, reason: tally.reason ?? null });
  }
  const put = (column: number, value: number): void => {
    sums[column]! += value - rows[row + column]!;
    rows[row + column] = value;
  };
  put(ELECTORS, tally.electors);
  put(BALLOTS, tally.ballots);
  put(BLANK, tally.blank);
  put(INVALID, tally.invalid);
  let named = 0;
  for (let i = 0; i < lists.length; i++) {
    const votes = tally.votes[lists[i]!.id];
    if (votes !== undefined) named++;
    put(VOTES + i, votes ?? 0);
  }
  if (named !== Object.keys(tally.votes).length) {
    throw new Error(`an accepted tally of unit ${tally.unit} names a list that does not stand there`);
  }
  count.seats = null;
}

/**
 * The last declared seats stand; they are the result only where nothing else computes it, and are compared with it elsewhere. As after a
 * tally, what was declared final before was not this.
 */
function applySeats(t: Tabulation, constituency: string, seats: Record<string, number>): void {
  const place = t.places.find(({ count }) => count.constituency.id === constituency);
  if (!place) throw new Error(`accepted seats name constituency ${constituency}, which is not defined`);
  const { state, count } = place;
  for (const id of Object.keys(seats)) {
    if (!count.lists.some((list) => list.id === id)) {
      throw new Error(`accepted seats of ${constituency} name list ${id}, which does not stand there`);
    }
  }
  count.declared = { ...seats };
  count.seats = null;
  state.status = "PROVISIONAL";
  state.changed = true;
}

function applyDeclaration(t: Tabulation, id: string, declares: "final" | "official"): void {
  const state = t.states.find((s) => s.state.id === id);
  if (!state) throw new Error(`an accepted declaration is of state ${id}, which is not defined`);
  state.status = declares === "final" ? "FINAL" : "OFFICIAL";
  state.changed = true;
}

/** A hold on the Union concerns the gate alone: no state has the id EU, so nothing happens here. */
function applyHold(t: Tabulation, about: string, hold: boolean, index: number): void {
  const state = t.states.find((s) => s.state.id === about);
  if (!state) return;
  state.withheld = hold;
  state.holds.push({ at: index, withheld: hold });
  state.changed = true;
}

/** Kept in the order of acceptance, so that `apportion` finds the first draw of a tie first. */
function applyDraw(t: Tabulation, { constituency, within, order }: Draw): void {
  const place = t.places.find(({ count }) => count.constituency.id === constituency);
  if (!place) return;
  place.count.draws.push({ constituency, within, order: [...order] });
  place.count.seats = null;
  place.state.changed = true;
}

/** Index of the entry that the unit was first counted with; 0 if it never was. */
export function firstCounted(t: Tabulation, unit: string): number {
  const number = t.units.get(unit);
  const place = number === undefined ? undefined : t.places[t.placeOf[number]!];
  if (number === undefined || !place) throw new Error(`unit ${unit} is not defined`);
  return place.count.rows[(number - place.count.start) * place.count.width + FIRST]!;
}

/** The seats of a constituency as they stand now; computed once after each change. */
export function seatsNow(count: ConstituencyCount): { seats: Record<string, number>; ties: Tie[] } {
  if (count.seats) return count.seats;
  const { constituency, lists, sums, declared, draws } = count;
  if (constituency.allocation.method === "declared") {
    const seats = Object.fromEntries(lists.map((list) => [list.id, declared?.[list.id] ?? 0]));
    count.seats = { seats, ties: [] };
  } else {
    const votes = Object.fromEntries(lists.map((list, i) => [list.id, sums[VOTES + i]!]));
    count.seats = apportion(constituency, lists, { votes, ballots: sums[BALLOTS]! }, draws);
  }
  return count.seats;
}
