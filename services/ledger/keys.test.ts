import { createHash, randomBytes } from "node:crypto";
import type { Msg, NatsConnection } from "nats";
import type { PoolClient } from "pg";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  newSampleKey,
  type Sample,
  sampleCommon,
  sampleDefinition,
  sampleTally,
  signSample,
} from "../../shared/definition/sample.ts";
import { createLogReader } from "../../shared/platform/log-reader.ts";
import type { DataKey } from "../../shared/platform/seal.ts";
import type { Statement } from "../../shared/statement/types.ts";
import { type Harness, startHarness } from "../../test/harness.ts";
import { buildSequencer, dataKeyFor, eventually, sealedFor } from "../../test/ledger.ts";
import type { OpenLog } from "./decide.ts";
import { answerQuestions } from "./questions.ts";
import { openLog } from "./rebuild.ts";
import { openAll, writeBatch, writeOpened } from "./sequencer.ts";

/** Keys that the log brings, as the ledger comes to know them: never too late for a statement, and never before they are committed. */

let sample: Sample;
let harness: Harness;
let nc: NatsConnection;
let built: ReturnType<typeof buildSequencer>;
let session: PoolClient;
let log: OpenLog;
let dataKey: DataKey;

beforeEach(async () => {
  sample = sampleDefinition();
  harness = await startHarness({ sample });
  nc = await harness.nats("services");
  built = buildSequencer(harness, nc);
  session = await built.sessions.connect();
  log = await openLog(session, built.seq.identity, built.seq.now());
  dataKey = await dataKeyFor(sample);
});
afterEach(async () => {
  session.release(true);
  await Promise.all([built.sessions.end(), built.pool.end()]);
  await harness.close();
});

const wireOf = (bytes: Uint8Array) =>
  sealedFor(dataKey, createHash("sha256").update(bytes).digest("hex"), bytes, "receipt.x");

/** As the stream delivers them; what was answered to each, as JetStream would be told, is put into `answers`. */
async function deliver(answers: string[], ...statements: Uint8Array[]): Promise<Msg[]> {
  const subject = `test.${randomBytes(8).toString("hex")}`;
  const reply = `answer.${randomBytes(8).toString("hex")}`;
  nc.subscribe(reply, { callback: (_, msg) => void answers.push(msg.string()) });
  const subscription = nc.subscribe(subject, { max: statements.length });
  for (const bytes of statements) {
    const { headers, data } = wireOf(bytes);
    nc.publish(subject, data, { headers, reply });
  }
  const messages: Msg[] = [];
  for await (const msg of subscription) messages.push(msg);
  return messages;
}

let enrolments = 0;
/** Enrols `id`; `fill` spaces make it larger. */
function enrol(id: string, fill = 0): Uint8Array {
  const { x: publicKey } = (sample.keys.get(id) ?? newSampleKey(sample, id)).jwk;
  const key = { id, publicKey, state: "AT", official: "Clara" };
  const statement: Statement = { type: "key", ...sampleCommon(sample, "EU", ++enrolments), change: "enrol", key };
  const payload = Buffer.from(`${JSON.stringify(statement)}${" ".repeat(fill)}`);
  return signSample(sample, payload, "trustee-1", "trustee-2", id);
}
const tally = (kid: string, sequence: number) =>
  signSample(sample, { type: "tally", ...sampleCommon(sample, "AT", sequence), tallies: [sampleTally()] }, kid);

/** Every entry of the log, as the counts read it: nothing is in it that does not verify. */
async function entries(): Promise<string[]> {
  const reader = createLogReader({
    pool: built.pool,
    definitionHash: sample.hash,
    vaultPrivateKey: sample.vault.privateKey,
    definition: sample.definition,
  });
  const read: string[] = [];
  for await (const { signers, verdict, findings } of reader.read(0, log.frontier.size))
    read.push([signers[0] ?? "definition", ...(verdict === "accepted" ? [] : findings.map((f) => f.code))].join(" "));
  return read.slice(1);
}

describe("a statement of a key that is just being enrolled", () => {
  it("is written after the key, when both are in one batch", async () => {
    const answers: string[] = [];
    const batch = await deliver(answers, tally("AT-1", 1), tallyBefore("AT-9"), enrol("AT-9"), tally("AT-1", 2));
    await writeOpened(built.seq, session, log, await openAll(built.seq, batch));
    expect(await entries()).toEqual(["AT-1", "trustee-1", "AT-1 F.205", "AT-9 F.205"]);
    await eventually(() => answers.length === 4);
    expect(new Set(answers)).toEqual(new Set(["+ACK"]));
  });
  const tallyBefore = (kid: string) => {
    newSampleKey(sample, kid);
    return tally(kid, 1);
  };

  it("is written, though it was opened before the key was committed", async () => {
    const answers: string[] = [];
    const ahead = await openAll(built.seq, await deliver(answers, enrol("AT-9")));
    const behind = await openAll(built.seq, await deliver(answers, tally("AT-9", 1)));
    expect(behind.delivered).toEqual([]);
    await writeOpened(built.seq, session, log, ahead);
    await writeOpened(built.seq, session, log, behind);
    expect(await entries()).toEqual(["trustee-1", "AT-9"]);
  });

  it("is written through a chain of keys, each brought by the one before", async () => {
    const answers: string[] = [];
    const bytes = [enrol("AT-9")];
    for (const [replaces, id] of [
      ["AT-9", "AT-10"],
      ["AT-10", "AT-11"],
    ] as const) {
      const key = { id, publicKey: newSampleKey(sample, id).jwk.x };
      const rotate: Statement = { type: "key", ...sampleCommon(sample, "AT", 1), change: "rotate", replaces, key };
      bytes.unshift(signSample(sample, rotate, replaces, id));
    }
    await writeOpened(built.seq, session, log, await openAll(built.seq, await deliver(answers, ...bytes)));
    expect(await entries()).toEqual(["trustee-1", "AT-9", "AT-10"]);
  });

  it("is forged when nobody brings the key, and stops nobody", async () => {
    const incidents: unknown[] = [];
    nc.subscribe("incident.raised.*", { callback: (_, msg) => void incidents.push(msg.json()) });
    const answers: string[] = [];
    const batch = await deliver(answers, tallyBefore("AT-9"), tally("AT-1", 1));
    await writeOpened(built.seq, session, log, await openAll(built.seq, batch));
    expect(await entries()).toEqual(["AT-1"]);
    await eventually(() => answers.length === 2 && incidents.length === 1);
    expect(answers.sort()).toEqual(["+ACK", "+TERM"]);
    expect(incidents).toEqual([expect.objectContaining({ code: "bus.forged", about: "key.unknown" })]);
  });

  it("has the one key that came first, whatever else was to be enrolled under its id", async () => {
    const first = enrol("AT-9");
    sample.keys.delete("AT-9");
    const other = newSampleKey({ ...sample, keys: new Map() }, "AT-8");
    sample.keys.set("AT-9", { ...other, id: "AT-9" });
    const second = enrol("AT-9");
    await writeOpened(built.seq, session, log, await openAll(built.seq, await deliver([], first, second)));
    expect(await entries()).toEqual(["trustee-1", "trustee-1 F.409"]);
    expect(log.state.keys.get("AT-9")?.key.publicKey).not.toBe(other.jwk.x);
  });
});

describe("the keys that deliveries are opened with", () => {
  it("are those that are committed", async () => {
    const opened = await openAll(built.seq, await deliver([], enrol("AT-9")));
    const failing = new Proxy(session, {
      get: (target, name) =>
        name !== "query"
          ? Reflect.get(target, name)
          : (text: string, values?: unknown[]) => {
              if (text === "commit") throw new Error("the connection is gone");
              return target.query(text, values);
            },
    });
    await expect(writeBatch(built.seq, failing, log, opened.delivered)).rejects.toThrow("gone");
    expect(log.state.keys.has("AT-9")).toBe(true); // thrown away by whoever gets the error
    await session.query("rollback");
    await built.seq.keys.refresh();
    expect(built.seq.keys.book.has("AT-9")).toBe(false);

    log = await openLog(session, built.seq.identity, built.seq.now());
    await writeBatch(built.seq, session, log, opened.delivered);
    expect(built.seq.keys.book.has("AT-9")).toBe(true);
    expect((await openLog(session, built.seq.identity, built.seq.now())).state.keys.has("AT-9")).toBe(true);
  });

  it("do not come from a row that the ledger did not write so", async () => {
    await writeOpened(built.seq, session, log, await openAll(built.seq, await deliver([], tally("AT-1", 1))));
    await harness.query("alter table ledger.entry disable trigger only_grows");
    await harness.query("update ledger.entry set type = 'key' where index = 1");
    await expect(built.seq.keys.refresh()).rejects.toThrow("another type");
  });
});

describe("a standby", () => {
  let standby: ReturnType<typeof buildSequencer>;
  let stop: () => Promise<void>;
  beforeEach(async () => {
    standby = buildSequencer(harness, nc);
    const { pool, opener, keys, receipts, log } = standby.seq;
    const fail = (error: Error) => log.fatal({ err: error }, "a question failed");
    stop = answerQuestions({ nc, pool, opener, keys, receipts, log, fail });
    await receipts.refresh(pool);
  });
  afterEach(async () => {
    await stop();
    await Promise.all([standby.sessions.end(), standby.pool.end()]);
  });
  const ask = async (bytes: Uint8Array) => {
    const { headers, data } = wireOf(bytes);
    return (await nc.request("ledger.ask", data, { headers, timeout: 5_000 })).headers?.get("Scrutin-Status");
  };
  const keysFrom = async (from: number) =>
    (await nc.request("ledger.keys", JSON.stringify({ from }), { timeout: 5_000 })).json<{
      keys: { index: number; jws: string }[];
      next: number;
    }>();

  it("gives receipts for statements of keys that it was not told of, and looks once a second at most", async () => {
    const bytes = [enrol("AT-9"), tally("AT-9", 1)];
    await writeOpened(built.seq, session, log, await openAll(built.seq, await deliver([], ...bytes)));
    for (const one of bytes) expect(await ask(one)).toBe("known");
    newSampleKey(sample, "AT-10");
    expect(await ask(tally("AT-10", 1))).toBe("unknown");
    await standby.seq.keys.lookAgain();
    expect(await standby.seq.keys.lookAgain()).toBe(false);
  });

  it("says what every accepted key statement is, in as many answers as it takes, and nothing of quarantined ones", async () => {
    const told: number[] = [];
    nc.subscribe("ledger.key", { callback: (_, msg) => void told.push(msg.json<{ index: number }>().index) });
    const large = 400_000;
    const bytes = [enrol("AT-9", large), enrol("AT-9"), enrol("AT-10", large), enrol("AT-11")];
    await writeOpened(built.seq, session, log, await openAll(built.seq, await deliver([], ...bytes)));
    expect(await entries()).toEqual(["trustee-1", "trustee-1 F.409", "trustee-1", "trustee-1"]);
    await eventually(() => told.length === 3);
    expect(told).toEqual([1, 3, 4]);

    const pages = [await keysFrom(0)];
    for (let last = pages[0]; last !== undefined && last.keys.length > 0; last = pages.at(-1))
      pages.push(await keysFrom(last.next));
    expect(pages.map(({ keys }) => keys.map(({ index }) => index))).toEqual([[1], [3, 4], []]);
    const jws = pages.flatMap(({ keys }) => keys.map((key) => Buffer.from(key.jws, "base64")));
    const sha256 = (one: Uint8Array | undefined) =>
      createHash("sha256")
        .update(one ?? "")
        .digest("hex");
    expect(jws.map(sha256)).toEqual([bytes[0], bytes[2], bytes[3]].map(sha256));
    await expect(nc.request("ledger.keys", "junk", { timeout: 300 })).rejects.toThrow();
    expect((await keysFrom(4)).next).toBe(5);
  });
});
