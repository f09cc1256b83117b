import { sampleDefinition } from "../shared/definition/sample.ts";
import type { Faketime } from "./faketime.ts";

/** Whose clocks libfaketime moves. nats-server is a Go program that it does not: for a NATS that is ahead, the others are put back. */
const CLOCKED = ["ledger", "tabulate", "recount", "postgres"] as const;
export type Shifts = Partial<Record<(typeof CLOCKED)[number], number>>;

export const HOUR = 3_600_000;
export const YEAR = 365 * 24 * HOUR;

const now = Math.floor(Date.now() / 1000) * 1000;
/** By the true time, which NATS tells: the polls close in an hour. */
export const AHEAD_OF_US = sampleDefinition({ closesAt: now + HOUR });
/** The polls closed an hour ago. */
export const BEHIND_US = sampleDefinition({ closesAt: now - HOUR });

/** Ms ahead of the true time; whoever is not named is right. */
export async function setClocks(clocks: Faketime, shifts: Shifts): Promise<void> {
  for (const name of CLOCKED) await clocks.shift(name, shifts[name] ?? 0);
}
