import type { Definition } from "../../shared/definition/schema.ts";
import type { GateFacts } from "../../shared/embargo/gate.ts";
import { type Curve, type Curves, shareAt } from "./curves.ts";
import { type FeedRow, SLICE_S } from "./store.ts";

/** One state's feed, by what the public log says of it. What was accepted of it is nobody's to see here. */
export interface FeedView {
  state: string;
  name: string;
  /** When its last statement was received, ISO; null before any. */
  lastHeard: string | null;
  statements: number;
  /** Tallies received, corrections counted again. */
  tallies: number;
  /** Units of the definition. */
  units: number;
  polls: "open" | "closed" | "overridden";
  /** `waiting`: nothing is due yet. `overdue`: its polls should have closed a minute ago, and it has not said so. */
  feed: "waiting" | "reporting" | "overdue";
  /** The last close in force of the state, ISO; null if the schedule has a hole. */
  closesAt: string | null;
  /** A tally was received while the polls of all of the state are open, and still are: when, ISO. */
  earlyTally: string | null;
  /** Statements of the last minute. */
  perMinute: number;
  /** Statements of the newest slices, the oldest first. */
  recent: number[];
  /** Shares of its units that its curve expects: now, a moment ago, and when it was last heard; null without a curve. */
  expected: { now: number; momentAgo: number; whenLastHeard: number } | null;
}

/** One state's feed over time, for a chart. */
export interface FeedHistory {
  /** Seconds of one slice. */
  slice: number;
  /** [end of the slice in seconds since the epoch, statements, tallies], rising, without empty ones. */
  points: [number, number, number][];
  /** [seconds since the epoch, share of the units], as expected; empty without a curve. */
  expected: [number, number][];
}

interface Heard {
  statements: number;
  tallies: number;
  lastHeard: number;
  /** When the first tally was received, ms; infinite before any. */
  firstTally: number;
  /** Statements and tallies by slice. */
  slices: Map<number, [statements: number, tallies: number]>;
}

/** The sums over the log so far, and where the next look goes on. */
export interface Feeds {
  next: number;
  readonly heard: Map<string, Heard>;
}

export function createFeeds(): Feeds {
  return { next: 0, heard: new Map() };
}

/** Adds what the next entries say; entry 0, the definition, is no state's. */
export function addRows(feeds: Feeds, rows: readonly FeedRow[]): void {
  for (const { state, type, slice, entries, units, first, received, lastIndex } of rows) {
    feeds.next = Math.max(feeds.next, lastIndex + 1);
    if (type === "definition") continue;
    const heard = feeds.heard.get(state) ?? newHeard();
    heard.statements += entries;
    heard.tallies += units;
    heard.lastHeard = Math.max(heard.lastHeard, received.getTime());
    if (type === "tally") heard.firstTally = Math.min(heard.firstTally, first.getTime());
    const [statements, tallies] = heard.slices.get(slice) ?? [0, 0];
    heard.slices.set(slice, [statements + entries, tallies + units]);
    feeds.heard.set(state, heard);
  }
}

const newHeard = (): Heard => ({
  statements: 0,
  tallies: 0,
  lastHeard: 0,
  firstTally: Number.POSITIVE_INFINITY,
  slices: new Map(),
});

/** An office signs its closure when its polls have closed: after so long one asks. */
export const OVERDUE_MS = 60_000;
/** Nobody is late who is late by less than a minute: an office's own clerk would not call it so. */
const MOMENT_MS = 60_000;
/** Slices of a sparkline: three minutes. */
export const RECENT = 36;
const MINUTE = 60 / SLICE_S;

/** Every state of the definition, in its order; `now` in ms. */
export function feedViews(
  definition: Definition,
  feeds: Feeds,
  facts: GateFacts,
  curves: Curves,
  now: number,
): FeedView[] {
  const slice = Math.floor(now / 1000 / SLICE_S);
  return definition.states.map(({ id, name, units }) => {
    const heard = feeds.heard.get(id);
    const polls = facts.polls.filter((poll) => poll.state === id);
    const closes = polls.map((poll) => poll.closesAt);
    const closesAt = Math.max(...closes);
    const said = polls.every((poll) => poll.closed) ? "closed" : facts.overridden.has(id) ? "overridden" : "open";
    const overdue = said === "open" && now > closesAt + OVERDUE_MS;
    const early = heard !== undefined && heard.firstTally < Math.min(...closes) && now < Math.min(...closes);
    const recent = Array.from({ length: RECENT }, (_, n) => heard?.slices.get(slice - RECENT + 1 + n)?.[0] ?? 0);
    const curve = curves.get(id);
    return {
      state: id,
      name,
      lastHeard: heard === undefined ? null : new Date(heard.lastHeard).toISOString(),
      statements: heard?.statements ?? 0,
      tallies: heard?.tallies ?? 0,
      units: units.reduce((sum, { ids }) => sum + ids.length, 0),
      polls: said,
      feed: overdue ? "overdue" : heard === undefined ? "waiting" : "reporting",
      closesAt: Number.isFinite(closesAt) ? new Date(closesAt).toISOString() : null,
      earlyTally: early ? new Date(heard.firstTally).toISOString() : null,
      perMinute: recent.slice(-MINUTE).reduce((sum, n) => sum + n, 0),
      recent,
      expected: curve === undefined || !Number.isFinite(closesAt) ? null : expectedOf(curve, closesAt, heard, now),
    };
  });
}

function expectedOf(curve: Curve, closesAt: number, heard: Heard | undefined, now: number) {
  const share = (ms: number) => shareAt(curve, (ms - closesAt) / 1000);
  const lastHeard = Math.max(closesAt, heard?.lastHeard ?? 0);
  return { now: share(now), momentAgo: share(now - MOMENT_MS), whenLastHeard: share(lastHeard) };
}

/** One state's feed over time; `closesAt` in ms. */
export function feedHistory(feeds: Feeds, state: string, curve: Curve | undefined, closesAt: number): FeedHistory {
  const slices = [...(feeds.heard.get(state)?.slices ?? [])].sort(([a], [b]) => a - b);
  return {
    slice: SLICE_S,
    points: slices.map(([slice, [statements, tallies]]) => [(slice + 1) * SLICE_S, statements, tallies]),
    expected: (curve ?? []).map(([seconds, share]) => [closesAt / 1000 + seconds, share]),
  };
}
