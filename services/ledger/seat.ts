import type { Logger } from "pino";
import type { RaiseIncident } from "../../shared/platform/incidents.ts";
import type { RemoteWitness } from "./witnesses.ts";

export interface Timing {
  /** All witnesses together have so long to answer when the log is opened. */
  openMs: number;
  /**
   * A head is asked about for so long before the next one is: all witnesses cosign the same heads, so that there are heads with a quorum
   * however fast the log grows.
   */
  headMs: number;
  /** After a failure: twice as long each time, less a random part. */
  leastPauseMs: number;
  mostPauseMs: number;
  /** A witness that has not cosigned for so long is an incident. */
  awayMs: number;
}

/** What is known of a witness. */
export interface Seat {
  witness: RemoteWitness;
  /** What it holds, as far as we know. */
  size: number;
  /** The head that it cosigned last. */
  done: number;
  /** What it is being asked in the background; never rejects. */
  asking: Promise<unknown>;
  /** True while it claims another tree and shows none: that was told. */
  accuses: boolean;
  failing: { since: number; pauseMs: number; told: boolean } | undefined;
}

export function createSeat(witness: RemoteWitness): Seat {
  return { witness, size: 0, done: 0, asking: Promise.resolve(), accuses: false, failing: undefined };
}

/** `agreed`: cosigned and stored, or it holds a tree that this database had. `failed`: on our own side, and told. */
export type Outcome = { kind: "agreed" } | { kind: "away"; why: string } | { kind: "failed" };

export interface Telling extends Pick<Timing, "leastPauseMs" | "mostPauseMs" | "awayMs"> {
  logger: Logger;
  raise: RaiseIncident;
}

/** Keeps count of a witness' failures, for how long to leave it alone, and tells of one that has been away for `awayMs`. */
export function noteOutcome(seat: Seat, outcome: Outcome, telling: Telling): void {
  const { logger, raise, leastPauseMs, mostPauseMs, awayMs } = telling;
  const { name: witness } = seat.witness;
  const { failing } = seat;
  if (outcome.kind === "agreed") {
    if (failing?.told) logger.info({ witness }, "a witness is back");
    Object.assign(seat, { failing: undefined, accuses: false });
    return;
  }
  const since = failing?.since ?? performance.now();
  const pauseMs = failing === undefined ? leastPauseMs : Math.min(mostPauseMs, failing.pauseMs * 2);
  const tell = outcome.kind === "away" && performance.now() - since > awayMs;
  seat.failing = { since, pauseMs, told: failing?.told === true || tell };
  if (outcome.kind === "away" && (failing === undefined || (tell && !failing.told)))
    logger.warn({ witness, why: outcome.why }, "a witness does not cosign");
  if (tell && failing?.told !== true) void raise({ code: "witness.away", about: witness });
}
