import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Release } from "../formats/release.ts";
import type { OpenedEntry } from "../ledger/entry.ts";
import type { Tally } from "../statement/types.ts";
import { applyEntry, createTabulation, size, type Tabulation } from "./fold.ts";
import { buildRelease, releaseBytes } from "./release.ts";
import {
  arbitraryStatements,
  closed,
  decision,
  declaration,
  declaredSeats,
  draw,
  HASH,
  HEADER,
  logOf,
  SAMPLE,
  tally,
} from "./sample.ts";
import { loadTabulation, saveTabulation } from "./save.ts";

function fold(entries: OpenedEntry[], t: Tabulation = createTabulation(SAMPLE, HASH)): Tabulation {
  for (const entry of entries) applyEntry(t, entry);
  return t;
}

const released = (t: Tabulation): Release => buildRelease(t, HEADER);
const written = (t: Tabulation): string => new TextDecoder().decode(releaseBytes(released(t)));
const stateOf = (t: Tabulation, id: string) => released(t).states.find((state) => state.state === id)!;
const placeOf = (t: Tabulation, id: string) =>
  stateOf(t, id.slice(0, 2)).constituencies.find((place) => place.constituency === id)!;

describe("tallies", () => {
  const first = tally("XA-1", 1, { XA01: 60, XA02: 30 }, { electors: 200, ballots: 99, blank: 4, invalid: 5 });

  it("add up by constituency, whatever kind their unit is of", () => {
    const t = fold(logOf([first, tally("XA-6", 1, { XA02: 7, XA03: 1 }, { electors: 10, ballots: 9, invalid: 1 })]));
    expect(placeOf(t, "XA-N")).toMatchObject({
      units: { expected: 4, counted: 2 },
      electors: 210,
      ballots: 108,
      blank: 4,
      invalid: 6,
      valid: 98,
      turnout: "51.43",
      lists: [
        { id: "XA01", votes: 60, seats: 4 },
        { id: "XA02", votes: 37, seats: 2 },
        { id: "XA03", votes: 1, seats: 0 },
      ],
    });
    expect(placeOf(t, "XA-S")).toMatchObject({ units: { expected: 2, counted: 0 }, ballots: 0, turnout: null });
  });

  it("of a higher version take the place of the one before, lists not named included", () => {
    const t = fold(logOf([first, tally("XA-1", 5, { XA02: 31 }, { electors: 200, ballots: 31 })]));
    expect(placeOf(t, "XA-N")).toMatchObject({ units: { counted: 1 }, ballots: 31, blank: 0, valid: 31 });
    expect(placeOf(t, "XA-N").lists.map((list) => list.votes)).toEqual([0, 31, 0]);
  });

  it("of a lower version, or of the same, change no figure", () => {
    const later = tally("XA-1", 3, { XA01: 1 });
    for (const version of [1, 2, 3]) {
      const t = fold(logOf([later, tally("XA-1", version, { XA02: 9 }, { ballots: 9 })]));
      expect(placeOf(t, "XA-N")).toMatchObject({ ballots: 0, valid: 1 });
    }
  });

  it("that are quarantined count for nothing", () => {
    expect(written(fold(logOf([{ quarantined: first }])))).toBe(written(fold(logOf([closed("XA")]))));
  });

  it("travel many in a statement", () => {
    const second = tally("XA-4", 1, { XA04: 3 });
    if (first.type !== "tally" || second.type !== "tally") throw new Error("not tallies");
    const t = fold(logOf([{ ...first, tallies: [...first.tallies, ...second.tallies] }]));
    expect([placeOf(t, "XA-N").valid, placeOf(t, "XA-S").valid]).toEqual([90, 3]);
  });
});

describe("an entry", () => {
  const entries = logOf([tally("XA-1", 1, { XA01: 5 }), tally("XA-2", 1, { XA02: 5 })]);
  it("moves the position, even if it says nothing of figures", () => {
    const t = createTabulation(SAMPLE, HASH);
    expect(size(t)).toBe(0);
    for (const [i, entry] of logOf([closed("XA"), decision("override", "XA")]).entries()) {
      applyEntry(t, entry);
      expect(size(t)).toBe(i + 1);
    }
  });
  it("that was applied before changes nothing, though it says something else now", () => {
    const t = fold(entries);
    const before = written(t);
    applyEntry(t, { ...entries[1]!, statement: tally("XA-1", 9, { XA01: 500 }) });
    expect(written(t)).toBe(before);
    expect(size(t)).toBe(3);
  });
  it("that skips others is refused, and changes nothing", () => {
    const t = fold(entries.slice(0, 2));
    const before = written(t);
    expect(() => applyEntry(t, { ...entries[2]!, index: 3 })).toThrow("entry 3 does not follow entry 1");
    expect(() => applyEntry(createTabulation(SAMPLE, HASH), { ...entries[2]!, index: 2 })).toThrow("does not follow");
    expect([written(t), size(t)]).toEqual([before, 2]);
  });
  it("may be the first at 1, after the definition", () =>
    expect(written(fold(entries.slice(1)))).toBe(written(fold(entries))));
  it("that the ledger could not have accepted stops the count", () => {
    for (const [statement, reason] of [
      [tally("XA-7", 1, {}), "unit XA-7"],
      [tally("XA-1", 1, { XA04: 1 }), "list"],
      [declaredSeats("XD", { XC01: 1 }), "constituency XD"],
      [declaredSeats("XC", { XA01: 1 }), "list XA01"],
      [declaration("XD", "final"), "state XD"],
    ] as const) {
      expect(() => fold(logOf([statement])), reason).toThrow(reason);
    }
  });
});

describe("seats, declarations, holds and draws", () => {
  it("the last declared seats stand, where nothing computes them", () => {
    const t = fold(logOf([declaredSeats("XC", { XC01: 3 }), declaredSeats("XC", { XC01: 1, XC02: 2 })]));
    expect(stateOf(t, "XC")).toMatchObject({
      seatsFrom: "declared",
      seats: { total: 3, allocated: 3 },
      groups: { ONE: 1, NI: 2 },
      lists: [
        { id: "XC01", seats: 1, groups: { ONE: 1 } },
        { id: "XC02", seats: 2, groups: { NI: 2 } },
      ],
    });
  });
  it("declared seats elsewhere are not used", () => {
    const t = fold(logOf([tally("XA-1", 1, { XA02: 5 }), declaredSeats("XA-N", { XA01: 6 })]));
    expect(placeOf(t, "XA-N").lists.map((list) => list.seats)).toEqual([0, 6, 0]);
  });
  it("a tally after a declaration makes its state provisional again, and no other", () => {
    const declared = logOf([declaration("XA", "final"), declaration("XB", "official")]);
    const status = (t: Tabulation) => released(t).states.map((state) => state.status);
    const t = fold(declared);
    expect(status(t)).toEqual(["FINAL", "OFFICIAL", "PROVISIONAL"]);
    applyEntry(t, { ...declared[1]!, index: 3, statement: tally("XB-1", 1, { XB01: 1 }) });
    expect(status(t)).toEqual(["FINAL", "PROVISIONAL", "PROVISIONAL"]);
  });
  it("so do declared seats", () => {
    const t = fold(logOf([declaration("XA", "final"), declaration("XC", "final"), declaredSeats("XC", { XC01: 3 })]));
    expect(released(t).states.map((state) => state.status)).toEqual(["FINAL", "PROVISIONAL", "PROVISIONAL"]);
  });
  it("a state is withheld while its last decision is a hold; one on the Union withholds none", () => {
    const held = (...decisions: Parameters<typeof decision>[]) =>
      released(fold(logOf(decisions.map((d) => decision(...d))))).states.map((state) => state.withheld);
    expect(held(["hold", "XB"])).toEqual([false, true, false]);
    expect(held(["hold", "XB"], ["override", "XB"])).toEqual([false, true, false]);
    expect(held(["hold", "XB"], ["resume", "XB"])).toEqual([false, false, false]);
    expect(held(["hold", "XB"], ["resume", "XB"], ["hold", "XB"])).toEqual([false, true, false]);
    expect(held(["hold", "XB"], ["resume", "EU"])).toEqual([false, true, false]);
    expect(held(["hold", "EU"])).toEqual([false, false, false]);
  });
  it("the first draw of a tie stands, before or after the tie arose", () => {
    const tied = tally("XA-1", 1, { XA01: 50, XA02: 50, XA03: 20 });
    const lots = [draw("XA-N", "seats", ["XA02", "XA01"]), draw("XA-N", "seats", ["XA01", "XA02"])] as const;
    const seats = (t: Tabulation) => placeOf(t, "XA-N").lists.map((list) => list.seats);
    const open = fold(logOf([tied]));
    expect(stateOf(open, "XA").ties).toEqual([
      { constituency: "XA-N", within: "seats", between: ["XA01", "XA02"], seats: 1 },
    ]);
    expect([seats(open), placeOf(open, "XA-N").seats]).toEqual([[2, 2, 1], { total: 6, allocated: 5 }]);
    for (const order of [
      [tied, ...lots],
      [...lots, tied],
      [lots[0], tied, lots[1]],
    ]) {
      const t = fold(logOf(order));
      expect([seats(t), stateOf(t, "XA").ties]).toEqual([[2, 3, 1], []]);
    }
  });
});

/** The same figures by the slow road: the standing tally of each unit, all added up again. */
function standing(entries: OpenedEntry[]): Map<string, Tally> {
  const tallies = new Map<string, Tally>();
  for (const { statement, verdict } of entries) {
    if (verdict !== "accepted" || statement?.type !== "tally") continue;
    for (const one of statement.tallies) tallies.set(one.unit, one);
  }
  return tallies;
}

describe("whatever the log", () => {
  it("the sums are those of the standing tallies", () => {
    fc.assert(
      fc.property(arbitraryStatements(false), (statements) => {
        const entries = logOf(statements);
        const t = fold(entries);
        const tallies = standing(entries);
        for (const { id: state, units, constituencies } of SAMPLE.states) {
          for (const { id } of constituencies) {
            const ids = units.filter((group) => group.constituency === id).flatMap((group) => group.ids);
            const mine = ids.flatMap((unit) => tallies.get(unit) ?? []);
            const place = stateOf(t, state).constituencies.find((p) => p.constituency === id)!;
            const sum = (pick: (one: Tally) => number) => mine.reduce((all, one) => all + pick(one), 0);
            expect(place.units).toEqual({ expected: ids.length, counted: mine.length });
            for (const figure of ["electors", "ballots", "blank", "invalid"] as const) {
              expect(place[figure]).toBe(sum((one) => one[figure]));
            }
            for (const list of place.lists) expect(list.votes).toBe(sum((one) => one.votes[list.id] ?? 0));
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it("the order of arrival between units changes nothing", () => {
    fc.assert(
      fc.property(arbitraryStatements(false), fc.infiniteStream(fc.nat()), (statements, numbers) => {
        // A random merge of the units' own queues: each unit's versions still rise.
        const queues = new Map<string, typeof statements>();
        for (const given of statements) {
          const statement = "quarantined" in given ? given.quarantined : given;
          const unit = statement.type === "tally" ? statement.tallies[0]!.unit : "";
          queues.set(unit, [...(queues.get(unit) ?? []), given]);
        }
        const merged: typeof statements = [];
        while (merged.length < statements.length) {
          const full = [...queues.values()].filter((queue) => queue.length > 0);
          merged.push(full[numbers.next().value % full.length]!.shift()!);
        }
        expect(written(fold(logOf(merged)))).toBe(written(fold(logOf(statements))));
      }),
      { numRuns: 300 },
    );
  });

  it("repeats, batches, crashes and restarts change nothing", () => {
    const step = fc.record({ back: fc.nat(6), take: fc.integer({ min: 1, max: 8 }), outcome: fc.nat(3) });
    fc.assert(
      fc.property(arbitraryStatements(true), fc.array(step), (statements, steps) => {
        const entries = logOf(statements);
        const stored = new Map(saveTabulation(createTabulation(SAMPLE, HASH)));
        let t = loadTabulation(SAMPLE, HASH, stored);
        for (const { back, take, outcome } of steps) {
          const from = Math.max(0, size(t) - back);
          fold(entries.slice(from, from + back + take), t);
          if (outcome === 0) continue; // goes on unsaved
          const parts = saveTabulation(t, { changedOnly: true });
          if (outcome > 1) for (const [name, bytes] of parts) stored.set(name, bytes);
          if (outcome !== 2) t = loadTabulation(SAMPLE, HASH, stored); // 1: the transaction failed, 3: a restart after it
        }
        expect(written(fold(entries, t))).toBe(written(fold(entries)));
      }),
      { numRuns: 300 },
    );
  });
});
