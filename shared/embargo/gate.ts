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

/** An extension in force: the entry that gave it, and until when, ms since the epoch. */
export interface Extension {
  entry: number;
  until: number;
}

export interface Poll {
  state: string;
  constituency: string;
  /** As the definition says, ms since the epoch; NaN for a hole in the schedule. */
  scheduledAt: number;
  /** Those that were not voided, in the order of the log. */
  extensions: Extension[];
  /** The close in force, ms since the epoch: the latest of the scheduled close and the extensions. */
  closesAt: number;
  /** A signed closure that no later extension took back; that the extension was voided afterwards does not bring it back. */
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

/** The highest reading seen of each clock, ms since the epoch; null for one that was never read. */
export type ClockFloor = Readonly<ClockReadings>;

/** Before any reading. */
export const NO_FLOOR: ClockFloor = { process: null, postgres: null, nats: null };

const CLOCKS = ["process", "postgres", "nats"] as const;
const isReading = (ms: number | null): ms is number => ms !== null && Number.isFinite(ms);

/** The floor after a reading: it only rises. A clock that could not be read leaves its own where it is. */
export function raiseFloor(floor: ClockFloor, clocks: ClockReadings): ClockFloor {
  const highest = (clock: keyof ClockReadings) => {
    const [before, now] = [floor[clock], clocks[clock]];
    return isReading(now) && (before === null || now > before) ? now : before;
  };
  return { process: highest("process"), postgres: highest("postgres"), nats: highest("nats") };
}

/** The clocks that read less than their own highest reading. */
export function wentBack(clocks: ClockReadings, floor: ClockFloor): { clock: keyof ClockReadings; byMs: number }[] {
  return CLOCKS.flatMap((clock) => {
    const [highest, now] = [floor[clock], clocks[clock]];
    return isReading(now) && highest !== null && now < highest ? [{ clock, byMs: highest - now }] : [];
  });
}

export type GateReason =
  | { code: "schedule.missing" }
  | { code: "closing.ahead"; clock: keyof ClockReadings; until: number }
  | { code: "clock.missing"; clock: keyof ClockReadings }
  | { code: "clock.went-back"; clock: keyof ClockReadings; byMs: number }
  | { code: "clocks.disagree"; spreadMs: number }
  | { code: "closure.missing"; state: string }
  | { code: "hold.union" };

export type Gate = { kind: "open" } | { kind: "closed"; reasons: GateReason[] };

/** The facts before any statement: every poll open until its last closing that the definition counts. */
export function gateFacts(definition: Definition): GateFacts {
  const polls = definition.states.flatMap((state) => {
    const closings = state.closings.filter((closing) => closing.counts).map((closing) => Date.parse(closing.utc));
    const scheduledAt = closings.length === 0 ? Number.NaN : Math.max(...closings);
    return state.constituencies.map(({ id }): Poll => {
      return { state: state.id, constituency: id, scheduledAt, extensions: [], closesAt: scheduledAt, closed: false };
    });
  });
  return { polls, overridden: new Set(), held: new Set(), lifted: false };
}

/** Adds what the accepted statement of entry `index` says; statements that do not concern the gate change nothing. */
export function applyToGate(facts: GateFacts, statement: Statement, index: number): void {
  if (statement.type === "lift") facts.lifted = true;
  if (statement.type === "polls") {
    const polls = pollsOf(facts, statement.state, statement.constituency);
    if (statement.polls === "closed") for (const poll of polls) poll.closed = true;
    else extend(polls, { entry: index, until: Date.parse(statement.until) });
  }
  if (statement.type === "decision") {
    if (statement.decision === "override") facts.overridden.add(statement.about);
    if (statement.decision === "hold") facts.held.add(statement.about);
    if (statement.decision === "resume") facts.held.delete(statement.about);
    if (statement.decision === "void") voidExtension(pollsOf(facts, statement.about), statement.entry);
  }
}

/** An extension takes a closure back: whoever still votes has not closed. */
export function extend(polls: readonly Poll[], extension: Extension): void {
  for (const poll of polls) {
    poll.extensions.push(extension);
    poll.closed = false;
    poll.closesAt = closeOf(poll);
  }
}

/** Takes one extension away, wherever it reached. The closure that it took back stays taken back: that polls are closed is the state's to say. */
export function voidExtension(polls: readonly Poll[], entry: number): void {
  for (const poll of polls) {
    poll.extensions = poll.extensions.filter((extension) => extension.entry !== entry);
    poll.closesAt = closeOf(poll);
  }
}

/** Never before the definition's close, whatever was extended and voided. */
function closeOf({ scheduledAt, extensions }: Poll): number {
  return Math.max(scheduledAt, ...extensions.map(({ until }) => until));
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

/**
 * Open only if all holds; otherwise every reason why not. After the lift the question is settled: the gate stays open. `floor`: the
 * highest readings since this process began. A clock below its own is not to be believed, now or before; whoever has no memory (an
 * audit, a look at readings that were signed) gives none.
 */
export function mayLift(facts: GateFacts, clocks: ClockReadings, floor: ClockFloor = NO_FLOOR): Gate {
  const reasons: GateReason[] = [];
  const until = lastClose(facts);
  if (Number.isNaN(until)) reasons.push({ code: "schedule.missing" });
  const readings: number[] = [];
  for (const clock of CLOCKS) {
    const reading = clocks[clock];
    if (!isReading(reading)) {
      reasons.push({ code: "clock.missing", clock });
      continue;
    }
    readings.push(reading);
    if (!(reading >= until)) reasons.push({ code: "closing.ahead", clock, until });
  }
  for (const back of wentBack(clocks, floor)) reasons.push({ code: "clock.went-back", ...back });
  const spreadMs = readings.length === 0 ? 0 : Math.max(...readings) - Math.min(...readings);
  if (spreadMs > MAX_CLOCK_SPREAD_MS) reasons.push({ code: "clocks.disagree", spreadMs });
  const open = new Set(facts.polls.filter((poll) => !poll.closed).map((poll) => poll.state));
  for (const state of open) if (!facts.overridden.has(state)) reasons.push({ code: "closure.missing", state });
  if (facts.held.has("EU")) reasons.push({ code: "hold.union" });
  return reasons.length === 0 ? { kind: "open" } : { kind: "closed", reasons };
}
