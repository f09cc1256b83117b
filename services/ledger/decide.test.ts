import { createHash } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import {
  SAMPLE_CLOSE,
  sampleCommon,
  sampleDefinition,
  sampleTally,
  signSample,
} from "../../shared/definition/sample.ts";
import { createGaps } from "../../shared/ledger/gaps.ts";
import { appendLeaf, createFrontier, emptyRoot } from "../../shared/ledger/merkle.ts";
import { createLedgerState } from "../../shared/ledger/state.ts";
import { createKeyring, type DataKey } from "../../shared/platform/seal.ts";
import { signersOf } from "../../shared/statement/authentic.ts";
import type { Statement } from "../../shared/statement/types.ts";
import { dataKeyFor, sealedFor } from "../../test/ledger.ts";
import { type Circumstances, decide, gateFactsOf, type OpenLog } from "./decide.ts";
import { type Authentic, openDelivery } from "./delivery.ts";
import type { UsedSequence } from "./store.ts";

/** What becomes of a batch, decided without a database: what the log knows already is an argument. */

const sample = sampleDefinition();
const { definition, hash, register } = sample;
const opener = {
  signers: signersOf(definition),
  keyring: createKeyring({ definition: hash, vaultPrivateKey: sample.vault.privateKey }),
};
const LATER = SAMPLE_CLOSE + 60_000;
const LATE = { process: LATER, postgres: LATER, nats: LATER };
const at: Circumstances = {
  register,
  received: LATER,
  seen: { clocks: LATE, floor: LATE },
  salt: () => Buffer.alloc(32),
};
let key: DataKey;
beforeAll(async () => {
  key = await dataKeyFor(sample);
});

const openLog = (): OpenLog => ({
  state: createLedgerState(definition, register),
  frontier: createFrontier(),
  root: emptyRoot(),
  lastReceived: 0,
  gaps: createGaps(),
  dataKeys: new Map(),
});

async function authentic(statement: Statement, ...kids: string[]): Promise<Authentic> {
  const bytes = signSample(sample, statement, ...kids);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const opened = await openDelivery(sealedFor(key, sha256, bytes, "receipt.x"), opener);
  if (opened.kind === "forged") throw new Error(opened.why);
  return opened;
}
const tally = (sequence: number, changes: Parameters<typeof sampleTally>[1] = {}) => {
  const tallies = [sampleTally("AT-1", { version: sequence, ...changes })];
  return authentic({ type: "tally", ...sampleCommon(sample, "AT", sequence), tallies }, "AT-1");
};
const voids = (sequence: number, target: number, kid = "AT-1") =>
  authentic({ type: "void", ...sampleCommon(sample, "AT", sequence), voids: target, reason: "a crash" }, kid);
/** A lift by both counts, and the closures that it needs. */
async function liftAndClosures(): Promise<{ lift: Authentic; closed: Authentic[] }> {
  const instant = new Date(LATER).toISOString();
  const clocks = { process: instant, postgres: instant, nats: instant };
  const lift = await authentic({ type: "lift", ...sampleCommon(sample, "EU", 1), clocks }, "tabulate-1", "recount-1");
  const closed = [
    await authentic({ type: "polls", ...sampleCommon(sample, "AT", 1), polls: "closed" }, "AT-1"),
    await authentic({ type: "polls", ...sampleCommon(sample, "LU", 1), polls: "closed" }, "LU-1", "LU-2"),
  ];
  return { lift, closed };
}
const usedBy = ({ statement, signers, payload }: Authentic, index: number): UsedSequence => ({
  index,
  key: signers[0].id,
  sequence: statement.sequence,
  payload,
  takesSequence: statement.definition === sample.hash,
});
const codesOf = (decision: ReturnType<typeof decide>) =>
  decision.drafts.map(({ judgement }) => judgement.findings.map(({ code }) => code));

describe("a batch", () => {
  it("a signature holds under the log's own key, whatever the opener took for it", async () => {
    const { keys } = openLog().state;
    const kept = await tally(1);
    const impostor = { ...kept, signers: [{ ...kept.signers[0], publicKey: keys.get("AT-2")?.key.publicKey ?? "" }] };
    const unknown = { ...kept, signers: [{ ...kept.signers[0], id: "AT-9" }] };
    const batch = [impostor as Authentic, unknown as Authentic, kept];
    const decision = decide(openLog(), batch, [], at);
    expect(decision.forged).toEqual(batch.slice(0, 2));
    expect(codesOf(decision)).toEqual([[]]);
  });

  it("a payload that the log has, or an earlier one of the batch is, is a retry of that one", async () => {
    const [one, two] = [await tally(1), await tally(2)];
    const decision = decide(openLog(), [one, two, two], [usedBy(one, 41)], at);
    expect(codesOf(decision)).toEqual([[]]);
    expect(decision.retries.map(({ index }) => index)).toEqual([41, 0]);
  });

  it("another payload under a used sequence equivocates, in the log and in the batch", async () => {
    const [one, two] = [await tally(1), await tally(2)];
    const others = [await tally(1, { electors: 900 }), await tally(2, { electors: 900 })];
    const decision = decide(openLog(), [two, ...others], [usedBy(one, 41)], at);
    expect(codesOf(decision)).toEqual([[], ["F.102"], ["F.102"]]);
    expect(decision.drafts.map(({ equivocates }) => equivocates)).toEqual([false, true, true]);
  });

  it("what carries a statement, in the log or in the batch, is not voided; nor another key's number", async () => {
    const [one, two] = [await tally(1), await tally(2)];
    const batch = [two, await voids(3, 1), await voids(4, 2), await voids(5, 9), await voids(1, 2, "AT-2")];
    const decision = decide(openLog(), batch, [usedBy(one, 41)], at);
    expect(codesOf(decision)).toEqual([[], ["F.406"], ["F.406"], [], []]);
  });

  it("a data key's id is whoever's came first with it, in the log and in the batch", async () => {
    const [one, two, three] = [await tally(1), await tally(2), await tally(3)];
    // Another key under the same id, in the same wrapping: with the recovery key the ledger would not see what the vault's half holds.
    const stolen = (from: Authentic): Authentic => ({
      ...from,
      dataKey: { ...from.dataKey, key: Buffer.alloc(32, 1) },
    });
    const within = decide(openLog(), [one, stolen(two), three], [], at);
    expect(within.forged).toEqual([stolen(two)]);
    expect(within.drafts).toHaveLength(2);
    const log = openLog();
    log.dataKeys.set(key.id, one.dataKey.key);
    const after = decide(log, [stolen(one), two], [], at);
    expect(after.forged).toEqual([stolen(one)]);
    expect(after.drafts).toHaveLength(1);
    // A row that no entry is sealed with: nobody knows what key it wraps.
    log.dataKeys.set(key.id, new Uint8Array());
    expect(decide(log, [three], [], at).forged).toEqual([three]);
  });

  it("a lift that is granted ends it, and is in force only when it is written", async () => {
    const log = openLog();
    const { lift, closed } = await liftAndClosures();
    const early = decide(openLog(), [lift, ...closed], [], at);
    expect([codesOf(early), early.rest]).toEqual([[["F.501"], [], []], []]);
    const last = await tally(2);
    const decision = decide(log, [...closed, lift, last], [], at);
    expect(codesOf(decision)).toEqual([[], [], []]);
    expect(decision.rest).toEqual([last]);
    expect(log.state.gate.lifted).toBe(false);
  });

  it("a lift is refused while a clock reads less than this process has seen of it", async () => {
    const { lift, closed } = await liftAndClosures();
    for (const clock of ["process", "postgres", "nats"] as const) {
      const seen = { clocks: LATE, floor: { ...LATE, [clock]: LATER + 1 } };
      expect(codesOf(decide(openLog(), [...closed, lift], [], { ...at, seen }))).toEqual([[], [], ["F.501"]]);
    }
  });

  it("an extension and its void are facts of the gate; a suspension and a recovery are none", async () => {
    const until = new Date(SAMPLE_CLOSE + 3_600_000).toISOString();
    const common = (sequence: number) => ({ ...sampleCommon(sample, "EU", sequence), reason: "as agreed" });
    const both = ["trustee-1", "trustee-2"];
    const batch = [
      await authentic(
        { type: "polls", ...sampleCommon(sample, "AT", 1), polls: "extended", until, reason: "a queue" },
        "AT-1",
      ),
      await authentic({ type: "decision", ...common(1), decision: "void", about: "AT", entry: 41 }, ...both),
      await authentic(
        { type: "decision", ...common(2), decision: "suspend", about: "EU", trustee: "trustee-3" },
        ...both,
      ),
      await authentic({ type: "decision", ...common(3), decision: "recover", about: "EU" }, ...both),
    ];
    const log = openLog();
    for (let n = 0; n < 41; n++) appendLeaf(log.frontier, Buffer.alloc(32, n));
    const decision = decide(log, batch, [], at);
    expect(codesOf(decision)).toEqual([[], [], [], []]);
    expect(gateFactsOf(decision.drafts)).toEqual([
      { index: 41, kind: "extended", state: "AT", constituency: null, until, voids: null },
      { index: 42, kind: "void", state: "AT", constituency: null, until: null, voids: 41 },
    ]);
    expect(log.state.keys.get("trustee-3")?.ended).toEqual({ index: 43, how: "suspended" });
  });

  it("only what was accepted is a fact of the gate", async () => {
    const early = { ...at, received: SAMPLE_CLOSE - 1 };
    const closed = await authentic({ type: "polls", ...sampleCommon(sample, "AT", 1), polls: "closed" }, "AT-1");
    expect(gateFactsOf(decide(openLog(), [closed], [], early).drafts)).toEqual([]);
    expect(gateFactsOf(decide(openLog(), [closed], [], at).drafts)).toMatchObject([{ kind: "closed", state: "AT" }]);
  });
});
