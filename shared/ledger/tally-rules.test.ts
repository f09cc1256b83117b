import { describe, expect, it } from "vitest";
import { exceeds } from "./tally-rules.ts";

describe("exceeds", () => {
  it("compares without rounding", () => {
    expect(exceeds(35, 1000, "3.5")).toBe(false);
    expect(exceeds(36, 1000, "3.5")).toBe(true);
    expect(exceeds(1, 3, "33.333333")).toBe(true);
    expect(exceeds(1, 3, "33.333334")).toBe(false);
    // 0.1 + 0.2 is no figure here, and neither is 2^53 + 1.
    expect(exceeds(999_999_999, 1_000_000_000, "99.999999")).toBe(true);
    expect(exceeds(999_999_990, 1_000_000_000, "99.999999")).toBe(false);
    expect(exceeds(1, 0, "5")).toBe(true);
    expect(exceeds(0, 0, "5")).toBe(false);
    expect(exceeds(1_000_000_000, 1, undefined)).toBe(false);
  });
});
