import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { sampleCommon, sampleDefinition, sampleTally } from "../definition/sample.ts";
import type { OpenedEntry } from "../ledger/entry.ts";
import type { Statement } from "../statement/types.ts";
import { gateFacts, mayLift } from "./gate.ts";
import { applyToRoad, createRoad, loadRoad, RELEASES_KEPT, type Road, releaseBefore, saveRoad } from "./road.ts";

const sample = sampleDefinition();
const KEY = "tabulate-1";
const SHA = "ab".repeat(32);
const clocks = {
  process: "2024-06-09T21:00:00.000Z",
  postgres: "2024-06-09T21:00:00.000Z",
  nats: "2024-06-09T21:00:00.000Z",
};

const common = (state: string, sequence: number) => sampleCommon(sample, state, sequence);
const tally = (): Statement => ({ type: "tally", ...common("AT", 1), tallies: [sampleTally()] });
const closed = (state: string): Statement => ({ type: "polls", ...common(state, 2), polls: "closed" });
const hold = (about: string): Statement => ({
  type: "decision",
  ...common("EU", 1),
  decision: "hold",
  about,
  reason: "r",
});
const extended = (state: string): Statement => ({
  type: "polls",
  ...common(state, 3),
  polls: "extended",
  until: "2024-06-09T22:30:00Z",
  reason: "a queue",
});
const voids = (about: string, entry: number): Statement => ({
  type: "decision",
  ...common("EU", 2),
  decision: "void",
  about,
  entry,
  reason: "by mistake",
});
const lift = (sequence: number): Statement => ({ type: "lift", ...common("EU", sequence), clocks });
const release = (sequence: number, number: number, size: number): Statement => ({
  type: "release",
  ...common("EU", sequence),
  number,
  size,
  root: "cm9vdA==",
  release: SHA,
  previous: number === 1 ? null : SHA,
});

type Line = [statement: Statement | null, key?: string, verdict?: OpenedEntry["verdict"]];
const travel = (...lines: Line[]): Road => {
  const road = createRoad(sample.definition);
  for (const [index, [statement, key = null, verdict = "accepted"]] of lines.entries())
    applyToRoad(road, { index, received: "", statement, verdict }, key);
  return road;
};

describe("the road", () => {
  it("knows the lift with the facts of its moment, whatever is said later", () => {
    const road = travel([null], [closed("AT")], [closed("LU")], [lift(1), KEY], [hold("EU")]);
    const late = Date.parse("2024-06-09T22:00:00Z");
    const readings = { process: late, postgres: late, nats: late };
    expect(road.lift?.index).toBe(3);
    expect(mayLift(road.facts, readings).kind).toBe("closed");
    expect(mayLift(road.lift!.facts, readings).kind).toBe("open");
  });

  it("knows which entry gave an extension, and takes that one away by its entry", () => {
    const given = travel([null], [extended("LU")], [extended("AT")], [voids("LU", 2)]);
    expect(given.facts.polls.map(({ extensions }) => extensions.map(({ entry }) => entry))).toEqual([[2], [1], [1]]);
    const voided = travel([null], [extended("LU")], [extended("AT")], [voids("LU", 1)]);
    expect(voided.facts.polls.map(({ extensions }) => extensions.map(({ entry }) => entry))).toEqual([[2], [], []]);
  });

  it("passes over what was quarantined, but not its sequence", () => {
    const road = travel([null], [closed("AT"), "AT-1", "quarantined"], [lift(7), KEY, "quarantined"]);
    expect(road.facts).toEqual(gateFacts(sample.definition));
    expect(road.lift).toBeNull();
    expect(road.sequences).toEqual({ [KEY]: 7 });
  });

  it("tells content from its own statements, whatever the verdict", () => {
    expect(travel([null]).lastContent).toBe(0);
    expect(travel([null], [tally()], [lift(1), KEY], [release(2, 1, 2), KEY]).lastContent).toBe(1);
    expect(travel([null], [lift(1), KEY], [tally(), "AT-1", "quarantined"]).lastContent).toBe(2);
  });

  it("finds the release that a prefix follows", () => {
    const road = travel([null], [lift(1), KEY], [release(2, 1, 1), KEY], [tally()], [release(3, 2, 4), KEY]);
    expect([0, 1, 2, 3, 4, 5].map((size) => releaseBefore(road, size)?.number)).toEqual([
      undefined,
      undefined,
      undefined,
      1,
      1,
      2,
    ]);
  });

  it("keeps the last releases only", () => {
    const lines = Array.from({ length: RELEASES_KEPT + 5 }, (_, n): Line => [release(n + 1, n + 1, n + 1), KEY]);
    const road = travel([null], ...lines);
    expect(road.releases).toHaveLength(RELEASES_KEPT);
    expect(road.releases.at(-1)?.number).toBe(RELEASES_KEPT + 5);
  });

  it("takes each entry once and in order", () => {
    const road = travel([null], [release(1, 1, 1), KEY]);
    const before = structuredClone(road);
    applyToRoad(road, { index: 1, received: "", statement: lift(9), verdict: "accepted" }, KEY);
    expect(road).toEqual(before);
    expect(() =>
      applyToRoad(road, { index: 3, received: "", statement: tally(), verdict: "accepted" }, "AT-1"),
    ).toThrow(RangeError);
  });

  it("property: saved and loaded anywhere on the way, it arrives at the same", () => {
    const line = fc.oneof(
      fc.constantFrom<Line>(
        [tally(), "AT-1"],
        [closed("AT"), "AT-1"],
        [closed("LU"), "LU-1"],
        [hold("EU"), "trustee-1"],
        [extended("LU"), "LU-1"],
        [voids("LU", 2), "trustee-1"],
        [voids("LU", 5), "trustee-1"],
      ),
      fc.constantFrom("accepted" as const, "quarantined" as const).map((v): Line => [lift(3), KEY, v]),
      fc.integer({ min: 1, max: 9 }).map((n): Line => [release(n, n, n), KEY]),
    );
    fc.assert(
      fc.property(fc.array(line, { maxLength: 20 }), fc.nat(20), (lines, cut) => {
        const whole = travel(...lines);
        const at = Math.min(cut, lines.length);
        const road = loadRoad(saveRoad(travel(...lines.slice(0, at))));
        for (const [n, [statement, key = null, verdict = "accepted"]] of lines.slice(at).entries())
          applyToRoad(road, { index: at + n, received: "", statement, verdict }, key);
        expect(road).toEqual(whole);
      }),
    );
  });

  it("keeps a hole in the schedule", () => {
    const road = createRoad(sample.definition);
    Object.assign(road.facts.polls[0]!, { scheduledAt: Number.NaN, closesAt: Number.NaN });
    const loaded = loadRoad(saveRoad(road)).facts.polls[0]!;
    expect([loaded.scheduledAt, loaded.closesAt]).toEqual([Number.NaN, Number.NaN]);
  });
});
