import { afterEach, beforeEach, expect, it } from "vitest";
import { newSampleKey, sampleCommon, sampleTally, signSample } from "../../shared/definition/sample.ts";
import type { Statement } from "../../shared/statement/types.ts";
import { type Harness, startHarness } from "../../test/harness.ts";
import {
  buildSequencer,
  eventually,
  type LedgerHere,
  type LedgerOptions,
  ownKeyOf,
  runLedger,
  writes,
} from "../../test/ledger.ts";
import { kidOf, openWire, type Wire } from "../../test/send.ts";
import { givenOrigin } from "./origin.ts";
import { answerQuestions } from "./questions.ts";
import { LogBroken } from "./receipts.ts";
import type { Db } from "./store.ts";

/** Who answers what `ingest` asks: nobody who cannot, and nobody on a log that contradicts itself. */

const SECOND = "results.example.eu/sample-2";
/** Whoever is asked is drawn: one in so many would be drawn by a process that stays silent. */
const TIMES = 30;

let harness: Harness;
let wire: Wire;
let running: LedgerHere[];

beforeEach(async () => {
  harness = await startHarness();
  const { sample } = harness;
  sample.keys.get("ledger-2") ?? newSampleKey(sample, "ledger-2");
  wire = await openWire(sample, await harness.nats("ingest"));
  running = [];
});
afterEach(async () => {
  for (const here of running) await here.stop();
  await harness.close();
});

async function start(options: LedgerOptions = {}): Promise<LedgerHere> {
  const here = await runLedger(harness, options);
  running.push(here);
  return here;
}
const statement = (...kids: string[]) => {
  const { sample } = harness;
  const said: Statement = { type: "tally", ...sampleCommon(sample, "AT", 1), tallies: [sampleTally()] };
  return signSample(sample, said, "AT-1", ...kids);
};
/** The id of the key under which the receipt was given. */
const ask = async (bytes: Uint8Array) => kidOf(await wire.ask(bytes, 2_000));
/** Who answers, when many questions are put. */
async function answering(bytes: Uint8Array): Promise<string[]> {
  const answers: string[] = [];
  for (let n = 0; n < TIMES; n++) answers.push(await ask(bytes));
  return [...new Set(answers)];
}
async function decidedNow() {
  const { sample } = harness;
  const [head] = await harness.query<{ size: number; root: Buffer }>("select size::int, root from ledger.head");
  const said = {
    type: "decision",
    ...sampleCommon(sample, "EU", 1),
    decision: "origin",
    about: "EU",
    origin: SECOND,
    key: { id: "ledger-2", publicKey: sample.keys.get("ledger-2")?.jwk.x ?? "" },
    size: head?.size,
    root: head?.root.toString("base64"),
    reason: "as agreed",
  };
  const jws = signSample(sample, said as Statement, "trustee-1", "trustee-2");
  return givenOrigin(jws, sample, ownKeyOf(sample, "ledger-2"));
}

it("whoever has the key to come or a former one is asked for no receipt", async () => {
  const bytes = statement();
  const first = await writes(await start());
  await wire.publish(bytes);
  await eventually(() => first.writer.size() === 2);
  const coming = await start({ kid: "ledger-2", origin: await decidedNow() });
  expect(await answering(bytes)).toEqual(["ledger-1"]);

  // A standby that would write if it had its turn: it answers as long as its key signs for the log.
  const standby = buildSequencer(harness, await harness.nats("ledger"), {});
  const { pool, opener, keys, receipts, log, nc } = standby.seq;
  const failures: Error[] = [];
  const stop = answerQuestions({ nc, pool, opener, keys, receipts, log, fail: (error) => void failures.push(error) });
  await receipts.refresh(pool);
  await first.stop();
  running.shift();
  await writes(coming);
  await receipts.refresh(pool);
  await nc.flush();
  expect(await answering(bytes)).toEqual(["ledger-2"]);
  expect(failures).toEqual([]);
  await stop();
  await Promise.all([standby.sessions.end(), pool.end()]);
});

it("a former key signs no receipt of what came after it, however late it learns of that", async () => {
  const first = await writes(await start());
  await wire.publish(statement());
  await eventually(() => first.writer.size() === 2);
  const { receipts } = first.seq;
  const origin = await decidedNow();
  await first.stop();
  running.shift();
  await writes(await start({ kid: "ledger-2", origin }));
  const { pool } = running[0]!.seq;
  await expect(receipts.ofStored(pool, 2)).rejects.toThrow("ledger-1 does not sign for this log");
});

it("the log's keys are not read again for each receipt", async () => {
  const here = await writes(await start());
  await wire.publish(statement());
  await eventually(() => here.writer.size() === 2);
  const { pool, receipts } = here.seq;
  const asked: string[] = [];
  const heard = {
    query: (text: string, ...values: unknown[]) => {
      asked.push(text);
      return (pool as unknown as { query(...all: unknown[]): Promise<unknown> }).query(text, ...values);
    },
  } as unknown as Db;
  const given = new Set<string>();
  for (let n = 0; n < 3; n++) given.add(await receipts.ofStored(heard, 1));
  expect(given.size).toBe(1);
  expect(asked.length).toBeGreaterThan(0);
  expect(asked.filter((text) => text.includes("ledger.origin"))).toEqual([]);
});

const corrupt = async () => {
  await harness.query("alter table ledger.entry disable trigger all");
  await harness.query("update ledger.entry set leaf = sha256('another') where index = 1");
};

it("a question that finds the log broken ends the process", async () => {
  const here = await writes(await start());
  const bytes = statement();
  await wire.publish(bytes);
  await eventually(() => here.writer.size() === 2);
  await corrupt();
  await expect(ask(bytes)).rejects.toThrow();
  expect(here.failed()).toBeInstanceOf(LogBroken);
});

it("a statement that comes again and finds the log broken ends the writer", async () => {
  const here = await writes(await start());
  await wire.publish(statement());
  await eventually(() => here.writer.size() === 2);
  await corrupt();
  // The same payload in another envelope, which the stream has not had.
  await wire.publish(statement("AT-2"));
  await expect(here.ended).rejects.toThrow(LogBroken);
});
