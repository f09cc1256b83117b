import { createHash, sign } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { newSampleKey, type Sample, sampleCommon, sampleTally, signSample } from "../../shared/definition/sample.ts";
import type { HeadBefore } from "../../shared/ledger/authority.ts";
import { signCheckpoint, verifierKey } from "../../shared/ledger/checkpoint.ts";
import { readReceipt } from "../../shared/ledger/receipt.ts";
import { createLogReader, LogBroken, type ReadEntry } from "../../shared/platform/log-reader.ts";
import type { Statement } from "../../shared/statement/types.ts";
import { type Harness, startHarness } from "../../test/harness.ts";
import {
  cuttingProxy,
  eventually,
  type LedgerHere,
  type LedgerOptions,
  ownKeyOf,
  runLedger,
  writes,
} from "../../test/ledger.ts";
import { kidOf, openWire, type Wire } from "../../test/send.ts";
import { type RunningWitness, startWitness } from "../../test/witnesses.ts";
import { LogContradicted } from "./contradiction.ts";
import { StartRefused } from "./given.ts";
import { type GivenOrigin, givenOrigin } from "./origin.ts";

/** The log's own key rotates: two trustees open a new origin, and the same log goes on. */

const SECOND = "results.example.eu/sample-2";
const THIRD = "results.example.eu/sample-3";

let harness: Harness;
let sample: Sample;
let ledger: LedgerHere | undefined;
let wire: Wire;

beforeEach(async () => {
  harness = await startHarness();
  sample = harness.sample;
  for (const kid of ["ledger-2", "ledger-3"]) sample.keys.get(kid) ?? newSampleKey(sample, kid);
  wire = await openWire(sample, await harness.nats("ingest"));
  sequence = 0;
});
afterEach(async () => {
  await stop();
  await harness.close();
});

async function stop(): Promise<void> {
  const here = ledger;
  ledger = undefined;
  await here?.stop();
}
/** Starts the ledger; it may end at once. */
async function start(options: LedgerOptions = {}): Promise<LedgerHere> {
  await stop();
  ledger = await runLedger(harness, options);
  return ledger;
}
const write = async (options: LedgerOptions = {}) => writes(await start(options));

let sequence = 0;
const nextTally = () => {
  const tallies = [sampleTally("AT-2", { version: ++sequence })];
  return signSample(sample, { type: "tally", ...sampleCommon(sample, "AT", sequence), tallies }, "AT-1");
};
/** Answers the receipt as it came. */
const send = (bytes: Uint8Array = nextTally()) => wire.send(bytes);

const head = async (): Promise<HeadBefore> => {
  const [row] = await harness.query<{ size: number; root: Buffer }>("select size::int, root from ledger.head");
  return { size: row?.size ?? 0, root: row?.root.toString("base64") ?? "" };
};
const origins = () => harness.query<{ index: number; origin: string }>("select index::int, origin from ledger.origin");
const noteOf = async (size: number) =>
  (await harness.query<{ note: string }>("select note from ledger.checkpoint where size = $1", [size]))[0]?.note ?? "";

let decided = 0;
type Decided = { origin: string; kid: string; at: HeadBefore; by?: string[]; more?: Record<string, unknown> };
function decision({ origin, kid, at, by = ["trustee-1", "trustee-2"], more = {} }: Decided): Uint8Array {
  const said = {
    type: "decision",
    ...sampleCommon(sample, "EU", ++decided),
    decision: "origin",
    about: "EU",
    origin,
    key: { id: kid, publicKey: sample.keys.get(kid)?.jwk.x ?? "" },
    ...at,
    reason: "the key of the log was lost",
    ...more,
  };
  return signSample(sample, said as Statement, ...by);
}
const given = (what: Decided): Promise<GivenOrigin> => givenOrigin(decision(what), sample, ownKeyOf(sample, what.kid));

/** Some entries under the definition's origin; nobody writes afterwards. */
async function began(...first: Uint8Array[]): Promise<HeadBefore> {
  await write();
  for (const bytes of first) await send(bytes);
  for (let n = 0; n < 3; n++) await send();
  await stop();
  return head();
}

/** On the pool of the ledger that runs. */
function logReader() {
  const { pool } = (ledger as LedgerHere).seq;
  const { definition, hash, vault } = sample;
  return createLogReader({ pool, definition, definitionHash: hash, vaultPrivateKey: vault.privateKey });
}

/** The whole log as the counts read it, and each head as they see it. */
async function read(): Promise<{ entries: ReadEntry[]; heads: string[] }> {
  const reader = logReader();
  const entries: ReadEntry[] = [];
  for await (const entry of reader.read(0, (await reader.head())?.size ?? 0)) entries.push(entry);
  await logReader().startAt(entries.length);
  return { entries, heads: entries.flatMap(({ checkpoint }) => checkpoint?.origin ?? []) };
}

describe("a new origin", () => {
  it("is opened by an entry, and the log goes on under it; a second one likewise", async () => {
    const early = nextTally();
    const at = await began();
    const origin = await given({ origin: SECOND, kid: "ledger-2", at });
    await write({ kid: "ledger-2", origin });
    expect(await origins()).toEqual([{ index: at.size, origin: SECOND }]);
    expect((await noteOf(at.size)).split("\n")[0]).toBe(sample.definition.origin);
    expect((await noteOf(at.size + 1)).split("\n")[0]).toBe(SECOND);
    const receipt = await send(early);
    expect(kidOf(receipt)).toBe("ledger-2");
    expect(readReceipt(receipt, ownKeyOf(sample, "ledger-2").own)?.checkpoint.split("\n")[0]).toBe(SECOND);
    expect(await wire.ask(early)).toBe(receipt);

    // Given again, and left out.
    const before = await head();
    await write({ kid: "ledger-2", origin });
    await write({ kid: "ledger-2" });
    expect(await head()).toEqual(before);

    await stop();
    await write({ kid: "ledger-3", origin: await given({ origin: THIRD, kid: "ledger-3", at: before }) });
    await send();
    expect(await wire.ask(early)).not.toBe(receipt);
    expect(kidOf(await wire.ask(early))).toBe("ledger-3");
    const { entries, heads } = await read();
    expect(entries.filter(({ statement }) => statement?.type === "decision").map(({ index }) => index)).toEqual([
      at.size,
      before.size,
    ]);
    const first = sample.definition.origin;
    expect(heads).toEqual([first, first, first, first, SECOND, SECOND, THIRD, THIRD]);
  });

  it("leaves the keys before it without a say", async () => {
    const at = await began();
    const origin = await given({ origin: SECOND, kid: "ledger-2", at });
    await write({ kid: "ledger-2", origin });
    await stop();
    const now = await head();
    await write({ kid: "ledger-3", origin: await given({ origin: THIRD, kid: "ledger-3", at: now }) });
    const last = await head();
    await expect(write()).rejects.toThrow(/^SCRUTIN_KEY_FILE: ledger-1 is not the key .*\/sample-3 under ledger-3/);
    await expect(write({ kid: "ledger-2", origin })).rejects.toThrow(StartRefused);
    expect(await head()).toEqual(last);
  });

  it("is no place for one of its keys among an office's", async () => {
    await write({ kid: "ledger-2", origin: await given({ origin: SECOND, kid: "ledger-2", at: await began() }) });
    const key = { id: "ledger-2", publicKey: sample.keys.get("ledger-2")?.jwk.x ?? "", state: "AT", official: "Eva" };
    const enrol = { type: "key", ...sampleCommon(sample, "EU", ++decided), change: "enrol", key } as const;
    const receipt = await send(signSample(sample, enrol, "trustee-1", "trustee-2", "ledger-2"));
    const codes = readReceipt(receipt, ownKeyOf(sample, "ledger-2").own)?.findings.map(({ code }) => code);
    expect(codes).toEqual(["F.409"]);
  });

  it.each<[string, (at: HeadBefore) => Partial<Decided>]>([
    ["one trustee decided", () => ({ by: ["trustee-1"] })],
    ["one person decided twice", () => ({ by: ["trustee-1", "AT-1"] })],
    ["offices decided", () => ({ by: ["AT-1", "AT-2"] })],
    ["it was decided for another definition", () => ({ more: { definition: "0".repeat(64) } })],
    ["it was decided for another root", (at) => ({ at: { ...at, root: Buffer.alloc(32).toString("base64") } })],
    ["it was decided for a longer log", (at) => ({ at: { ...at, size: at.size + 1 } })],
    ["it was decided for a shorter log", (at) => ({ at: { ...at, size: at.size - 1 } })],
    ["the origin is the log's own", () => ({ origin: "results.example.eu/sample" })],
    ["the key is the log's own", () => ({ kid: "ledger-1" })],
    ["the key is an office's", () => ({ kid: "AT-1" })],
    ["the key is the log's own under another id", () => ({ more: { key: sameKey("ledger-9", "ledger-1") } })],
    ["the id is the log's own", () => ({ more: { key: sameKey("ledger-1", "ledger-2") } })],
    ["the sequence number is used", () => ({ more: { sequence: 700 } })],
  ])("is not opened, and nothing written, when %s", async (_, wrong) => {
    const hold = { type: "decision", decision: "hold", about: "AT", reason: "as agreed" } as const;
    const at = await began(signSample(sample, { ...hold, ...sampleCommon(sample, "EU", 700) }, "trustee-1"));
    const what = { origin: SECOND, kid: "ledger-2", at, ...wrong(at) };
    const named = (what.more?.key as { id: string } | undefined)?.id ?? what.kid;
    const begin = async () => {
      const own = { ...ownKeyOf(sample, named === "ledger-9" ? "ledger-1" : what.kid), kid: named };
      await write({ kid: what.kid, origin: await givenOrigin(decision(what), sample, own) });
    };
    await expect(begin()).rejects.toThrow(StartRefused);
    await stop();
    expect(await head()).toEqual(at);
    expect(await origins()).toEqual([]);
  });
  const sameKey = (id: string, of: string) => ({ id, publicKey: sample.keys.get(of)?.jwk.x });

  it("is not opened for a key that the ledger does not hold", async () => {
    const jws = decision({ origin: SECOND, kid: "ledger-2", at: await began() });
    await expect(givenOrigin(jws, sample, ownKeyOf(sample, "ledger-3"))).rejects.toThrow(
      "which SCRUTIN_KEY_FILE is not",
    );
    await expect(givenOrigin(Buffer.from("none"), sample, ownKeyOf(sample))).rejects.toThrow(StartRefused);
    // Nor is a log begun under another key than its definition's.
    const fresh = await startHarness({ sample });
    const here = await runLedger(fresh, {
      kid: "ledger-2",
      origin: await givenOrigin(jws, sample, ownKeyOf(sample, "ledger-2")),
    });
    await expect(here.ended).rejects.toThrow(StartRefused);
    await here.stop();
    expect(await fresh.query("select from ledger.head")).toEqual([]);
    await fresh.close();
  });

  it("does not come by the bus", async () => {
    const incidents: { code: string; about: string }[] = [];
    const bus = await harness.nats("services");
    bus.subscribe("incident.raised.*", { callback: (_, msg) => incidents.push(msg.json()) });
    await write();
    await send();
    const jws = decision({ origin: SECOND, kid: "ledger-2", at: await head() });
    await wire.publish(jws);
    await eventually(() => incidents.some(({ about }) => about === "decision.origin-at-start"));
    await send();
    expect(await origins()).toEqual([]);
    expect((await head()).size).toBe(3);
  });
});

describe("a commit whose outcome nobody was told", () => {
  it.each(["before-commit", "after-commit"] as const)("opens the origin once: cut %s", async (where) => {
    const at = await began();
    const proxy = await cuttingProxy(harness.databaseUrl("ledger"));
    proxy.cutNext(where);
    const origin = await given({ origin: SECOND, kid: "ledger-2", at });
    await write({ kid: "ledger-2", origin, databaseUrl: proxy.url });
    expect(proxy.cuts()).toBe(1);
    expect(await origins()).toEqual([{ index: at.size, origin: SECOND }]);
    expect((await head()).size).toBe(at.size + 1);
    expect(kidOf(await send())).toBe("ledger-2");
    await stop();
    await proxy.close();
  });
});

describe("the origins that lie in the database", () => {
  const change = (sql: string) => harness.query(`alter table ledger.origin disable trigger all; ${sql}`);
  it.each([
    ["a row is gone", "delete from ledger.origin"],
    ["a row names another origin", "update ledger.origin set origin = 'results.example.eu/other'"],
    ["a row holds no decision", "update ledger.origin set statement = '\\x00'"],
    ["a row stands at another entry", "update ledger.origin set index = 2"],
  ])("are not believed: %s", async (_, sql) => {
    await write({ kid: "ledger-2", origin: await given({ origin: SECOND, kid: "ledger-2", at: await began() }) });
    expect((await logReader().head())?.origin).toBe(SECOND);
    await change(sql);
    await expect(logReader().head()).rejects.toThrow(LogBroken);
    await expect(write({ kid: "ledger-2" })).rejects.toThrow("origin");
  });
});

describe("among witnesses", () => {
  let folder: string;
  let witness: RunningWitness;
  const SIZE = 20;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "scrutin-test-origin-"));
    const keys = [["ledger-1", sample.definition.origin] as const, ["ledger-2", SECOND] as const];
    const logs = keys.map(([kid, origin]) => verifierKey(origin, ownKeyOf(sample, kid).own.raw));
    witness = await startWitness({ folder, name: "one", logs });
  });
  afterEach(async () => {
    await stop();
    await witness.child.stop();
    await rm(folder, { recursive: true, force: true });
  });
  const remotes = () => [{ url: witness.url, ...witness.witness }];
  /** The witness holds a head of this log that no database here has led to. */
  async function isAhead(kid: string, origin: string): Promise<void> {
    const { privateKey, publicRaw } = sample.keys.get(kid)!;
    const root = createHash("sha256").update("a log that was lost").digest();
    const signed = { origin, size: SIZE, root, publicRaw, sign: (text: Uint8Array) => sign(null, text, privateKey) };
    const body = `old 0\n\n${await signCheckpoint(signed)}`;
    const answer = await fetch(`${witness.url}/add-checkpoint`, { method: "POST", body });
    expect(answer.status).toBe(200);
  }

  it("is the way out for a log that they know further than its database does", async () => {
    const at = await began();
    await isAhead("ledger-1", sample.definition.origin);
    await expect((await start({ witnesses: remotes() })).ended).rejects.toThrow(LogContradicted);
    const origin = await given({ origin: SECOND, kid: "ledger-2", at });
    await write({ kid: "ledger-2", origin, witnesses: remotes() });
    await send();
    await eventually(
      async () => (await harness.query("select from ledger.cosignature where size = $1", [at.size + 2])).length === 1,
    );
    expect(await harness.query("select from ledger.cosignature where size <= $1", [at.size])).toEqual([]);
  });

  it("is not opened twice: a witness that has seen it open knows", async () => {
    const at = await began();
    await isAhead("ledger-2", SECOND);
    const origin = await given({ origin: SECOND, kid: "ledger-2", at });
    await expect((await start({ kid: "ledger-2", origin, witnesses: remotes() })).ended).rejects.toThrow(
      LogContradicted,
    );
    expect(await head()).toEqual(at);
  });
});
