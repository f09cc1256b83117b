import type { Correction, ReleaseHeader, SeatDifference, Tie } from "../formats/release.ts";
import {
  BALLOTS,
  BLANK,
  type ConstituencyCount,
  type Count,
  ELECTORS,
  INVALID,
  SINCE,
  STANDS,
  type StateCount,
  VERSION,
  VOTES,
} from "./count.ts";
import { allot, splitByGroup } from "./seats.ts";

/**
 * The release document as the second count writes it: sums made afresh from the standing tallies, and a canonical writer of its
 * own (RFC 8785), so that the bytes of the two counts have nothing in common but the specification.
 */

type Json = string | number | boolean | null | Json[] | Map<string, Json>;

/** RFC 8785 for what a release holds: integers that a double holds exactly, well-formed strings, keys by UTF-16 code unit. */
function write(value: Json): string {
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value)) throw new RangeError("a release holds safe integers only");
    return String(value);
  }
  if (typeof value === "string") {
    if (/\p{Surrogate}/u.test(value)) throw new RangeError("a release holds well-formed strings only");
    return JSON.stringify(value);
  }
  if (value === null || typeof value === "boolean") return String(value);
  if (Array.isArray(value)) return `[${value.map(write).join(",")}]`;
  const keys = [...value.keys()].sort();
  return `{${keys.map((key) => `${write(key)}:${write(value.get(key)!)}`).join(",")}}`;
}

const record = (fields: Record<string, Json>): Map<string, Json> => new Map(Object.entries(fields));

/** A figure for each cell of a row; where a row has its version, the sum has the number of units counted. */
type Sums = Float64Array;

/** Sums of the standing tallies. Exact: half a million units of at most 1e9 stay below 2^53. */
function sumUnits({ cells, width }: ConstituencyCount): Sums {
  const sums = new Float64Array(width);
  for (let row = 0; row < cells.length; row += width) {
    if (cells[row + VERSION] === 0) continue;
    sums[VERSION]! += 1;
    for (let cell = ELECTORS; cell < width; cell++) sums[cell]! += cells[row + cell]!;
  }
  return sums;
}

interface Figures {
  expected: number;
  counted: number;
  electors: number;
  ballots: number;
  blank: number;
  invalid: number;
  valid: number;
}

const NOTHING: Figures = { expected: 0, counted: 0, electors: 0, ballots: 0, blank: 0, invalid: 0, valid: 0 };

function addUp(parts: Figures[]): Figures {
  const sum = { ...NOTHING };
  for (const part of parts) for (const key of Object.keys(sum) as (keyof Figures)[]) sum[key] += part[key];
  return sum;
}

/** ballots / electors in percent, half up to two decimals; null without electors. */
function turnout(ballots: number, electors: number): string | null {
  if (electors === 0) return null;
  const hundredths = (BigInt(ballots) * 20_000n + BigInt(electors)) / (2n * BigInt(electors));
  const digits = hundredths.toString().padStart(3, "0");
  return `${digits.slice(0, -2)}.${digits.slice(-2)}`;
}

function figureFields({ expected, counted, ...figures }: Figures): Record<string, Json> {
  return {
    units: record({ expected, counted }),
    ...figures,
    turnout: turnout(figures.ballots, figures.electors),
  };
}

interface ListCounted {
  id: string;
  votes: number;
  seats: number;
}

interface ConstituencyCounted {
  figures: Figures;
  lists: ListCounted[];
  ties: Tie[];
  differences: SeatDifference[];
  allocated: number;
}

/** Where the office said otherwise; nothing, where it said nothing or its word is the only one. */
function seatDifferences(held: ConstituencyCount, computed: Record<string, number>): SeatDifference[] {
  const { constituency, lists, declared } = held;
  if (declared === null || constituency.allocation.method === "declared") return [];
  const differences: SeatDifference[] = [];
  for (const [i, { id }] of lists.entries()) {
    const row = { constituency: constituency.id, list: id, computed: computed[id]!, declared: declared[i]! };
    if (row.computed !== row.declared) differences.push(row);
  }
  return differences;
}

/** How many units stand otherwise than the last release of the state showed them, and the last of them with their reasons. */
function corrections({ shownTo, reasons, constituencies }: StateCount): { corrected: number; list: Correction[] } {
  const changed = new Map<string, number>();
  for (const { rowOf, cells, width } of shownTo === 0 ? [] : constituencies)
    for (const [unit, row] of rowOf) {
      const at = row * width;
      if (cells[at + STANDS]! >= shownTo && cells[at + SINCE]! < shownTo) changed.set(unit, cells[at + VERSION]!);
    }
  const list: Correction[] = [];
  for (const [unit, reason] of reasons) if (changed.has(unit)) list.push({ unit, version: changed.get(unit)!, reason });
  return { corrected: changed.size, list };
}

function recountConstituency(held: ConstituencyCount): ConstituencyCounted {
  const { constituency, lists, declared, draws } = held;
  const sums = sumUnits(held);
  const votes = lists.map((_, i) => sums[VOTES + i]!);
  const ballots = sums[BALLOTS]!;
  const byList = Object.fromEntries(lists.map((list, i) => [list.id, votes[i]!]));
  const { seats, ties } = allot(constituency, lists, { votes: byList, ballots }, draws);
  const fromOffice = constituency.allocation.method === "declared";
  const rows = lists.map(({ id }, i) => ({
    id,
    votes: votes[i]!,
    seats: fromOffice ? (declared?.[i] ?? 0) : seats[id]!,
  }));
  return {
    figures: {
      expected: held.rowOf.size,
      counted: sums[VERSION]!,
      electors: sums[ELECTORS]!,
      ballots,
      blank: sums[BLANK]!,
      invalid: sums[INVALID]!,
      valid: votes.reduce((sum, v) => sum + v, 0),
    },
    lists: rows,
    ties,
    differences: seatDifferences(held, seats),
    allocated: rows.reduce((sum, row) => sum + row.seats, 0),
  };
}

interface StateCounted {
  status: StateCount["status"];
  figures: Figures;
  allocated: number;
  groups: Map<string, number>;
  row: Json;
}

function addGroups(into: Map<string, number>, groups: Map<string, number>): void {
  for (const [id, seats] of groups) into.set(id, (into.get(id) ?? 0) + seats);
}

const listRow = (list: ListCounted): Record<string, Json> => ({ id: list.id, votes: list.votes, seats: list.seats });

const tieRow = (tie: Tie): Json =>
  record({ constituency: tie.constituency, within: tie.within, between: tie.between, seats: tie.seats });

function constituencyRow({ constituency }: ConstituencyCount, counted: ConstituencyCounted): Json {
  return record({
    constituency: constituency.id,
    seats: record({ total: constituency.seats, allocated: counted.allocated }),
    ...figureFields(counted.figures),
    lists: counted.lists.map((list) => record(listRow(list))),
  });
}

/** A held state shows how many units it has and nothing that was counted in them. */
function recountState(counted: StateCount): StateCounted {
  const { state, status, withheld, constituencies } = counted;
  const held = withheld ? [] : constituencies;
  const parts = held.map(recountConstituency);
  const figures = addUp(parts.map((part) => part.figures));
  if (withheld) figures.expected = constituencies.reduce((sum, c) => sum + c.rowOf.size, 0);
  const allocated = parts.reduce((sum, part) => sum + part.allocated, 0);
  const byId = new Map(parts.flatMap((part) => part.lists).map((list) => [list.id, list]));
  const groups = new Map<string, number>();
  const lists: Json[] = [];
  for (const { id, groups: joined } of withheld ? [] : state.lists) {
    const list = byId.get(id)!;
    const split = splitByGroup(joined, list.seats);
    addGroups(groups, split);
    lists.push(record({ ...listRow(list), groups: split }));
  }
  const shown = withheld ? "PROVISIONAL" : status;
  const { corrected, list: replaced } = withheld ? { corrected: 0, list: [] } : corrections(counted);
  const declared = state.constituencies.every(({ allocation }) => allocation.method === "declared");
  const row = record({
    state: state.id,
    status: shown,
    withheld,
    seatsFrom: declared ? "declared" : "computed",
    votesFrom: state.votesFrom,
    seats: record({ total: state.seats, allocated }),
    ...figureFields(figures),
    groups,
    lists,
    constituencies: held.map((constituency, i) => constituencyRow(constituency, parts[i]!)),
    ties: parts.flatMap((part) => part.ties.map(tieRow)),
    differences: parts.flatMap((part) => part.differences.map((row) => record({ ...row }))),
    corrected,
    corrections: replaced.map((row) => record({ ...row })),
  });
  return { status: shown, figures, allocated, groups, row };
}

/** Units of every state that is shown, figures only of those whose votes are counted. */
function unionRow(total: number, states: StateCount[], counted: StateCounted[]): Json {
  const shown = counted.filter((_, i) => !states[i]!.withheld);
  const summed = counted.filter((_, i) => !states[i]!.withheld && states[i]!.state.votesFrom === "counted");
  const votesOf = states.filter((s) => !s.withheld && s.state.votesFrom === "counted").map((s) => s.state.id);
  const units = addUp(shown.map((state) => state.figures));
  const figures = addUp(summed.map((state) => state.figures));
  const groups = new Map<string, number>();
  for (const state of shown) addGroups(groups, state.groups);
  return record({
    ...figureFields({ ...figures, expected: units.expected, counted: units.counted }),
    votesOf,
    seats: record({ total, allocated: shown.reduce((sum, state) => sum + state.allocated, 0) }),
    groups,
  });
}

/**
 * The whole release document of what was counted so far, as canonical JSON in UTF-8 (`shared/formats/release.ts` says what
 * stands in it). Sums every unit anew; nothing of an earlier release is used but its hash in the header.
 */
export function recountRelease(c: Count, header: ReleaseHeader): Uint8Array {
  const states = [...c.states.values()];
  const counted = states.map(recountState);
  const all = (...statuses: StateCount["status"][]) => counted.every((state) => statuses.includes(state.status));
  const { origin, size, root } = header.checkpoint;
  const document = record({
    type: "release",
    election: c.definition.election,
    mode: c.definition.mode,
    definition: c.hash,
    number: header.number,
    status: all("OFFICIAL") ? "OFFICIAL" : all("OFFICIAL", "FINAL") ? "FINAL" : "PROVISIONAL",
    checkpoint: record({ origin, size, root }),
    asOf: header.asOf,
    previous: header.previous,
    union: unionRow(c.definition.seats, states, counted),
    states: counted.map((state) => state.row),
  });
  return new TextEncoder().encode(write(document));
}
