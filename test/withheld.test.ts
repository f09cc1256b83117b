import { describe, expect, it } from "vitest";
import { SAMPLE_CLOSE, sampleCommon, sampleDefinition, sampleTally } from "../shared/definition/sample.ts";
import type { Release } from "../shared/formats/release.ts";
import type { OpenedEntry } from "../shared/ledger/entry.ts";
import { applyAccepted, createLedgerState } from "../shared/ledger/state.ts";
import { count, startCount } from "../shared/recount/count.ts";
import { recountRelease } from "../shared/recount/document.ts";
import { applyEntry, createTabulation } from "../shared/results/fold.ts";
import { buildRelease, releaseBytes } from "../shared/results/release.ts";
import type { Statement } from "../shared/statement/types.ts";

/**
 * Whether a state is withheld is said by `hold` and `resume` alone, whatever else names that state. The two counts agree on much that is
 * wrong alike, so this one is compared with the ledger's own state as well.
 */

const sample = sampleDefinition();
const received = new Date(SAMPLE_CLOSE).toISOString();
type Said = Record<string, unknown> & { type: string };
const extends_: Said = { type: "polls", state: "AT", polls: "extended", until: received, reason: "r" };
const decides = (decision: string, more: object = { about: "AT" }): Said => {
  return { type: "decision", state: "EU", decision, reason: "r", ...more };
};

/** Whether Austria is withheld after a log: as the ledger, tabulate and recount have it. */
function withheldAfter(said: Said[]): boolean[] {
  const state = createLedgerState(sample.definition, sample.register);
  const tabulation = createTabulation(sample.definition, sample.hash);
  const recounted = startCount(sample.definition, sample.hash);
  const all = [null, { type: "tally", state: "AT", tallies: [sampleTally()] }, extends_, ...said];
  for (const [index, each] of all.entries()) {
    const statement = each && ({ ...sampleCommon(sample, each.state as string, index), ...each } as Statement);
    if (statement !== null) applyAccepted(state, statement, { index, key: "trustee-1" });
    const entry = { index, received, statement, verdict: "accepted" } as unknown as OpenedEntry;
    applyEntry(tabulation, entry);
    count(recounted, entry);
  }
  const checkpoint = { origin: sample.definition.origin, size: all.length, root: `${"A".repeat(43)}=` };
  const header = { number: 1, checkpoint, asOf: received, previous: null };
  const shows = (bytes: Uint8Array) => {
    const release = JSON.parse(Buffer.from(bytes).toString("utf8")) as Release;
    return release.states.find(({ state }) => state === "AT")?.withheld === true;
  };
  return [
    state.gate.held.has("AT"),
    shows(releaseBytes(buildRelease(tabulation, header))),
    shows(recountRelease(recounted, header)),
  ];
}

const OTHERS: Said[] = [
  decides("void", { about: "AT", entry: 2 }),
  decides("override"),
  decides("suspend", { about: "EU", trustee: "trustee-3" }),
  decides("recover", { about: "EU" }),
  decides("hold", { about: "EU" }),
  decides("resume", { about: "EU" }),
  decides("hold", { about: "LU" }),
  decides("resume", { about: "LU" }),
];
const named = OTHERS.map((said) => [`${said.decision} of ${said.about}`, said] as const);

describe("a state's results", () => {
  it("are withheld from its hold to its resume", () => {
    expect(withheldAfter([])).toEqual([false, false, false]);
    expect(withheldAfter([decides("hold")])).toEqual([true, true, true]);
    expect(withheldAfter([decides("hold"), decides("resume")])).toEqual([false, false, false]);
  });

  it.each(named)("stay as they are after %s", (_, said) => {
    expect(withheldAfter([said])).toEqual([false, false, false]);
    expect(withheldAfter([decides("hold"), said])).toEqual([true, true, true]);
  });
});
