import { createHash } from "node:crypto";
import type { NatsConnection } from "nats";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { sampleCommon, sampleTally, signSample } from "../../shared/definition/sample.ts";
import { GAP_MS } from "../../shared/ledger/gaps.ts";
import type { DataKey } from "../../shared/platform/seal.ts";
import type { Statement } from "../../shared/statement/types.ts";
import { type Harness, startHarness } from "../../test/harness.ts";
import { collectReceipts, dataKeyFor, eventually, type LedgerHere, runLedger, sealedFor } from "../../test/ledger.ts";

/** What the ledger finds wrong and tells: gaps and equivocation. Neither is ever a refusal. */

let harness: Harness;
let bus: NatsConnection;
let key: DataKey;
let ledger: LedgerHere;
let receipts: Map<string, string[]>;
let incidents: { code: string; about?: string }[] = [];
let now = Date.now();

beforeAll(async () => {
  harness = await startHarness();
  bus = await harness.nats("services");
  key = await dataKeyFor(harness.sample);
  receipts = collectReceipts(bus, "receipt.incidents", key);
  bus.subscribe("incident.raised.*", { callback: (_, msg) => incidents.push(msg.json()) });
  ledger = await runLedger(harness, { now: () => now });
  await eventually(() => ledger.writer.role() === "writer");
});

afterAll(async () => {
  await ledger.stop();
  await harness.close();
});

beforeEach(() => {
  incidents = [];
});

async function send(statement: Statement, kid: string): Promise<void> {
  const bytes = signSample(harness.sample, statement, kid);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const { headers, data } = sealedFor(key, sha256, bytes, "receipt.incidents");
  await bus.jetstream().publish("statement.AT", data, { headers });
  await eventually(() => receipts.has(sha256));
}

const tally = (sequence: number, electors = 800): Statement => {
  const common = sampleCommon(harness.sample, "AT", sequence);
  return { type: "tally", ...common, tallies: [sampleTally("AT-4", { version: sequence, electors })] };
};
const told = (code: string) => incidents.filter((incident) => incident.code === code).map(({ about }) => about);

describe("a gap", () => {
  it("is told after a minute, once, unless it was closed by a late arrival or a void", async () => {
    await send(tally(1), "AT-1");
    await send(tally(9), "AT-1");
    await send(tally(4), "AT-1");
    const common = sampleCommon(harness.sample, "AT", 10);
    await send({ type: "void", ...common, voids: 6, reason: "lost on the way" }, "AT-1");
    expect(told("sequence.gap")).toEqual([]);
    now += GAP_MS + 1;
    await eventually(() => told("sequence.gap").length >= 3);
    expect(told("sequence.gap")).toEqual(["AT-1 2-3", "AT-1 5", "AT-1 7-8"]);
    // Another look, after another statement: nothing new.
    now += GAP_MS;
    await send(tally(11), "AT-1");
    await send(tally(12), "AT-1");
    expect(told("sequence.gap")).toHaveLength(3);
  });
});

describe("equivocation", () => {
  it("is told with the key and the sequence, and the key goes on", async () => {
    await send(tally(1, 801), "AT-1");
    await eventually(() => told("key.equivocation").length > 0);
    expect(told("key.equivocation")).toEqual(["AT-1 1"]);
    await send(tally(13), "AT-1");
    const rows = await harness.query(
      "select sequence::int from ledger.entry where key = 'AT-1' order by index desc limit 1",
    );
    expect(rows).toEqual([{ sequence: 13 }]);
  });
});

describe("the clock", () => {
  it("going back does not make an entry older than the one before", async () => {
    now -= 10_000_000;
    await send(tally(14), "AT-1");
    const rows = await harness.query<{ received: Date }>(
      "select received from ledger.entry order by index desc limit 2",
    );
    expect(rows[0]?.received.getTime()).toBeGreaterThanOrEqual(rows[1]?.received.getTime() ?? Number.NaN);
  });
});
