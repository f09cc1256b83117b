import { describe, expect, it } from "vitest";
import type { Definition } from "../definition/schema.ts";
import { MAX_CORRECTIONS } from "../formats/release.ts";
import { count } from "./count.ts";
import { definition, entry, FOUR, fold, of, type Saying, state, THREE, tallied, tally } from "./fixture.ts";

const releaseOf = (size: number): Saying => ({
  type: "release",
  state: "EU",
  number: 1,
  size,
  root: "cm9vdA==",
  release: "ef".repeat(32),
  previous: null,
});
const decide = (decision: "hold" | "resume"): Saying => ({
  type: "decision",
  state: "EU",
  decision,
  about: "AT",
  reason: "asked",
});
const corrections = (said: Saying[], from: Definition = THREE) => {
  const { corrected, corrections } = of(fold(said, from), "AT");
  return { corrected, shown: corrections.map(({ unit, version, reason }) => [unit, version, reason]) };
};

const v1 = tallied(tally("AT-1", 1, [30, 20, 11]));
const v2 = tallied(tally("AT-1", 2, [30, 19, 11], { reason: "ñ" }));

describe("corrections", () => {
  it("are what a release showed and what has been replaced since, with the reason or none", () => {
    expect(corrections([v1, v2])).toEqual({ corrected: 0, shown: [] });
    expect(corrections([v1, releaseOf(2), v2])).toEqual({ corrected: 1, shown: [["AT-1", 2, "ñ"]] });
    expect(corrections([v1, releaseOf(2), tallied(tally("AT-1", 3, []))]).shown).toEqual([["AT-1", 3, null]]);
    expect(corrections([v1, releaseOf(2), v1, tallied(tally("AT-2", 1, []))])).toEqual({ corrected: 0, shown: [] });
  });

  it("go by what the release counts, not by where its entry stands", () => {
    expect(corrections([v1, v2, releaseOf(2)]).corrected).toBe(1);
    expect(corrections([v1, v2, releaseOf(3)]).corrected).toBe(0);
    expect(corrections([v1, v2, releaseOf(1)]).corrected).toBe(0);
    expect(corrections([v1, releaseOf(2), v2, releaseOf(4)]).corrected).toBe(0);
  });

  it("of a state that was withheld wait for the release that shows it", () => {
    const said = [v1, releaseOf(2), decide("hold"), v2, releaseOf(5)];
    expect(corrections(said)).toEqual({ corrected: 0, shown: [] });
    expect(corrections([...said, decide("resume")])).toEqual({ corrected: 1, shown: [["AT-1", 2, "ñ"]] });
    expect(corrections([...said, decide("resume"), releaseOf(7)]).corrected).toBe(0);
    expect(corrections([...said.slice(0, 4), decide("resume"), releaseOf(5)]).corrected).toBe(1);
  });

  it("beyond the last ones are counted and not shown", () => {
    const units = MAX_CORRECTIONS + 1;
    const one = definition(state("AT", FOUR, "counted", units));
    const all = (version: number) =>
      Array.from({ length: units }, (_, n) => tallied(tally(`AT-${n + 1}`, version, [version])));
    const { corrected, shown } = corrections([...all(1), releaseOf(units + 1), ...all(2)], one);
    expect([corrected, shown.length, shown[0]]).toEqual([units, MAX_CORRECTIONS, ["AT-2", 2, null]]);
  });
});

describe("declared seats elsewhere", () => {
  const declares = (seats: Record<string, number>): Saying => ({
    type: "seats",
    state: "AT",
    constituency: "AT",
    seats,
  });
  const votes = tallied(tally("AT-1", 1, [300, 290, 110])); // 2, 2, 0

  it("are compared with the computed ones, once there are any", () => {
    expect(of(fold([votes]), "AT").differences).toEqual([]);
    expect(of(fold([votes, declares({ AT01: 2, AT02: 2 })]), "AT").differences).toEqual([]);
    const at = of(fold([votes, declares({ AT01: 3, AT02: 1 })]), "AT");
    expect(at.differences).toEqual([
      { constituency: "AT", list: "AT01", computed: 2, declared: 3 },
      { constituency: "AT", list: "AT02", computed: 2, declared: 1 },
    ]);
    expect(at.lists.map(({ seats }) => seats)).toEqual([2, 2, 0]);
    expect(of(fold([votes, declares({ AT03: 4 }), decide("hold")]), "AT").differences).toEqual([]);
  });

  it("are nothing where seats are only declared", () => {
    const mt: Saying = { type: "seats", state: "MT", constituency: "MT", seats: { MT01: 4 } };
    expect(of(fold([mt]), "MT").differences).toEqual([]);
  });

  it("put their state back to provisional, and no other", () => {
    const final = (state: string): Saying => ({ type: "declaration", state, declares: "final" });
    const c = fold([final("AT"), final("BG")]);
    count(c, entry(3, declares({ AT01: 4 })));
    expect([of(c, "AT").status, of(c, "BG").status]).toEqual(["PROVISIONAL", "FINAL"]);
  });
});
