import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePort } from "../infra/stack/child.ts";
import type { Child } from "../infra/stack/processes.ts";
import { sampleDefinition } from "../shared/definition/sample.ts";
import { readCheckpoint } from "../shared/ledger/checkpoint.ts";
import { verifyCosignatures, witnessVerifierKey } from "../shared/ledger/cosignature.ts";
import { type Harness, startHarness } from "./harness.ts";
import { eventually, ledgerKeyOf } from "./ledger.ts";
import { createSender, type Sender } from "./send.ts";
import { logKeyOf } from "./wayward-witness.ts";
import { createTestLog, type RunningWitness, startWitness, witnessOf } from "./witnesses.ts";

/** The ledger as a process, among witnesses that are processes: one is there from the start, the other comes later. */

const sample = sampleDefinition({ witnesses: 2 });
let harness: Harness;
let folder: string;
let ledger: Child;
let first: RunningWitness;
let second: RunningWitness | undefined;
let secondPort: number;
let sender: Sender;
let addresses: string;
const incidents: { code: string; about?: string }[] = [];

const keyOf = (name: string) => witnessVerifierKey(name, sample.keys.get(name)!.publicRaw);
const logs = [logKeyOf(sample)];

beforeAll(async () => {
  harness = await startHarness({ sample });
  folder = await mkdtemp(join(tmpdir(), "scrutin-test-witness-"));
  secondPort = await freePort();
  first = await startWitness({ folder, name: "witness-1", logs, sample });
  addresses = join(folder, "witnesses.json");
  await writeFile(
    addresses,
    JSON.stringify([
      { url: first.url, verifierKey: keyOf("witness-1") },
      { url: `http://127.0.0.1:${secondPort}/`, verifierKey: keyOf("witness-2") },
    ]),
  );
  const bus = await harness.nats("services");
  bus.subscribe("incident.raised.*", { callback: (_, msg) => incidents.push(msg.json()) });
  await bus.flush();
  sender = await createSender(harness, bus);
  ledger = await harness.start("ledger", { SCRUTIN_WITNESSES: addresses });
});
afterAll(async () => {
  await harness.close();
  await Promise.all([first.child.stop(), second?.child.stop()]);
  await rm(folder, { recursive: true, force: true });
});

const witnesses = ["witness-1", "witness-2"].map((name) => witnessOf(keyOf(name)));

/** Who has cosigned the checkpoint of a size, by lines in the database that verify on it. */
async function cosigners(size: number): Promise<string[]> {
  const [row] = await harness.query<{ note: string; lines: string[] }>(
    "select note, array(select line from ledger.cosignature c where c.size = p.size) as lines from ledger.checkpoint p where size = $1",
    [size],
  );
  const note = (row?.note ?? "") + (row?.lines ?? []).join("");
  const { origin } = sample.definition;
  expect(readCheckpoint(note, { origin, publicKey: ledgerKeyOf(sample) })?.size).toBe(size);
  return verifyCosignatures(note, witnesses).map(({ name }) => name);
}

const cosigned = (size: number, ...names: string[]) =>
  eventually(async () => {
    const found = await cosigners(size);
    return names.every((name) => found.includes(name));
  }, 40_000);

describe("witnesses", () => {
  it("cosign what the ledger writes; one that is away is told, and delays no receipt", async () => {
    const { entry, verdict } = await sender.send();
    expect(verdict).toBe("accepted");
    await cosigned(entry.index + 1, "witness-1");
    expect(await cosigners(entry.index + 1)).toEqual(["witness-1"]);
    await eventually(() => incidents.some(({ code, about }) => code === "witness.away" && about === "witness-2"));
    expect((await fetch(`${ledger.url}/readyz`)).status).toBe(200);
  });

  it("that come later cosign the newest head, and every one after it", async () => {
    second = await startWitness({ folder, name: "witness-2", logs, sample, port: secondPort });
    const { entry } = await sender.send();
    await cosigned(entry.index + 1, "witness-1", "witness-2");
    const next = await sender.send();
    await cosigned(next.entry.index + 1, "witness-1", "witness-2");
  });

  it("that are killed come back and go on where they were", async () => {
    first.child.kill("SIGKILL");
    const { entry } = await sender.send();
    await cosigned(entry.index + 1, "witness-1", "witness-2");
    expect(first.child.restarts()).toBe(1);
  });

  it("are asked again by a ledger that was killed, which goes on", async () => {
    ledger.kill("SIGKILL");
    await ledger.up();
    const { entry } = await sender.send();
    await cosigned(entry.index + 1, "witness-1", "witness-2");
    const metrics = await (await fetch(`${ledger.url}/metrics`)).text();
    expect(metrics).toMatch(new RegExp(`scrutin_ledger_cosigned_size\\{.*witness="witness-2".*\\} ${entry.index + 1}`));
  });
});

describe("a list of witnesses", () => {
  const other = () => createTestLog().verifierKey;
  it.each<[string, () => unknown, string]>([
    ["is no JSON", () => undefined, "in JSON"],
    ["names one twice", () => [one(), one()], "names the witness witness-1 twice"],
    ["names a log's key", () => [{ ...one(), verifierKey: other() }], "is not the verifier key of a witness"],
    [
      "leads to another machine without TLS",
      () => [{ ...one(), url: "http://witness.example/" }],
      "neither https nor on this machine",
    ],
    [
      "gives a witness of the definition another key",
      () => [{ ...one(), verifierKey: foreign() }],
      "another key than the definition",
    ],
    ["has more than it should", () => [{ ...one(), quorum: 1 }], "in JSON"],
  ])("that %s is refused in a sentence", async (what, list, says) => {
    const file = join(folder, "wrong.json");
    await writeFile(file, JSON.stringify(list()) ?? "[");
    const name = `ledger-${what.length}`;
    await expect(harness.start("ledger", { SCRUTIN_WITNESSES: file }, name)).rejects.toThrow("exit code 78");
    expect(await readFile(join(harness.folder, "logs", `${name}.log`), "utf8")).toContain(says);
  });

  const one = () => ({ url: first.url, verifierKey: keyOf("witness-1") });
  const foreign = () => witnessVerifierKey("witness-1", sample.keys.get("witness-2")!.publicRaw);
});
