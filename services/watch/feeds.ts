import type { Definition } from "../../shared/definition/schema.ts";
import type { GateFacts } from "../../shared/embargo/gate.ts";
import type { FeedRow } from "./store.ts";

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
}

interface Heard {
  statements: number;
  tallies: number;
  lastHeard: number;
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
  for (const { state, type, entries, units, received, lastIndex } of rows) {
    feeds.next = Math.max(feeds.next, lastIndex + 1);
    if (type === "definition") continue;
    const heard = feeds.heard.get(state) ?? { statements: 0, tallies: 0, lastHeard: 0 };
    heard.statements += entries;
    heard.tallies += units;
    heard.lastHeard = Math.max(heard.lastHeard, received.getTime());
    feeds.heard.set(state, heard);
  }
}

/** An office signs its closure when its polls have closed: after so long one asks. */
export const OVERDUE_MS = 60_000;

/** Every state of the definition, in its order; `now` in ms. */
export function feedViews(definition: Definition, feeds: Feeds, facts: GateFacts, now: number): FeedView[] {
  return definition.states.map(({ id, name, units }) => {
    const heard = feeds.heard.get(id);
    const polls = facts.polls.filter((poll) => poll.state === id);
    const closesAt = Math.max(...polls.map((poll) => poll.closesAt));
    const said = polls.every((poll) => poll.closed) ? "closed" : facts.overridden.has(id) ? "overridden" : "open";
    const overdue = said === "open" && now > closesAt + OVERDUE_MS;
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
    };
  });
}
