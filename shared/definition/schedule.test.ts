import { describe, expect, it } from "vitest";
import { localTime, zoneOffset } from "./schedule.ts";

const lift = Date.parse("2024-06-09T21:00:00Z");

describe("zones", () => {
  it("have the offset of the day", () => {
    expect(zoneOffset("Europe/Rome", lift)).toBe("+02:00");
    expect(zoneOffset("Europe/Rome", Date.parse("2024-12-09T21:00:00Z"))).toBe("+01:00");
    expect(zoneOffset("Atlantic/Azores", lift)).toBe("+00:00");
    expect(zoneOffset("America/Los_Angeles", lift)).toBe("-07:00");
    expect(zoneOffset("Asia/Kolkata", lift)).toBe("+05:30");
  });

  it("are IANA names and nothing else", () => {
    for (const zone of ["UTC", "EST", "+02:00", "", "Europe/", "europe/rome", "Europe/Padania", "Europe/Rome "])
      expect(zoneOffset(zone, lift)).toBeUndefined();
    expect(zoneOffset("Europe/Rome", Number.NaN)).toBeUndefined();
  });
});

describe("local time", () => {
  it("is the same instant, written with its offset", () => {
    expect(localTime("Europe/Rome", lift)).toBe("2024-06-09T23:00:00+02:00");
    expect(localTime("America/Los_Angeles", lift)).toBe("2024-06-09T14:00:00-07:00");
    expect(localTime("Asia/Kolkata", lift + 250)).toBe("2024-06-10T02:30:00.250+05:30");
    expect(Date.parse(localTime("Asia/Kolkata", lift + 250))).toBe(lift + 250);
  });

  it("of an unknown zone is refused", () => {
    expect(() => localTime("Europe/Padania", lift)).toThrow(RangeError);
  });
});
