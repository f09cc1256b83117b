import type { List } from "../definition/schema.ts";
import type {
  ConstituencyResult,
  Figures,
  Release,
  ReleaseHeader,
  SeatDifference,
  StateResult,
} from "../formats/release.ts";
import { canonical } from "../ledger/entry.ts";
import { BALLOTS, BLANK, ELECTORS, INVALID, VOTES } from "./columns.ts";
import { correctionsOf } from "./corrections.ts";
import { type ConstituencyCount, firstCounted, type StateCount, seatsNow, type Tabulation } from "./fold.ts";

/** Members who belong to no political group. */
const NON_ATTACHED = "NI";

/** Figures before turnout is made of them: what can be added up. */
type Sums = Omit<Figures, "turnout">;

/**
 * The release document of what has been counted so far. A function of the definition, the entries applied and the header alone:
 * the second count must write the same bytes. Changes nothing.
 */
export function buildRelease(t: Tabulation, header: ReleaseHeader): Release {
  const built = t.states.map((state) => stateResult(t, state));
  const states = built.map(({ result }) => result);
  const shown = built.filter(({ result }) => !result.withheld);
  const voting = shown.filter(({ result }) => result.votesFrom === "counted");
  const votes = addUp(voting.map(({ sums }) => sums));
  const units = addUp(shown.map(({ sums }) => sums)).units;
  return {
    type: "release",
    election: t.definition.election,
    mode: t.definition.mode,
    definition: t.hash,
    number: header.number,
    status: statusOf(states),
    checkpoint: { origin: header.checkpoint.origin, size: header.checkpoint.size, root: header.checkpoint.root },
    asOf: header.asOf,
    previous: header.previous,
    union: {
      ...withTurnout({ ...votes, units }),
      votesOf: voting.map(({ result }) => result.state),
      seats: { total: t.definition.seats, allocated: total(states.map((state) => state.seats.allocated)) },
      groups: addGroups(states.map((state) => state.groups)),
    },
    states,
  };
}

/** The bytes that are hashed, signed and served: canonical JSON (RFC 8785) in UTF-8. */
export function releaseBytes(release: Release): Uint8Array {
  return new TextEncoder().encode(canonical(release));
}

/** The least advanced state decides. */
function statusOf(states: StateResult[]): Release["status"] {
  if (states.every((state) => state.status === "OFFICIAL")) return "OFFICIAL";
  return states.every((state) => state.status !== "PROVISIONAL") ? "FINAL" : "PROVISIONAL";
}

function stateResult(t: Tabulation, count: StateCount): { result: StateResult; sums: Sums } {
  const { state, constituencies } = count;
  const head = {
    state: state.id,
    seatsFrom: state.constituencies.every((c) => c.allocation.method === "declared")
      ? ("declared" as const)
      : ("computed" as const),
    votesFrom: state.votesFrom,
  };
  if (count.withheld) {
    const sums = { ...addUp([]), units: { expected: total(constituencies.map((c) => c.expected)), counted: 0 } };
    const nothing = { groups: {}, lists: [], constituencies: [], ties: [], differences: [], corrections: [] };
    const seats = { total: state.seats, allocated: 0 };
    return {
      result: { ...head, status: "PROVISIONAL", withheld: true, seats, ...withTurnout(sums), corrected: 0, ...nothing },
      sums,
    };
  }
  const sums = addUp(constituencies.map(sumsOf));
  const results = constituencies.map(constituencyResult);
  const byId = new Map(results.flatMap((result) => result.lists.map((list) => [list.id, list])));
  const lists = state.lists.map((list) => {
    const { votes, seats } = byId.get(list.id)!;
    return { id: list.id, votes, seats, groups: groupSeats(list, seats) };
  });
  const result: StateResult = {
    ...head,
    status: count.status,
    withheld: false,
    seats: { total: state.seats, allocated: total(results.map((r) => r.seats.allocated)) },
    ...withTurnout(sums),
    groups: addGroups(lists.map((list) => list.groups)),
    lists,
    constituencies: results,
    ties: constituencies.flatMap((constituency) => seatsNow(constituency).ties),
    differences: constituencies.flatMap(differencesOf),
    ...correctionsOf(count, (unit) => firstCounted(t, unit)),
  };
  return { result, sums };
}

function constituencyResult(count: ConstituencyCount): ConstituencyResult {
  const { seats } = seatsNow(count);
  const lists = count.lists.map(({ id }, i) => ({ id, votes: count.sums[VOTES + i]!, seats: seats[id]! }));
  return {
    constituency: count.constituency.id,
    ...withTurnout(sumsOf(count)),
    seats: { total: count.constituency.seats, allocated: total(lists.map((list) => list.seats)) },
    lists,
  };
}

/** Nothing is compared where the office declared nothing, or where its declaration is the result itself. */
function differencesOf(count: ConstituencyCount): SeatDifference[] {
  const { constituency, declared, lists } = count;
  if (declared === null || constituency.allocation.method === "declared") return [];
  const { seats } = seatsNow(count);
  return lists
    .map(({ id }) => ({
      constituency: constituency.id,
      list: id,
      computed: seats[id]!,
      declared: Object.hasOwn(declared, id) ? declared[id]! : 0,
    }))
    .filter(({ computed, declared }) => computed !== declared);
}

function sumsOf({ expected, counted, sums }: ConstituencyCount): Sums {
  return {
    units: { expected, counted },
    electors: sums[ELECTORS]!,
    ballots: sums[BALLOTS]!,
    blank: sums[BLANK]!,
    invalid: sums[INVALID]!,
    valid: total([...sums.subarray(VOTES)]),
  };
}

function addUp(parts: Sums[]): Sums {
  return {
    units: { expected: total(parts.map((p) => p.units.expected)), counted: total(parts.map((p) => p.units.counted)) },
    electors: total(parts.map((p) => p.electors)),
    ballots: total(parts.map((p) => p.ballots)),
    blank: total(parts.map((p) => p.blank)),
    invalid: total(parts.map((p) => p.invalid)),
    valid: total(parts.map((p) => p.valid)),
  };
}

function withTurnout(sums: Sums): Figures {
  return { ...sums, turnout: turnoutOf(sums.ballots, sums.electors) };
}

/** Percent, rounded half up to hundredths. The product passes 2^53 at sums that the limits allow, hence BigInt. */
function turnoutOf(ballots: number, electors: number): string | null {
  if (electors === 0) return null;
  const hundredths = (BigInt(ballots) * 20000n + BigInt(electors)) / (2n * BigInt(electors));
  const digits = hundredths.toString().padStart(3, "0");
  return `${digits.slice(0, -2)}.${digits.slice(-2)}`;
}

/**
 * A list's seats by political group, in proportion to the published split (Hare quota, largest remainder, equal remainders to
 * the group named first): with the published number of seats it is exactly the published split. Groups without a seat are
 * left out; the seats of a list without groups are non-attached.
 */
export function groupSeats(list: List, seats: number): Record<string, number> {
  if (seats === 0) return {};
  if (list.groups.length === 0) return { [NON_ATTACHED]: seats };
  const members = total(list.groups.map((group) => group.seats));
  const shares = list.groups.map((group) => ({
    id: group.id,
    seats: Math.floor((seats * group.seats) / members),
    remainder: (seats * group.seats) % members,
  }));
  const left = seats - total(shares.map((share) => share.seats));
  const byRemainder = [...shares].sort((a, b) => b.remainder - a.remainder); // stable: equal ones keep the list's order
  for (const share of byRemainder.slice(0, left)) share.seats++;
  return addGroups(shares.map((share) => ({ [share.id]: share.seats })));
}

function addGroups(parts: Record<string, number>[]): Record<string, number> {
  const groups: Record<string, number> = {};
  for (const part of parts) {
    for (const [id, seats] of Object.entries(part)) if (seats > 0) groups[id] = (groups[id] ?? 0) + seats;
  }
  return groups;
}

function total(numbers: number[]): number {
  return numbers.reduce((sum, n) => sum + n, 0);
}
