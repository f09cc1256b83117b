import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DHONDT, id, list, place, quota, run, SAINTE_LAGUE } from "./fixture.ts";
import { allot, type Draw, splitByGroup } from "./seats.ts";

describe("divisor methods", () => {
  const votes = [100_000, 80_000, 30_000, 20_000];

  it("D'Hondt: the eighth seat goes to 25,000 against 26,666 and 20,000", () => {
    expect(run(place(8, DHONDT), votes)).toEqual({ seats: [4, 3, 1, 0], ties: [] });
  });

  it("Sainte-Laguë favours the small: 20,000 beats 100,000/7", () => {
    expect(run(place(8, SAINTE_LAGUE), votes)).toEqual({ seats: [3, 3, 1, 1], ties: [] });
  });

  it("a first divisor of 1.2 costs the smallest its seat: 11/1.2 = 9.17 against 50/5 = 10", () => {
    const three = [50, 39, 11];
    const first = { method: "divisor", divisors: "sainte-lague", first: "1.2" } as const;
    expect(run(place(5, SAINTE_LAGUE), three).seats).toEqual([2, 2, 1]);
    expect(run(place(5, first), three).seats).toEqual([3, 2, 0]);
  });

  it("D'Hondt past eight seats (the Slovenian error of 2022): nine, eleven and 96 seats", () => {
    // 100,000/5 = 80,000/4 = 20,000/1: the ninth seat is a tie of three, and eleven seats serve them all.
    const between = ["XX01", "XX02", "XX04"];
    expect(run(place(9, DHONDT), votes).seats).toEqual([4, 3, 1, 0]);
    expect(run(place(9, DHONDT), votes).ties).toEqual([{ constituency: "XX", within: "seats", between, seats: 1 }]);
    expect(run(place(11, DHONDT), votes)).toEqual({ seats: [5, 4, 1, 1], ties: [] });
    const exact = run(place(96, DHONDT), [480_000, 320_000, 160_000]);
    expect(exact).toEqual({ seats: [48, 32, 16], ties: [] });
  });

  it("refuses a first divisor that is zero or not below the second", () => {
    for (const first of ["0", "3", "5.5"])
      expect(() => run(place(4, { method: "divisor", divisors: "sainte-lague", first }), [1])).toThrow(RangeError);
    expect(() => run(place(4, { method: "divisor", divisors: "dhondt", first: "2" }), [1])).toThrow(RangeError);
  });

  it("an independent takes one seat, however many quotients it has", () => {
    expect(run(place(5, DHONDT), [100, 900]).seats).toEqual([0, 5]);
    expect(run(place(5, DHONDT), [100, 900], { 1: "independent" }).seats).toEqual([4, 1]);
    expect(run(place(5, DHONDT), [100, 900], { 0: "independent", 1: "independent" })).toEqual({
      seats: [1, 1],
      ties: [],
    });
  });
});

describe("quota methods", () => {
  const votes = [47_000, 16_000, 15_900, 12_000, 6_100, 3_000]; // 100,000: the literature's example, ten seats

  it("Hare: quota 10,000, the rest to 0.7, 0.61, 0.6 … of it", () => {
    expect(run(place(10, quota("hare")), votes).seats).toEqual([5, 2, 1, 1, 1, 0]);
  });

  it("Droop: quota 9,091, so the largest keeps five whole seats and 0.76, 0.75, 0.67 round up", () => {
    expect(run(place(10, quota("droop")), votes).seats).toEqual([5, 2, 2, 1, 0, 0]);
  });

  it("Hagenbach-Bischoff and Droop part where a list has exactly V/(S+1) a seat", () => {
    // V = 60, S = 5: Hagenbach-Bischoff Q = 10 gives 2 + 3 whole seats; Hare Q = 12 gives 1 + 2, then 8 of 12 and 6 of 12.
    expect(run(place(5, quota("hagenbach-bischoff")), [21, 30, 9]).seats).toEqual([2, 3, 0]);
    expect(run(place(5, quota("hare")), [21, 30, 9]).seats).toEqual([2, 2, 1]);
    // Q = 11: 1 + 2 whole seats, remainders 10, 8, 9.
    expect(run(place(5, quota("droop")), [21, 30, 9]).seats).toEqual([2, 2, 1]);
  });

  it("a quota of all valid votes is higher than one of the qualified lists'", () => {
    // Q = 75/8: 5.65 and 2.35 quotas. Q = 100/8: 4.24 and 1.76, three seats left, one each and one to 0.76.
    const bar = { threshold: { share: "10", of: "valid" } } as const;
    const split = [53, 22, 9, 8, 8];
    expect(run(place(8, quota("hare", "qualified"), bar), split).seats).toEqual([6, 2, 0, 0, 0]);
    expect(run(place(8, quota("hare", "valid"), bar), split).seats).toEqual([5, 3, 0, 0, 0]);
  });

  it("more seats left than contenders: rounds of one each, then the remainders", () => {
    // Q = 100/10 of all valid votes; 24 and 13 take 2 and 1, seven are left: three rounds of one each, then 4 of 10 beats 3.
    const bar = { threshold: { share: "13", of: "valid" } } as const;
    expect(run(place(10, quota("hare", "valid"), bar), [24, 13, 12, 12, 12, 12, 12, 3]).seats).toEqual([
      6, 4, 0, 0, 0, 0, 0, 0,
    ]);
  });

  it("Hagenbach-Bischoff gives out one too many when all divide exactly: all are at the cut", () => {
    const exact = run(place(3, quota("hagenbach-bischoff")), [20, 10, 10]);
    expect(exact.seats).toEqual([1, 0, 0]);
    expect(exact.ties).toEqual([{ constituency: "XX", within: "seats", between: ["XX01", "XX02", "XX03"], seats: 2 }]);
    const order = ["XX03", "XX01", "XX02"];
    const drawn = run(place(3, quota("hagenbach-bischoff")), [20, 10, 10], {}, [
      { constituency: "XX", within: "seats", order },
    ]);
    expect(drawn).toEqual({ seats: [2, 0, 1], ties: [] });
    expect(run(place(3, quota("hagenbach-bischoff")), [20])).toEqual({ seats: [3], ties: [] });
  });

  it("an independent keeps one whole seat and leaves the rest to the lists", () => {
    expect(run(place(5, quota("hare")), [60, 25, 15]).seats).toEqual([3, 1, 1]);
    expect(run(place(5, quota("hare")), [60, 25, 15], { 0: "independent" }).seats).toEqual([1, 2, 2]);
    expect(run(place(5, quota("hare")), [60, 40], { 0: "independent", 1: "independent" }).seats).toEqual([1, 1]);
  });
});

describe("thresholds", () => {
  const nearly = [900, 51, 49];

  it("exactly the share is enough, one vote less is not", () => {
    const bar = { threshold: { share: "5", of: "valid" } } as const;
    expect(run(place(20, DHONDT), nearly).seats).toEqual([18, 1, 1]); // 900/18 = 50, 51, 49, and 900/19 = 47.4
    expect(run(place(20, DHONDT, bar), nearly).seats).toEqual([19, 1, 0]);
    expect(run(place(20, DHONDT, bar), [900, 50, 50]).seats).toEqual([18, 1, 1]);
  });

  it("decimals are exact: 1.8 % of 1,000 is 18", () => {
    const bar = { threshold: { share: "1.8", of: "valid" } } as const;
    expect(run(place(58, DHONDT, bar), [964, 18, 18]).seats).toEqual([56, 1, 1]);
    expect(run(place(58, DHONDT, bar), [965, 17, 18]).seats).toEqual([57, 0, 1]);
    expect(run(place(58, DHONDT), [965, 17, 18]).seats).toEqual([56, 1, 1]); // 965/56 = 17.2, 965/57 = 16.9
  });

  it("a base of all ballots is higher than one of valid votes", () => {
    const of = (base: "valid" | "ballots") => place(20, DHONDT, { threshold: { share: "5", of: base } });
    expect(run(of("valid"), [900, 50, 50], {}, [], 1).seats).toEqual([18, 1, 1]);
    expect(run(of("ballots"), [900, 50, 50], {}, [], 1).seats).toEqual([20, 0, 0]);
  });

  it("a base of lists leaves out votes for no one, and keeps others", () => {
    const of = (base: "valid" | "lists") => place(10, DHONDT, { threshold: { share: "10", of: base } });
    const votes = [800, 98, 100];
    expect(run(of("valid"), votes, { 2: "none" }).seats).toEqual([10, 0, 0]);
    expect(run(of("lists"), votes, { 2: "none" }).seats).toEqual([9, 1, 0]);
    expect(run(of("lists"), votes, { 2: "others" }).seats).toEqual([10, 0, 0]);
  });

  it("one Hare quota: 1/seats of the base", () => {
    const bar = { threshold: { share: "1/seats", of: "valid" } } as const;
    expect(run(place(10, SAINTE_LAGUE), [905, 95]).seats).toEqual([9, 1]);
    expect(run(place(10, SAINTE_LAGUE, bar), [905, 95]).seats).toEqual([10, 0]);
    expect(run(place(10, SAINTE_LAGUE, bar), [900, 100]).seats).toEqual([9, 1]);
  });

  it("independents have their own", () => {
    const threshold = { share: "5", of: "valid", independents: "1/seats" } as const;
    const votes = [800, 110, 90];
    expect(run(place(10, DHONDT, { threshold }), votes).seats).toEqual([8, 1, 1]);
    expect(run(place(10, DHONDT, { threshold }), votes, { 2: "independent" }).seats).toEqual([9, 1, 0]);
    expect(run(place(10, DHONDT, { threshold }), votes, { 1: "independent" }).seats).toEqual([8, 1, 1]);
    const lower = { share: "20", of: "valid", independents: "5" } as const;
    expect(run(place(10, DHONDT, { threshold: lower }), votes, { 2: "independent" }).seats).toEqual([9, 0, 1]);
  });

  it("others and none never take part, whatever their votes", () => {
    expect(run(place(3, DHONDT), [10, 500, 400], { 1: "others", 2: "none" }).seats).toEqual([3, 0, 0]);
  });
});

describe("alliances and links", () => {
  const alliances = [{ id: "XX-A", lists: ["XX02", "XX03"] }];

  it("an alliance wins a seat that neither list wins alone", () => {
    expect(run(place(3, DHONDT), [60, 19, 18]).seats).toEqual([3, 0, 0]);
    expect(run(place(3, DHONDT, { alliances }), [60, 19, 18]).seats).toEqual([2, 1, 0]);
  });

  it("the same quota method shares an alliance's seats, with its own votes", () => {
    // Q = 20: 40 and 60 are exact. Within: Q = 60/3 = 20: 1 whole seat for 35 and 1 for 25; remainders 15 and 5.
    expect(run(place(5, quota("hare"), { alliances }), [40, 35, 25]).seats).toEqual([2, 2, 1]);
    expect(run(place(5, quota("hare"), { alliances }), [40, 51, 9]).seats).toEqual([2, 3, 0]);
  });

  it("the first divisor holds in the second allocation too", () => {
    const first = { method: "divisor", divisors: "sainte-lague", first: "1.4" } as const;
    // The alliance has three of four seats. Within it 45, 15 and 12 win; with 1.4, 45/5 = 9 beats 12/1.4 = 8.6.
    expect(run(place(4, SAINTE_LAGUE, { alliances }), [20, 45, 12]).seats).toEqual([1, 2, 1]);
    expect(run(place(4, first, { alliances }), [20, 45, 12]).seats).toEqual([1, 3, 0]);
  });

  it("a list below the threshold drops out of its alliance, with its votes", () => {
    const threshold = { share: "20", of: "valid" } as const;
    expect(run(place(3, DHONDT, { alliances }), [65, 20, 15]).seats).toEqual([2, 1, 0]);
    expect(run(place(3, DHONDT, { alliances, threshold }), [65, 20, 15]).seats).toEqual([3, 0, 0]);
    expect(run(place(3, DHONDT, { alliances, threshold }), [90, 5, 5]).seats).toEqual([3, 0, 0]);
  });

  const links = [{ list: "XX02", to: "XX01", seats: 1, condition: "declared" }];

  it("a linked list takes its seat out of the pair's", () => {
    expect(run(place(4, DHONDT), [52, 5, 43]).seats).toEqual([2, 0, 2]);
    expect(run(place(4, DHONDT, { links }), [52, 5, 43]).seats).toEqual([1, 1, 2]);
    // The five votes win the pair its third seat: 57/3 = 19 against 37/2 = 18.5; without them 52/3 = 17.3.
    expect(run(place(4, DHONDT), [52, 5, 37]).seats).toEqual([2, 0, 2]);
    expect(run(place(4, DHONDT, { links }), [52, 5, 37]).seats).toEqual([2, 1, 1]);
  });

  it("the threshold is asked of the pair, and a pair that won too little keeps what it won", () => {
    const threshold = { share: "10", of: "valid" } as const;
    expect(run(place(4, DHONDT, { threshold }), [6, 5, 89]).seats).toEqual([0, 0, 4]);
    expect(run(place(8, DHONDT, { threshold, links }), [60, 50, 890]).seats).toEqual([0, 0, 8]);
    expect(run(place(10, DHONDT, { threshold, links }), [60, 50, 890]).seats).toEqual([0, 1, 9]);
    const three = [{ ...links[0]!, seats: 3 }];
    expect(run(place(4, DHONDT, { links: three }), [52, 5, 43]).seats).toEqual([0, 2, 2]);
  });
});

describe("ties", () => {
  it("leaves equal claims open and names them in code point order", () => {
    const { seats, ties } = run(place(3, DHONDT), [10, 20, 10]);
    expect(seats).toEqual([0, 1, 0]);
    expect(ties).toEqual([{ constituency: "XX", within: "seats", between: ["XX01", "XX02", "XX03"], seats: 2 }]);
  });

  it("gives the seats to the first of the draw's order; the first draw stands", () => {
    const draw = (order: string[], within = "seats", constituency = "XX"): Draw => ({ constituency, within, order });
    const first = draw(["XX03", "XX02", "XX01"]);
    expect(run(place(3, DHONDT), [10, 20, 10], {}, [first]).seats).toEqual([0, 2, 1]);
    expect(run(place(3, DHONDT), [10, 20, 10], {}, [first, draw(["XX01", "XX02", "XX03"])]).seats).toEqual([0, 2, 1]);
    for (const other of [draw(["XX01", "XX02"]), draw(first.order, "XX-A"), draw(first.order, "seats", "YY")])
      expect(run(place(3, DHONDT), [10, 20, 10], {}, [other]).ties).toHaveLength(1);
  });

  it("reports a tie within an alliance after that of the first allocation", () => {
    const constituency = place(3, DHONDT, { alliances: [{ id: "XX-A", lists: ["XX01", "XX02"] }] });
    const { seats, ties } = run(constituency, [10, 10, 10, 10]);
    expect(seats).toEqual([0, 0, 0, 0]);
    expect(ties).toEqual([
      { constituency: "XX", within: "seats", between: ["XX-A", "XX03", "XX04"], seats: 2 },
      { constituency: "XX", within: "XX-A", between: ["XX01", "XX02"], seats: 1 },
    ]);
  });

  it("compares quotients and remainders exactly at 2^50 votes", () => {
    const big = 2 ** 50;
    expect(run(place(1, DHONDT), [big, big - 1])).toEqual({ seats: [1, 0], ties: [] });
    expect(run(place(3, quota("hare")), [big, big - 1, 1]).ties).toEqual([]);
    expect(run(place(2, DHONDT), [big, big / 2]).ties).toHaveLength(1);
    expect(run(place(2, DHONDT), [big, big / 2 - 1]).ties).toEqual([]);
  });

  it("allots nothing, and no tie, without votes", () => {
    for (const allocation of [
      DHONDT,
      SAINTE_LAGUE,
      quota("hare"),
      quota("droop", "valid"),
      quota("hagenbach-bischoff"),
    ])
      expect(run(place(5, allocation), [0, 0, 7], { 2: "others" })).toEqual({ seats: [0, 0, 0], ties: [] });
    expect(run(place(5, { method: "declared" }), [3, 2])).toEqual({ seats: [0, 0], ties: [] });
  });
});

describe("groups of a list", () => {
  const groups = [
    { id: "EPP", seats: 2 },
    { id: "ECR", seats: 1 },
    { id: "Renew", seats: 1 },
  ];

  it("the published number gives the published split; equal remainders go to the group named first", () => {
    expect(Object.fromEntries(splitByGroup(groups, 4))).toEqual({ EPP: 2, ECR: 1, Renew: 1 });
    expect(Object.fromEntries(splitByGroup(groups, 3))).toEqual({ EPP: 1, ECR: 1, Renew: 1 }); // 1.5, 0.75, 0.75
    expect(Object.fromEntries(splitByGroup(groups, 2))).toEqual({ EPP: 1, ECR: 1 }); // 1, 0.5, 0.5
  });

  it("a list of no group sits with the non-attached; no seats, no groups", () => {
    expect(Object.fromEntries(splitByGroup([], 3))).toEqual({ NI: 3 });
    expect(splitByGroup([], 0).size + splitByGroup(groups, 0).size).toBe(0);
    expect(Object.fromEntries(splitByGroup(groups.slice(0, 1), 5))).toEqual({ EPP: 5 });
  });
});

const anything = fc.record({
  votes: fc.array(fc.integer({ min: 0, max: 60 }), { minLength: 1, maxLength: 9 }),
  seats: fc.integer({ min: 1, max: 30 }),
});

describe("properties", () => {
  it("divisors: no seat could go from one list to another for a better quotient (min-max), and S seats are given or tied", () => {
    fc.assert(
      fc.property(anything, fc.constantFrom(1, 2), ({ votes, seats }, step) => {
        const { seats: won, ties } = run(place(seats, step === 1 ? DHONDT : SAINTE_LAGUE), votes);
        const open = ties.reduce((sum, tie) => sum + tie.seats, 0);
        const given = won.reduce<number>((sum, s) => sum + s!, 0);
        expect(given + open).toBe(votes.some((v) => v > 0) ? seats : 0);
        const next = Math.max(...votes.map((v, i) => v / (1 + step * won[i]!)));
        const last = Math.min(...votes.map((v, i) => (won[i]! > 0 ? v / (1 + step * (won[i]! - 1)) : Infinity)));
        if (given > 0) expect(next).toBeLessThanOrEqual(last + 1e-9);
      }),
    );
  });

  it("quotas: every list keeps floor or ceiling of its quotas with Hare (the quota rule)", () => {
    fc.assert(
      fc.property(anything, ({ votes, seats }) => {
        const { seats: won, ties } = run(place(seats, quota("hare")), votes);
        const sum = votes.reduce((a, b) => a + b, 0);
        fc.pre(sum > 0);
        expect(won.reduce<number>((a, s) => a + s!, 0) + (ties[0]?.seats ?? 0)).toBe(seats);
        for (const [i, v] of votes.entries()) {
          expect(won[i]).toBeGreaterThanOrEqual(Math.floor((v * seats) / sum));
          expect(won[i]).toBeLessThanOrEqual(Math.ceil((v * seats) / sum));
        }
      }),
    );
  });

  it("the order of the lists changes nothing", () => {
    fc.assert(
      fc.property(
        anything,
        fc.constantFrom(DHONDT, quota("droop"), quota("hagenbach-bischoff")),
        (given, allocation) => {
          const lists = given.votes.map((_, i) => list(i));
          const votes = Object.fromEntries(given.votes.map((v, i) => [id(i), v]));
          const figures = { votes, ballots: 0 };
          const there = allot(place(given.seats, allocation), lists, figures, []);
          const back = allot(place(given.seats, allocation), lists.toReversed(), figures, []);
          expect(back).toEqual(there);
        },
      ),
    );
  });
});
