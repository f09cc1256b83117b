import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { OpenedEntry } from "../ledger/entry.ts";
import { MAX_REASON } from "../statement/types.ts";
import { applyEntry, createTabulation, type Tabulation } from "./fold.ts";
import { buildRelease, releaseBytes } from "./release.ts";
import {
  arbitraryStatements,
  because,
  closed,
  decision,
  declaredSeats,
  draw,
  HASH,
  HEADER,
  logOf,
  SAMPLE,
  tally,
} from "./sample.ts";
import { loadTabulation, mostPartBytes, saveTabulation } from "./save.ts";

function fold(entries: OpenedEntry[]): Tabulation {
  const t = createTabulation(SAMPLE, HASH);
  for (const entry of entries) applyEntry(t, entry);
  return t;
}

/** Everything that a tabulation holds, but for what is computed on demand. */
const contents = (t: Tabulation) => ({
  ...t,
  places: t.places.length,
  states: t.states.map((state) => ({
    ...state,
    constituencies: state.constituencies.map((count) => ({ ...count, seats: null })),
  })),
});

const night = logOf([
  tally("XA-1", 1, { XA01: 127, XA02: 128 }, { electors: 1_000_000_000, ballots: 16_384 }),
  tally("XC-2", 100, { XC01: 5 }),
  declaredSeats("XC", { XC01: 2, XC02: 1 }),
  draw("XA-S", "XA-SA", ["XA05", "XA04"]),
]);
const corrected = logOf([
  ...night.slice(1).map((entry) => entry.statement!),
  because(tally("XA-1", 2, { XA01: 1 }), "ñ"),
  tally("XC-2", 101, {}),
]);

describe("save and load", () => {
  it("give back the same tabulation, at any point of any log", () => {
    fc.assert(
      fc.property(arbitraryStatements(true), (statements) => {
        const t = fold(logOf(statements));
        const parts = saveTabulation(t);
        const loaded = loadTabulation(SAMPLE, HASH, parts);
        expect(contents(loaded)).toEqual(contents(t));
        expect(releaseBytes(buildRelease(loaded, HEADER))).toEqual(releaseBytes(buildRelease(t, HEADER)));
        expect(saveTabulation(loaded)).toEqual(parts);
      }),
      { numRuns: 300 },
    );
  });

  it("keep why a tally replaced another, or that nobody said", () => {
    const loaded = loadTabulation(SAMPLE, HASH, saveTabulation(fold(corrected)));
    expect(loaded.states.map(({ replacements }) => replacements)).toEqual([
      [{ at: 5, unit: "XA-1", version: 2, reason: "ñ" }],
      [],
      [{ at: 6, unit: "XC-2", version: 101, reason: null }],
    ]);
  });

  it("never pass what a part can have at most, which is the same for whatever was counted", () => {
    const empty = fold(logOf(Array.from({ length: 30 }, () => closed("XA"))));
    const full = fold(
      logOf(
        [1, 1_000_000_000].flatMap((version) =>
          SAMPLE.states.flatMap(({ units, lists }) =>
            units.flatMap(({ ids, constituency }) =>
              ids.map((unit) => {
                const own = lists.filter((list) => list.constituency === constituency).map(({ id }) => [id, 1e9]);
                const most = { electors: 1e9, ballots: 1e9, blank: 1e9, invalid: 1e9 };
                return because(tally(unit, version, Object.fromEntries(own), most), "€".repeat(MAX_REASON));
              }),
            ),
          ),
        ),
      ),
    );
    const more = [...Array(30 - (full.size - 1)).keys()].map((n) => ({ ...night[0]!, index: full.size + n }));
    for (const entry of more) applyEntry(full, entry);
    expect(full.size).toBe(empty.size);
    for (const t of [empty, full]) saveTabulation(t);
    for (const { id } of SAMPLE.states) {
      expect(mostPartBytes(full, id)).toBe(mostPartBytes(empty, id));
      expect(saveTabulation(full).get(id)!.length).toBeLessThanOrEqual(mostPartBytes(full, id));
    }
  });

  it("a part per state and one for the whole; changed only: what an entry has touched, and the position", () => {
    const names = (t: Tabulation) => [...saveTabulation(t, { changedOnly: true }).keys()];
    const t = createTabulation(SAMPLE, HASH);
    expect([...saveTabulation(t).keys()]).toEqual(["XA", "XB", "XC", "EU"]);
    expect(names(t)).toEqual([]);
    const then = (entry: OpenedEntry) => {
      applyEntry(t, entry);
      return names(t);
    };
    expect(night.map(then)).toEqual([["EU"], ["XA", "EU"], ["XC", "EU"], ["XC", "EU"], ["XA", "EU"]]);
    const more = logOf([...night.slice(1).map((e) => e.statement!), decision("hold", "XB"), closed("XC")]).slice(5);
    expect(more.map(then)).toEqual([["XB", "EU"], ["EU"]]);
  });

  it("need no part of a state that nothing was said of", () => {
    const t = fold(night);
    const parts = saveTabulation(t, { changedOnly: true });
    expect([...parts.keys()]).toEqual(["XA", "XC", "EU"]);
    expect(contents(loadTabulation(SAMPLE, HASH, parts))).toEqual(contents(t));
  });

  it("stay small: a byte for a unit without a tally, and no more for a small figure", () => {
    const empty = saveTabulation(createTabulation(SAMPLE, HASH)).get("XC")!.length;
    const counted = saveTabulation(fold(logOf([tally("XC-1", 1, { XC01: 5 })]))).get("XC")!.length;
    expect(counted - empty).toBe(8);
  });
});

describe("load refuses", () => {
  const saved = () => saveTabulation(fold(night));
  const load = (parts: Map<string, Uint8Array>, hash = HASH) => loadTabulation(SAMPLE, hash, parts);

  it("another definition", () => expect(() => load(saved(), "e".repeat(64))).toThrow("saved for definition d"));
  it("a missing part", () => {
    for (const name of ["EU", "XA"]) {
      const parts = saved();
      parts.delete(name);
      expect(() => load(parts)).toThrow(`saved part ${name} is missing`);
    }
  });
  it("a part of another save", () => {
    const parts = saved();
    parts.set("XA", saveTabulation(fold(night.slice(0, 3))).get("XA")!);
    expect(() => load(parts)).toThrow("saved part XA is of position 3, not 5");
  });
  it("a part of another state", () => {
    const parts = saved();
    parts.set("XA", parts.get("XB")!);
    expect(() => load(parts)).toThrow("other constituencies");
  });
  it("a part that is cut or goes on, anywhere", () => {
    const whole = saved().get("XA")!;
    for (let length = 0; length < whole.length; length++) {
      const parts = saved();
      parts.set("XA", whole.subarray(0, length));
      expect(() => load(parts), `cut to ${length}`).toThrow();
    }
    const parts = saved();
    parts.set("XA", Uint8Array.of(...whole, 0));
    expect(() => load(parts)).toThrow("saved part XA goes on after its last row");
  });
  it("an integer that no row holds", () => {
    const whole = saved().get("XB")!; // its last byte is the only unit's version, 0
    for (const tail of [
      [255, 255, 255, 255, 8],
      [128, 128, 128, 128, 128, 0],
    ]) {
      const parts = saved();
      parts.set("XB", Uint8Array.of(...whole.slice(0, -1), ...tail));
      expect(() => load(parts)).toThrow("an integer that is too large");
    }
  });
  it("another format", () => {
    const parts = saved();
    parts.set("XA", Uint8Array.of(1, ...parts.get("XA")!.slice(1)));
    expect(() => load(parts)).toThrow("another format");
  });
});
