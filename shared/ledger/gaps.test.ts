import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  createGaps,
  GAP_MS,
  isLastingGap,
  lastingGaps,
  missingCount,
  sequenceSeen,
  sequenceUnseen,
  tellGaps,
} from "./gaps.ts";

describe("gaps", () => {
  it("tells a gap once, after a minute and not before", () => {
    const gaps = createGaps();
    sequenceSeen(gaps, "IT-1", 1, 0);
    sequenceSeen(gaps, "IT-1", 5, 1_000);
    expect(tellGaps(gaps, 1_000 + GAP_MS)).toEqual([]);
    expect(tellGaps(gaps, 1_001 + GAP_MS)).toEqual([{ key: "IT-1", from: 2, to: 4 }]);
    expect(tellGaps(gaps, 9_000_000)).toEqual([]);
  });

  it("closes with a late arrival, and says so of what is left", () => {
    const gaps = createGaps();
    sequenceSeen(gaps, "IT-1", 5, 0);
    sequenceSeen(gaps, "IT-1", 3, 10);
    expect(missingCount(gaps)).toBe(3);
    expect(tellGaps(gaps, 1 + GAP_MS)).toEqual([
      { key: "IT-1", from: 1, to: 2 },
      { key: "IT-1", from: 4, to: 4 },
    ]);
  });

  it("keeps keys apart, and a leap of 2^40 small", () => {
    const gaps = createGaps();
    sequenceSeen(gaps, "IT-1", 2 ** 40, 0);
    sequenceSeen(gaps, "FR-1", 1, 0);
    expect(gaps.keys.get("IT-1")?.missing).toHaveLength(1);
    expect(missingCount(gaps)).toBe(2 ** 40 - 1);
  });

  it("misses exactly what was not seen, whatever the order and the repetitions", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), (sequences) => {
        const gaps = createGaps();
        for (const sequence of sequences) sequenceSeen(gaps, "IT-1", sequence, 0);
        const told = tellGaps(gaps, GAP_MS + 1).flatMap(({ from, to }) =>
          Array.from({ length: to - from + 1 }, (_, n) => from + n),
        );
        const highest = Math.max(...sequences);
        const expected = Array.from({ length: highest }, (_, n) => n + 1).filter((n) => !sequences.includes(n));
        expect(told).toEqual(expected);
        expect(missingCount(gaps)).toBe(expected.length);
      }),
    );
  });

  it("says whether a number is new", () => {
    const gaps = createGaps();
    expect([3, 3, 1, 1, 2, 9].map((n) => sequenceSeen(gaps, "IT-1", n, 0))).toEqual([
      true,
      false,
      true,
      false,
      true,
      true,
    ]);
  });

  it("is after a number was taken back as if it had never come", () => {
    const ranges = (gaps: ReturnType<typeof createGaps>) =>
      [...gaps.keys].map(([key, { highest, missing }]) => [key, highest, missing.map(({ from, to }) => [from, to])]);
    const number = fc.integer({ min: 1, max: 12 });
    fc.assert(
      fc.property(fc.uniqueArray(number), fc.uniqueArray(number), (stay, taken) => {
        const gone = taken.filter((n) => !stay.includes(n));
        const [gaps, never] = [createGaps(), createGaps()];
        for (const n of [...gone, ...stay]) sequenceSeen(gaps, "IT-1", n, 0);
        for (const n of gone) sequenceUnseen(gaps, "IT-1", n, 0);
        for (const n of stay) sequenceSeen(never, "IT-1", n, 0);
        expect(ranges(gaps)).toEqual(ranges(never));
        sequenceUnseen(gaps, "IT-1", 13, 0);
        sequenceUnseen(gaps, "FR-1", 1, 0);
        expect(ranges(gaps)).toEqual(ranges(never));
      }),
    );
  });

  it("lists what lasts, bounded, and knows one of them again", () => {
    const gaps = createGaps();
    for (const n of [2, 4, 6]) sequenceSeen(gaps, "IT-1", n, n * 1_000);
    const all = [1, 3, 5].map((n) => ({ key: "IT-1", from: n, to: n }));
    expect(lastingGaps(gaps, 7_000 + GAP_MS, 10)).toEqual(all);
    expect(lastingGaps(gaps, 4_000 + GAP_MS, 10)).toEqual(all.slice(0, 1));
    expect(lastingGaps(gaps, 7_000 + GAP_MS, 2)).toEqual(all.slice(0, 2));
    expect(isLastingGap(gaps, { key: "IT-1", from: 3, to: 3 }, 7_000 + GAP_MS)).toBe(true);
    expect(isLastingGap(gaps, { key: "IT-1", from: 3, to: 3 }, 4_000 + GAP_MS)).toBe(false);
    expect(isLastingGap(gaps, { key: "IT-1", from: 3, to: 4 }, 7_000 + GAP_MS)).toBe(false);
    expect(isLastingGap(gaps, { key: "FR-1", from: 3, to: 3 }, 7_000 + GAP_MS)).toBe(false);
  });
});
