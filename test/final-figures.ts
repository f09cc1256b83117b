import { committedDefinition } from "../infra/elections/ep2024/exercise.ts";
import { type FeedTally, readNational, readRomania, readSlovenia } from "../infra/elections/ep2024/feed.ts";
import { readDefinition } from "../shared/definition/validate.ts";
import { applyEntry, createTabulation, type Tabulation } from "../shared/results/fold.ts";
import type { Statement } from "../shared/statement/types.ts";

/** The election of 2024 as its offices' final figures make it, without a night: for tests of what is made of a release. */

const read = definitionOf2024();
export const definition = read.definition;
export const AS_OF = "2024-06-10T04:05:06.789Z";

function definitionOf2024() {
  const { bytes, signatures, anchors } = committedDefinition();
  const valid = readDefinition(bytes, signatures, anchors);
  if (valid.kind === "invalid") throw new Error("the committed definition does not hold");
  return valid;
}

export const header = {
  number: 1,
  checkpoint: { origin: definition.origin, size: 100, root: "AA==" },
  asOf: AS_OF,
  previous: null,
};

/** Applies what these offices say, as the log would hold it. */
export function heard(statements: readonly object[]): Tabulation {
  const tabulation = createTabulation(definition, read.hash);
  for (const [n, statement] of statements.entries())
    applyEntry(tabulation, { index: n + 1, received: AS_OF, statement: statement as Statement, verdict: "accepted" });
  return tabulation;
}

export const tally = (state: string, tallies: readonly FeedTally[]) => {
  return { type: "tally", state, tallies: tallies.map((one) => ({ ...one, version: 1, status: "final" })) };
};

/** The final figures of every office. Germany's one tally is the sum of its districts (feed.test.ts). */
export function finalStatements(): object[] {
  const { first, corrections } = readRomania();
  const romania = new Map([...first, ...corrections].map((section) => [section.unit, section]));
  const national = readNational();
  return [
    tally("RO", [...romania.values()]),
    tally("SI", readSlovenia().finals),
    ...national.tallies.filter(({ state }) => state !== "RO" && state !== "SI").map((one) => tally(one.state, [one])),
    ...national.seats.map((declared) => ({ type: "seats", ...declared })),
  ];
}
