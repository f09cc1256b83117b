import type { Constituency, Definition, List, State } from "../definition/schema.ts";
import { MAX_CORRECTIONS } from "../formats/release.ts";
import type { OpenedEntry } from "../ledger/entry.ts";
import { MAX_FIGURE, type Statement, type Tally } from "../statement/types.ts";
import { allot, type Draw } from "./seats.ts";

/**
 * The second count's fold. It keeps what stands (the highest version of each unit, the last declared seats, the first draw
 * of each tie), what replaced what, and no sum at all: sums are made from the standing tallies whenever a release is asked for, so that an error
 * in carrying sums forward cannot be common to both counts.
 */

/**
 * Cells before the votes in a unit's row. Version 0: nothing accepted yet. `SINCE` and `STANDS` are indices of entries: the one
 * that the unit was first counted with, and the one of the tally that stands.
 */
export const VERSION = 0;
export const SINCE = 1;
export const STANDS = 2;
export const ELECTORS = 3;
export const BALLOTS = 4;
export const BLANK = 5;
export const INVALID = 6;
export const VOTES = 7;

export interface ConstituencyCount {
  constituency: Constituency;
  /** The constituency's lists; list i has cell VOTES + i. */
  lists: List[];
  width: number;
  rowOf: Map<string, number>;
  /** One row of `width` cells per unit, in the definition's order: 32 bits hold every figure (MAX_FIGURE). */
  cells: Uint32Array;
  /** Last declared seats, by list; null before any. */
  declared: number[] | null;
  draws: Draw[];
}

export interface StateCount {
  state: State;
  status: "PROVISIONAL" | "FINAL" | "OFFICIAL";
  withheld: boolean;
  /** Indices of the holds and of the resumptions. */
  holds: { held: number[]; resumed: number[] };
  /** The prefix that was counted by the last release in which this state was shown; 0 before any. */
  shownTo: number;
  /** Why the tally that stands replaced another, for the last units that this happened to, in the log's order. */
  reasons: Map<string, string | null>;
  constituencies: ConstituencyCount[];
}

export interface Count {
  definition: Definition;
  /** SHA-256 of the definition's bytes, hex. */
  hash: string;
  /** Index of the entry that comes next. */
  next: number;
  states: Map<string, StateCount>;
}

function startConstituency(state: State, constituency: Constituency): ConstituencyCount {
  const lists = state.lists.filter((list) => list.constituency === constituency.id);
  const rowOf = new Map<string, number>();
  for (const units of state.units)
    if (units.constituency === constituency.id) for (const id of units.ids) rowOf.set(id, rowOf.size);
  const width = VOTES + lists.length;
  // Allotting no votes still reads the formula: one that cannot be computed is refused before the night, not in it.
  allot(constituency, lists, { votes: {}, ballots: 0 }, []);
  return {
    constituency,
    lists,
    width,
    rowOf,
    cells: new Uint32Array(rowOf.size * width),
    declared: null,
    draws: [],
  };
}

/**
 * An empty count of this definition, known by the hex SHA-256 of its bytes. RangeError for a formula that cannot be computed.
 * Memory: 4 bytes a figure, so 465,000 units of 20 lists are 47 MB and their ids.
 */
export function startCount(definition: Definition, definitionHash: string): Count {
  const states = definition.states.map((state): [string, StateCount] => [
    state.id,
    {
      state,
      status: "PROVISIONAL",
      withheld: false,
      holds: { held: [], resumed: [] },
      shownTo: 0,
      reasons: new Map(),
      constituencies: state.constituencies.map((constituency) => startConstituency(state, constituency)),
    },
  ]);
  return { definition, hash: definitionHash, next: 0, states: new Map(states) };
}

/** Last counted index + 1; 0 before any. */
export function counted(count: Count): number {
  return count.next;
}

function stateOf(c: Count, id: string): StateCount {
  const state = c.states.get(id);
  if (!state) throw new Error(`an accepted statement speaks of ${id}, which the definition does not hold`);
  return state;
}

/** The ledger accepts no constituency that the definition does not hold; the Union's trustees may name any state's. */
function constituencyOf(c: Count, id: string): ConstituencyCount {
  for (const state of c.states.values())
    for (const held of state.constituencies) if (held.constituency.id === id) return held;
  throw new Error(`an accepted statement speaks of ${id}, which the definition does not hold`);
}

function figure(value: number): number {
  if (!Number.isInteger(value) || value < 0 || value > MAX_FIGURE) throw new RangeError("a figure out of its bounds");
  return value;
}

/** The cells of a tally, and where they go if it stands. `index` is its entry's. */
function rowOf(state: StateCount, tally: Tally, index: number): { held: ConstituencyCount; at: number; row: number[] } {
  for (const held of state.constituencies) {
    const unit = held.rowOf.get(tally.unit);
    if (unit === undefined) continue;
    const at = unit * held.width;
    const figures = [tally.electors, tally.ballots, tally.blank, tally.invalid].map(figure);
    const row = [figure(tally.version), held.cells[at + SINCE] || index, index, ...figures];
    for (const list of held.lists) row.push(figure(tally.votes[list.id] ?? 0));
    return { held, at, row };
  }
  throw new Error(`an accepted tally speaks of ${tally.unit}, which ${state.state.id} does not hold`);
}

function countTallies(c: Count, statement: Extract<Statement, { type: "tally" }>, index: number): void {
  const state = stateOf(c, statement.state);
  // All rows before the first is written: a statement counts whole or, when it breaks an invariant, not at all.
  const rows = statement.tallies.map((tally) => ({ tally, ...rowOf(state, tally, index) }));
  for (const { tally, held, at, row } of rows) {
    const before = held.cells[at + VERSION]!;
    if (row[VERSION]! <= before) continue;
    if (before > 0) keepReason(state.reasons, tally);
    held.cells.set(row, at);
  }
  state.status = "PROVISIONAL";
}

/** A Map goes by insertion: what is put in again goes to the end, and the first is the oldest. */
function keepReason(reasons: StateCount["reasons"], { unit, reason }: Tally): void {
  reasons.delete(unit);
  reasons.set(unit, reason ?? null);
  for (const oldest of reasons.keys()) if (reasons.size > MAX_CORRECTIONS) reasons.delete(oldest);
}

/** Whether the state was withheld when the log had `size` entries: its last hold below came after its last resumption below. */
function wasWithheld({ holds }: StateCount, size: number): boolean {
  const last = (indices: number[]) => Math.max(-1, ...indices.filter((index) => index < size));
  return last(holds.held) > last(holds.resumed);
}

function countDecision(c: Count, statement: Extract<Statement, { type: "decision" }>, index: number): void {
  const { decision } = statement;
  if (decision === "draw") {
    const { constituency, within, order } = statement;
    constituencyOf(c, constituency).draws.push({ constituency, within, order });
  }
  // A hold on the Union keeps the gate shut; it withholds no state's results. No other decision does either, whatever state it names.
  if ((decision === "hold" || decision === "resume") && statement.about !== "EU") {
    const state = stateOf(c, statement.about);
    state.withheld = decision === "hold";
    state.holds[decision === "hold" ? "held" : "resumed"].push(index);
  }
}

/** What was declared final of the state before was not these seats. */
function provisional(c: Count, held: ConstituencyCount): void {
  for (const state of c.states.values()) if (state.constituencies.includes(held)) state.status = "PROVISIONAL";
}

function countStatement(c: Count, statement: Statement, index: number): void {
  switch (statement.type) {
    case "tally":
      countTallies(c, statement, index);
      return;
    case "seats": {
      const held = constituencyOf(c, statement.constituency);
      held.declared = held.lists.map((list) => statement.seats[list.id] ?? 0);
      provisional(c, held);
      return;
    }
    case "declaration":
      stateOf(c, statement.state).status = statement.declares === "official" ? "OFFICIAL" : "FINAL";
      return;
    case "decision":
      countDecision(c, statement, index);
      return;
    case "release":
      for (const state of c.states.values()) if (!wasWithheld(state, statement.size)) state.shownTo = statement.size;
      return;
    default: // polls, void, lift: the gate's and the ledger's business
      return;
  }
}

/**
 * Counts the next entry of the log. One that was counted before changes nothing; one that leaves a gap is refused with a
 * RangeError, because a count that skipped an entry would sign a result of no prefix of the log. An accepted statement about
 * something that the definition does not hold is an Error: then this is not the log of this definition. Neither changes the count.
 */
export function count(c: Count, e: OpenedEntry): void {
  if (e.index < c.next) return;
  if (e.index > c.next) throw new RangeError(`entry ${e.index} came where ${c.next} is next`);
  if (e.statement !== null && e.verdict === "accepted") countStatement(c, e.statement, e.index);
  c.next = e.index + 1;
}
