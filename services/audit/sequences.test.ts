import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createSequences } from "./sequences.ts";

describe("used sequences", () => {
  it("know exactly what a set knows, in any order", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom("AT-1", "LU-1"), fc.integer({ min: 1, max: 40 }))), (uses) => {
        const sequences = createSequences();
        const known = new Set<string>();
        for (const [key, sequence] of uses) {
          expect(sequences.has(key, sequence)).toBe(known.has(`${key} ${sequence}`));
          sequences.use(key, sequence);
          known.add(`${key} ${sequence}`);
        }
        for (const key of ["AT-1", "LU-1"])
          for (let n = 0; n <= 41; n++) expect(sequences.has(key, n)).toBe(known.has(`${key} ${n}`));
      }),
    );
  });

  it("take the largest numbers that a statement may have", () => {
    const sequences = createSequences();
    sequences.use("AT-1", 2 ** 40);
    sequences.use("AT-1", 2 ** 40 - 1);
    expect([2 ** 40 - 2, 2 ** 40 - 1, 2 ** 40].map((n) => sequences.has("AT-1", n))).toEqual([false, true, true]);
  });

  it("keep apart what is perhaps used, until it is surely", () => {
    const sequences = createSequences();
    const known = () => [sequences.has("AT-1", 7), sequences.mayHave("AT-1", 7)];
    expect(known()).toEqual([false, false]);
    sequences.mayUse("AT-1", 7);
    expect(known()).toEqual([false, true]);
    expect(sequences.mayHave("LU-1", 7)).toBe(false);
    sequences.use("AT-1", 7);
    expect(known()).toEqual([true, false]);
    sequences.mayUse("AT-1", 7);
    expect(known()).toEqual([true, false]);
  });
});
