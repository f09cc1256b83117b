import { createHash, randomBytes } from "node:crypto";
import { headers, type NatsConnection } from "nats";
import type { PoolClient } from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { sampleCommon, sampleTally, signSample } from "../../shared/definition/sample.ts";
import { STREAMS } from "../../shared/platform/nats.ts";
import type { DataKey } from "../../shared/platform/seal.ts";
import { type Harness, startHarness } from "../../test/harness.ts";
import { buildSequencer, collectReceipts, dataKeyFor, eventually, sealedFor } from "../../test/ledger.ts";
import { startWaywardWitness, type WaywardWitness } from "../../test/wayward-witness.ts";
import { replySubject } from "./delivery.ts";
import { type Inbox, openInbox } from "./inbox.ts";
import { openLog } from "./rebuild.ts";
import { openAll, writeBatch } from "./sequencer.ts";
import { append, sqlState } from "./store.ts";

/**
 * What has left the process when it ends at the commit point: nothing. The stream still holds the statement, nobody has a receipt,
 * whoever writes next gets the statement again, and no witness has seen the head that was signed.
 */

let harness: Harness;
let bus: NatsConnection;
let key: DataKey;
let witness: WaywardWitness;
let sequence = 0;
let nc: NatsConnection;
let built: ReturnType<typeof buildSequencer>;
let session: PoolClient;
let inbox: Inbox;

beforeAll(async () => {
  harness = await startHarness();
  bus = await harness.nats("services");
  key = await dataKeyFor(harness.sample);
  witness = await startWaywardWitness(harness.sample, "witness.example/1");
});
afterAll(async () => {
  await witness.close();
  await harness.close();
});

beforeEach(async () => {
  nc = await harness.nats("ledger");
  built = buildSequencer(harness, nc, { witnesses: [witness.remote] });
  session = await built.sessions.connect();
  inbox = openInbox(nc, built.seq.log);
});
afterEach(async () => {
  inbox.stop();
  await inbox.giveBack([]);
  session.release(true);
  await built.seq.cosigner.stop();
  await Promise.all([built.sessions.end(), built.pool.end()]);
});

/** A session whose COMMIT goes another way. */
function committing(otherwise: (real: PoolClient) => Promise<unknown>): PoolClient {
  const query = (text: string, values?: unknown[]) =>
    text === "commit" ? otherwise(session) : session.query(text, values);
  return Object.create(session, { query: { value: query } }) as PoolClient;
}

async function publishTally(): Promise<{ number: number; receipts: ReturnType<typeof collectReceipts> }> {
  const number = ++sequence;
  const tallies = [sampleTally("AT-2", { version: number })];
  const statement = { type: "tally", ...sampleCommon(harness.sample, "AT", number), tallies } as const;
  const bytes = signSample(harness.sample, statement, "AT-1");
  const reply = `receipt.${randomBytes(8).toString("hex")}`;
  const receipts = collectReceipts(bus, reply, key);
  const wire = sealedFor(key, createHash("sha256").update(bytes).digest("hex"), bytes, reply);
  await bus.jetstream().publish("statement.AT", wire.data, { headers: wire.headers });
  return { number, receipts };
}

async function deliveries() {
  const messages = await inbox.take(5_000);
  expect(messages).toHaveLength(1);
  return { messages, ...(await openAll(built.seq, messages)) };
}
const open = () => openLog(session, built.seq.identity, built.seq.now());
const entriesOf = async (number: number) =>
  (await harness.query("select from ledger.entry where key = 'AT-1' and sequence = $1", [number])).length;
const inStream = async () =>
  (await (await bus.jetstreamManager({ checkAPI: false })).streams.info(STREAMS.statements)).state.messages;

describe("a process that ends at the commit point", () => {
  it.each<[string, (real: PoolClient) => Promise<unknown>, string]>([
    ["before COMMIT", () => Promise.reject(new Error("the process ended")), "the process ended"],
    [
      "at a COMMIT that Postgres answers with ROLLBACK",
      async (real) => {
        await real.query("select 1 / 0").catch(() => undefined); // the transaction has failed, and nobody noticed
        return real.query("commit");
      },
      "ROLLBACK",
    ],
  ])("%s has neither acknowledged nor answered; the next one writes the statement once", async (_, otherwise, why) => {
    const log = await open();
    const { number, receipts } = await publishTally();
    const { messages, delivered } = await deliveries();
    await expect(writeBatch(built.seq, committing(otherwise), log, delivered)).rejects.toThrow(why);
    // Whatever it sent has arrived when both connections have been flushed.
    await nc.flush();
    await bus.flush();
    expect(receipts.size).toBe(0);
    expect(await inStream()).toBe(1);
    await session.query("rollback");
    expect(await entriesOf(number)).toBe(0);

    inbox.stop();
    await inbox.giveBack(messages);
    inbox = openInbox(nc, built.seq.log);
    const again = await deliveries();
    await writeBatch(built.seq, session, await open(), again.delivered);
    await eventually(() => receipts.size === 1);
    await eventually(async () => (await inStream()) === 0);
    expect(await entriesOf(number)).toBe(1);
    await eventually(
      async () => (await harness.query("select from ledger.cosignature where size = $1", [number + 1])).length === 1,
    );
    const notes = (await harness.query<{ note: string }>("select note from ledger.checkpoint")).map(({ note }) => note);
    for (const body of witness.sent) expect(notes).toContain(body.slice(body.indexOf("\n\n") + 2));
  });
});

describe("the head", () => {
  it("is swapped only from the size and the root that the writer left", async () => {
    const { frontier, root } = await open();
    const other = createHash("sha256").update(root).digest();
    const batch = { root: other, note: "", signedAt: new Date(0).toISOString(), dataKeys: [], entries: [] };
    for (const old of [
      { size: frontier.size, root: other },
      { size: frontier.size + 1, root },
    ]) {
      const refused = await append(session, { old, ...batch }).catch(sqlState);
      expect(refused).toBe("SC003");
    }
  });
});

describe("a receipt's way", () => {
  it.each([
    ["receipt.0123abc", "receipt.0123abc"],
    ["", undefined],
    ["receipt.", undefined],
    ["receipt.a.b", undefined],
    ["receipt.>", undefined],
    ["receipt.*", undefined],
    [`receipt.${"a".repeat(65)}`, undefined],
    ["statement.AT", undefined],
    ["$JS.API.STREAM.PURGE.STATEMENTS", undefined],
  ])("leads to receipts only: %j", (said, goes) => {
    const head = headers();
    head.set("Scrutin-Reply", said);
    expect(replySubject(head)).toBe(goes);
  });

  it("leads nowhere when nothing is said", () => expect(replySubject(undefined)).toBeUndefined());
});
