import { readFileSync } from "node:fs";
import type { NationalFeed } from "./national-build.ts";
import type { Official } from "./official-build.ts";
import { expandTable, integers, parseTable, strings, type Table } from "./table.ts";

/**
 * The figures that the offices of an exercise report, read from the files beside this one: published results, their sources
 * and licences in SOURCES.md. Votes are per list of the Parliament; blank ballots are 0 where the source has none apart.
 */

/** One unit's figures as its office had them, in the shape of a tally. */
export interface FeedTally {
  unit: string;
  /** When the figures were published or first seen, ms UTC; null where the source does not say. */
  at: number | null;
  version: number;
  electors: number;
  ballots: number;
  blank: number;
  invalid: number;
  votes: Record<string, number>;
}

function table(name: string): Table {
  return parseTable(expandTable(readFileSync(new URL(`./feed/${name}.br`, import.meta.url))));
}

function json(path: string): unknown {
  return JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8"));
}

/** Tallies from a table's rows; `at` in the table is in seconds. A row without list votes has all of them undefined. */
function tallies(rows: Table, version: readonly number[]): (FeedTally & { hasVotes: boolean })[] {
  const lists = [...rows.keys()].filter((name) => /^[A-Z]{2}\d\d$/.test(name));
  const cells = lists.map((list) => strings(rows, list));
  const at = rows.has("at") ? integers(rows, "at") : undefined;
  const [electors, ballots, invalid] = ["electors", "ballots", "invalid"].map((name) => integers(rows, name));
  return strings(rows, "unit").map((unit, row) => {
    const votes: Record<string, number> = {};
    for (const [i, list] of lists.entries()) votes[list] = Number(cells[i]![row]);
    return {
      unit,
      at: at === undefined ? null : at[row]! * 1000,
      version: version[row] ?? 1,
      electors: electors![row]!,
      ballots: ballots![row]!,
      blank: 0,
      invalid: invalid![row]!,
      votes,
      hasVotes: cells[0]![row] !== "",
    };
  });
}

const plain = ({ hasVotes: _, ...tally }: FeedTally & { hasVotes: boolean }): FeedTally => tally;

/** Stable: tallies of one instant stay in the order of the source. */
const byTime = (a: FeedTally, b: FeedTally): number => (a.at ?? 0) - (b.at ?? 0);

/**
 * Romania's first protocols (19,870, version 1) and the corrections (6,905, under the version of the final protocol), each in the
 * order of `created_at`. First protocols with the corrections over them are the published final result. Seven first
 * protocols do not add up.
 */
export function readRomania(): { first: FeedTally[]; corrections: FeedTally[] } {
  const read = (name: string): FeedTally[] => {
    const rows = table(name);
    return tallies(rows, integers(rows, "version")).map(plain).sort(byTime);
  };
  return { first: read("ro-first"), corrections: read("ro-corrections") };
}

/**
 * Slovenia's night in the order in which it was observed: 3,078 first results, then changes under the next version of their station.
 * Rows without list votes and rows that repeat the station's last figures are left out and counted in `dropped`. Some events do not add
 * up; the last event of each station is its final result (`finals`, version 1, no time).
 */
export function readSlovenia(): {
  events: FeedTally[];
  finals: FeedTally[];
  dropped: { withoutVotes: number; repeated: number };
} {
  const dropped = { withoutVotes: 0, repeated: 0 };
  const last = new Map<string, { figures: string; version: number }>();
  const events: FeedTally[] = [];
  for (const event of tallies(table("si-events"), []).sort(byTime)) {
    if (!event.hasVotes) {
      dropped.withoutVotes++;
      continue;
    }
    const figures = [event.electors, event.ballots, event.invalid, ...Object.values(event.votes)].join();
    const before = last.get(event.unit);
    if (before?.figures === figures) {
      dropped.repeated++;
      continue;
    }
    const version = (before?.version ?? 0) + 1;
    last.set(event.unit, { figures, version });
    events.push({ ...plain(event), version });
  }
  return { events, finals: tallies(table("si-final"), []).map(plain), dropped };
}

/** Germany's 91,753 districts, final, in the order of the source; no times are published. */
export function readGermany(): FeedTally[] {
  return tallies(table("de-final"), []).map(plain);
}

/** The unit ids of Germany's districts by kind of the definition, in the order of the source. */
export function readGermanUnits(): { kind: string; ids: string[] }[] {
  const rows = table("de-final");
  const kinds = strings(rows, "kind");
  const units = strings(rows, "unit");
  return Object.entries(GERMAN_KINDS).map(([code, kind]) => ({ kind, ids: units.filter((_, i) => kinds[i] === code) }));
}

/** Kinds of the source (`Bezirksart`) as kinds of the definition. */
const GERMAN_KINDS = { "0": "polling-district", "5": "postal-district", "6": "special-6", "8": "special-8" } as const;

/**
 * What the other states report: a tally for each constituency, with what in it is rebuilt, and the declared seats of Ireland and
 * Malta. Germany is among them as one unit; leave it out where its districts report.
 */
export function readNational(): {
  votesPerHundredth: number;
  tallies: (FeedTally & { state: string; rebuilt: ("votes" | "ballots" | "electors")[] })[];
  seats: { state: string; constituency: string; seats: Record<string, number> }[];
} {
  const { tallies, seats, votesPerHundredth } = json("./feed/national.json") as NationalFeed;
  return { votesPerHundredth, seats, tallies: tallies.map((tally) => ({ ...tally, at: null, version: 1 })) };
}

/** The published result of 2024: seats per list, group and state. */
export function readOfficial(): Official {
  return json("./official.json") as Official;
}
