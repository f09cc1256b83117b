import { describe, expect, it } from "vitest";
import { SAMPLE_CLOSE, sampleCommon, sampleDefinition } from "../../shared/definition/sample.ts";
import type { Entry, Verdict } from "../../shared/ledger/entry.ts";
import { createLedgerState } from "../../shared/ledger/state.ts";
import { Discrepancy } from "../../shared/platform/publisher/discrepancy.ts";
import type { Statement } from "../../shared/statement/types.ts";
import { compareVerdicts, type Judged } from "./verdicts.ts";

/** What an audit lets pass of a ledger that refused by clocks which nobody can read from outside. */

const sample = sampleDefinition();
const common = sampleCommon(sample, "AT", 1);
const closure: Statement = { type: "polls", ...common, polls: "closed" };
const extension: Statement = {
  type: "polls",
  ...common,
  polls: "extended",
  until: "2024-06-09T22:00:00Z",
  reason: "a queue",
};
const ACCEPTED: Verdict = { verdict: "accepted", findings: [] };
const refused = (...codes: Verdict["findings"][number]["code"][]): Verdict => ({
  verdict: "quarantined",
  findings: codes.map((code) => ({ code })),
});

function compare(statement: Statement, rules: Verdict, ledger: Verdict): void {
  const entry: Entry = {
    index: 1,
    received: new Date(SAMPLE_CLOSE).toISOString(),
    state: "AT",
    key: "AT-1",
    sequence: 1,
    type: statement.type,
    units: 0,
    statement: "00".repeat(32),
    judgement: "00".repeat(32),
  };
  const judged: Judged = { entry, statement, signers: [], head: undefined };
  compareVerdicts(createLedgerState(sample.definition, sample.register), judged, [rules], ledger);
}

describe("a closure", () => {
  it("may be refused because Postgres' clock was before the close", () => {
    expect(() => compare(closure, ACCEPTED, refused("F.401"))).not.toThrow();
    expect(() => compare(closure, refused("F.105"), refused("F.105", "F.401"))).not.toThrow();
  });

  it.each<[string, Statement, Verdict, Verdict]>([
    ["is not accepted before the close", closure, refused("F.401"), ACCEPTED],
    ["is not refused for anything else", closure, ACCEPTED, refused("F.402")],
    ["is not refused for more", closure, ACCEPTED, refused("F.105", "F.401")],
    ["is no extension, which knows no such reason", extension, ACCEPTED, refused("F.401")],
  ])("%s", (_, statement, rules, ledger) => {
    expect(() => compare(statement, rules, ledger)).toThrow(Discrepancy);
  });
});
