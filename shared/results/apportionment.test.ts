import { describe, expect, it } from "vitest";
import type { Allocation, Constituency } from "../definition/schema.ts";
import { type Case, count, dhondt, list, quota, sainteLague } from "./apportionment.sample.ts";
import { apportion } from "./apportionment.ts";

/** The seats of a case that must have no tie. */
function seats(example: Case): number[] {
  const result = count(example);
  expect(result.ties).toEqual([]);
  return Object.values(result.seats);
}

describe("formulas, as the literature counts them", () => {
  const divisors = { seats: 8, votes: { A: 100_000, B: 80_000, C: 30_000, D: 20_000 } };
  const remainders = { seats: 10, votes: { A: 47_000, B: 16_000, C: 15_800, D: 12_000, E: 6_100, F: 3_100 } };

  it("D'Hondt", () => expect(seats({ ...divisors, allocation: dhondt })).toEqual([4, 3, 1, 0]));
  it("Sainte-Laguë", () => expect(seats({ ...divisors, allocation: sainteLague })).toEqual([3, 3, 1, 1]));
  it("Sainte-Laguë with first divisor 1.2: 60/3 passes 21/1.2", () => {
    const example = { seats: 3, votes: { A: 60, B: 23, C: 21 } };
    expect(seats({ ...example, allocation: sainteLague })).toEqual([1, 1, 1]);
    expect(seats({ ...example, allocation: { ...sainteLague, first: "1.2" } as Allocation })).toEqual([2, 1, 0]);
  });
  it("Hare", () => expect(seats({ ...remainders, allocation: quota("hare") })).toEqual([5, 2, 1, 1, 1, 0]));
  it("Droop", () => expect(seats({ ...remainders, allocation: quota("droop") })).toEqual([5, 2, 2, 1, 0, 0]));
  it("Hagenbach-Bischoff", () =>
    expect(seats({ ...remainders, allocation: quota("hagenbach-bischoff") })).toEqual([5, 2, 2, 1, 0, 0]));
  it("Droop is not Hagenbach-Bischoff: 7 holds two of 10/3, but one of 4", () => {
    const example = { seats: 2, votes: { A: 7, B: 3 } };
    expect(seats({ ...example, allocation: quota("hagenbach-bischoff") })).toEqual([2, 0]);
    expect(count({ ...example, allocation: quota("droop") })).toEqual({
      seats: { A: 1, B: 0 },
      ties: [{ constituency: "XX", within: "seats", between: ["A", "B"], seats: 1 }],
    });
  });
  it("declared seats are not computed", () =>
    expect(seats({ ...divisors, allocation: { method: "declared" } })).toEqual([0, 0, 0, 0]));
});

describe("a quota of all valid votes", () => {
  const votes = { A: 48, B: 26, C: 11, O: 15 };
  const kinds = { O: "others" } as const;
  it("differs from one of the qualified", () => {
    expect(seats({ seats: 10, votes, kinds, allocation: quota("hare", "valid") })).toEqual([5, 3, 2, 0]);
    expect(seats({ seats: 10, votes, kinds, allocation: quota("hare") })).toEqual([6, 3, 1, 0]);
  });
  it("goes round while more seats are left than contenders", () => {
    // Quota 10: 2 1 0, seven left: two rounds of three, the last to the remainder of 5.
    const example = { seats: 10, votes: { A: 25, B: 10, C: 4, O: 61 }, kinds, allocation: quota("hare", "valid") };
    expect(seats(example)).toEqual([5, 3, 2, 0]);
  });
  it("does not go round to a single candidate twice", () => {
    const example = { seats: 10, votes: { A: 25, B: 10, C: 4, O: 61 }, allocation: quota("hare", "valid") };
    expect(seats({ ...example, kinds: { ...kinds, C: "independent", B: "independent" } })).toEqual([8, 1, 1, 0]);
  });
});

describe("thresholds", () => {
  const base = { allocation: dhondt, seats: 10, votes: { A: 60, B: 31, C: 9 } };
  it("keeps a list below it out, and only below it", () => {
    expect(seats(base)).toEqual([6, 3, 1]);
    expect(seats({ ...base, threshold: { share: "10", of: "valid" } })).toEqual([7, 3, 0]);
    expect(seats({ ...base, threshold: { share: "9", of: "valid" } })).toEqual([6, 3, 1]);
    expect(seats({ ...base, threshold: { share: "9.000001", of: "valid" } })).toEqual([7, 3, 0]);
  });
  it("reads decimals exactly: 18 of 1000 is 1.8 percent, 17 is not", () => {
    const example = { allocation: dhondt, seats: 99, threshold: { share: "1.8", of: "valid" } } as const;
    expect(seats({ ...example, votes: { A: 982, B: 18 } })).toEqual([98, 1]);
    expect(seats({ ...example, votes: { A: 983, B: 17 } })).toEqual([99, 0]);
  });
  it("of ballots cast counts the invalid too", () => {
    const threshold = { share: "9", of: "ballots" } as const;
    expect(seats({ ...base, threshold, ballots: 100 })).toEqual([6, 3, 1]);
    expect(seats({ ...base, threshold, ballots: 101 })).toEqual([7, 3, 0]);
  });
  it("of lists leaves out votes for no one; of valid does not", () => {
    const example = { ...base, votes: { A: 60, B: 31, C: 9, N: 20 }, kinds: { N: "none" } } as const;
    expect(seats({ ...example, threshold: { share: "9", of: "lists" } })).toEqual([6, 3, 1, 0]);
    expect(seats({ ...example, threshold: { share: "9", of: "valid" } })).toEqual([7, 3, 0, 0]);
  });
  it("of valid counts the votes of others", () => {
    const example = { ...base, votes: { A: 60, B: 31, C: 9, O: 20 }, kinds: { O: "others" } } as const;
    expect(seats({ ...example, threshold: { share: "9", of: "valid" } })).toEqual([7, 3, 0, 0]);
    expect(seats({ ...example, threshold: { share: "9", of: "lists" } })).toEqual([7, 3, 0, 0]);
  });
  it("of a full quota", () => {
    const threshold = { share: "1/seats", of: "valid" } as const;
    expect(seats({ ...base, threshold })).toEqual([7, 3, 0]);
    expect(seats({ ...base, votes: { A: 60, B: 30, C: 10 }, threshold })).toEqual([6, 3, 1]);
  });
  it("asks an independent for its own share", () => {
    const threshold = { share: "5", of: "valid", independents: "1/seats" } as const;
    expect(seats({ ...base, threshold })).toEqual([6, 3, 1]);
    expect(seats({ ...base, threshold, kinds: { C: "independent" } })).toEqual([7, 3, 0]);
  });
});

describe("who takes part", () => {
  it("not others, and not none", () => {
    const example = { allocation: dhondt, seats: 3, votes: { A: 10, O: 90, N: 80 } };
    expect(seats(example)).toEqual([0, 2, 1]);
    expect(seats({ ...example, kinds: { O: "others", N: "none" } })).toEqual([3, 0, 0]);
  });
  it("an independent for one seat only", () => {
    const example = { seats: 5, votes: { A: 60, I: 40 } };
    for (const allocation of [dhondt, quota("hare")]) {
      expect(seats({ ...example, allocation })).toEqual([3, 2]);
      expect(seats({ ...example, allocation, kinds: { I: "independent" } })).toEqual([4, 1]);
    }
  });
  it("an independent alone, and the other seats stay empty", () =>
    expect(seats({ allocation: dhondt, seats: 3, votes: { I: 40 }, kinds: { I: "independent" } })).toEqual([1]));
});

describe("alliances and links", () => {
  const allied = { allocation: dhondt, seats: 5, votes: { A: 45, B: 28, C: 27 } };
  const alliances = [{ id: "XX-BC", lists: ["B", "C"] }];
  it("an alliance is one contender, its seats are shared by the same method", () => {
    expect(seats(allied)).toEqual([3, 1, 1]);
    expect(seats({ ...allied, alliances })).toEqual([2, 2, 1]);
  });
  it("the first divisor holds inside it too: 60/3 passes 21/1.2", () => {
    const allocation: Allocation = { method: "divisor", divisors: "sainte-lague", first: "1.2" };
    const example = { votes: { A: 60, B: 23, C: 21 }, seats: 3, alliances: [{ id: "XX-X", lists: ["A", "B", "C"] }] };
    expect(seats({ ...example, allocation: sainteLague })).toEqual([1, 1, 1]);
    expect(seats({ ...example, allocation })).toEqual([2, 1, 0]);
  });
  it("by quota, the second quota is of the alliance's own votes", () => {
    // Alliance 55 of 100: Hare quota 20, 2 whole and remainder 15, so 3. Inside 55/3: B 1 and 9.7, C 1 and 8.7.
    expect(seats({ ...allied, alliances, allocation: quota("hare", "valid") })).toEqual([2, 2, 1]);
  });
  it("a list below the threshold drops out of it", () => {
    const example = { ...allied, votes: { A: 45, B: 46, C: 9 }, threshold: { share: "10", of: "valid" } } as const;
    expect(seats({ ...example, alliances, votes: { A: 45, B: 45, C: 10 } })).toEqual([2, 3, 0]);
    expect(seats({ ...example, alliances, votes: { A: 46, B: 45, C: 9 } })).toEqual([3, 2, 0]);
  });

  const links = [{ list: "S", to: "F", seats: 1, condition: "declared" }];
  const linked: Case = {
    allocation: quota("hare"),
    seats: 10,
    votes: { A: 50, F: 40, S: 10 },
    threshold: { share: "15", of: "valid" },
  };
  it("a linked list brings its votes to the pair and takes its seat from it", () => {
    expect(seats(linked)).toEqual([6, 4, 0]);
    expect(seats({ ...linked, links })).toEqual([5, 4, 1]);
  });
  it("the threshold is asked of the pair", () => {
    expect(seats({ ...linked, seats: 20, links, votes: { A: 85, F: 10, S: 5 } })).toEqual([17, 2, 1]);
    expect(seats({ ...linked, seats: 20, links, votes: { A: 86, F: 10, S: 4 } })).toEqual([20, 0, 0]);
  });
  it("the linked list comes first at the pair's seats, and takes no more than there are", () => {
    expect(seats({ ...linked, seats: 2, links, votes: { A: 60, F: 40, S: 10 } })).toEqual([1, 0, 1]);
    const two = [{ ...links[0]!, seats: 2 }];
    expect(seats({ ...linked, seats: 2, links: two, votes: { A: 60, F: 40, S: 10 } })).toEqual([1, 0, 1]);
  });
});

describe("ties", () => {
  const tie = (between: string[], open: number, within = "seats") => ({
    constituency: "XX",
    within,
    between,
    seats: open,
  });
  const three: Case = { allocation: dhondt, seats: 2, votes: { C: 10, A: 10, B: 10 } };

  it("leave open what no claim is better for", () =>
    expect(count(three)).toEqual({ seats: { C: 0, A: 0, B: 0 }, ties: [tie(["A", "B", "C"], 2)] }));
  it("are settled by the lot between exactly those contenders at that place", () => {
    const settled = count({ ...three, draws: [{ within: "seats", order: ["B", "C", "A"] }] });
    expect(settled).toEqual({ seats: { C: 1, A: 0, B: 1 }, ties: [] });
    for (const draw of [
      { within: "seats", order: ["A", "B"] },
      { within: "seats", order: ["A", "B", "C", "D"] },
      { within: "XX-BC", order: ["B", "C", "A"] },
    ]) {
      expect(count({ ...three, draws: [draw] }).ties).toEqual([tie(["A", "B", "C"], 2)]);
    }
  });
  it("are not settled by a lot of another constituency", () => {
    const constituency: Constituency = { id: "XX", name: "Example", seats: 1, allocation: dhondt };
    const draws = [{ constituency: "XY", within: "seats", order: ["A", "B"] }];
    const input = { votes: { A: 1, B: 1 }, ballots: 2 };
    expect(apportion(constituency, [list("A", "list"), list("B", "list")], input, draws).ties).toHaveLength(1);
  });
  it("are none when all equal claims fit", () =>
    expect(seats({ allocation: dhondt, seats: 3, votes: { A: 20, B: 10 } })).toEqual([2, 1]));
  it("between remainders", () => {
    const example: Case = { allocation: quota("hare"), seats: 5, votes: { A: 25, B: 15, C: 10 } };
    expect(count(example)).toEqual({ seats: { A: 2, B: 1, C: 1 }, ties: [tie(["A", "B"], 1)] });
    expect(seats({ ...example, draws: [{ within: "seats", order: ["B", "A"] }] })).toEqual([2, 2, 1]);
  });
  it("about who gives back a seat too many of Hagenbach-Bischoff", () => {
    const example: Case = { allocation: quota("hagenbach-bischoff"), seats: 3, votes: { A: 50, B: 25, C: 25 } };
    expect(count(example)).toEqual({ seats: { A: 1, B: 0, C: 0 }, ties: [tie(["A", "B", "C"], 2)] });
    expect(seats({ ...example, draws: [{ within: "seats", order: ["C", "A", "B"] }] })).toEqual([2, 0, 1]);
  });
  it("are none when one list alone gives back", () =>
    expect(seats({ allocation: quota("hagenbach-bischoff"), seats: 3, votes: { A: 50 } })).toEqual([3]));
  it("inside an alliance stand after the one before it", () => {
    const alliances = [{ id: "XX-BC", lists: ["B", "C"] }];
    const example: Case = { allocation: dhondt, seats: 2, votes: { A: 10, B: 10, C: 10 }, alliances };
    expect(count(example).ties).toEqual([tie(["A", "XX-BC"], 1), tie(["B", "C"], 1, "XX-BC")]);
    const draws = [
      { within: "seats", order: ["XX-BC", "A"] },
      { within: "XX-BC", order: ["C", "B"] },
    ];
    expect(seats({ ...example, draws })).toEqual([0, 1, 1]);
    expect(seats({ ...example, draws: [{ within: "seats", order: ["A", "XX-BC"] }, draws[1]!] })).toEqual([1, 0, 1]);
  });
});

describe("extremes", () => {
  it("one seat", () => expect(seats({ allocation: dhondt, seats: 1, votes: { A: 4, B: 5 } })).toEqual([0, 1]));
  it("one list for 200 seats", () => {
    for (const allocation of [dhondt, sainteLague, quota("hare"), quota("droop"), quota("hagenbach-bischoff")]) {
      expect(seats({ allocation, seats: 200, votes: { A: 7 } })).toEqual([200]);
    }
  });
  it("no votes at all, and none for anyone who takes part", () => {
    for (const allocation of [dhondt, quota("hare"), quota("droop", "valid")]) {
      expect(seats({ allocation, seats: 5, votes: { A: 0, B: 0 } })).toEqual([0, 0]);
      expect(seats({ allocation, seats: 5, votes: { A: 0, N: 9 }, kinds: { N: "none" } })).toEqual([0, 0]);
    }
  });
  it("all equal", () => {
    const votes = Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`L${i}`, 3]));
    for (const allocation of [dhondt, sainteLague, quota("hare")]) {
      expect(seats({ allocation, seats: 20, votes })).toEqual(Array(10).fill(2));
    }
  });
  it("beyond eight seats of one list", () => {
    expect(seats({ allocation: dhondt, seats: 10, votes: { A: 9000, B: 901 } })).toEqual([9, 1]);
    expect(seats({ allocation: dhondt, seats: 10, votes: { A: 9000, B: 899 } })).toEqual([10, 0]);
    // 96 seats: 64 quotients of A reach 100, and 32 of B.
    expect(seats({ allocation: dhondt, seats: 96, votes: { A: 6400, B: 3200 } })).toEqual([64, 32]);
    expect(seats({ allocation: dhondt, seats: 96, votes: { A: 6500, B: 3199 } })).toEqual([65, 31]);
  });
  it("quotients that differ by 1/21 at 2^50, where floats see none", () => {
    const m = 2 ** 50;
    expect((3 * m + 1) / 3).toBe((7 * m + 2) / 7);
    expect(seats({ allocation: dhondt, seats: 9, votes: { A: 3 * m + 1, B: 7 * m + 2 } })).toEqual([3, 6]);
  });
});
