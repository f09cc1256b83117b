import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Child } from "../infra/stack/processes.ts";
import { enrolByDecision } from "../services/office/enrol.ts";
import { openOffice } from "../services/office/folder.ts";
import { chooseKey, makeKey, openKey } from "../services/office/keys.ts";
import { signSaying } from "../services/office/signing.ts";
import { submitSpool } from "../services/office/submitting.ts";
import { readView } from "../services/office/view.ts";
import { type Desk, layDesk } from "../services/trustee/fixture.ts";
import { sampleDefinition, sampleTally } from "../shared/definition/sample.ts";
import { type Harness, startHarness } from "./harness.ts";

/** A live election's way of admitting a key: the office asks, two trustees sign, the office's key signs last. */

const PASSPHRASE = "four words nobody guesses";
const sample = sampleDefinition();
let harness: Harness;
let desk: Desk;
let ingest: Child;
let folder: string;

beforeAll(async () => {
  [harness, desk, folder] = await Promise.all([
    startHarness({ sample }),
    layDesk(sample),
    mkdtemp(join(tmpdir(), "scrutin-enrol-")),
  ]);
  [ingest] = await Promise.all([harness.start("ingest"), harness.start("ledger")]);
  desk.url = ingest.url;
});
afterAll(async () => {
  await desk?.close();
  await harness?.close();
  await rm(folder, { recursive: true, force: true });
});

const newKey = (name: string, state = "AT") =>
  makeKey(
    join(folder, name),
    { id: undefined, state, official: "Ada", backup: false, from: undefined, now: Date.now() },
    PASSPHRASE,
  );

async function trusteesSign(request: string): Promise<string> {
  const [one, two] = [join(folder, `${Math.random()}.json`), join(folder, `${Math.random()}.json`)];
  const first = await desk.as("trustee-1", "key", "enrol", "--request", request, "--out", one);
  expect(first).toMatchObject({ exit: 0 });
  expect(first.text).toMatch(/Fingerprint of AT-[0-9a-f]{8}: ([0-9a-f]{4} ){7}[0-9a-f]{4}/);
  expect(await desk.as("trustee-2", "cosign", one, "--out", two, "--yes")).toMatchObject({ exit: 0 });
  return two;
}

const files = () => ({
  definition: desk.path("definition.json"),
  signatures: desk.path("definition.signatures.json"),
  authority: desk.path("authority.json"),
});

async function enrol(name: string, decision: string) {
  const key = await chooseKey(join(folder, name), undefined);
  const own = await openKey(join(folder, name), undefined, PASSPHRASE);
  const enrolling = { folder: join(folder, name), key, own, now: Date.now(), patienceMs: 20_000 };
  return enrolByDecision(decision, files(), { ingest: ingest.url, release: undefined }, enrolling);
}

it("is asked for, decided, signed by itself, and then signs", async () => {
  const { request } = await newKey("one");
  expect(await enrol("one", await trusteesSign(request))).toBeGreaterThan(0);
  const office = await openOffice(join(folder, "one"));
  const signer = await openKey(office.folder, undefined, PASSPHRASE);
  const view = await readView(office);
  const tally = { ...sampleTally() };
  await signSaying({ type: "tally", tallies: [tally] }, { office, view, signer, now: Date.now });
  const about = { closesAt: 0, now: Date.now };
  // Before the polls close nothing of it is sent.
  const signal = new AbortController().signal;
  const early = { patienceMs: 1, signal, closesAt: Number.POSITIVE_INFINITY, now: Date.now, progress: () => undefined };
  expect(await submitSpool(office, early)).toMatchObject({ waiting: 1, early: 1, accepted: 0 });
  const done = await submitSpool(office, {
    ...about,
    patienceMs: 20_000,
    signal: new AbortController().signal,
    progress: () => undefined,
  });
  expect(done).toMatchObject({ waiting: 1, accepted: 1 });
});

it("a request that another key signed, or that was changed, is refused by the trustee's tool", async () => {
  const { request } = await newKey("two");
  const [header = "", , signature] = (await readFile(request, "utf8")).trim().split(".");
  const other = await newKey("three");
  const [, payload = ""] = (await readFile(other.request, "utf8")).trim().split(".");
  const forged = join(folder, "forged.jws");
  await writeFile(forged, `${header}.${payload}.${signature}`);
  const said = await desk.as("trustee-1", "key", "enrol", "--request", forged);
  expect(said).toMatchObject({ exit: 1, code: "request.wrong" });
});

it("a decision about another key is not signed by this one", async () => {
  const [{ request }] = [await newKey("four")];
  await newKey("five");
  const decision = await trusteesSign(request);
  await expect(enrol("five", decision)).rejects.toMatchObject({ code: "enrolment.wrong" });
});
