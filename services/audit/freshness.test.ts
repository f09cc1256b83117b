import { describe, expect, it } from "vitest";
import { freshnessOf, inWords, staleWarning } from "./freshness.ts";

const NOW = new Date("2024-06-09T22:00:00.000Z");
const seconds = (before: number) => NOW.getTime() / 1000 - before;

describe("how old a view is", () => {
  it("follows the newest cosignature, and without any the last entry", () => {
    const cosigned = [
      { name: "one", time: seconds(700) },
      { name: "two", time: seconds(30) },
    ];
    expect(freshnessOf({ cosigned }, "2024-06-09T21:00:00.000Z", NOW)).toEqual({
      at: "2024-06-09T21:59:30.000Z",
      by: "two",
      ageSeconds: 30,
    });
    expect(freshnessOf({ cosigned: [] }, "2024-06-09T21:00:00.000Z", NOW)).toMatchObject({ ageSeconds: 3600 });
    expect(freshnessOf({ cosigned: [{ name: "ahead", time: seconds(-90) }] }, undefined, NOW)?.ageSeconds).toBe(0);
    expect(freshnessOf({ cosigned: [] }, undefined, NOW)).toBeUndefined();
  });

  it.each([
    [600, true, false],
    [601, true, true],
    [601, false, false],
  ])("%i seconds, live: %s, is warned of: %s", (ageSeconds, isLive, isWarned) => {
    const warning = staleWarning({ at: "2024-06-09T21:49:59.000Z", by: "one", ageSeconds }, 24, isLive);
    expect(warning !== undefined).toBe(isWarned);
    if (isWarned) expect(warning).toMatch(/2024-06-09T21:49:59.000Z \(one\), 10 min before.*compare 24 entries/);
  });

  it.each([
    [0, "0 s"],
    [59, "59 s"],
    [61, "1 min"],
    [3_600, "1 h"],
    [11_000, "3 h 3 min"],
    [180_000, "2 d 2 h"],
  ])("%i seconds are %s", (length, words) => expect(inWords(length)).toBe(words));
});
