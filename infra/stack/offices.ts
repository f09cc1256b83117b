import { setTimeout as sleep } from "node:timers/promises";
import { type Signer, signStatement, writeStatement } from "../../shared/platform/sign.ts";
import { createSubmitter, type Outcome } from "../../shared/platform/submit.ts";
import type { Planned } from "./plan.ts";

/** What the offices of the night have sent and what came back; grows while they work. */
export interface Tallying {
  sent: number;
  accepted: number;
  quarantined: number;
  refused: number;
  /** Units with an accepted tally, by the offices' receipts. */
  units: Set<string>;
  /** Highest entry that a receipt named. */
  lastIndex: number;
  /** Per state, statements that have their receipt. */
  answered: Map<string, number>;
  /** What nobody planned for: refusals at the door, with their code. */
  surprises: string[];
}

export interface OfficesOptions {
  ingestUrl: string;
  /** By which keys the offices know the door. */
  pins: readonly string[] | undefined;
  definition: string;
  signerOf(state: string): Signer;
  plan: Planned[];
  signal: AbortSignal;
}

/** Statements that one office has on their way at once. */
const IN_FLIGHT = 12;
/** A killed service is back within seconds; a door that stays shut for longer ends the night. */
const PATIENCE_MS = 60_000;

/** Runs every office of the plan beside each other; resolves when the last statement has its receipt. */
export function runOffices(options: OfficesOptions): { tallying: Tallying; done: Promise<void> } {
  const tallying: Tallying = {
    sent: 0,
    accepted: 0,
    quarantined: 0,
    refused: 0,
    units: new Set(),
    lastIndex: 0,
    answered: new Map(),
    surprises: [],
  };
  const states = [...new Set(options.plan.map(({ state }) => state))].sort();
  const done = Promise.all(states.map((state, i) => runOffice(state, i, options, tallying))).then(() => undefined);
  return { tallying, done };
}

async function runOffice(state: string, number: number, options: OfficesOptions, tallying: Tallying): Promise<void> {
  const plan = options.plan.filter((planned) => planned.state === state).sort((a, b) => a.due - b.due);
  const signer = options.signerOf(state);
  const submitter = createSubmitter({
    ingestUrl: options.ingestUrl,
    pins: options.pins,
    localAddress: addressOf(number),
    inFlight: IN_FLIGHT,
    patienceMs: PATIENCE_MS,
  });
  const pending = new Map<string, Promise<void>>();
  const running = new Set<Promise<void>>();
  let sequence = 0;
  try {
    for (const { due, saying } of plan) {
      const wait = due - Date.now();
      if (wait > 0) await sleep(wait, undefined, { signal: options.signal });
      options.signal.throwIfAborted();
      if (running.size >= IN_FLIGHT) await Promise.race(running);
      const units = saying.type === "tally" ? saying.tallies.map(({ unit }) => unit) : [];
      // A unit's correction waits for the receipt of what it corrects, or it could overtake it.
      await Promise.all(units.map((unit) => pending.get(unit)));
      const about = { definition: options.definition, state, sequence: ++sequence, now: Date.now() };
      const bytes = signStatement(writeStatement(saying, about), [signer]);
      tallying.sent++;
      const answer: Promise<void> = submitter.submit(bytes).then((outcome) => {
        note(tallying, state, units, outcome);
        running.delete(answer);
        for (const unit of units) if (pending.get(unit) === answer) pending.delete(unit);
      });
      running.add(answer);
      for (const unit of units) pending.set(unit, answer);
      // A failure is taken up by the race or the wait at the end; until then it is not unhandled.
      answer.catch(() => undefined);
    }
    await Promise.all(running);
  } finally {
    submitter.close();
  }
}

function note(tallying: Tallying, state: string, units: string[], outcome: Outcome): void {
  tallying.answered.set(state, (tallying.answered.get(state) ?? 0) + 1);
  if (outcome.kind === "refused") {
    tallying.refused++;
    tallying.surprises.push(`${state}: refused with ${outcome.code} (${outcome.detail})`);
    return;
  }
  tallying[outcome.verdict]++;
  if (outcome.verdict === "accepted") for (const unit of units) tallying.units.add(unit);
  tallying.lastIndex = Math.max(tallying.lastIndex, outcome.index);
}

/** Linux answers on all of 127.0.0.0/8, so that each office has an address of its own; elsewhere they share one. */
function addressOf(number: number): string | undefined {
  return process.platform === "linux" ? `127.0.1.${number + 1}` : undefined;
}
