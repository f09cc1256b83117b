import { createHash, randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { sampleCommon, sampleTally, signSample } from "../../shared/definition/sample.ts";
import { type Harness, startHarness } from "../../test/harness.ts";
import { buildSequencer, dataKeyFor, eventually, runLedger, sealedFor } from "../../test/ledger.ts";
import { openDelivery } from "./delivery.ts";
import { openLog } from "./rebuild.ts";
import { LogBroken } from "./receipts.ts";
import { writeBatch } from "./sequencer.ts";
import { sqlState } from "./store.ts";

async function inHarness(work: (harness: Harness) => Promise<void>): Promise<void> {
  const harness = await startHarness();
  try {
    await work(harness);
  } finally {
    await harness.close();
  }
}

describe("two writers", () => {
  it("take turns: the second stands by until the first is gone", () =>
    inHarness(async (harness) => {
      const first = await runLedger(harness);
      await eventually(() => first.writer.role() === "writer");
      const second = await runLedger(harness);
      // Until it has tried for the lock three times, in vain.
      const tries = new Set<string>();
      await eventually(async () => {
        const seen = await harness.query<{ at: string }>(
          "select query_start::text as at from pg_stat_activity where query like '%become_writer%' and state = 'idle'",
        );
        for (const { at } of seen) tries.add(at);
        return tries.size >= 3;
      });
      expect(second.writer.role()).toBe("standby");
      await first.stop();
      await eventually(() => second.writer.role() === "writer");
      await second.stop();
    }));

  it("that write all the same do not fork the log: the later one fails with SC003", () =>
    inHarness(async (harness) => {
      const nc = await harness.nats("services");
      const { seq, pool, sessions } = buildSequencer(harness, nc);
      const other = buildSequencer(harness, nc);
      // Without the lock, as if Postgres had given it to both.
      const [one, two] = [await sessions.connect(), await other.sessions.connect()];
      const [here, there] = [await openLog(one, seq.identity, seq.now()), await openLog(two, seq.identity, seq.now())];
      const key = await dataKeyFor(harness.sample);
      const delivered = async (number: number) => {
        const common = sampleCommon(harness.sample, "AT", number);
        const bytes = signSample(harness.sample, { type: "tally", ...common, tallies: [sampleTally()] }, "AT-1");
        const wire = sealedFor(key, createHash("sha256").update(bytes).digest("hex"), bytes, "receipt.x");
        const subject = `test.${randomBytes(8).toString("hex")}`;
        const subscription = nc.subscribe(subject, { max: 1 });
        nc.publish(subject, wire.data, { headers: wire.headers });
        for await (const msg of subscription) {
          const authentic = await openDelivery(msg, seq.opener);
          if (authentic.kind === "forged") throw new Error(authentic.why);
          return { msg, authentic };
        }
        throw new Error("no message");
      };
      await writeBatch(seq, one, here, [await delivered(1)]);
      const failure = await writeBatch(seq, two, there, [await delivered(2)]).catch((error: unknown) => error);
      expect(sqlState(failure)).toBe("SC003");
      one.release(true);
      two.release(true);
      expect(await harness.query("select index::int, sequence::int from ledger.entry order by index")).toEqual([
        { index: 0, sequence: null },
        { index: 1, sequence: 1 },
      ]);
      await Promise.all([sessions, pool, other.sessions, other.pool].map((p) => p.end()));
    }));
});

describe("a log that was changed behind the ledger's back", () => {
  const triggersOff = (table: string, change: string) =>
    `alter table ledger.${table} disable trigger all; ${change}; alter table ledger.${table} enable always trigger only_grows`;

  it.each([
    ["an entry's body", triggersOff("entry", "update ledger.entry set body = body || ' ' where index = 1")],
    ["an entry's leaf", triggersOff("entry", "update ledger.entry set leaf = sha256(leaf) where index = 1")],
    ["a judgement", triggersOff("statement", "update ledger.statement set judgement = sealed where index = 1")],
    ["a checkpoint", triggersOff("checkpoint", "update ledger.checkpoint set note = replace(note, '2', '3')")],
    [
      "the last entry removed",
      "alter table ledger.statement disable trigger all; alter table ledger.entry disable trigger all; delete from ledger.statement where index = 1; delete from ledger.entry where index = 1",
    ],
  ])("is not written on: %s", (_, change) =>
    inHarness(async (harness) => {
      const ledger = await runLedger(harness);
      await eventually(() => ledger.writer.role() === "writer");
      const nc = await harness.nats("services");
      const common = sampleCommon(harness.sample, "AT", 1);
      const bytes = signSample(harness.sample, { type: "tally", ...common, tallies: [sampleTally()] }, "AT-1");
      const sha256 = createHash("sha256").update(bytes).digest("hex");
      const { headers, data } = sealedFor(await dataKeyFor(harness.sample), sha256, bytes, "receipt.x");
      await nc.jetstream().publish("statement.AT", data, { headers });
      await eventually(() => ledger.writer.size() === 2);
      await ledger.stop();
      await harness.query(change);
      const again = await runLedger(harness);
      await expect(again.ended).rejects.toThrow(LogBroken);
      await again.stop();
    }),
  );
});
