import { describe, expect, it } from "vitest";
import type { Release } from "../formats/release.ts";
import { canonical } from "../ledger/entry.ts";
import { count, counted, startCount } from "./count.ts";
import { recountRelease } from "./document.ts";
import {
  definition,
  entry,
  fold,
  HASH,
  HEADER,
  of,
  release,
  type Saying,
  state,
  THREE,
  tallied,
  tally,
} from "./fixture.ts";
import { saveCount } from "./keep.ts";

describe("tallies", () => {
  it("the highest version of a unit stands, and the first of it; lists not named have no votes", () => {
    const c = fold([
      tallied(tally("AT-1", 1, [10, 20, 30])),
      tallied(tally("AT-1", 3, [7])),
      tallied(tally("AT-1", 2, [50])),
      tallied(tally("AT-1", 3, [8])),
    ]);
    const { lists, units, valid } = of(c, "AT");
    expect(lists.map((l) => l.votes)).toEqual([7, 0, 0]);
    expect([units, valid]).toEqual([{ expected: 3, counted: 1 }, 7]);
  });

  it("one statement speaks for many units, and quarantined ones count for nothing", () => {
    const c = fold([tallied(tally("AT-1", 1, [1, 1, 1]), tally("AT-3", 1, [2, 2, 0], { electors: 500, ballots: 7 }))]);
    count(c, entry(2, tallied(tally("AT-2", 1, [90, 90, 90])), "quarantined"));
    expect(of(c, "AT")).toMatchObject({
      electors: 1500,
      ballots: 507,
      blank: 6,
      invalid: 8,
      valid: 7,
      turnout: "33.80",
    });
    expect(counted(c)).toBe(3);
  });

  it("a repeated or older entry changes nothing, a gap is refused", () => {
    const c = fold([tallied(tally("AT-1", 1, [10])), tallied(tally("AT-1", 2, [11]))]);
    const before = recountRelease(c, HEADER);
    count(c, entry(1, tallied(tally("AT-1", 9, [99]))));
    count(c, entry(2, { type: "declaration", state: "AT", declares: "final" }));
    expect(recountRelease(c, HEADER)).toEqual(before);
    expect(() => count(c, entry(4, null))).toThrow(RangeError);
    expect(counted(c)).toBe(3);
    expect(counted(startCount(THREE, HASH))).toBe(0);
  });

  it("an accepted statement that the definition cannot hold stops the count and leaves it as it was", () => {
    const c = fold([tallied(tally("AT-1", 1, [10]))]);
    const before = saveCount(c);
    const broken: Saying[] = [
      tallied(tally("AT-2", 1, [5]), tally("AT-9", 1, [5])),
      tallied(tally("AT-2", 1, [5]), tally("AT-3", 1, [2 ** 31])),
      { type: "declaration", state: "ZZ", declares: "final" },
      { type: "seats", state: "MT", constituency: "ZZ", seats: {} },
    ];
    for (const said of broken) expect(() => count(c, entry(2, said))).toThrow();
    expect(saveCount(c)).toEqual(before);
  });

  it("turnout rounds half up, and is null without electors", () => {
    const turnout = (electors: number, ballots: number) =>
      of(fold([tallied(tally("AT-1", 1, [1], { electors, ballots }))]), "AT").turnout;
    expect(turnout(20_000, 10_147)).toBe("50.74"); // 50.735
    expect(turnout(1_000_000_000, 49_999)).toBe("0.00");
    expect(turnout(1_000_000_000, 50_000)).toBe("0.01");
    expect(turnout(8, 10)).toBe("125.00");
    expect(turnout(0, 10)).toBeNull();
    expect(turnout(5, 0)).toBe("0.00");
  });
});

describe("seats, status and holds", () => {
  it("computes seats and groups, and takes declared ones only where the definition says so", () => {
    const c = fold([
      tallied(tally("AT-1", 1, [300, 290, 110])), // 300, 290, 150, 145
      { type: "seats", state: "AT", constituency: "AT", seats: { AT03: 4 } },
      { type: "seats", state: "MT", constituency: "MT", seats: { MT01: 1, MT03: 3 } },
      { type: "seats", state: "MT", constituency: "MT", seats: { MT02: 1, MT03: 2 } },
    ]);
    const at = of(c, "AT");
    expect(at.lists.map((l) => [l.seats, l.groups])).toEqual([
      [2, { SD: 1, EPP: 1 }],
      [2, { EPP: 2 }],
      [0, {}],
    ]);
    expect([at.seatsFrom, at.groups, at.seats]).toEqual(["computed", { EPP: 3, SD: 1 }, { total: 4, allocated: 4 }]);
    const mt = of(c, "MT");
    expect([mt.seatsFrom, mt.groups, mt.seats]).toEqual(["declared", { EPP: 1, NI: 2 }, { total: 4, allocated: 3 }]);
    expect(release(c).union).toMatchObject({ groups: { EPP: 4, SD: 1, NI: 2 }, seats: { total: 12, allocated: 7 } });
  });

  it("a tie stays open until drawn, by the first draw", () => {
    const even: Saying = tallied(tally("AT-1", 1, [30, 30, 30]));
    const draw = (order: string[]): Saying => ({
      type: "decision",
      state: "EU",
      decision: "draw",
      constituency: "AT",
      within: "seats",
      order,
      reason: "lot",
    });
    expect(of(fold([even]), "AT").ties).toEqual([
      { constituency: "AT", within: "seats", between: ["AT01", "AT02", "AT03"], seats: 1 },
    ]);
    const drawn = of(fold([even, draw(["AT02", "AT03", "AT01"]), draw(["AT01", "AT02", "AT03"])]), "AT");
    expect([drawn.ties, drawn.lists.map((l) => l.seats)]).toEqual([[], [1, 2, 1]]);
  });

  it("a declaration holds until the next accepted tally; the Union is as far as its last state", () => {
    const declared = (state: string, declares: "final" | "official"): Saying => ({
      type: "declaration",
      state,
      declares,
    });
    const all = ["AT", "BG", "MT"].map((id) => declared(id, "official"));
    expect(release(fold(all)).status).toBe("OFFICIAL");
    expect(release(fold([...all, declared("BG", "final")])).status).toBe("FINAL");
    expect(release(fold(all.slice(1))).status).toBe("PROVISIONAL");
    const again = fold([...all, tallied(tally("BG-2", 1, [1]))]);
    expect(release(again).states.map((s) => s.status)).toEqual(["OFFICIAL", "PROVISIONAL", "OFFICIAL"]);
  });

  const decide = (decision: "hold" | "resume", about: string): Saying => ({
    type: "decision",
    state: "EU",
    decision,
    about,
    reason: "asked",
  });

  it("a held state is withheld whole, and comes back as it was", () => {
    const night = [
      tallied(tally("AT-1", 1, [30, 20, 11])),
      { type: "declaration", state: "AT", declares: "official" } as Saying,
      tallied(tally("BG-1", 1, [30, 20, 11])),
    ];
    const open = fold(night);
    const held = fold([...night, decide("hold", "AT"), decide("hold", "EU")]);
    expect(of(held, "AT")).toEqual({
      state: "AT",
      status: "PROVISIONAL",
      withheld: true,
      seatsFrom: "computed",
      votesFrom: "counted",
      seats: { total: 4, allocated: 0 },
      units: { expected: 3, counted: 0 },
      electors: 0,
      ballots: 0,
      blank: 0,
      invalid: 0,
      valid: 0,
      turnout: null,
      groups: {},
      lists: [],
      constituencies: [],
      ties: [],
      differences: [],
      corrected: 0,
      corrections: [],
    });
    expect(of(held, "BG")).toEqual(of(open, "BG"));
    expect(release(held).union).toMatchObject({
      units: { expected: 6, counted: 1 },
      votesOf: ["MT"],
      seats: { total: 12, allocated: 4 },
    });
    expect(release(fold([...night, decide("hold", "AT"), decide("resume", "AT")]))).toEqual(release(open));
  });

  it("rebuilt votes stay out of the Union's figures, their units and seats do not", () => {
    const c = fold([tallied(tally("AT-1", 1, [30, 20, 11])), tallied(tally("BG-1", 1, [300, 20, 10]))]);
    expect(release(c).union).toMatchObject({
      votesOf: ["AT", "MT"],
      units: { expected: 9, counted: 2 },
      electors: 1000,
      valid: 61,
      seats: { total: 12, allocated: 8 },
    });
  });
});

describe("the document", () => {
  it("is canonical, and holds the header and the definition's hash", () => {
    const c = fold([tallied(tally("AT-1", 1, [30, 20, 11]))]);
    const text = new TextDecoder().decode(recountRelease(c, { ...HEADER, previous: "cd".repeat(32) }));
    const { union, states, ...rest } = JSON.parse(text) as Release;
    expect(text).toBe(canonical(JSON.parse(text)));
    expect([states.length, union.votesOf]).toEqual([3, ["AT", "MT"]]);
    expect(rest).toEqual({
      type: "release",
      election: "night",
      mode: "exercise",
      definition: HASH,
      status: "PROVISIONAL",
      ...HEADER,
      previous: "cd".repeat(32),
    });
  });

  it("refuses text that is no Unicode", () => {
    expect(() => recountRelease(fold([]), { ...HEADER, asOf: "\ud800" })).toThrow(RangeError);
    expect(() => recountRelease(fold([]), { ...HEADER, asOf: "ñ😀\u0001\u2028" })).not.toThrow();
  });

  it("refuses at the start a formula that cannot be computed", () => {
    const first = { allocation: { method: "divisor", divisors: "dhondt", first: "2" }, seats: 4 } as const;
    expect(() => startCount(definition(state("AT", first)), HASH)).toThrow(RangeError);
  });
});
