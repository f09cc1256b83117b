import type { Constituency, Definition, List, State } from "../definition/schema.ts";
import type { Release, ReleaseHeader } from "../formats/release.ts";
import type { OpenedEntry } from "../ledger/entry.ts";
import type { Statement, Tally } from "../statement/types.ts";
import { type Count, count, startCount } from "./count.ts";
import { recountRelease } from "./document.ts";
import { allot, type Draw } from "./seats.ts";

/** What the second count's tests share: one constituency to allot seats in, and a small night to count. */

export const DHONDT: Constituency["allocation"] = { method: "divisor", divisors: "dhondt" };
export const SAINTE_LAGUE: Constituency["allocation"] = { method: "divisor", divisors: "sainte-lague" };
export const quota = (
  name: "hare" | "droop" | "hagenbach-bischoff",
  of: "qualified" | "valid" = "qualified",
): Constituency["allocation"] => ({ method: "quota", quota: name, of });

export const place = (
  seats: number,
  allocation: Constituency["allocation"],
  more: Partial<Constituency> = {},
): Constituency => ({
  id: "XX",
  name: "Anywhere",
  seats,
  allocation,
  ...more,
});

export const id = (i: number): string => `XX${String(i + 1).padStart(2, "0")}`;
export const list = (i: number, kind: List["kind"] = "list"): List => ({
  id: id(i),
  constituency: "XX",
  kind,
  acronym: id(i),
  name: id(i),
  groups: [],
});

/** Seats in the order of the votes; `kinds` names what is not a `list`; ballots are the votes plus `spoilt`. */
export function run(
  constituency: Constituency,
  votes: number[],
  kinds: Record<number, List["kind"]> = {},
  draws: Draw[] = [],
  spoilt = 0,
) {
  const lists = votes.map((_, i) => list(i, kinds[i]));
  const byList = Object.fromEntries(votes.map((v, i) => [id(i), v]));
  const ballots = votes.reduce((a, b) => a + b, 0) + spoilt;
  const { seats, ties } = allot(constituency, lists, { votes: byList, ballots }, draws);
  return { seats: votes.map((_, i) => seats[id(i)]), ties };
}

export const HASH = "ab".repeat(32);
export const KEY = "A".repeat(43);
export const HEADER: ReleaseHeader = {
  number: 3,
  checkpoint: { origin: "log.example/night", size: 9, root: "cm9vdA==" },
  asOf: "2024-06-09T21:00:01.000Z",
  previous: null,
};

export type Seats = { allocation: State["constituencies"][number]["allocation"]; seats: number };

/** A state of one constituency with three lists and `units` units; list 01 has members in two groups. */
export function state(
  id: string,
  { allocation, seats }: Seats,
  votesFrom: State["votesFrom"] = "counted",
  units = 3,
): State {
  const list = (n: number, groups: State["lists"][number]["groups"]): State["lists"][number] => ({
    id: `${id}0${n}`,
    constituency: id,
    kind: "list",
    acronym: `L${n}`,
    name: `List ${n}`,
    groups,
  });
  return {
    id,
    name: id,
    timezone: "Europe/Vienna",
    seats,
    closings: [{ where: id, local: "2024-06-09T23:00:00+02:00", utc: "2024-06-09T21:00:00Z", counts: true }],
    votesFrom,
    votesPerBallot: 1,
    signaturesRequired: 1,
    constituencies: [{ id, name: id, seats, allocation }],
    lists: [
      list(1, [
        { id: "SD", seats: 1 },
        { id: "EPP", seats: 1 },
      ]),
      list(2, [{ id: "EPP", seats: 2 }]),
      list(3, []),
    ],
    kinds: [{ id: "station", name: "Station", register: true, limits: {} }],
    units: [{ constituency: id, kind: "station", ids: Array.from({ length: units }, (_, i) => `${id}-${i + 1}`) }],
    sources: [],
    doubts: [],
  };
}

export function definition(...states: State[]): Definition {
  return {
    type: "definition",
    election: "night",
    title: "A night",
    mode: "exercise",
    origin: HEADER.checkpoint.origin,
    seats: states.reduce((sum, s) => sum + s.seats, 0),
    groups: ["EPP", "SD", "NI"].map((id) => ({ id, name: id })),
    authority: [
      { id: "A-1", publicKey: KEY },
      { id: "A-2", publicKey: KEY },
    ],
    keys: [],
    vault: { publicKey: KEY, recoveryKey: KEY },
    states,
    sources: [],
  };
}

export const FOUR: Seats = { allocation: { method: "divisor", divisors: "dhondt" }, seats: 4 };
export const DECLARED: Seats = { allocation: { method: "declared" }, seats: 4 };
export const THREE = definition(state("AT", FOUR), state("BG", FOUR, "rebuilt"), state("MT", DECLARED));

export type Said = {
  [T in Statement["type"]]: Omit<Extract<Statement, { type: T }>, "definition" | "sequence" | "nonce" | "issued">;
};
/** What a statement says, without the fields that no count reads. */
export type Saying = Said[Statement["type"]] & Record<string, unknown>;

export const entry = (
  index: number,
  said: Saying | null,
  verdict: OpenedEntry["verdict"] = "accepted",
): OpenedEntry => ({
  index,
  received: HEADER.asOf,
  statement:
    said && ({ definition: HASH, sequence: index, nonce: "n".repeat(22), issued: HEADER.asOf, ...said } as Statement),
  verdict,
});

export const tally = (unit: string, version: number, votes: number[], more: Partial<Tally> = {}): Tally => ({
  unit,
  version,
  status: "provisional",
  electors: 1000,
  ballots: 500,
  blank: 3,
  invalid: 4,
  votes: Object.fromEntries(votes.map((v, i) => [`${unit.slice(0, 2)}0${i + 1}`, v])),
  ...more,
});

export const tallied = (...tallies: Tally[]): Saying => ({
  type: "tally",
  state: tallies[0]!.unit.slice(0, 2),
  tallies,
});

/** Entry 0 and then these, in order. */
export function fold(said: Saying[], of: Definition = THREE): Count {
  const c = startCount(of, HASH);
  count(c, entry(0, null));
  for (const [i, saying] of said.entries()) count(c, entry(i + 1, saying));
  return c;
}

export const release = (c: Count): Release => JSON.parse(new TextDecoder().decode(recountRelease(c, HEADER)));
export const of = (c: Count, id: string) => release(c).states.find((s) => s.state === id)!;
