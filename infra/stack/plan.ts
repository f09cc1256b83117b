import { addsUp, lowersAFigure, sameFigures } from "../../services/office/check.ts";
import type { Definition } from "../../shared/definition/schema.ts";
import type { Saying } from "../../shared/platform/sign.ts";
import type { Tally } from "../../shared/statement/types.ts";
import type { Schedule } from "./schedule.ts";

/**
 * What each office will send and when: the data's own order of arrival, spread over the night so that the embargo is needed.
 */

/** Tallies that travel in one statement. */
const BATCH = 50;
/** How much of what a state first reports is in before the lift. */
const BEFORE_LIFT = 0.65;
const REASON = "Corrected after the first protocol was checked.";

/** A protocol as an office has it, in the order in which the data arrived. */
export interface Protocol {
  tally: Omit<Tally, "version" | "reason">;
  /** The published version; left out where the office counts up by itself. */
  version?: number;
  /** When the data has it, ms of 2024; null where the source does not say: after all others. */
  at: number | null;
}

/** One statement to be: when it is due, and what it says. */
export interface Planned {
  state: string;
  due: number;
  saying: Saying;
}

export interface Feed {
  state: string;
  /** First reports, then what changed later, both in order. */
  first: Protocol[];
  later: Protocol[];
}

/** Real instant at which the polls of a state close. */
export function closeOf(definition: Definition, state: string): number {
  const found = definition.states.find(({ id }) => id === state);
  const closings = found?.closings.filter(({ counts }) => counts).map(({ utc }) => Date.parse(utc)) ?? [];
  return Math.max(...closings);
}

/** Points of a curve: more of them show nothing more. */
const CURVE_POINTS = 40;
const STEP_S = 0.001;

/** What is expected of the feeds if everybody keeps to the plan: by state, points of seconds after its close and share of its units. */
export function curvesOf(plan: readonly Planned[], definition: Definition): Record<string, [number, number][]> {
  const curves: Record<string, [number, number][]> = {};
  for (const { id, units } of definition.states) {
    const expected = units.reduce((sum, { ids }) => sum + ids.length, 0);
    const close = closeOf(definition, id);
    const points: [number, number][] = [[0, 0]];
    let tallies = 0;
    const own = plan
      .filter(({ state, saying }) => state === id && saying.type === "tally")
      .sort((a, b) => a.due - b.due);
    for (const [n, { due, saying }] of own.entries()) {
      tallies += saying.type === "tally" ? saying.tallies.length : 0;
      const seconds = (due - close) / 1000;
      const isPoint = n % Math.ceil(own.length / CURVE_POINTS) === 0 || n === own.length - 1;
      const [before = 0, share = 0] = points.at(-1) ?? [];
      if (!isPoint || seconds <= before + STEP_S) continue;
      // A single statement comes at once, not little by little.
      if (own.length < CURVE_POINTS) points.push([seconds - STEP_S, share]);
      points.push([seconds, Math.min(1, tallies / expected)]);
    }
    if (points.length > 1) curves[id] = points;
  }
  return curves;
}

/** A moment after a close, in real ms: nobody signs in the same instant. */
const AFTER_CLOSE_MS = 150;
/** Around the lift nothing is due: what is counted then is what had arrived. */
const QUIET_MS = 300;

/** The statements of one state: its tallies, in batches, and the closure of its polls. */
export function planState(feed: Feed, definition: Definition, schedule: Schedule): Planned[] {
  const { state } = feed;
  const votesPerBallot = definition.states.find(({ id }) => id === state)?.votesPerBallot ?? 1;
  const close = closeOf(definition, state) + AFTER_CLOSE_MS;
  const versions = new Map<string, { version: number; standing: Tally | undefined }>();
  const write = ({ tally, version }: Protocol): Tally => {
    const before = versions.get(tally.unit) ?? { version: 0, standing: undefined };
    const next: Tally = { ...tally, version: version ?? before.version + 1 };
    if (before.standing !== undefined && lowersAFigure(before.standing, next)) next.reason = REASON;
    // A quarantined tally uses up no version: only one that adds up will stand.
    if (addsUp(next, votesPerBallot)) versions.set(tally.unit, { version: next.version, standing: next });
    return next;
  };
  const first = feed.first.map((protocol) => ({ at: protocol.at ?? 0, tally: write(protocol) }));
  const later: typeof first = [];
  for (const protocol of feed.later) {
    const standing = versions.get(protocol.tally.unit)?.standing;
    if (standing !== undefined && sameFigures(standing, { ...protocol.tally, version: 1 })) continue;
    later.push({ at: protocol.at ?? Number.POSITIVE_INFINITY, tally: write(protocol) });
  }
  const early = first.slice(0, Math.ceil(first.length * BEFORE_LIFT)).map(({ tally }) => tally);
  // In the data's order again, so that no correction comes before what it corrects. The sort is stable.
  const late = [...first.slice(early.length), ...later].sort((a, b) => a.at - b.at).map(({ tally }) => tally);
  const quiet = QUIET_MS + close;
  return [
    { state, due: close, saying: { type: "polls", polls: "closed" } satisfies Saying },
    ...spread(early, state, votesPerBallot, close, Math.max(quiet, schedule.lift - QUIET_MS)),
    ...spread(late, state, votesPerBallot, Math.max(quiet, schedule.lift + QUIET_MS), schedule.end),
  ];
}

/** Batches of tallies, evenly over an interval; one that does not add up travels alone. */
function spread(tallies: Tally[], state: string, votesPerBallot: number, from: number, to: number): Planned[] {
  const batches: Tally[][] = [];
  let open: Tally[] = [];
  let units = new Set<string>();
  for (const tally of tallies) {
    if (!addsUp(tally, votesPerBallot)) {
      batches.push([tally]);
      continue;
    }
    if (open.length === BATCH || units.has(tally.unit)) {
      batches.push(open);
      open = [];
      units = new Set();
    }
    open.push(tally);
    units.add(tally.unit);
  }
  if (open.length > 0) batches.push(open);
  const step = (to - from) / Math.max(1, batches.length);
  return batches.map((batch, i) => ({
    state,
    due: Math.round(from + i * step),
    saying: { type: "tally", tallies: batch },
  }));
}
