import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MAX_REASON } from "../statement/types.ts";
import { count } from "./count.ts";
import { recountRelease } from "./document.ts";
import { entry, fold, HASH, HEADER, type Saying, THREE, tallied, tally } from "./fixture.ts";
import { loadCount, mostBytes, saveCount } from "./keep.ts";

const RELEASE: Saying = {
  type: "release",
  state: "EU",
  number: 1,
  size: 1,
  root: "cm9vdA==",
  release: "ef".repeat(32),
  previous: null,
};

const anyTally = fc
  .record({
    unit: fc.constantFrom("AT-1", "AT-2", "AT-3", "BG-1", "BG-2", "MT-3"),
    version: fc.integer({ min: 1, max: 1_000_000 }),
    votes: fc.array(fc.constantFrom(0, 1, 127, 128, 16_384, 1_000_000_000), { maxLength: 3 }),
    electors: fc.integer({ min: 0, max: 1_000_000_000 }),
    reason: fc.constantFrom(undefined, "a", "ñ€\u{1f5f3}"),
  })
  .map(
    ({ unit, version, votes, electors, reason }): Saying =>
      tallied(tally(unit, version, votes, { electors, ...(reason !== undefined && { reason }) })),
  );

const anySaying = fc.oneof(
  anyTally,
  fc.constantFrom<Saying>(
    { type: "declaration", state: "AT", declares: "official" },
    { type: "seats", state: "MT", constituency: "MT", seats: { MT02: 4 } },
    { type: "seats", state: "AT", constituency: "AT", seats: { AT02: 4 } },
    ...[1, 4, 9].map((size) => ({ ...RELEASE, size })),
    { type: "decision", state: "EU", decision: "hold", about: "BG", reason: "r" },
    { type: "decision", state: "EU", decision: "resume", about: "BG", reason: "r" },
    {
      type: "decision",
      state: "EU",
      decision: "draw",
      constituency: "AT",
      within: "seats",
      order: ["AT01", "AT02"],
      reason: "ñ",
    },
  ),
);

describe("a kept count", () => {
  it("comes back exactly at any point, and counts on to the same release", () => {
    fc.assert(
      fc.property(fc.array(anySaying, { maxLength: 12 }), fc.nat(12), (said, cut) => {
        const whole = fold(said);
        const first = fold(said.slice(0, cut));
        const kept = saveCount(first);
        const back = loadCount(THREE, HASH, kept);
        expect(back).toEqual(first);
        expect(saveCount(back)).toEqual(kept);
        for (const [i, saying] of said.entries()) count(back, entry(i + 1, saying));
        expect(recountRelease(back, HEADER)).toEqual(recountRelease(whole, HEADER));
      }),
    );
  });

  it("never passes its most bytes, which are the same for whatever was counted", () => {
    const units = ["AT", "BG", "MT"].flatMap((id) => [1, 2, 3].map((n) => `${id}-${n}`));
    const [most, reason] = [1_000_000_000, "€".repeat(MAX_REASON)];
    const figures = { electors: most, ballots: most, blank: most, invalid: most, reason };
    const said = [1, most].flatMap((v) => units.map((unit) => tallied(tally(unit, v, [most, most, most], figures))));
    for (const id of ["AT", "BG", "MT"])
      said.push({ type: "seats", state: id, constituency: id, seats: { [`${id}01`]: 720, [`${id}03`]: 720 } });
    const nothing = said.map(({ state }): Saying => ({ type: "polls", state, polls: "closed" }));
    expect(mostBytes(fold(said))).toBe(mostBytes(fold(nothing)));
    expect(saveCount(fold(said)).length).toBeLessThanOrEqual(mostBytes(fold(said)));
  });

  it("is refused under another definition, cut short or with bytes added", () => {
    const kept = saveCount(fold([tallied(tally("AT-1", 1, [30, 20, 11]))]));
    expect(() => loadCount(THREE, "cd".repeat(32), kept)).toThrow();
    const reasoned = saveCount(fold([1, 2].map((v) => tallied(tally("AT-1", v, [30], { reason: "a" })))));
    for (let n = 2; n < reasoned.length; n++) expect(() => loadCount(THREE, HASH, reasoned.subarray(0, n))).toThrow();
    expect(() => loadCount(THREE, HASH, kept.subarray(0, -1))).toThrow(RangeError);
    expect(() => loadCount(THREE, HASH, kept.subarray(0, 2))).toThrow(RangeError);
    expect(() => loadCount(THREE, HASH, new Uint8Array([...kept, 0]))).toThrow(RangeError);
  });
});
