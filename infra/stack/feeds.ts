import type { Definition } from "../../shared/definition/schema.ts";
import {
  type FeedTally as Figures,
  readGermany,
  readNational,
  readRomania,
  readSlovenia,
} from "../elections/ep2024/feed.ts";
import { closeOf, type Feed, type Planned, type Protocol, planState } from "./plan.ts";
import type { Schedule } from "./schedule.ts";

/** A stream of numbers in [0, 1) from a seed (mulberry32): the same seed plans the same night. */
export function chance(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function protocol({ unit, at, electors, ballots, blank, invalid, votes }: Figures, version?: number): Protocol {
  const tally = { unit, status: "final" as const, electors, ballots, blank, invalid, votes };
  return version === undefined ? { tally, at } : { tally, at, version };
}

/**
 * What every office of the night sends and when. Romania and Slovenia report station by station, Germany too when `full`; the
 * others one tally a constituency, some before the lift and some after it, as the seed says.
 */
export function planNight(
  definition: Definition,
  schedule: Schedule,
  options: { full: boolean; seed: number },
): Planned[] {
  const random = chance(options.seed);
  const romania = readRomania();
  const slovenia = readSlovenia();
  const seen = new Set<string>();
  const isFirst = ({ unit }: Figures) => !seen.has(unit) && seen.add(unit) !== undefined;
  const [firstEvents, laterEvents] = partition(slovenia.events, isFirst);
  const byStation: Feed[] = [
    {
      state: "RO",
      first: romania.first.map((r) => protocol(r, r.version)),
      later: romania.corrections.map((r) => protocol(r, r.version)),
    },
    // The published final stations come last: whatever they still change is one more correction.
    {
      state: "SI",
      first: firstEvents.map((e) => protocol(e)),
      later: [...laterEvents, ...slovenia.finals].map((e) => protocol(e)),
    },
    ...(options.full ? [{ state: "DE", first: readGermany().map((r) => protocol(r)), later: [] }] : []),
  ];
  const national = readNational();
  const others = national.tallies.filter(({ state }) => !byStation.some((feed) => feed.state === state));
  const plan = byStation.flatMap((feed) => planState(feed, definition, schedule));
  for (const state of new Set(others.map((report) => report.state))) {
    const close = closeOf(definition, state);
    plan.push({ state, due: close + 150, saying: { type: "polls", polls: "closed" } });
    const [from, to] =
      random() < 0.5 ? [close + 200, Math.max(close + 300, schedule.lift - 300)] : [schedule.lift + 300, schedule.end];
    for (const report of others.filter((r) => r.state === state)) {
      const due = Math.round(from + random() * (to - from));
      plan.push({
        state,
        due: Math.max(due, close + 200),
        saying: { type: "tally", tallies: [{ ...protocol(report).tally, version: 1 }] },
      });
    }
  }
  for (const { state, constituency, seats } of national.seats) {
    plan.push({
      state,
      due: schedule.lift + Math.round((schedule.end - schedule.lift) * 0.8),
      saying: { type: "seats", constituency, seats },
    });
  }
  return plan;
}

/** The votes per list that the published final station files add up to, for the states that report by station. */
export function publishedVotes(options: { full: boolean }): Map<string, number> {
  const { first, corrections } = readRomania();
  const romania = new Map([...first, ...corrections].map((section) => [section.unit, section]));
  const stations = [...romania.values(), ...readSlovenia().finals, ...(options.full ? readGermany() : [])];
  const votes = new Map<string, number>();
  for (const station of stations) {
    for (const [list, n] of Object.entries(station.votes)) votes.set(list, (votes.get(list) ?? 0) + n);
  }
  return votes;
}

function partition<T>(items: readonly T[], test: (item: T) => boolean): [T[], T[]] {
  const yes: T[] = [];
  const no: T[] = [];
  for (const item of items) (test(item) ? yes : no).push(item);
  return [yes, no];
}
