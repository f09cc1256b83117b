import { describe, expect, it } from "vitest";
import { type FeedTally, readGermanUnits, readGermany, readNational, readRomania, readSlovenia } from "./feed.ts";

const listVotes = ({ votes }: FeedTally): number => Object.values(votes).reduce((sum, n) => sum + n, 0);
const addsUp = (tally: FeedTally): boolean => listVotes(tally) + tally.blank + tally.invalid === tally.ballots;
const total = (tallies: Iterable<FeedTally>, of: (tally: FeedTally) => number): number => {
  let sum = 0;
  for (const tally of tallies) sum += of(tally);
  return sum;
};
const votesOf = (tallies: Iterable<FeedTally>, list: string): number => total(tallies, (t) => t.votes[list] ?? 0);
const latest = (...runs: FeedTally[][]): FeedTally[] => [...new Map(runs.flat().map((t) => [t.unit, t])).values()];
const inOrder = (tallies: FeedTally[]): boolean => tallies.every((t, i) => i === 0 || tallies[i - 1]!.at! <= t.at!);

describe("Romania", () => {
  const { first, corrections } = readRomania();
  const final = latest(first, corrections);

  it("has every section's first protocol and the corrections, in order of time", () => {
    expect([first.length, corrections.length, final.length]).toEqual([19_870, 6_905, 19_870]);
    expect(first.every((tally) => tally.version === 1)).toBe(true);
    expect(corrections.every((tally) => tally.version > 1)).toBe(true);
    expect(Math.max(...corrections.map((tally) => tally.version))).toBe(8);
    expect(inOrder(first) && inOrder(corrections)).toBe(true);
  });

  it("reads local times of Bucharest: what was stamped before the lift and before the state's own close", () => {
    const stampedBefore = (utc: string) => first.filter((tally) => tally.at! < Date.parse(utc)).length;
    expect(stampedBefore("2024-06-09T21:00:00Z")).toBe(169);
    expect(stampedBefore("2024-06-09T19:00:00Z")).toBe(25);
  });

  it("has seven first protocols that do not add up, each corrected", () => {
    const bad = first.filter((tally) => !addsUp(tally));
    expect(bad).toHaveLength(7);
    const corrected = new Set(corrections.map((tally) => tally.unit));
    expect(bad.every((tally) => corrected.has(tally.unit))).toBe(true);
    expect(final.every(addsUp)).toBe(true);
  });

  it("sums to the published final files", () => {
    expect(total(final, listVotes)).toBe(8_942_629);
    expect(total(final, (t) => t.invalid)).toBe(488_551);
    expect(total(final, (t) => t.electors)).toBe(18_025_329);
    expect(["RO01", "RO03", "RO04", "RO06", "RO07", "RO08"].map((list) => votesOf(final, list))).toEqual([
      4_341_686, 579_180, 1_334_905, 450_040, 778_901, 275_796,
    ]);
  });
});

describe("Slovenia", () => {
  const { events, finals, dropped } = readSlovenia();

  it("has a first result of each station and 51 real changes; what was left out is counted", () => {
    expect(events.filter((event) => event.version === 1)).toHaveLength(3_078);
    expect(events.filter((event) => event.version > 1)).toHaveLength(51);
    expect(dropped).toEqual({ withoutVotes: 810, repeated: 903 });
    expect(inOrder(events)).toBe(true);
    expect(new Date(events[0]!.at!).toISOString()).toBe("2024-06-09T21:16:37.000Z");
  });

  it("has events that do not add up, and ends with the final stations", () => {
    expect(events.filter((event) => !addsUp(event))).toHaveLength(30);
    expect(events.filter((event) => !addsUp(event) && event.version === 1)).toHaveLength(27);
    const figures = ({ unit, electors, ballots, invalid, votes }: FeedTally) => ({
      unit,
      electors,
      ballots,
      invalid,
      votes,
    });
    const byUnit = (a: FeedTally, b: FeedTally): number => (a.unit < b.unit ? -1 : 1);
    expect(latest(events).sort(byUnit).map(figures)).toEqual([...finals].sort(byUnit).map(figures));
  });

  it("sums to the published final stations", () => {
    expect(total(finals, listVotes)).toBe(663_098);
    expect(total(finals, (t) => t.ballots)).toBe(693_733);
    expect(total(finals, (t) => t.electors)).toBe(1_582_806);
    expect(["SI01", "SI06", "SI07", "SI90"].map((list) => votesOf(finals, list))).toEqual([
      203_963, 146_986, 69_500, 10_121,
    ]);
    expect(finals.filter((tally) => tally.ballots > tally.electors)).toHaveLength(97);
  });
});

describe("Germany", () => {
  const districts = readGermany();

  it("has 91,753 districts with ids of their own, by kind", () => {
    expect(new Set(districts.map((tally) => tally.unit)).size).toBe(91_753);
    expect(readGermanUnits().map(({ kind, ids }) => [kind, ids.length])).toEqual([
      ["polling-district", 66_586],
      ["postal-district", 25_162],
      ["special-6", 1],
      ["special-8", 4],
    ]);
    expect(new Set(readGermanUnits().flatMap(({ ids }) => ids))).toEqual(new Set(districts.map((tally) => tally.unit)));
    expect(districts.every(addsUp)).toBe(true);
  });

  it("sums to the published result, and its one national tally is that sum", () => {
    expect(total(districts, listVotes)).toBe(39_810_489);
    expect(["DE02", "DE03", "DE04", "DE09"].map((list) => votesOf(districts, list))).toEqual([
      5_551_545, 4_738_227, 6_325_890, 2_456_460,
    ]);
    expect(votesOf(districts, "DE01")).toBe(9_435_636 + 2_513_481);
    const national = readNational().tallies.find((tally) => tally.state === "DE")!;
    expect(national).toMatchObject({ electors: 61_963_020, ballots: 40_114_939, invalid: 304_450, rebuilt: [] });
    for (const [list, votes] of Object.entries(national.votes)) expect(votesOf(districts, list)).toBe(votes);
    // Postal districts have no electors of their own.
    expect(districts.filter((tally) => tally.ballots > tally.electors)).toHaveLength(25_153);
  });
});

describe("the other states", () => {
  const { tallies, seats, votesPerHundredth } = readNational();
  const of = (state: string) => tallies.filter((tally) => tally.state === state);

  it("report one tally a constituency that adds up", () => {
    expect(tallies).toHaveLength(27);
    expect(of("BE").map((tally) => tally.unit)).toEqual(["BE-FBE-college", "BE-WBE-college", "BE-GBE-college"]);
    expect(tallies.filter((tally) => tally.state !== "LU").every(addsUp)).toBe(true);
    expect(listVotes(of("LU")[0]!)).toBe(6 * of("LU")[0]!.ballots);
    expect(tallies.every((tally) => tally.ballots <= tally.electors)).toBe(true);
  });

  it("say what of a tally is rebuilt", () => {
    expect(of("AT")[0]).toMatchObject({ rebuilt: ["ballots"], votes: { AT03: 893_753 }, electors: 6_372_204 });
    expect(of("DK")[0]).toMatchObject({
      rebuilt: ["electors"],
      votes: { DK03: 426_472 },
      ballots: 2_505_381,
      blank: 51_315,
    });
    const rest = tallies.filter(({ state }) => !["AT", "DK", "DE"].includes(state));
    expect(rest.every(({ rebuilt }) => rebuilt.join() === "votes,ballots,electors")).toBe(true);
    expect(votesPerHundredth).toBe(100);
  });

  it("give back the shares and the turnout that they were rebuilt from", () => {
    expect(of("IT")[0]!.votes).toMatchObject({ IT05: 287_500, IT02: 241_100, IT08: 5_200 });
    const turnout = ({ ballots, electors }: FeedTally): string => ((100 * ballots) / electors).toFixed(2);
    expect([of("IT")[0]!, of("LU")[0]!, of("BE")[2]!].map(turnout)).toEqual(["48.30", "82.29", "89.82"]);
  });

  it("give each Belgian list its share of its college and of all Belgium", () => {
    const [flemish, french, german] = of("BE");
    const all = of("BE").reduce((sum, tally) => sum + listVotes(tally), 0);
    const expected: [FeedTally, string, number, number][] = [
      [flemish!, "BE01", 22.09, 13.97],
      [flemish!, "BE02", 22.94, 14.5],
      [french!, "BE10", 34.88, 12.62],
      [german!, "BE14", 34.93, 0.21],
      [german!, "BE17", 16.43, 0.1],
    ];
    for (const [college, list, ofCollege, ofBelgium] of expected) {
      expect(Math.abs((100 * college.votes[list]!) / listVotes(college) - ofCollege)).toBeLessThan(0.011);
      expect(Math.abs((100 * college.votes[list]!) / all - ofBelgium)).toBeLessThan(0.011);
    }
  });

  it("declare seats in Ireland and Malta only", () => {
    expect(seats.map(({ constituency }) => constituency)).toEqual(["IE", "MT"]);
    expect(seats[1]!.seats).toEqual({ MT01: 3, MT02: 3, MT90: 0 });
    expect(Object.values(seats[0]!.seats).reduce((sum, n) => sum + n, 0)).toBe(14);
  });
});
