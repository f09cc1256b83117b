import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Allocation, List } from "../definition/schema.ts";
import { type Case, count, dhondt, quota, sainteLague } from "./apportionment.sample.ts";

const arbitraryAllocation: fc.Arbitrary<Allocation> = fc.constantFrom(
  dhondt,
  sainteLague,
  { method: "divisor", divisors: "sainte-lague", first: "1.2" } as Allocation,
  ...(["hare", "droop", "hagenbach-bischoff"] as const).flatMap((q) => [quota(q), quota(q, "valid")]),
);
const arbitraryCase: fc.Arbitrary<Case> = fc
  .record({
    allocation: arbitraryAllocation,
    seats: fc.integer({ min: 1, max: 30 }),
    // Small figures make ties common; large ones would show rounding.
    figures: fc.array(fc.oneof(fc.integer({ min: 0, max: 12 }), fc.integer({ min: 0, max: 2 ** 50 })), {
      minLength: 2,
      maxLength: 9,
    }),
    kinds: fc.array(fc.constantFrom<List["kind"]>("list", "list", "list", "independent", "others", "none"), {
      minLength: 9,
      maxLength: 9,
    }),
    threshold: fc.option(
      fc.record({
        share: fc.constantFrom("3", "5", "8.5", "1/seats"),
        of: fc.constantFrom<"valid" | "lists" | "ballots">("valid", "lists", "ballots"),
      }),
      { nil: undefined },
    ),
    allied: fc.integer({ min: 0, max: 4 }),
    linked: fc.boolean(),
  })
  .map(({ allocation, seats: total, figures, kinds, threshold, allied, linked }) => {
    const ids = figures.map((_, i) => `L${i}`);
    const parties = ids.filter((_, i) => kinds[i] === "list");
    const alliance = parties.slice(0, allied);
    const [from, to] = parties.slice(allied);
    return {
      allocation,
      seats: total,
      votes: Object.fromEntries(ids.map((id, i) => [id, figures[i]!])),
      kinds: Object.fromEntries(ids.map((id, i) => [id, kinds[i]!])),
      ...(threshold ? { threshold } : {}),
      ...(alliance.length > 1 ? { alliances: [{ id: "XX-A", lists: alliance }] } : {}),
      ...(linked && from && to ? { links: [{ list: from, to, seats: 1, condition: "declared" }] } : {}),
    };
  });

const total = (numbers: number[]): number => numbers.reduce((sum, n) => sum + n, 0);

describe("whatever the votes", () => {
  it("seats and ties never exceed the seats, and fill them when a list can take them", () => {
    fc.assert(
      fc.property(arbitraryCase, (example) => {
        const result = count(example);
        const sum = total(Object.values(result.seats)) + total(result.ties.map((tie) => tie.seats));
        expect(sum).toBeLessThanOrEqual(example.seats);
        expect(Object.values(result.seats).every((n) => Number.isInteger(n) && n >= 0)).toBe(true);
        const taker = Object.keys(example.votes).some((id) => example.kinds![id] === "list" && example.votes[id]! > 0);
        if (taker && !example.threshold) expect(sum).toBe(example.seats);
      }),
      { numRuns: 2000 },
    );
  });

  it("a tie is between more contenders than seats, sorted, and a lot for each leaves none", () => {
    fc.assert(
      fc.property(arbitraryCase, (example) => {
        const draws: Case["draws"] = [];
        let result = count(example);
        const settled = total(Object.values(result.seats)) + total(result.ties.map((tie) => tie.seats));
        while (result.ties.length > 0) {
          for (const { within, between, seats: open } of result.ties) {
            expect(between).toEqual([...new Set(between)].sort());
            expect(open).toBeGreaterThan(0);
            expect(open).toBeLessThan(between.length);
            expect(draws.map((draw) => [draw.within, ...draw.order])).not.toContainEqual([within, ...between]);
            draws.push({ within, order: between });
          }
          result = count({ ...example, draws });
        }
        expect(total(Object.values(result.seats))).toBe(settled);
      }),
      { numRuns: 2000 },
    );
  });

  it("the order of the lists changes nothing", () => {
    fc.assert(
      fc.property(arbitraryCase, fc.infiniteStream(fc.nat()), (example, numbers) => {
        const rank = new Map(Object.keys(example.votes).map((id) => [id, numbers.next().value]));
        const shuffled = Object.entries(example.votes).sort(([a], [b]) => rank.get(a)! - rank.get(b)!);
        expect(count({ ...example, votes: Object.fromEntries(shuffled) })).toEqual(count(example));
      }),
      { numRuns: 1000 },
    );
  });

  it("with one seat more no list has fewer, by divisors", () => {
    fc.assert(
      fc.property(arbitraryCase, (example) => {
        fc.pre(example.allocation.method === "divisor" && example.threshold?.share !== "1/seats");
        const before = count(example).seats;
        const after = count({ ...example, seats: example.seats + 1 }).seats;
        for (const id of Object.keys(before)) expect(after[id]!).toBeGreaterThanOrEqual(before[id]!);
      }),
      { numRuns: 2000 },
    );
  });

  it("by D'Hondt, no seat lost has a better claim than a seat won", () => {
    const figures = fc.array(fc.integer({ min: 0, max: 2 ** 50 }), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(figures, fc.integer({ min: 1, max: 200 }), (votes, house) => {
        const example = Object.fromEntries(votes.map((n, i) => [`L${i}`, n]));
        const result = count({ allocation: dhondt, seats: house, votes: example });
        fc.pre(result.ties.length === 0);
        const won = Object.values(result.seats).map(BigInt);
        for (const [i, mine] of won.entries()) {
          if (mine === 0n) continue;
          for (const [j, theirs] of won.entries()) {
            if (i !== j) expect(BigInt(votes[i]!) * (theirs + 1n) >= BigInt(votes[j]!) * mine).toBe(true);
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  it("by Hare quota, every list has its whole quotas and at most one seat more", () => {
    const figures = fc.array(fc.integer({ min: 1, max: 2 ** 50 }), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(figures, fc.integer({ min: 1, max: 200 }), (votes, house) => {
        const example = Object.fromEntries(votes.map((n, i) => [`L${i}`, n]));
        const won = Object.values(count({ allocation: quota("hare"), seats: house, votes: example }).seats);
        const sum = votes.reduce((all, n) => all + BigInt(n), 0n);
        for (const [i, n] of won.entries()) {
          const whole = Number((BigInt(votes[i]!) * BigInt(house)) / sum);
          expect([whole, whole + 1]).toContain(n);
        }
      }),
      { numRuns: 500 },
    );
  });
});
