import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SAMPLE_CLOSE, sampleCommon, sampleDefinition } from "../../shared/definition/sample.ts";
import { applyToGate, gateFacts, NO_FLOOR } from "../../shared/embargo/gate.ts";
import type { Statement } from "../../shared/statement/types.ts";
import { factsOf, gateView } from "./gate.ts";
import type { FactRow } from "./store.ts";

const sample = sampleDefinition();
const { definition } = sample;
const NOW = SAMPLE_CLOSE + 1_000;
const clocks = { process: NOW, postgres: NOW };

const place = fc.constantFrom(
  { state: "AT", constituency: null },
  { state: "LU", constituency: null },
  { state: "LU", constituency: "LU-N" },
  { state: "LU", constituency: "LU-S" },
);
const about = fc.constantFrom("AT", "LU", "EU");
const arbitraryRow: fc.Arbitrary<Omit<FactRow, "index">> = fc.oneof(
  place.map((at) => ({ kind: "closed" as const, ...at, until: null, voids: null })),
  fc.record({ at: place, hours: fc.integer({ min: -3, max: 4 }) }).map(({ at, hours }) => {
    return { kind: "extended" as const, ...at, until: new Date(SAMPLE_CLOSE + hours * 3_600_000), voids: null };
  }),
  fc
    .record({ kind: fc.constantFrom("override" as const, "hold" as const, "resume" as const), state: about })
    .map((row) => ({ ...row, constituency: null, until: null, voids: null })),
  fc
    .record({ state: about, voids: fc.integer({ min: 1, max: 12 }) })
    .map((row) => ({ kind: "void" as const, ...row, constituency: null, until: null })),
);

/** The statement of which the ledger keeps such a row. */
function statementOf({ kind, state, constituency, until, voids }: FactRow): Statement {
  const common = sampleCommon(sample, state, 1);
  const where = constituency === null ? {} : { constituency };
  if (kind === "closed") return { type: "polls", ...common, ...where, polls: "closed" };
  if (kind === "extended")
    return {
      type: "polls",
      ...common,
      ...where,
      polls: "extended",
      until: until?.toISOString() ?? "",
      reason: "queue",
    };
  const decision = { type: "decision" as const, ...common, state: "EU", about: state, reason: "as ordered" };
  return kind === "void" ? { ...decision, decision: kind, entry: voids ?? 0 } : { ...decision, decision: kind };
}

describe("factsOf", () => {
  it("is what the gate itself makes of the same statements, in every order", () => {
    fc.assert(
      fc.property(fc.array(arbitraryRow, { maxLength: 12 }), (said) => {
        const rows = said.map((row, n) => ({ ...row, index: n + 1 }));
        const facts = gateFacts(definition);
        for (const row of rows) applyToGate(facts, statementOf(row), row.index);
        expect(factsOf(definition, rows)).toEqual(facts);
      }),
    );
  });
});

const closed = (state: string): FactRow => {
  return { index: 1, kind: "closed", state, constituency: null, until: null, voids: null };
};
const codesOf = (rows: FactRow[], at: Partial<typeof clocks> | { postgres: null } = {}) =>
  gateView(factsOf(definition, rows), { ...clocks, ...at }, NO_FLOOR, undefined).reasons.map(({ code }) => code);

describe("gateView", () => {
  it("names every open reason once a clock or a state", () => {
    expect(codesOf([closed("AT"), closed("LU")])).toEqual([]);
    expect(codesOf([closed("AT")])).toEqual(["closure.missing"]);
    expect(codesOf([])).toEqual(["closure.missing", "closure.missing"]);
    const early = { process: SAMPLE_CLOSE - 1, postgres: SAMPLE_CLOSE - 1 };
    expect(codesOf([closed("AT"), closed("LU")], early)).toEqual(["closing.ahead", "closing.ahead"]);
    expect(codesOf([closed("AT"), closed("LU")], { postgres: null })).toEqual(["clock.missing"]);
    expect(codesOf([closed("AT"), closed("LU")], { postgres: NOW + 1_001 })).toEqual(["clocks.disagree"]);
    const hold: FactRow = { ...closed("EU"), kind: "hold" };
    expect(codesOf([closed("AT"), closed("LU"), hold])).toEqual(["hold.union"]);
  });

  it("says of a clock that went back what to do, until it is where it was", () => {
    const facts = factsOf(definition, [closed("AT"), closed("LU")]);
    const view = gateView(facts, clocks, { ...NO_FLOOR, postgres: NOW + 250 }, undefined);
    expect(view.reasons).toEqual([
      {
        code: "clock.went-back",
        clock: "postgres",
        byMs: 250,
        says: "Postgres' clock reads 250 ms less than it did before. Set the clocks right, then restart tabulate, recount, ledger and watch.",
      },
    ]);
    expect(gateView(facts, clocks, { ...NO_FLOOR, postgres: NOW }, undefined).reasons).toEqual([]);
  });

  it("has no reason after the lift, and says since when", () => {
    const at = new Date(NOW);
    const view = gateView(factsOf(definition, []), clocks, NO_FLOOR, at);
    expect(view).toMatchObject({ lifted: true, liftedAt: at.toISOString(), reasons: [] });
  });

  it("says each reason in words", () => {
    const view = gateView(factsOf(definition, []), { process: SAMPLE_CLOSE - 1, postgres: null }, NO_FLOOR, undefined);
    expect(view.reasons.map(({ says }) => says)).toEqual([
      "The last polls close at 2024-06-09T21:00:00.000Z, by this service's clock.",
      "There is no reading of Postgres' clock.",
      "AT has not signed that its polls are closed.",
      "LU has not signed that its polls are closed.",
    ]);
  });
});
