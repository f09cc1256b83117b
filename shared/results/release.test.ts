import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { List } from "../definition/schema.ts";
import type { Statement } from "../statement/types.ts";
import { applyEntry, createTabulation } from "./fold.ts";
import { buildRelease, groupSeats, releaseBytes } from "./release.ts";
import { decision, declaration, declaredSeats, HASH, HEADER, logOf, SAMPLE, tally } from "./sample.ts";

function released(...statements: Statement[]) {
  const t = createTabulation(SAMPLE, HASH);
  for (const entry of logOf(statements)) applyEntry(t, entry);
  return buildRelease(t, HEADER);
}

const night = [
  tally("XA-1", 1, { XA01: 60, XA02: 30 }, { electors: 200, ballots: 99, blank: 4, invalid: 5 }),
  tally("XA-4", 1, { XA04: 40, XA05: 30, XA06: 20, XA90: 6 }, { electors: 100, ballots: 100, blank: 1, invalid: 3 }),
  tally("XB-1", 1, { XB01: 500, XB02: 200 }, { electors: 900, ballots: 700 }),
  tally("XC-1", 1, { XC01: 8, XC02: 2 }, { electors: 30, ballots: 11, invalid: 1 }),
  declaredSeats("XC", { XC01: 2, XC02: 1 }),
];

describe("the Union", () => {
  it("adds votes of counted states only, units and seats of all", () => {
    expect(released(...night).union).toEqual({
      votesOf: ["XA", "XC"],
      units: { expected: 9, counted: 4 },
      electors: 330,
      ballots: 210,
      blank: 5,
      invalid: 9,
      valid: 196,
      turnout: "63.64",
      seats: { total: 20, allocated: 20 },
      // XA01 has 4 of a published 3 (2 ONE, 1 TWO): 3 and 1. Then XA04 and XA05 2 and 1, XA06 1, XB02 2, XC01 2.
      groups: { ONE: 3 + 1 + 2, TWO: 1 + 2 + 2, NI: 2 + 1 + 5 + 1 },
    });
  });
  it("leaves a withheld state out of everything but the seats to fill", () => {
    const union = released(...night, decision("hold", "XA")).union;
    expect(union).toMatchObject({ votesOf: ["XC"], units: { expected: 3, counted: 2 }, electors: 30, valid: 10 });
    expect(union).toMatchObject({ turnout: "36.67", seats: { total: 20, allocated: 10 } });
    expect(union.groups).toEqual({ NI: 6, TWO: 2, ONE: 2 });
  });
  it("has no votes when every state is rebuilt or withheld", () => {
    const union = released(...night, decision("hold", "XA"), decision("hold", "XC")).union;
    expect(union).toMatchObject({ votesOf: [], units: { expected: 1, counted: 1 }, electors: 0, valid: 0 });
    expect(union.turnout).toBeNull();
  });
});

describe("a state", () => {
  it("has its constituencies' sums, and its lists in the definition's order", () => {
    const [state] = released(...night).states;
    expect(state).toMatchObject({
      state: "XA",
      status: "PROVISIONAL",
      withheld: false,
      seatsFrom: "computed",
      votesFrom: "counted",
      units: { expected: 6, counted: 2 },
      electors: 300,
      ballots: 199,
      valid: 186,
      turnout: "66.33",
      seats: { total: 10, allocated: 10 },
      ties: [],
    });
    expect(state!.lists.map(({ id, votes, seats }) => [id, votes, seats])).toEqual([
      ["XA01", 60, 4],
      ["XA04", 40, 2],
      ["XA02", 30, 2],
      ["XA05", 30, 1],
      ["XA03", 0, 0],
      ["XA06", 20, 1],
      ["XA90", 6, 0],
    ]);
    expect(released(...night).states[1]).toMatchObject({ votesFrom: "rebuilt", seats: { total: 7, allocated: 7 } });
  });
  it("that is withheld shows what it is to fill, and not one figure", () => {
    const [state] = released(...night, declaration("XA", "official"), decision("hold", "XA")).states;
    expect(state).toEqual({
      state: "XA",
      status: "PROVISIONAL",
      withheld: true,
      seatsFrom: "computed",
      votesFrom: "counted",
      units: { expected: 6, counted: 0 },
      electors: 0,
      ballots: 0,
      blank: 0,
      invalid: 0,
      valid: 0,
      turnout: null,
      seats: { total: 10, allocated: 0 },
      groups: {},
      lists: [],
      constituencies: [],
      ties: [],
      differences: [],
      corrected: 0,
      corrections: [],
    });
  });
  it("comes back as it stands when it is resumed", () => {
    const back = released(...night, decision("hold", "XA"), declaration("XA", "final"), decision("resume", "XA"));
    expect(back.states).toEqual(released(...night, declaration("XA", "final")).states);
  });
});

describe("the status of the release", () => {
  const ids = SAMPLE.states.map((state) => state.id);
  const all = (declares: "final" | "official") => ids.map((id) => declaration(id, declares));
  it("is that of the least advanced state", () => {
    expect(released().status).toBe("PROVISIONAL");
    expect(released(...all("final")).status).toBe("FINAL");
    expect(released(...all("official")).status).toBe("OFFICIAL");
    expect(released(...all("official"), declaration("XB", "final")).status).toBe("FINAL");
    expect(released(...all("official").slice(1)).status).toBe("PROVISIONAL");
    expect(released(...all("official"), night[0]!).status).toBe("PROVISIONAL");
    expect(released(...all("official"), decision("hold", "XB")).status).toBe("PROVISIONAL");
  });
});

describe("turnout", () => {
  const of = (ballots: number, electors: number) =>
    released(tally("XB-1", 1, {}, { ballots, electors })).states[1]!.turnout;
  it.each([
    [5074, 10_000, "50.74"],
    [0, 7, "0.00"],
    [1, 10_000, "0.01"],
    [1, 20_000, "0.01"], // exactly half a hundredth goes up
    [1, 20_001, "0.00"],
    [1, 3, "33.33"],
    [2, 3, "66.67"],
    [1, 1, "100.00"],
    [3, 2, "150.00"],
    [999_999_999, 1_000_000_000, "100.00"],
  ])("%i ballots of %i electors is %s", (ballots, electors, expected) => expect(of(ballots, electors)).toBe(expected));
  it("is none without electors", () => expect(of(5, 0)).toBeNull());
});

describe("seats by group", () => {
  const list = (...groups: List["groups"]): List => ({ ...SAMPLE.states[0]!.lists[0]!, groups });
  const published = list({ id: "ONE", seats: 5 }, { id: "TWO", seats: 2 }, { id: "NI", seats: 1 });
  it("with the published seats are the published split", () =>
    expect(groupSeats(published, 8)).toEqual({ ONE: 5, TWO: 2, NI: 1 }));
  it("with other numbers follow it by largest remainder", () => {
    expect(groupSeats(published, 4)).toEqual({ ONE: 3, TWO: 1 }); // 2.5, 1, 0.5: the first named of the equal ones
    expect(groupSeats(published, 7)).toEqual({ ONE: 4, TWO: 2, NI: 1 }); // 4.375, 1.75, 0.875
    expect(groupSeats(published, 9)).toEqual({ ONE: 6, TWO: 2, NI: 1 }); // 5.625, 2.25, 1.125
    expect(groupSeats(list({ id: "TWO", seats: 1 }, { id: "ONE", seats: 1 }), 3)).toEqual({ TWO: 2, ONE: 1 });
    expect(groupSeats(list({ id: "ONE", seats: 1 }, { id: "TWO", seats: 1 }), 3)).toEqual({ ONE: 2, TWO: 1 });
  });
  it("are all of one group's, or non-attached without one, and none without seats", () => {
    expect(groupSeats(list({ id: "ONE", seats: 3 }), 7)).toEqual({ ONE: 7 });
    expect(groupSeats(list(), 7)).toEqual({ NI: 7 });
    expect(groupSeats(published, 0)).toEqual({});
  });
});

describe("the bytes", () => {
  it("are canonical JSON of the header and the results", () => {
    const release = released(...night);
    const bytes = releaseBytes(release);
    const text = new TextDecoder().decode(bytes);
    expect(text.startsWith('{"asOf":"2024-06-09T21:00:01.000Z","checkpoint":{"origin":"sample.example/log"')).toBe(
      true,
    );
    expect(JSON.parse(text)).toEqual(release);
    expect(release).toMatchObject({ type: "release", election: "sample", mode: "exercise", definition: HASH });
    expect(release).toMatchObject(HEADER);
    // What another implementation has to write, too: a change of these bytes is a change of the format.
    expect(createHash("sha256").update(bytes).digest("hex")).toBe(
      "d2bc7837f4f912165a71237f7626d05cf81802b68fc918cbbf198a367e877946",
    );
  });
  it("say who is named beyond ASCII in UTF-8", () => {
    const release = { ...released(), election: "voľby-ñ-€" };
    expect(Buffer.from(releaseBytes(release)).includes(Buffer.from("voľby-ñ-€", "utf8"))).toBe(true);
  });
  it("of the largest figures are exact", () => {
    const most = { electors: 1_000_000_000, ballots: 1_000_000_000 };
    const votes = { XA01: 1_000_000_000, XA02: 999_999_999 };
    const { union } = released(...["XA-1", "XA-2", "XA-3", "XA-6"].map((unit) => tally(unit, 1, votes, most)));
    expect(union).toMatchObject({ electors: 4e9, valid: 7_999_999_996, turnout: "100.00" });
  });
});
