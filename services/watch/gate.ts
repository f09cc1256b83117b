import type { Definition } from "../../shared/definition/schema.ts";
import {
  type ClockFloor,
  extend,
  type GateFacts,
  type GateReason,
  gateFacts,
  lastClose,
  mayLift,
  pollsOf,
  voidExtension,
} from "../../shared/embargo/gate.ts";
import type { FactRow } from "./store.ts";

/** What is shown of the gate. Watch decides nothing: the counts, the ledger and Postgres each look for themselves. */
export interface GateView {
  lifted: boolean;
  /** ISO; null before the lift. */
  liftedAt: string | null;
  /** The last close in force, ISO; null if the schedule has a hole. */
  lastClose: string | null;
  /** Every open reason; empty after the lift. */
  reasons: (GateReason & { says: string })[];
}

/** The facts by the rows that the ledger keeps of accepted statements, in the order of the log. */
export function factsOf(definition: Definition, rows: readonly FactRow[]): GateFacts {
  const facts = gateFacts(definition);
  for (const { index, kind, state, constituency, until, voids } of rows) {
    const polls = pollsOf(facts, state, constituency ?? undefined);
    if (kind === "override") facts.overridden.add(state);
    else if (kind === "hold") facts.held.add(state);
    else if (kind === "resume") facts.held.delete(state);
    else if (kind === "closed") for (const poll of polls) poll.closed = true;
    else if (until !== null) extend(polls, { entry: index, until: until.getTime() });
    else if (voids !== null) voidExtension(polls, voids);
  }
  return facts;
}

/** Readings, ms. */
export interface WatchedClocks {
  process: number;
  /** Null when it did not answer. */
  postgres: number | null;
}

/**
 * Lifted, or every reason why not, by this process' clock and Postgres' (ms; null when it did not answer). NATS' clock is read
 * by those who decide: for that a message must be stored, and whoever only watches stores none.
 */
export function gateView(
  facts: GateFacts,
  clocks: WatchedClocks,
  floor: ClockFloor,
  liftedAt: Date | undefined,
): GateView {
  const close = lastClose(facts);
  const gate = mayLift(facts, { ...clocks, nats: clocks.process }, { ...floor, nats: null });
  const reasons = gate.kind === "open" || liftedAt !== undefined ? [] : gate.reasons;
  return {
    lifted: liftedAt !== undefined,
    liftedAt: liftedAt?.toISOString() ?? null,
    lastClose: Number.isNaN(close) ? null : new Date(close).toISOString(),
    reasons: reasons.filter(isOurs).map((reason) => ({ ...reason, says: sentenceOf(reason) })),
  };
}

const isOurs = (reason: GateReason) => !("clock" in reason && reason.clock === "nats");

const CLOCKS = { process: "this service's clock", postgres: "Postgres' clock", nats: "NATS' clock" } as const;

/** Only a restart forgets how far a clock has been. */
const ONCE_RIGHT = "Set the clocks right, then restart tabulate, recount, ledger and watch.";

const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

function sentenceOf(reason: GateReason): string {
  switch (reason.code) {
    case "schedule.missing":
      return "The schedule has a hole.";
    case "closing.ahead":
      return `The last polls close at ${new Date(reason.until).toISOString()}, by ${CLOCKS[reason.clock]}.`;
    case "clock.missing":
      return `There is no reading of ${CLOCKS[reason.clock]}.`;
    case "clock.went-back":
      return `${capital(CLOCKS[reason.clock])} reads ${reason.byMs} ms less than it did before. ${ONCE_RIGHT}`;
    case "clocks.disagree":
      return `The clocks lie ${reason.spreadMs} ms apart.`;
    case "closure.missing":
      return `${reason.state} has not signed that its polls are closed.`;
    case "hold.union":
      return "The Union is on hold by decision of a trustee.";
  }
}
