import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { sampleCommon, sampleDefinition, sampleTally } from "../definition/sample.ts";
import type { Statement } from "../statement/types.ts";
import { applyToLeftOut, createLeftOut, isLeftOut, type LeftOut } from "./left-out.ts";

const sample = sampleDefinition();
const START = sample.register.lastClosing();
const iso = (second: number) => new Date(START + second * 1000).toISOString();
const common = sampleCommon(sample, "AT", 1);

interface LogEntry {
  received: string;
  statement: Statement | null;
  verdict: "accepted" | "quarantined";
  signers: string[];
}

const tally: Statement = { type: "tally", ...common, tallies: [sampleTally()] };
const seats: Statement = { type: "seats", ...common, constituency: "AT", seats: { AT01: 20 } };
const declaration: Statement = { type: "declaration", ...common, declares: "final" };
const closed: Statement = { type: "polls", ...common, polls: "closed" };
const revokes = (kid: string, since: number): Statement => {
  return { type: "key", ...common, change: "revoke", revokes: kid, since: iso(since), reason: "lost" };
};
const rotates: Statement = {
  type: "key",
  ...common,
  change: "rotate",
  replaces: "AT-1",
  key: { id: "AT-9", publicKey: "x" },
};
const entry = (second: number, statement: Statement | null, ...signers: string[]): LogEntry => {
  return { received: iso(second), statement, verdict: "accepted", signers };
};

const counts = ({ statement, verdict }: LogEntry) =>
  verdict === "accepted" && ["tally", "seats", "declaration"].includes(statement?.type ?? "");

/** What counts of a log, told by the definition of the thing: the earliest instant of each key, and nothing signed later. */
function withoutLeftOut(log: readonly LogEntry[]): number[] {
  const since = new Map<string, number>();
  const isRotated = log.some(({ statement, verdict }) => statement === rotates && verdict === "accepted");
  for (const { statement, verdict } of log)
    if (verdict === "accepted" && statement?.type === "key" && statement.change === "revoke") {
      const at = Date.parse(statement.since);
      const gone = statement.revokes === "AT-1" && isRotated ? ["AT-1", "AT-9"] : [statement.revokes];
      for (const kid of gone) since.set(kid, Math.min(at, since.get(kid) ?? at));
    }
  return log.flatMap((e, n) => {
    const late = e.signers.some((kid) => Date.parse(e.received) > (since.get(kid) ?? Number.POSITIVE_INFINITY));
    return counts(e) && !late ? [n] : [];
  });
}

/** Counts as the counts do: entry by entry, and anew whenever it is asked for. `seen` is told what counts of each prefix. */
function fold(log: readonly LogEntry[], seen: (upTo: number, counted: readonly number[]) => void) {
  let leftOut = createLeftOut();
  let counted: number[] = [];
  let restarts = 0;
  let reached = 0;
  for (let n = 0; n < log.length; n++) {
    const e = log[n] as LogEntry;
    if (applyToLeftOut(leftOut, e) === "again") {
      counted = [];
      restarts += 1;
      n = -1;
      continue;
    }
    if (counts(e) && !isLeftOut(leftOut, e)) counted.push(n);
    leftOut = JSON.parse(JSON.stringify(leftOut)) as LeftOut; // a snapshot between any two entries
    if (n < reached) continue;
    reached = n + 1;
    seen(n, counted);
  }
  return restarts;
}

describe("what a revocation leaves out", () => {
  it("is what the log received later than the instant that it names, of whatever is counted", () => {
    const leftOut = createLeftOut();
    expect(applyToLeftOut(leftOut, entry(0, revokes("AT-1", 10), "AT-backup"))).toBe("go on");
    expect(isLeftOut(leftOut, entry(10, tally, "AT-1"))).toBe(false);
    expect(isLeftOut(leftOut, { received: new Date(START + 10_001).toISOString(), signers: ["AT-1"] })).toBe(true);
    expect(isLeftOut(leftOut, entry(11, tally, "AT-2"))).toBe(false);
    expect(isLeftOut(leftOut, entry(11, tally, "AT-2", "AT-1"))).toBe(true);
    expect(isLeftOut(leftOut, entry(11, null))).toBe(false);
  });

  it.each([tally, seats, declaration])("is counted anew without it: $type", (statement) => {
    const leftOut = createLeftOut();
    expect(applyToLeftOut(leftOut, entry(5, statement, "AT-1", "AT-2"))).toBe("go on");
    expect(applyToLeftOut(leftOut, entry(6, revokes("AT-2", 4), "AT-backup"))).toBe("again");
    expect(isLeftOut(leftOut, entry(5, statement, "AT-1", "AT-2"))).toBe(true);
    expect(applyToLeftOut(leftOut, entry(6, revokes("AT-2", 4), "AT-backup"))).toBe("go on");
  });

  it.each<[string, LogEntry, Statement]>([
    ["a statement of that very instant", entry(5, tally, "AT-1"), revokes("AT-1", 5)],
    ["another key's", entry(5, tally, "AT-2"), revokes("AT-1", 4)],
    ["a closure", entry(5, closed, "AT-1"), revokes("AT-1", 4)],
    ["a rotation", entry(5, rotates, "AT-1", "AT-9"), revokes("AT-1", 4)],
    ["what was quarantined", { ...entry(5, tally, "AT-1"), verdict: "quarantined" }, revokes("AT-1", 4)],
    ["the definition", entry(5, null), revokes("AT-1", 4)],
  ])("is not %s: nothing is counted anew", (_, before, revocation) => {
    const leftOut = createLeftOut();
    expect(applyToLeftOut(leftOut, before)).toBe("go on");
    expect(applyToLeftOut(leftOut, entry(6, revocation, "AT-backup"))).toBe("go on");
  });

  it("is nothing when the revocation was quarantined", () => {
    const leftOut = createLeftOut();
    applyToLeftOut(leftOut, entry(5, tally, "AT-1"));
    const refused: LogEntry = { ...entry(6, revokes("AT-1", 4), "LU-backup"), verdict: "quarantined" };
    expect(applyToLeftOut(leftOut, refused)).toBe("go on");
    expect(isLeftOut(leftOut, entry(5, tally, "AT-1"))).toBe(false);
  });

  it("is asked for once more when a key turns out to have been lost earlier, and never when later", () => {
    const leftOut = createLeftOut();
    const log = [entry(5, tally, "AT-1"), entry(9, tally, "AT-1")];
    for (const one of log) applyToLeftOut(leftOut, one);
    expect(applyToLeftOut(leftOut, entry(10, revokes("AT-1", 7)))).toBe("again");
    for (const one of log) applyToLeftOut(leftOut, one);
    expect(applyToLeftOut(leftOut, entry(10, revokes("AT-1", 7)))).toBe("go on");
    expect(applyToLeftOut(leftOut, entry(11, revokes("AT-1", 8)))).toBe("go on");
    expect(leftOut.since).toEqual({ "AT-1": START + 7000 });
    expect(applyToLeftOut(leftOut, entry(12, revokes("AT-1", 4)))).toBe("again");
  });

  it("is no key that is called as what every object has", () => {
    const leftOut = createLeftOut();
    for (const kid of ["constructor", "toString", "valueOf"])
      expect(isLeftOut(leftOut, entry(5, tally, kid))).toBe(false);
    expect(applyToLeftOut(leftOut, entry(6, revokes("constructor", 4)))).toBe("go on");
    expect(isLeftOut(leftOut, entry(5, tally, "constructor"))).toBe(true);
  });

  it("makes the counts, at every prefix, those of the log without it", () => {
    const kid = fc.constantFrom("AT-1", "AT-9", "LU-1", "constructor");
    const second = fc.integer({ min: 0, max: 20 });
    const said = fc.oneof(
      {
        weight: 5,
        arbitrary: fc.constantFrom<Statement | null>(tally, tally, seats, declaration, closed, rotates, null),
      },
      { weight: 1, arbitrary: fc.tuple(kid, second).map(([id, at]) => revokes(id, at)) },
    );
    const step = fc.record({
      wait: fc.integer({ min: 0, max: 3 }),
      statement: said,
      verdict: fc.constantFrom<"accepted" | "quarantined">("accepted", "accepted", "accepted", "quarantined"),
      signers: fc.uniqueArray(kid, { minLength: 1, maxLength: 3 }),
    });
    let again = 0;
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40, size: "max" }), (steps) => {
        let at = 0;
        let isOver = false; // a key that was rotated or revoked is not rotated again
        const log = steps.map(({ wait, verdict: drawn, ...rest }): LogEntry => {
          at += wait;
          const { statement } = rest;
          const verdict = statement === rotates && isOver ? "quarantined" : drawn;
          const ends = statement?.type === "key" && statement.change === "revoke" && statement.revokes === "AT-1";
          isOver ||= verdict === "accepted" && (statement === rotates || ends);
          return { ...rest, verdict, received: iso(at) };
        });
        const restarts = fold(log, (n, counted) => expect(counted).toEqual(withoutLeftOut(log.slice(0, n + 1))));
        const revocations = log.filter(({ statement }) => statement?.type === "key" && statement.change === "revoke");
        expect(restarts).toBeLessThanOrEqual(revocations.length);
        again += restarts;
      }),
      { numRuns: 500 },
    );
    expect(again).toBeGreaterThan(100);
  });
});
