import type { Definition } from "../definition/schema.ts";
import type { Entry, OpenedEntry } from "../ledger/entry.ts";
import { applyToGate, type GateFacts, gateFacts, type Poll } from "./gate.ts";

/**
 * What the log has said, up to one entry, of everything that the system's own two statements depend on: the gate, the lift,
 * the releases. A fold over the log in the order of its entries, as each count keeps one for itself.
 */
export interface Road {
  /** Entries applied: last index + 1. */
  size: number;
  /** Index of the last entry that may change a release: every type but lift and release. -1 before any. */
  lastContent: number;
  facts: GateFacts;
  lift: Lift | null;
  /** The last accepted releases, oldest first; at most `RELEASES_KEPT`. */
  releases: AcceptedRelease[];
  /** The highest sequence that each key used for a lift or a release, quarantined or not. */
  sequences: Record<string, number>;
}

/** The accepted lift, with the facts as they stood then: what is said later cannot shut the gate again. */
export interface Lift {
  index: number;
  facts: GateFacts;
}

export interface AcceptedRelease {
  index: number;
  number: number;
  size: number;
  /** Base64, as in the checkpoint. */
  root: string;
  /** Hex SHA-256 of the document. */
  release: string;
  previous: string | null;
}

/** A count waits with the next release until it has given its share of the last: a few would do. */
export const RELEASES_KEPT = 64;

export function createRoad(definition: Definition): Road {
  return { size: 0, lastContent: -1, facts: gateFacts(definition), lift: null, releases: [], sequences: {} };
}

/** Applies the next entry; one that was applied before changes nothing. Throws RangeError for one that skips others. */
export function applyToRoad(road: Road, { index, statement, verdict }: OpenedEntry, key: Entry["key"] | null): void {
  if (index < road.size) return;
  if (index > road.size) throw new RangeError(`entry ${index} came where ${road.size} is next`);
  road.size = index + 1;
  const own = statement?.type === "lift" || statement?.type === "release";
  if (!own) road.lastContent = index;
  if (own && key !== null) road.sequences[key] = Math.max(road.sequences[key] ?? 0, statement.sequence);
  if (statement === null || verdict !== "accepted") return;
  if (statement.type === "lift") road.lift ??= { index, facts: structuredClone(road.facts) };
  if (statement.type === "release") {
    const { number, size, root, release, previous } = statement;
    road.releases.push({ index, number, size, root, release, previous });
    if (road.releases.length > RELEASES_KEPT) road.releases.shift();
  }
  applyToGate(road.facts, statement, index);
}

/** The last release that was accepted before the log had this size: what the release of that prefix follows. */
export function releaseBefore(road: Road, size: number): AcceptedRelease | undefined {
  return road.releases.findLast(({ index }) => index < size);
}

/** As JSON text, for a snapshot. */
export function saveRoad(road: Road): string {
  return JSON.stringify({ ...road, facts: savedFacts(road.facts), lift: savedLift(road.lift) });
}

/** What `saveRoad` wrote. Sealed by whoever kept it: its shape is not checked again. */
export function loadRoad(text: string): Road {
  const saved = JSON.parse(text) as Omit<Road, "facts" | "lift"> & {
    facts: SavedFacts;
    lift: { index: number; facts: SavedFacts } | null;
  };
  const lift = saved.lift === null ? null : { index: saved.lift.index, facts: loadedFacts(saved.lift.facts) };
  return { ...saved, facts: loadedFacts(saved.facts), lift };
}

/** Sets are no JSON; nor is NaN, which stands for a hole in the schedule: it becomes null. */
type SavedFacts = Omit<GateFacts, "overridden" | "held" | "polls"> & {
  overridden: string[];
  held: string[];
  polls: (Omit<Poll, "scheduledAt" | "closesAt"> & Record<"scheduledAt" | "closesAt", number | null>)[];
};

function savedFacts(facts: GateFacts): SavedFacts {
  return { ...facts, overridden: [...facts.overridden], held: [...facts.held] };
}

function savedLift(lift: Lift | null): { index: number; facts: SavedFacts } | null {
  return lift === null ? null : { index: lift.index, facts: savedFacts(lift.facts) };
}

function loadedFacts({ polls, overridden, held, lifted }: SavedFacts): GateFacts {
  return {
    polls: polls.map((poll) => ({
      ...poll,
      scheduledAt: poll.scheduledAt ?? Number.NaN,
      closesAt: poll.closesAt ?? Number.NaN,
    })),
    overridden: new Set(overridden),
    held: new Set(held),
    lifted,
  };
}
