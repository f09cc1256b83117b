import { type ClockReadings, type GateFacts, lastClose, mayLift } from "../../shared/embargo/gate.ts";
import type { Road } from "../../shared/embargo/road.ts";
import type { LookAtClocks } from "../../shared/platform/clock-readings.ts";
import type { ReleaseId } from "../../shared/platform/release-seal.ts";

/**
 * The first wall, on tabulate's side: nothing that opens a figure leaves this service unless its own `mayLift()`, over what it
 * folded itself and clocks that it reads itself, says so.
 */

/** Readings under which the gate is open; undefined while any reason stands against it. */
export async function openClocks(
  facts: GateFacts,
  processNow: number,
  look: LookAtClocks,
): Promise<ClockReadings | undefined> {
  // With every clock at this process' own the gate can only be more open: while it is shut even so, nobody else is asked.
  if (!mightOpen(facts, processNow)) return undefined;
  const { clocks, floor } = await look();
  return mayLift(facts, clocks, floor).kind === "open" ? clocks : undefined;
}

/** True if nothing but the other clocks can still stand against the gate. */
export function mightOpen(facts: GateFacts, processNow: number): boolean {
  return mayLift(facts, { process: processNow, postgres: processNow, nats: processNow }).kind === "open";
}

/**
 * Whether this count may give its share of a release's key. The log must hold the accepted lift and, after it, the accepted
 * release entry of exactly this number and size; for the first release the gate must be open as well by clocks read now, over
 * the facts as they stood at the lift. After the lift it stays open, so later releases ask no clock.
 */
export async function mayGiveShare(road: Road, { number, size }: ReleaseId, look: LookAtClocks): Promise<boolean> {
  const { lift } = road;
  const accepted = road.releases.find((release) => release.number === number && release.size === size);
  if (lift === null || accepted === undefined || accepted.index < lift.index) return false;
  if (number > 1) return true;
  const { clocks, floor } = await look();
  return mayLift(lift.facts, clocks, floor).kind === "open";
}

/** Near the last close a look every 200 ms, otherwise every second. */
const NEAR_MS = 2_000;
const NEAR_LOOK_MS = 200;
const FAR_LOOK_MS = 1_000;
/** Once only the clocks of others, or an answer, are awaited. */
const SOON_LOOK_MS = 50;

/** Milliseconds until the next look, if no hint comes before. `awaiting`: a proposal of ours is on its way. */
export function nextLook(road: Road, processNow: number, awaiting: boolean): number {
  if (awaiting) return SOON_LOOK_MS;
  if (road.lift !== null) return FAR_LOOK_MS;
  if (mightOpen(road.facts, processNow)) return SOON_LOOK_MS;
  const aheadMs = lastClose(road.facts) - processNow;
  return aheadMs > 0 && aheadMs <= NEAR_MS ? NEAR_LOOK_MS : FAR_LOOK_MS;
}
