import type { Definition } from "../definition/schema.ts";
import type { Statement } from "../statement/types.ts";

/**
 * The gate. Article 10(2) of the Electoral Act (1976): no result before the polls have closed in the member state whose
 * electors vote last. `mayLift()` is open only when every condition holds and otherwise says every reason why not; it fails
 * closed. Facts come from the log, readings of clocks are arguments.
 */

/** An extension moves a close by at most this much at a time. */
export const MAX_EXTENSION_MS = 4 * 3_600_000;
/** The clocks must agree within this. */
export const MAX_CLOCK_SPREAD_MS = 1_000;

interface Poll {
  state: string;
  constituency: string;
  /** The close in force, ms since the epoch: scheduled, or as extended. */
  closesAt: number;
  /** A signed closure that no later extension took back. */
  closed: boolean;
}

/** What the log has said so far that the gate depends on. */
export interface GateFacts {
  polls: Poll[];
  overridden: Set<string>;
  /** What is on hold: states, and EU for the Union. */
  held: Set<string>;
  lifted: boolean;
}

/** Readings in ms since the epoch; null when a clock could not be read. */
export interface ClockReadings {
  process: number | null;
  postgres: number | null;
  nats: number | null;
}

export type GateReason =
  | { code: "schedule.missing" }
  | { code: "closing.ahead"; clock: keyof ClockReadings; until: number }
  | { code: "clock.missing"; clock: keyof ClockReadings }
  | { code: "clocks.disagree"; spreadMs: number }
  | { code: "closure.missing"; state: string }
  | { code: "hold.union" };

export type Gate = { kind: "open" } | { kind: "closed"; reasons: GateReason[] };

/** The facts before any statement: every poll open until its last closing that the definition counts. */
export function gateFacts(definition: Definition): GateFacts {
  const polls = definition.states.flatMap((state) => {
    const closings = state.closings.filter((closing) => closing.counts).map((closing) => Date.parse(closing.utc));
    const closesAt = closings.length === 0 ? Number.NaN : Math.max(...closings);
    return state.constituencies.map(({ id }) => ({ state: state.id, constituency: id, closesAt, closed: false }));
  });
  return { polls, overridden: new Set(), held: new Set(), lifted: false };
}

/** Adds what an accepted statement says; statements that do not concern the gate change nothing. */
export function applyToGate(facts: GateFacts, statement: Statement): void {
  if (statement.type === "lift") facts.lifted = true;
  if (statement.type === "polls") {
    for (const poll of pollsOf(facts, statement.state, statement.constituency)) {
      poll.closed = statement.polls === "closed";
      if (statement.polls === "extended") poll.closesAt = Math.max(poll.closesAt, Date.parse(statement.until));
    }
  }
  if (statement.type === "decision") {
    if (statement.decision === "override") facts.overridden.add(statement.about);
    if (statement.decision === "hold") facts.held.add(statement.about);
    if (statement.decision === "resume") facts.held.delete(statement.about);
  }
}

/** The polls that a statement about a state, or about one constituency of it, speaks of. */
export function pollsOf(facts: GateFacts, state: string, constituency?: string): Poll[] {
  return facts.polls.filter(
    (p) => p.state === state && (constituency === undefined || p.constituency === constituency),
  );
}

/** The last close in force in the Union, ms since the epoch; NaN when the schedule has a hole. */
export function lastClose(facts: GateFacts): number {
  return facts.polls.length === 0 ? Number.NaN : Math.max(...facts.polls.map((poll) => poll.closesAt));
}

/** Open only if all holds; otherwise every reason why not. After the lift the question is settled: the gate stays open. */
export function mayLift(facts: GateFacts, clocks: ClockReadings): Gate {
  const reasons: GateReason[] = [];
  const until = lastClose(facts);
  if (Number.isNaN(until)) reasons.push({ code: "schedule.missing" });
  const readings: number[] = [];
  for (const clock of ["process", "postgres", "nats"] as const) {
    const reading = clocks[clock];
    if (reading === null || !Number.isFinite(reading)) reasons.push({ code: "clock.missing", clock });
    else {
      readings.push(reading);
      if (!(reading >= until)) reasons.push({ code: "closing.ahead", clock, until });
    }
  }
  const spreadMs = readings.length === 0 ? 0 : Math.max(...readings) - Math.min(...readings);
  if (spreadMs > MAX_CLOCK_SPREAD_MS) reasons.push({ code: "clocks.disagree", spreadMs });
  const open = new Set(facts.polls.filter((poll) => !poll.closed).map((poll) => poll.state));
  for (const state of open) if (!facts.overridden.has(state)) reasons.push({ code: "closure.missing", state });
  if (facts.held.has("EU")) reasons.push({ code: "hold.union" });
  return reasons.length === 0 ? { kind: "open" } : { kind: "closed", reasons };
}
