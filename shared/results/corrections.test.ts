import { describe, expect, it } from "vitest";
import type { Definition } from "../definition/schema.ts";
import { MAX_CORRECTIONS } from "../formats/release.ts";
import type { Statement } from "../statement/types.ts";
import { applyEntry, createTabulation } from "./fold.ts";
import { buildRelease } from "./release.ts";
import { because, decision, declaredSeats, HASH, HEADER, logOf, releaseOf, SAMPLE, tally } from "./sample.ts";

function stateOf(id: string, statements: (Statement | { quarantined: Statement })[], definition = SAMPLE) {
  const t = createTabulation(definition, HASH);
  for (const entry of logOf(statements)) applyEntry(t, entry);
  return buildRelease(t, HEADER).states.find(({ state }) => state === id)!;
}
const correctionsOf = (...statements: (Statement | { quarantined: Statement })[]) => {
  const { corrected, corrections } = stateOf("XA", statements);
  return [corrected, ...corrections.map(({ unit, version, reason }) => [unit, version, reason])];
};

const first = tally("XA-1", 1, { XA01: 9 });
const second = because(tally("XA-1", 2, { XA01: 8 }), "a seal was broken");
const other = tally("XA-4", 1, { XA04: 1 });

describe("corrections", () => {
  it("are of units that a release showed otherwise: entries 0 to 2 here, then the release", () => {
    expect(correctionsOf(first, other, releaseOf(3), second)).toEqual([1, ["XA-1", 2, "a seal was broken"]]);
    expect(correctionsOf(first, other, releaseOf(3), tally("XA-1", 2, {}))).toEqual([1, ["XA-1", 2, null]]);
    expect(correctionsOf(first, releaseOf(2), other, { quarantined: second })).toEqual([0]);
  });

  it("are none before a release, however often a tally was replaced", () => {
    expect(correctionsOf(first, second, other)).toEqual([0]);
  });

  it("came before the release's own entry, when it did not count them", () => {
    expect(correctionsOf(first, second, releaseOf(2))).toEqual([1, ["XA-1", 2, "a seal was broken"]]);
    expect(correctionsOf(first, second, releaseOf(3))).toEqual([0]);
    // Counted first after what the release counts: nobody was shown the version that was replaced.
    expect(correctionsOf(first, second, releaseOf(1))).toEqual([0]);
  });

  it("are told by one release: the next shows them", () => {
    const told = [first, releaseOf(2), second, other, releaseOf(5)];
    expect(correctionsOf(...told)).toEqual([0]);
    expect(correctionsOf(...told, tally("XA-1", 3, {}))).toEqual([1, ["XA-1", 3, null]]);
  });

  it("stand once for each unit, as it stands, in the log's order of what stands", () => {
    const log = [first, other, releaseOf(3), second, tally("XA-4", 2, {}), tally("XA-1", 7, {})];
    expect(correctionsOf(...log)).toEqual([2, ["XA-4", 2, null], ["XA-1", 7, null]]);
    // A lower version comes too late and corrects nothing.
    expect(correctionsOf(...log, tally("XA-4", 1, {}))).toEqual([2, ["XA-4", 2, null], ["XA-1", 7, null]]);
  });

  it("of a withheld state wait until it is shown again, whatever was released meanwhile", () => {
    const hold = [first, releaseOf(2), decision("hold", "XA"), second, releaseOf(5)];
    expect(correctionsOf(...hold)).toEqual([0]);
    expect(correctionsOf(...hold, decision("resume", "XA"))).toEqual([1, ["XA-1", 2, "a seal was broken"]]);
    expect(correctionsOf(...hold, decision("resume", "XA"), releaseOf(7))).toEqual([0]);
    // The release counts the hold, not the resumption that stands before its own entry.
    const late = [first, releaseOf(2), decision("hold", "XA"), second, decision("resume", "XA"), releaseOf(5)];
    expect(correctionsOf(...late)).toEqual([1, ["XA-1", 2, "a seal was broken"]]);
  });

  it("beyond the last ones are counted only", () => {
    const units = Array.from({ length: MAX_CORRECTIONS + 2 }, (_, n) => `XB-${n}`);
    const XB = { ...SAMPLE.states[1]!, units: [{ constituency: "XB", kind: "station", ids: units }] };
    const many: Definition = { ...SAMPLE, states: [XB] };
    const all = (version: number) => units.map((unit) => tally(unit, version, { XB01: version }));
    const log = [...all(1), releaseOf(units.length + 1), ...all(2)];
    const { corrected, corrections } = stateOf("XB", log, many);
    expect(corrected).toBe(MAX_CORRECTIONS + 2);
    expect(corrections.map(({ unit }) => unit)).toEqual(units.slice(2));
    expect(stateOf("XB", log.slice(0, -1), many).corrections.map(({ unit }) => unit)).toEqual(units.slice(1, -1));
  });
});

describe("declared seats that are not the computed ones", () => {
  const votes = tally("XA-1", 1, { XA01: 50, XA02: 10 }); // six seats by d'Hondt: 5, 1, 0
  const differences = (...statements: Statement[]) =>
    stateOf("XA", statements).differences.map(({ list, computed, declared }) => [list, computed, declared]);

  it("are shown beside the computed ones, which stand", () => {
    const state = stateOf("XA", [votes, declaredSeats("XA-N", { XA01: 4, XA02: 1, XA03: 1 })]);
    expect(state.differences).toEqual([
      { constituency: "XA-N", list: "XA01", computed: 5, declared: 4 },
      { constituency: "XA-N", list: "XA03", computed: 0, declared: 1 },
    ]);
    expect(state.lists.find(({ id }) => id === "XA01")).toMatchObject({ seats: 5 });
  });

  it("are gone when the office or the votes come to the same; a list that is not named has none", () => {
    const wrong = declaredSeats("XA-N", { XA01: 6 });
    expect(differences(votes, wrong)).toEqual([
      ["XA01", 5, 6],
      ["XA02", 1, 0],
    ]);
    expect(differences(votes, wrong, declaredSeats("XA-N", { XA01: 5, XA02: 1 }))).toEqual([]);
    expect(differences(votes, wrong, tally("XA-1", 2, { XA01: 50 }))).toEqual([]);
  });

  it("are none where nothing was declared, where nothing is computed, and of a withheld state", () => {
    expect(differences(votes)).toEqual([]);
    expect(stateOf("XC", [declaredSeats("XC", { XC01: 3 })]).differences).toEqual([]);
    expect(differences(votes, declaredSeats("XA-N", { XA01: 6 }), decision("hold", "XA"))).toEqual([]);
  });

  it("of all constituencies stand in the definition's order", () => {
    const both = [declaredSeats("XA-S", { XA06: 4 }), declaredSeats("XA-N", { XA03: 6 })];
    expect(differences(votes, ...both)).toEqual([
      ["XA01", 5, 0],
      ["XA02", 1, 0],
      ["XA03", 0, 6],
      ["XA06", 0, 4],
    ]);
  });
});
