import { type GateFacts, lastClose, mayLift } from "../../shared/embargo/gate.ts";
import type { Road } from "../../shared/embargo/road.ts";
import type { LookAtClocks } from "../../shared/platform/clock-readings.ts";
import type { ReleaseId } from "../../shared/platform/release-seal.ts";
import type { Statement } from "../../shared/statement/types.ts";

/**
 * The first wall, on recount's side: no cosignature and no share leaves this service unless its own `mayLift()`, over what it
 * read itself and clocks that it reads itself, says so. tabulate's word for it counts for nothing.
 */

/** True if nothing but the other clocks can still stand against the gate. */
export function mightOpen(facts: GateFacts, processNow: number): boolean {
  return mayLift(facts, { process: processNow, postgres: processNow, nats: processNow }).kind === "open";
}

/** The own look: over the facts of this service's road, with clocks read at this moment. */
export async function gateIsOpen(facts: GateFacts, processNow: number, look: LookAtClocks): Promise<boolean> {
  return mightOpen(facts, processNow) && (await isOpen(facts, look));
}

async function isOpen(facts: GateFacts, look: LookAtClocks): Promise<boolean> {
  const { clocks, floor } = await look();
  return mayLift(facts, clocks, floor).kind === "open";
}

/**
 * Whether a proposed lift may be cosigned: there is none yet, the gate is open by the own look, and what the lift states of its
 * clocks would have opened it as well (the log must not say that it was lifted before the last close).
 */
export async function mayCosignLift(
  road: Road,
  { clocks }: Extract<Statement, { type: "lift" }>,
  processNow: number,
  look: LookAtClocks,
): Promise<boolean> {
  if (road.lift !== null) return false;
  const stated = {
    process: Date.parse(clocks.process),
    postgres: Date.parse(clocks.postgres),
    nats: Date.parse(clocks.nats),
  };
  return mayLift(road.facts, stated).kind === "open" && (await gateIsOpen(road.facts, processNow, look));
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
  return number > 1 || (await isOpen(lift.facts, look));
}

const NEAR_MS = 2_000;
const NEAR_LOOK_MS = 200;
const FAR_LOOK_MS = 1_000;
const SOON_LOOK_MS = 50;

/** Milliseconds until the next look, if no hint comes before: short while a proposal may come that waits for us. */
export function nextLook(road: Road, processNow: number): number {
  if (road.lift !== null) return road.releases.length === 0 ? SOON_LOOK_MS : FAR_LOOK_MS;
  if (mightOpen(road.facts, processNow)) return SOON_LOOK_MS;
  const aheadMs = lastClose(road.facts) - processNow;
  return aheadMs > 0 && aheadMs <= NEAR_MS ? NEAR_LOOK_MS : FAR_LOOK_MS;
}
