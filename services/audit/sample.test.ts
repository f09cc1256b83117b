import { describe, expect, it } from "vitest";
import { ALWAYS_TWICE, createSample } from "./sample.ts";

const drawn = (statements: number, seed: number, every = false) => {
  const sample = createSample({ statements, every, seed });
  return Array.from({ length: statements }, (_, n) => n + 1).filter(sample.isDrawn);
};

describe("the sample", () => {
  it("is everything up to the limit, and with every", () => {
    expect(drawn(ALWAYS_TWICE, 1)).toHaveLength(ALWAYS_TWICE);
    expect(drawn(ALWAYS_TWICE + 1, 1, true)).toHaveLength(ALWAYS_TWICE + 1);
  });

  it("is about the limit above it: the same for a seed, another for another", () => {
    const first = drawn(40_000, 1);
    // Binomial: 20,000 with a standard deviation of 100.
    expect(Math.abs(first.length - ALWAYS_TWICE)).toBeLessThan(600);
    expect(drawn(40_000, 1)).toEqual(first);
    const both = new Set(first);
    const shared = drawn(40_000, 2).filter((index) => both.has(index)).length;
    expect(Math.abs(shared - 10_000)).toBeLessThan(600);
  });
});
