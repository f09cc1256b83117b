import fc from "fast-check";
import type { Definition, List, State } from "../definition/schema.ts";
import type { ReleaseHeader } from "../formats/release.ts";
import type { OpenedEntry } from "../ledger/entry.ts";
import type { Statement } from "../statement/types.ts";

/** A small election for tests: three states with every way to seats, and logs of it as the ledger could have written them. */

const KEY = "A".repeat(43);
const common = { definition: "d".repeat(64), sequence: 1, nonce: "n".repeat(22), issued: "2024-06-09T21:00:00Z" };

function list(id: string, constituency: string, kind: List["kind"], groups: List["groups"] = []): List {
  return { id, constituency, kind, acronym: id, name: id, groups };
}

function state(
  id: string,
  seats: number,
  rest: Pick<State, "votesFrom" | "constituencies" | "lists" | "units">,
): State {
  return {
    id,
    name: id,
    timezone: "Europe/Brussels",
    seats,
    closings: [{ where: id, local: "2024-06-09T23:00:00+02:00", utc: "2024-06-09T21:00:00Z", counts: true }],
    votesPerBallot: 1,
    signaturesRequired: 1,
    kinds: [
      { id: "station", name: "Polling station", register: true, limits: {} },
      { id: "postal", name: "Postal district", register: false, limits: {} },
    ],
    sources: [],
    doubts: [],
    ...rest,
  };
}

const units = (constituency: string, kind: string, ...ids: string[]) => ({ constituency, kind, ids });

/** XA counts by divisors in two constituencies, the units of the first in two places; XB rebuilt, by quota; XC declared. */
export const SAMPLE: Definition = {
  type: "definition",
  election: "sample",
  title: "Sample",
  mode: "exercise",
  origin: "sample.example/log",
  seats: 20,
  groups: ["ONE", "TWO", "NI"].map((id) => ({ id, name: id })),
  authority: [],
  keys: [],
  vault: { publicKey: KEY, recoveryKey: KEY },
  states: [
    state("XA", 10, {
      votesFrom: "counted",
      constituencies: [
        { id: "XA-N", name: "North", seats: 6, allocation: { method: "divisor", divisors: "dhondt" } },
        {
          id: "XA-S",
          name: "South",
          seats: 4,
          allocation: { method: "divisor", divisors: "sainte-lague", first: "1.2" },
          threshold: { share: "10", of: "ballots" },
          alliances: [{ id: "XA-SA", lists: ["XA04", "XA05"] }],
        },
      ],
      lists: [
        list("XA01", "XA-N", "list", [
          { id: "ONE", seats: 2 },
          { id: "TWO", seats: 1 },
        ]),
        list("XA04", "XA-S", "list", [{ id: "TWO", seats: 1 }]),
        list("XA02", "XA-N", "list"),
        list("XA05", "XA-S", "list"),
        list("XA03", "XA-N", "independent"),
        list("XA06", "XA-S", "list", [{ id: "ONE", seats: 1 }]),
        list("XA90", "XA-S", "none"),
      ],
      units: [
        units("XA-N", "station", "XA-1", "XA-2", "XA-3"),
        units("XA-S", "station", "XA-4", "XA-5"),
        units("XA-N", "postal", "XA-6"),
      ],
    }),
    state("XB", 7, {
      votesFrom: "rebuilt",
      constituencies: [
        { id: "XB", name: "XB", seats: 7, allocation: { method: "quota", quota: "hare", of: "qualified" } },
      ],
      lists: [list("XB01", "XB", "list"), list("XB02", "XB", "list", [{ id: "TWO", seats: 3 }])],
      units: [units("XB", "station", "XB-1")],
    }),
    state("XC", 3, {
      votesFrom: "counted",
      constituencies: [{ id: "XC", name: "XC", seats: 3, allocation: { method: "declared" } }],
      lists: [list("XC01", "XC", "list", [{ id: "ONE", seats: 2 }]), list("XC02", "XC", "list")],
      units: [units("XC", "station", "XC-1", "XC-2")],
    }),
  ],
  sources: [],
};

export const HASH = "d".repeat(64);
export const HEADER: ReleaseHeader = {
  number: 1,
  checkpoint: { origin: SAMPLE.origin, size: 100, root: "root" },
  asOf: "2024-06-09T21:00:01.000Z",
  previous: null,
};

export type Figures = { electors?: number; ballots?: number; blank?: number; invalid?: number };

/** A tally statement of one unit. */
export function tally(unit: string, version: number, votes: Record<string, number>, figures: Figures = {}): Statement {
  const rest = { electors: 0, ballots: 0, blank: 0, invalid: 0, ...figures };
  const one = { unit, version, status: "final" as const, votes, ...rest };
  return { ...common, type: "tally", state: unit.slice(0, 2), tallies: [one] };
}

/** An accepted release of the first `size` entries. */
export function releaseOf(size: number): Statement {
  const hash = "e".repeat(64);
  return { ...common, type: "release", state: "EU", number: 1, size, root: "root", release: hash, previous: null };
}

/** The same tallies, for a reason. */
export function because(said: Statement, reason: string): Statement {
  if (said.type !== "tally") throw new Error("only tallies have reasons");
  return { ...said, tallies: said.tallies.map((one) => ({ ...one, reason })) };
}

export function declaration(id: string, declares: "final" | "official"): Statement {
  return { ...common, type: "declaration", state: id, declares };
}

export function declaredSeats(constituency: string, seats: Record<string, number>): Statement {
  return { ...common, type: "seats", state: constituency.slice(0, 2), constituency, seats };
}

export function decision(name: "hold" | "resume" | "override", about: string): Statement {
  return { ...common, type: "decision", state: "EU", decision: name, about, reason: "sample" };
}

export function draw(constituency: string, within: string, order: string[]): Statement {
  return { ...common, type: "decision", state: "EU", decision: "draw", constituency, within, order, reason: "sample" };
}

export function closed(id: string): Statement {
  return { ...common, type: "polls", state: id, polls: "closed" };
}

/** A log of these statements after its entry 0. */
export function logOf(statements: (Statement | { quarantined: Statement })[]): OpenedEntry[] {
  const received = HEADER.asOf;
  const entries: OpenedEntry[] = [{ index: 0, received, statement: null, verdict: "accepted" }];
  for (const given of statements) {
    const kept = "quarantined" in given;
    entries.push({
      index: entries.length,
      received,
      statement: kept ? given.quarantined : given,
      verdict: kept ? "quarantined" : "accepted",
    });
  }
  return entries;
}

const unitIds = SAMPLE.states.flatMap((s) => s.units.flatMap((group) => group.ids));

function listsOf(unit: string): string[] {
  for (const s of SAMPLE.states) {
    const group = s.units.find((g) => g.ids.includes(unit));
    if (group) return s.lists.filter((l) => l.constituency === group.constituency).map((l) => l.id);
  }
  throw new Error(`no unit ${unit}`);
}

const arbitraryFigure = fc.oneof(fc.nat(9), fc.nat(3000), fc.constant(1_000_000_000));

/** A tally of any unit, its version yet to be given; some lists are left unnamed. */
const arbitraryTally = fc
  .record({
    unit: fc.constantFrom(...unitIds),
    votes: fc.array(fc.option(arbitraryFigure), { minLength: 4, maxLength: 4 }),
    electors: arbitraryFigure,
    ballots: arbitraryFigure,
    blank: arbitraryFigure,
    invalid: arbitraryFigure,
  })
  .map(({ unit, votes, ...figures }) => {
    const named = listsOf(unit).flatMap((id, i) => (votes[i] === null ? [] : [[id, votes[i]!] as const]));
    return tally(unit, 1, Object.fromEntries(named), figures);
  });

const arbitraryOther = fc.constantFrom<Statement>(
  ...["XA", "XB", "XC"].flatMap((id) => [declaration(id, "final"), declaration(id, "official"), closed(id)]),
  ...["XA", "XB", "EU"].flatMap((id) => [decision("hold", id), decision("resume", id)]),
  decision("override", "XA"),
  declaredSeats("XC", { XC01: 2, XC02: 1 }),
  declaredSeats("XC", { XC01: 3 }),
  declaredSeats("XA-N", { XA01: 6 }),
  releaseOf(3),
  releaseOf(9),
  draw("XA-N", "seats", ["XA02", "XA01"]),
  draw("XA-N", "seats", ["XA01", "XA02"]),
  draw("XA-S", "seats", ["XA06", "XA-SA"]),
  draw("XA-S", "XA-SA", ["XA05", "XA04"]),
  draw("XB", "seats", ["XB02", "XB01"]),
);

/** Statements with the versions that a ledger takes: rising within a unit, with leaps. */
export const arbitraryStatements = (others: boolean): fc.Arbitrary<(Statement | { quarantined: Statement })[]> =>
  fc
    .array(
      fc.record({
        statement: others ? fc.oneof({ weight: 3, arbitrary: arbitraryTally }, arbitraryOther) : arbitraryTally,
        leap: fc.integer({ min: 1, max: 100 }),
        quarantined: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
      }),
      { maxLength: 40 },
    )
    .map((steps) => {
      const versions = new Map<string, number>();
      return steps.map(({ statement, leap, quarantined }) => {
        if (statement.type !== "tally") return quarantined ? { quarantined: statement } : statement;
        const tallies = statement.tallies.map((one) => {
          const version = (versions.get(one.unit) ?? 0) + leap;
          if (!quarantined) versions.set(one.unit, version);
          return { ...one, version };
        });
        const versioned: Statement = { ...statement, tallies };
        return quarantined ? { quarantined: versioned } : versioned;
      });
    });
