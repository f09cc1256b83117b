import type { Definition } from "../../shared/definition/schema.ts";
import type { Release } from "../../shared/formats/release.ts";
import type { Tallying } from "./offices.ts";
import type { Parliament } from "./parliament.ts";

/** The published outcome that a night is checked against. */
export interface Official {
  seats: { total: number; groups: Record<string, number>; states: Record<string, number> };
  lists: { id: string; state: string; seats: number }[];
}

export interface Addresses {
  addresses: { ingest: string; release: string; watch: string };
  /** The definition's file: the bytes whose SHA-256 every statement names. */
  definition: string;
  /** The folder of the JWKs that offices and trustees hold in this exercise. */
  keys: string;
}

/** What `--report` writes when the night is over. */
export interface Report extends Addresses {
  election: string;
  mode: string;
  seed: number;
  full: boolean;
  nightSeconds: number;
  units: { expected: number; counted: number; countedAtLift: number };
  statements: { sent: number; accepted: number; quarantined: number; refused: number };
  embargo: { askedBeforeLift: number; servedBeforeLift: number; liftedAt: string; firstReleaseMsAfterLift: number };
  releases: number;
  seats: { total: number; groups: Record<string, number>; states: Record<string, number> };
  /** List seats that are not the published ones; empty on a good night. */
  differences: { list: string; seats: number; official: number }[];
  statesMatchingOfficialSeats: number;
  /** Lists whose votes are not the sum of the published final stations; empty on a good night. */
  voteDifferences: { list: string; votes: number; published: number }[];
  recount: "ok" | string;
  /** Most resident memory that each service ever held, MiB. */
  peakMemoryMiB: Record<string, number>;
}

export interface Outcome {
  definition: Definition;
  official: Official;
  /** Votes per list as the published final stations add up. */
  published: ReadonlyMap<string, number>;
  tallying: Tallying;
  parliament: Parliament;
  liftedAt: Date;
  recount: "ok" | string;
  seed: number;
  full: boolean;
  nightSeconds: number;
  peakMemoryMiB: Record<string, number>;
}

/** Puts the night's figures together; throws when the Parliament never got a release. */
export function writeReport(night: Outcome, where: Addresses): Report {
  const { definition, official, tallying, parliament, liftedAt } = night;
  const { first, latest, firstReleaseAt } = parliament;
  if (first === undefined || latest === undefined || firstReleaseAt === undefined)
    throw new Error("the Parliament got no release");
  const differences = seatDifferences(latest, official);
  const wrong = new Set(differences.map(({ list }) => list.slice(0, 2)));
  return {
    election: definition.election,
    mode: definition.mode,
    seed: night.seed,
    full: night.full,
    nightSeconds: night.nightSeconds,
    units: {
      expected: latest.union.units.expected,
      counted: latest.union.units.counted,
      countedAtLift: first.union.units.counted,
    },
    statements: {
      sent: tallying.sent,
      accepted: tallying.accepted,
      quarantined: tallying.quarantined,
      refused: tallying.refused,
    },
    embargo: {
      askedBeforeLift: parliament.askedBeforeLift,
      servedBeforeLift: parliament.servedBeforeLift,
      liftedAt: liftedAt.toISOString(),
      firstReleaseMsAfterLift: firstReleaseAt - liftedAt.getTime(),
    },
    releases: latest.number,
    seats: {
      total: latest.union.seats.allocated,
      groups: latest.union.groups,
      states: Object.fromEntries(latest.states.map(({ state, seats }) => [state, seats.allocated])),
    },
    differences,
    statesMatchingOfficialSeats: latest.states.filter(({ state }) => !wrong.has(state)).length,
    voteDifferences: voteDifferences(latest, night.published),
    recount: night.recount,
    peakMemoryMiB: night.peakMemoryMiB,
    ...where,
  };
}

/** Lists whose seats in the release are not the published ones, both ways. */
function seatDifferences(release: Release, official: Official): Report["differences"] {
  const computed = new Map(release.states.flatMap(({ lists }) => lists.map(({ id, seats }) => [id, seats] as const)));
  return official.lists
    .map(({ id, seats }) => ({ list: id, seats: computed.get(id) ?? 0, official: seats }))
    .filter(({ seats, official: published }) => seats !== published);
}

/** Lists of the station by station states whose votes in the release are not what the published stations add up to. */
function voteDifferences(release: Release, published: ReadonlyMap<string, number>): Report["voteDifferences"] {
  const lists = release.states.flatMap((state) => state.lists);
  return lists
    .filter(({ id, votes }) => published.has(id) && published.get(id) !== votes)
    .map(({ id, votes }) => ({ list: id, votes, published: published.get(id) ?? 0 }));
}

/** A night in which hardly anybody asked says nothing about the embargo; at four times the speed a slow machine asks about a hundred times. */
const FEWEST_ASKED = 25;

/** Every promise that this night broke, in words; empty on a good night. */
export function failures(report: Report, official: Official, surprises: string[]): string[] {
  const found = [...surprises.slice(0, 10)];
  const { embargo, differences, units } = report;
  if (embargo.servedBeforeLift > 0) found.push(`the embargo was broken ${embargo.servedBeforeLift} times`);
  if (embargo.askedBeforeLift < FEWEST_ASKED)
    found.push(`the Parliament asked only ${embargo.askedBeforeLift} times before the lift`);
  if (embargo.firstReleaseMsAfterLift < 0) found.push("the first release came before the lift");
  for (const { list, seats, official: published } of differences)
    found.push(`${list} has ${seats} seats, published are ${published}`);
  for (const { list, votes, published } of report.voteDifferences)
    found.push(`${list} has ${votes} votes, its stations have ${published}`);
  for (const [group, seats] of Object.entries(official.seats.groups)) {
    if (report.seats.groups[group] !== seats)
      found.push(`group ${group} has ${report.seats.groups[group] ?? 0} seats, published are ${seats}`);
  }
  if (report.seats.total !== official.seats.total)
    found.push(`${report.seats.total} seats of ${official.seats.total} are allocated`);
  if (units.counted !== units.expected) found.push(`${units.counted} of ${units.expected} units are counted`);
  if (report.recount !== "ok") found.push(`the recount from scratch differs: ${report.recount}`);
  return found;
}
