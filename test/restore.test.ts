import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { withClient } from "../infra/stack/database.ts";
import type { Child } from "../infra/stack/processes.ts";
import { type Harness, startHarness } from "./harness.ts";
import { eventually } from "./ledger.ts";
import { createSender, type Sender } from "./send.ts";
import { logKeyOf } from "./wayward-witness.ts";
import { type RunningWitness, startWitness } from "./witnesses.ts";

/**
 * A backup is put back, and with it a log that ends before receipts that were given. Written on, it would say two things of one index; the
 * ledger itself cannot know, but its witnesses do.
 */

let harness: Harness;
let folder: string;
let witnesses: RunningWitness[];
let sender: Sender;

beforeEach(async () => {
  harness = await startHarness();
  folder = await mkdtemp(join(tmpdir(), "scrutin-test-restore-"));
  witnesses = [await witness("one"), await witness("two")];
  sender = await createSender(harness, await harness.nats("services"));
});
afterEach(async () => {
  const name = databaseName();
  await harness.close();
  await Promise.all(witnesses.map(({ child }) => child.stop()));
  await inServer(`drop database if exists ${name}_backup`, `drop database if exists ${name}_lost`);
  await rm(folder, { recursive: true, force: true });
});

const witness = (name: string) => startWitness({ folder, name, logs: [logKeyOf(harness.sample)] });
const databaseName = () => new URL(harness.adminUrl).pathname.slice(1);

async function inServer(...statements: string[]): Promise<void> {
  const server = new URL(harness.adminUrl);
  server.pathname = "/postgres";
  await withClient(server.href, async (client) => {
    for (const statement of statements) await client.query(statement);
  });
}

let starts = 0;
async function startLedger(asks: readonly RunningWitness[]): Promise<{ child: Child; log(): Promise<string> }> {
  const name = `ledger-${++starts}`;
  const file = join(folder, `${name}-witnesses.json`);
  await writeFile(file, JSON.stringify(asks.map(({ url, verifierKey }) => ({ url, verifierKey }))));
  const child = await harness.start("ledger", { SCRUTIN_WITNESSES: file }, name);
  return { child, log: () => readFile(join(harness.folder, "logs", `${name}.log`), "utf8") };
}

async function head(): Promise<number> {
  const [row] = await harness.query<{ size: number }>("select size::int from ledger.head");
  return row?.size ?? 0;
}

/** Sends so many tallies, and waits until every witness has cosigned the last of them. */
async function grow(count: number): Promise<number> {
  let size = 0;
  for (let n = 0; n < count; n++) size = (await sender.send()).entry.index + 1;
  await eventually(async () => {
    const found = await harness.query("select from ledger.cosignature where size = $1", [size]);
    return found.length === witnesses.length;
  });
  return size;
}

/** Four entries, a copy of the database, four more entries; then the copy takes the database's place. */
async function restored(): Promise<void> {
  const name = databaseName();
  const { child } = await startLedger(witnesses);
  expect(await grow(3)).toBe(4);
  await child.stop();
  await inServer(`create database ${name}_backup template ${name}`);
  const again = await startLedger(witnesses);
  expect(await grow(4)).toBe(8);
  await again.child.stop();
  await inServer(`alter database ${name} rename to ${name}_lost`, `create database ${name} template ${name}_backup`);
  expect(await head()).toBe(4);
}

interface Ready {
  checks: { writer: boolean };
  role: string;
  stopped?: string;
}
async function readiness({ url }: Child): Promise<{ status: number; said: Ready }> {
  const answer = await fetch(`${url}/readyz`);
  return { status: answer.status, said: (await answer.json()) as Ready };
}

async function refuses({ child, log }: Awaited<ReturnType<typeof startLedger>>): Promise<void> {
  await eventually(async () => (await readiness(child)).said.role === "stopped");
  const { status, said } = await readiness(child);
  expect(status).toBe(503);
  expect(said.checks.writer).toBe(false);
  const sentence =
    /The witness witness\.example\/\w+ holds a head of 8 entries, signed by this log, and this database ends at 4: it was put back to an older state\. Nothing is written\. .*repair it from a standby.* two trustees open a new origin\./;
  expect(said.stopped).toMatch(sentence);
  const lines = (await log()).split("\n").filter((line) => line.includes('"fatal"'));
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({
    code: "log.behind-witness",
    msg: expect.stringMatching(sentence),
  });
}

it("a ledger on an older state of its database learns it from its witnesses and writes nothing; repaired, it goes on", async () => {
  const incidents: string[] = [];
  const bus = await harness.nats("services");
  bus.subscribe("incident.raised.*", { callback: (_, msg) => incidents.push(msg.json<{ code: string }>().code) });
  await bus.flush();
  await restored();
  const ledger = await startLedger(witnesses);
  await refuses(ledger);
  await eventually(() => incidents.includes("log.behind-witness"));
  const unwritten = await sender.publish();
  // Asked twice more, it is as it was: nothing is written, acknowledged or answered.
  for (let n = 0; n < 2; n++) await refuses(ledger);
  expect(ledger.child.restarts()).toBe(0);
  expect(await head()).toBe(4);
  expect(sender.receiptOf(unwritten)).toBeUndefined();
  expect((await (await bus.jetstreamManager({ checkAPI: false })).streams.info("STATEMENTS")).state.messages).toBe(1);
  await ledger.child.stop();

  const name = databaseName();
  await inServer(`drop database ${name}`, `alter database ${name}_lost rename to ${name}`);
  await startLedger(witnesses);
  await eventually(() => sender.receiptOf(unwritten) !== undefined);
  expect(sender.receiptOf(unwritten)?.entry.index).toBe(8);
  expect(await grow(1)).toBe(10);
});

it("one witness is enough to stop it, while the other is away", async () => {
  await restored();
  await witnesses[0]?.child.stop();
  await refuses(await startLedger(witnesses));
  expect(await head()).toBe(4);
});

it("witnesses that were told nothing of the log do not stop it, nor does a ledger without any", async () => {
  await restored();
  const others = [await witness("three"), await witness("four")];
  witnesses.push(...others);
  const { child } = await startLedger(others);
  expect((await sender.send()).entry.index).toBe(4);
  await child.stop();
  await startLedger([]);
  expect((await sender.send()).entry.index).toBe(5);
});

it("a fork that was begun while the witnesses were away is found when they are back", async () => {
  await restored();
  const { child } = await startLedger([]);
  for (let n = 0; n < 6; n++) await sender.send();
  expect(await head()).toBe(10);
  await child.stop();
  const again = await startLedger(witnesses);
  await eventually(async () => (await readiness(again.child)).said.role === "stopped");
  expect((await readiness(again.child)).said.stopped).toMatch(/holds another tree of 8 entries, signed by this log/);
  await sender.publish();
  expect(await head()).toBe(10);
});
