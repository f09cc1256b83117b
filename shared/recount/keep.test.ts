import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { count } from "./count.ts";
import { recountRelease } from "./document.ts";
import { entry, fold, HASH, HEADER, type Saying, THREE, tallied, tally } from "./fixture.ts";
import { loadCount, saveCount } from "./keep.ts";

const anyTally = fc
  .record({
    unit: fc.constantFrom("AT-1", "AT-2", "AT-3", "BG-1", "BG-2", "MT-3"),
    version: fc.integer({ min: 1, max: 1_000_000 }),
    votes: fc.array(fc.constantFrom(0, 1, 127, 128, 16_384, 1_000_000_000), { maxLength: 3 }),
    electors: fc.integer({ min: 0, max: 1_000_000_000 }),
  })
  .map(({ unit, version, votes, electors }): Saying => tallied(tally(unit, version, votes, { electors })));

const anySaying = fc.oneof(
  anyTally,
  fc.constantFrom<Saying>(
    { type: "declaration", state: "AT", declares: "official" },
    { type: "seats", state: "MT", constituency: "MT", seats: { MT02: 4 } },
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

  it("is refused under another definition, cut short or with bytes added", () => {
    const kept = saveCount(fold([tallied(tally("AT-1", 1, [30, 20, 11]))]));
    expect(() => loadCount(THREE, "cd".repeat(32), kept)).toThrow();
    expect(() => loadCount(THREE, HASH, kept.subarray(0, -1))).toThrow(RangeError);
    expect(() => loadCount(THREE, HASH, kept.subarray(0, 2))).toThrow(RangeError);
    expect(() => loadCount(THREE, HASH, new Uint8Array([...kept, 0]))).toThrow(RangeError);
  });
});
