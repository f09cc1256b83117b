import { type Sample, sampleCommon, sampleDefinition } from "../definition/sample.ts";
import type { Statement } from "../statement/types.ts";
import type { ClockReadings } from "./gate.ts";

/** What is said of the gate, and readings, for its tests. */

export const SAMPLE: Sample = sampleDefinition();

/** A statement of a state, or of the Union. */
export const say = (statement: Record<string, unknown>, state = "EU") =>
  ({ ...sampleCommon(SAMPLE, state, 1), ...statement }) as unknown as Statement;
export const closed = (state: string, constituency?: string) =>
  say({ type: "polls", polls: "closed", ...(constituency && { constituency }) }, state);
export const extended = (state: string, until: number, constituency?: string) => {
  const where = constituency && { constituency };
  return say(
    { type: "polls", polls: "extended", until: new Date(until).toISOString(), reason: "a queue", ...where },
    state,
  );
};
export const decides = (decision: "hold" | "resume" | "override", about: string) =>
  say({ type: "decision", decision, about, reason: "as ordered" });
/** `entry`: the index of the extension. */
export const voids = (about: string, entry: number) =>
  say({ type: "decision", decision: "void", about, entry, reason: "by mistake" });
/** All clocks at one instant, ms. */
export const at = (ms: number): ClockReadings => ({ process: ms, postgres: ms, nats: ms });
