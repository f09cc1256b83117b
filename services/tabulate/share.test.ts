import { describe, expect, it } from "vitest";
import { SAMPLE_CLOSE, sampleDefinition } from "../../shared/definition/sample.ts";
import type { ClockReadings } from "../../shared/embargo/gate.ts";
import { type AcceptedRelease, createRoad, type Road } from "../../shared/embargo/road.ts";
import { mayGiveShare } from "./gate.ts";

/** Each condition of a share alone, whoever asks: the caller's own order of questions is no part of the wall. */

const { definition } = sampleDefinition();
const LATER = SAMPLE_CLOSE + 60_000;

const released = (number: number, size: number, index: number): AcceptedRelease => ({
  index,
  number,
  size,
  root: "",
  release: "",
  previous: null,
});

/** Polls closed, lifted at entry 3, release 1 of size 3 at entry 4, release 2 of size 6 at entry 7. */
function lifted(changes: Partial<Road> = {}): Road {
  const road = createRoad(definition);
  for (const poll of road.facts.polls) poll.closed = true;
  const lift = { index: 3, facts: structuredClone(road.facts) };
  return { ...road, lift, releases: [released(1, 3, 4), released(2, 6, 7)], ...changes };
}

function clocks(at: Partial<ClockReadings> = {}, highest: Partial<ClockReadings> = {}) {
  let asked = 0;
  const look = async () => {
    asked++;
    const now = { process: LATER, postgres: LATER, nats: LATER, ...at };
    return { clocks: now, floor: { ...now, ...highest } };
  };
  return { look, asked: () => asked };
}

describe("a share", () => {
  it("of the first release is given after its entry, by clocks read now", async () => {
    const { look, asked } = clocks();
    expect(await mayGiveShare(lifted(), { number: 1, size: 3 }, look)).toBe(true);
    expect(asked()).toBe(1);
  });

  it.each(["process", "postgres", "nats"] as const)("is not given once the clock of %s went back", async (clock) => {
    const { look } = clocks({}, { [clock]: LATER + 1 });
    expect(await mayGiveShare(lifted(), { number: 1, size: 3 }, look)).toBe(false);
  });

  it("of a later release asks no clock", async () => {
    const { look, asked } = clocks({ nats: null });
    expect(await mayGiveShare(lifted(), { number: 2, size: 6 }, look)).toBe(true);
    expect(asked()).toBe(0);
  });

  it.each<[string, Partial<Road>, { number: number; size: number }]>([
    ["no lift is in the log", { lift: null }, { number: 1, size: 3 }],
    ["no lift is in the log, though releases are", { lift: null }, { number: 2, size: 6 }],
    ["the log holds no such release", {}, { number: 3, size: 9 }],
    ["the log holds none at all", { releases: [] }, { number: 1, size: 3 }],
    ["the log's release is of another prefix", {}, { number: 1, size: 4 }],
    ["the log's later release is of another prefix", {}, { number: 2, size: 7 }],
    ["the release was there before the lift", { releases: [released(1, 3, 2)] }, { number: 1, size: 3 }],
    ["a later release was there before the lift", { releases: [released(2, 3, 2)] }, { number: 2, size: 3 }],
  ])("is not given when %s", async (_, changes, id) => {
    expect(await mayGiveShare(lifted(changes), id, clocks().look)).toBe(false);
  });

  it.each<[string, Partial<ClockReadings>]>([
    ["this process' clock is before the close", { process: SAMPLE_CLOSE - 1 }],
    ["Postgres' clock is before the close", { postgres: SAMPLE_CLOSE - 1 }],
    ["NATS' clock is before the close", { nats: SAMPLE_CLOSE - 1 }],
    ["a clock cannot be read", { postgres: null }],
  ])("of the first release is not given while %s", async (_, at) => {
    expect(await mayGiveShare(lifted(), { number: 1, size: 3 }, clocks(at).look)).toBe(false);
  });

  it("of the first release looks at the facts of the lift, not at what was said since", async () => {
    const held = lifted();
    held.facts.held.add("EU");
    expect(await mayGiveShare(held, { number: 1, size: 3 }, clocks().look)).toBe(true);
    const early = lifted();
    early.lift?.facts.held.add("EU");
    expect(await mayGiveShare(early, { number: 1, size: 3 }, clocks().look)).toBe(false);
  });
});
