import { createHash, randomBytes } from "node:crypto";
import type { NatsConnection } from "nats";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { sampleCommon, sampleTally, signSample } from "../../shared/definition/sample.ts";
import { readReceipt } from "../../shared/ledger/receipt.ts";
import { type DataKey, open } from "../../shared/platform/seal.ts";
import { type Harness, startHarness } from "../../test/harness.ts";
import {
  collectReceipts,
  cuttingProxy,
  dataKeyFor,
  eventually,
  type LedgerHere,
  ledgerKeyOf,
  runLedger,
  sealedFor,
} from "../../test/ledger.ts";
import { startWaywardWitness, type WaywardWitness } from "../../test/wayward-witness.ts";

/**
 * COMMIT fails in two ways: nothing is in the database, or everything is and nobody was told. In both every statement must be
 * in the log once, with one receipt. A witness is shown neither head before it is certain that it is in the database.
 */

let harness: Harness;
let bus: NatsConnection;
let key: DataKey;
let proxy: Awaited<ReturnType<typeof cuttingProxy>>;
let ledger: LedgerHere;
let witness: WaywardWitness;
/** Checkpoints that the ledger has signed, and those that a witness was sent before they were in the database. */
let signed: string[];
let tooEarly: string[];
let sequence = 0;

beforeAll(async () => {
  harness = await startHarness();
  bus = await harness.nats("services");
  key = await dataKeyFor(harness.sample);
  proxy = await cuttingProxy(harness.databaseUrl("ledger"));
  witness = await startWaywardWitness(harness.sample, "witness.example/1");
  signed = [];
  tooEarly = [];
  witness.instead = async (_, body) => {
    const text = textOf(body);
    if (text !== undefined && !(await isCommitted(text))) tooEarly.push(text);
    return undefined;
  };
  await startLedger();
});

async function startLedger(): Promise<void> {
  ledger = await runLedger(harness, { databaseUrl: proxy.url, witnesses: [witness.remote], headMs: 0 });
  const { key: own } = ledger.seq.identity;
  const { sign } = own;
  own.sign = (bytes) => {
    const text = Buffer.from(bytes).toString("utf8");
    if (text.startsWith(`${harness.sample.definition.origin}\n`)) signed.push(text);
    return sign(bytes);
  };
  await eventually(() => ledger.writer.role() === "writer");
}

/** The checkpoint's text in a request to a witness. */
const textOf = (body: string) => /\n\n(.*\n)\n— /s.exec(body)?.[1];

const isCommitted = async (text: string) =>
  (await harness.query("select from ledger.checkpoint where starts_with(note, $1)", [`${text}\n`])).length === 1;

afterAll(async () => {
  await ledger.stop();
  await witness.close();
  await proxy.close();
  await harness.close();
});

afterEach(() => proxy.cutNext("none"));

const hash = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

function nextTally(): { bytes: Uint8Array; sha256: string; number: number } {
  const number = ++sequence;
  const common = sampleCommon(harness.sample, "AT", number);
  const tallies = [sampleTally("AT-2", { version: number })];
  const bytes = signSample(harness.sample, { type: "tally", ...common, tallies }, "AT-1");
  return { bytes, sha256: hash(bytes), number };
}

async function publish(tally: { bytes: Uint8Array; sha256: string }, reply: string): Promise<void> {
  const { headers, data } = sealedFor(key, tally.sha256, tally.bytes, reply);
  await bus.jetstream().publish("statement.AT", data, { headers });
}

const entriesOf = (number: number) =>
  harness.query<{ index: number }>("select index from ledger.entry where key = 'AT-1' and sequence = $1", [number]);

async function headMatches(): Promise<void> {
  const [row] = await harness.query<{ size: string; entries: string; checkpoints: string }>(
    `select h.size, (select count(*) from ledger.entry) as entries, (select max(size) from ledger.checkpoint) as checkpoints
       from ledger.head h`,
  );
  expect(row?.entries).toBe(row?.size);
  expect(row?.checkpoints).toBe(row?.size);
}

describe("a COMMIT that fails", () => {
  it.each(["before-commit", "after-commit"] as const)(
    "%s: the statements are in the log once, with one receipt",
    async (where) => {
      const reply = `receipt.${randomBytes(8).toString("hex")}`;
      const receipts = collectReceipts(bus, reply, key);
      const tallies = [nextTally(), nextTally(), nextTally()];
      const cuts = proxy.cuts();
      const before = signed.length;
      proxy.cutNext(where);
      for (const tally of tallies) await publish(tally, reply);
      await eventually(() => tallies.every(({ sha256 }) => receipts.has(sha256)));
      expect(proxy.cuts()).toBe(cuts + 1);
      for (const { sha256, number } of tallies) {
        expect(await entriesOf(number)).toHaveLength(1);
        expect(new Set(receipts.get(sha256)).size).toBe(1);
        const receipt = readReceipt(receipts.get(sha256)?.[0] ?? "", ledgerKeyOf(harness.sample));
        expect(receipt).toMatchObject({ verdict: "accepted", entry: { statement: sha256, sequence: number } });
      }
      await headMatches();
      const heads = signed.slice(before);
      const kept = await Promise.all(heads.map(isCommitted));
      // Cut before COMMIT, a signed head is lost for good; after it, none is, and no statement is signed for twice.
      if (where === "before-commit") expect(kept).toContain(false);
      else expect(kept).not.toContain(false);
      const last = heads.at(-1);
      await eventually(() => witness.sent.some((body) => textOf(body) === last));
      expect(tooEarly).toEqual([]);
      const lost = new Set(heads.filter((_, n) => !kept[n]));
      expect(witness.sent.map(textOf).filter((text) => text !== undefined && lost.has(text))).toEqual([]);
    },
  );

  it("gives the same receipt for the same bytes before and after, byte for byte", async () => {
    const reply = `receipt.${randomBytes(8).toString("hex")}`;
    const receipts = collectReceipts(bus, reply, key);
    const tally = nextTally();
    await publish(tally, reply);
    await eventually(() => receipts.get(tally.sha256)?.length === 1);
    // Again, as after an acknowledgement that was lost: the stream itself would drop a repetition, so by core NATS.
    const { headers, data } = sealedFor(key, tally.sha256, tally.bytes, reply);
    const answer = await (await harness.nats("ingest")).request("ledger.ask", data, { headers, timeout: 5_000 });
    expect(answer.headers?.get("Scrutin-Status")).toBe("known");
    const again = Buffer.from(open(key.key, "receipt", tally.sha256, answer.data)).toString("ascii");
    expect(again).toBe(receipts.get(tally.sha256)?.[0]);
  });

  it("is survived by a restart of the ledger: it reads the whole log and goes on", async () => {
    await ledger.stop();
    const before = ledger.writer.size();
    await startLedger();
    expect(ledger.writer.size()).toBe(before);
    const reply = `receipt.${randomBytes(8).toString("hex")}`;
    const receipts = collectReceipts(bus, reply, key);
    const tally = nextTally();
    await publish(tally, reply);
    await eventually(() => receipts.has(tally.sha256));
    await headMatches();
  });
});

describe("what is forged on the bus", () => {
  it("is not written, is told, is not delivered again, and stops nobody", async () => {
    const incidents: string[] = [];
    bus.subscribe("incident.raised.*", { callback: (_, msg) => incidents.push(msg.json<{ code: string }>().code) });
    const [good, bad] = [nextTally(), nextTally()];
    const changed = Buffer.from(bad.bytes);
    changed[changed.length - 20] = (changed[changed.length - 20] as number) ^ 1;
    const reply = `receipt.${randomBytes(8).toString("hex")}`;
    const receipts = collectReceipts(bus, reply, key);
    const before = ledger.writer.size();
    await publish({ bytes: changed, sha256: hash(changed) }, reply);
    const wrongHash = sealedFor(key, hash(bad.bytes), good.bytes, reply);
    await bus.jetstream().publish("statement.AT", wrongHash.data, { headers: wrongHash.headers });
    await bus.jetstream().publish("statement.AT", randomBytes(400));
    // The right statement under an id that already stands for another data key: from the log it could never be opened.
    const other = { ...(await dataKeyFor(harness.sample)), id: key.id };
    const stolen = sealedFor(other, hash(bad.bytes), bad.bytes, reply);
    await bus.jetstream().publish("statement.AT", stolen.data, { headers: stolen.headers, msgID: "another" });
    await publish(good, reply);
    await eventually(() => receipts.has(good.sha256));
    await eventually(() => incidents.filter((code) => code === "bus.forged").length >= 4);
    expect(ledger.writer.size()).toBe(before + 1);
    expect([...receipts.keys()]).toEqual([good.sha256]);
    const stream = await (await bus.jetstreamManager({ checkAPI: false })).streams.info("STATEMENTS");
    expect(stream.state.messages).toBe(0);
  });
});
