import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Child } from "../infra/stack/processes.ts";
import { type Desk, layDesk } from "../services/trustee/fixture.ts";
import { newSampleKey, sampleDefinition, sampleTally } from "../shared/definition/sample.ts";
import { createSigning, postAt } from "./door.ts";
import { type Harness, startHarness } from "./harness.ts";
import { eventually } from "./ledger.ts";

/** Trustees at work: the tool as a process, against the real door and ledger, and what comes of it at the gate. */

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const sample = sampleDefinition();
let harness: Harness;
let desk: Desk;
let ingest: Child;
let release: Child;

beforeAll(async () => {
  [harness, desk] = await Promise.all([startHarness({ sample }), layDesk(sample)]);
  ingest = await harness.start("ingest");
  desk.url = ingest.url;
  [release] = await Promise.all([
    harness.start("release"),
    harness.start("ledger"),
    harness.start("tabulate", { SCRUTIN_INGEST_URL: ingest.url }),
    harness.start("recount"),
  ]);
});
afterAll(async () => {
  await desk.close();
  await harness.close();
});

/** `npm run trustee -- …` as this person, without a terminal. */
async function npmRun(kid: string, ...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const env = { ...process.env, ...desk.env(kid) };
  const child = spawn("npm", ["run", "-s", "trustee", "--", ...args], { cwd: ROOT, env });
  const texts = { out: "", err: "" };
  child.stdout.on("data", (chunk: Buffer) => (texts.out += chunk.toString("utf8")));
  child.stderr.on("data", (chunk: Buffer) => (texts.err += chunk.toString("utf8")));
  const [code] = (await once(child, "close")) as [number | null];
  return { code, ...texts };
}

let files = 0;
const fresh = () => desk.path(`decision-${++files}.json`);
const REASON = ["--reason", "agreed by telephone"];
/** A decision in a file, signed by these trustees one after the other. */
async function signedBy([first, ...others]: [string, ...string[]], ...args: string[]): Promise<string> {
  let file = fresh();
  const begun = await desk.as(first, ...args, "--out", file);
  expect(begun.exit, begun.text).toBe(0);
  for (const kid of others) {
    const out = fresh();
    const cosigned = await desk.as(kid, "cosign", file, "--out", out, "--yes");
    expect(cosigned.exit, cosigned.text).toBe(0);
    file = out;
  }
  return file;
}
const submit = (file: string) => desk.as("trustee-1", "submit", file);
/** Signed by these and submitted: the exit code, and the index of the entry. */
async function decided(kids: [string, ...string[]], ...args: string[]): Promise<number> {
  const { exit, text } = await submit(await signedBy(kids, ...args));
  expect([exit, text]).toEqual([0, expect.stringContaining("ACCEPTED")]);
  return indexIn(text);
}
const indexIn = (text: string) => Number(/^Entry (\d+) of the log/m.exec(text)?.[1]);

async function post(bytes: Uint8Array): Promise<string> {
  const answer = await postAt(ingest.url, bytes);
  return answer.code ?? `${answer.verdict} ${answer.index}`;
}
const signed = createSigning(sample);
const office = (statement: object, state: string, ...kids: [string, ...string[]]) =>
  post(signed(statement, state, ...kids));
/** As the runbook looks for the entry of an extension: in the public log, which holds fewer than 256 entries here. */
const entriesOf = async (type: string) => {
  const checkpoint = await (await fetch(`${release.url}/log/checkpoint`)).text();
  const bundle = await (await fetch(`${release.url}/log/tile/entries/000.p/${checkpoint.split("\n")[1]}`)).text();
  const found = bundle.match(new RegExp(`{[^{}]*"type":"${type}"[^{}]*}`, "g")) ?? [];
  return found.map((entry) => JSON.parse(entry) as { index: number; key: string });
};
const indexOf = async (type: string) => {
  const entries = await harness.query<{ index: number }>(
    "select index::int from ledger.entry where type = $1 order by index desc limit 1",
    [type],
  );
  return entries[0]?.index;
};

describe("trustees", () => {
  it("hold the Union alone, at once, and let it go only by two", async () => {
    const file = fresh();
    const held = await npmRun("trustee-1", "hold", "EU", ...REASON, "--out", file);
    expect([held.code, held.err]).toEqual([0, ""]);
    expect(held.out).toContain("ACCEPTED");
    expect(held.out).not.toContain("\u001b");
    const again = await submit(file);
    expect([again.exit, indexIn(again.text)]).toEqual([0, indexIn(held.out)]);

    // An extension of Austria that was given in error, and taken back.
    const until = "2024-06-09T23:00:00Z";
    const extended = await office({ type: "polls", polls: "extended", until, reason: "by mistake" }, "AT", "AT-1");
    const entry = extended.replace("accepted ", "");
    await eventually(async () => (await entriesOf("polls")).length > 0);
    expect(await entriesOf("polls")).toEqual([expect.objectContaining({ index: Number(entry), key: "AT-1" })]);
    const wrongEntry = await submit(
      await signedBy(["trustee-1", "trustee-2"], "void", "AT", "--entry", "1", ...REASON),
    );
    expect(wrongEntry.exit).toBe(1);
    expect(wrongEntry.text).toMatch(/QUARANTINED[\s\S]*F\.408: There is nothing that this decision could change\./);
    await decided(["trustee-1", "trustee-2"], "void", "AT", "--entry", entry, ...REASON);

    // Austria closes, Luxembourg cannot sign: two trustees go on without it.
    expect(await office({ type: "tally", tallies: [sampleTally()] }, "AT", "AT-1")).toMatch(/accepted/);
    expect(await office({ type: "polls", polls: "closed" }, "AT", "AT-1")).toMatch(/accepted/);
    const alone = await signedBy(["trustee-2"], "override", "LU", ...REASON);
    const tooFew = await npmRun("trustee-2", "submit", alone);
    expect([tooFew.code, tooFew.err]).toEqual([1, expect.stringMatching(/^decision\.unfinished: .*one more trustee/)]);
    expect(await post(await readFile(alone))).toBe("signatures.missing");
    expect(await desk.as("trustee-2", "cosign", alone, "--yes")).toMatchObject({ exit: 1, code: "signer.already" });
    const unasked = await npmRun("trustee-3", "cosign", alone);
    expect([unasked.code, unasked.err]).toEqual([1, expect.stringMatching(/^confirmation\.missing/)]);
    await decided(["trustee-2", "trustee-3"], "override", "LU", ...REASON);

    const resumed = await decided(["trustee-3", "trustee-1"], "resume", "EU", ...REASON);
    await eventually(async () => (await fetch(`${release.url}/v1/releases/latest`)).status === 200, 30_000);
    // Everything else was there before: it was the hold that kept the gate shut.
    expect(await indexOf("lift")).toBeGreaterThan(resumed);
  });

  it("whose signature is copied under a second name, or twice, are told apart by the door as well", async () => {
    const file = await signedBy(["trustee-1"], "resume", "AT", ...REASON);
    const { payload, signatures } = JSON.parse(await readFile(file, "utf8")) as {
      payload: string;
      signatures: [{ protected: string; signature: string }];
    };
    const header = { alg: "EdDSA", kid: "trustee-2", typ: "scrutin+jws" };
    const renamed = { ...signatures[0], protected: Buffer.from(JSON.stringify(header)).toString("base64url") };
    for (const [second, code] of [
      [signatures[0], "jws.signer-twice"],
      [renamed, "signature.invalid"],
    ] as const) {
      const forged = fresh();
      await writeFile(forged, JSON.stringify({ payload, signatures: [...signatures, second] }));
      expect(await submit(forged)).toMatchObject({ exit: 1, code });
      expect(await post(await readFile(forged))).toBe(code);
    }
  });

  it("bring a new key of an office in, and end one", async () => {
    const key = newSampleKey(sample, "AT-9");
    await desk.addKey(key);
    const who = ["--public-key", key.jwk.x, "--state", "AT", "--official", "Eva"];
    await decided(["trustee-1", "trustee-2", "AT-9"], "key", "enrol", "AT-9", ...who);
    const tally = { type: "tally", tallies: [sampleTally("AT-2")] };
    await eventually(async () => !/key\.unknown/.test(await office(tally, "AT", "AT-9")));
    const since = ["--since", "2024-06-09T19:00:00Z"];
    await decided(["trustee-1", "trustee-3"], "key", "revoke", "AT-9", ...since, ...REASON);
    await eventually(async () => (await office(tally, "AT", "AT-9")) === "key.ended");
  });

  it("who lost the record of their numbers are told so, and go on above them", async () => {
    await rm(`${desk.keyFile("trustee-1")}.sequence`, { recursive: true });
    const lost = await desk.as("trustee-1", "hold", "LU", ...REASON, "--out", fresh());
    expect([lost.exit, lost.text]).toEqual([1, expect.stringMatching(/QUARANTINED[\s\S]*F\.102: /)]);
    const next = await desk.as("trustee-1", "hold", "LU", ...REASON, "--sequence", "50", "--out", fresh());
    expect([next.exit, next.text]).toEqual([0, expect.stringContaining("ACCEPTED")]);
  });

  it("do not send what the ledger is given at its start, and the door would not take it", async () => {
    const { x } = newSampleKey(sample, "ledger-2").jwk;
    const more = ["--new-key", `ledger-2=${x}`, "--size", "9", "--root", "AA==", ...REASON];
    const file = await signedBy(["trustee-2", "trustee-3"], "origin", "results.example.eu/sample-2", ...more);
    expect(await submit(file)).toMatchObject({ exit: 1, code: "decision.at-start" });
    expect(await post(await readFile(file))).toBe("decision.origin-at-start");
  });

  it("suspend a third, whose decisions then count for nothing", async () => {
    await decided(["trustee-1", "trustee-2"], "suspend", "trustee-3", ...REASON, "--sequence", "51");
    // The door hears of it in its own time; the ledger knows at once. Either way it has no effect.
    const ended = [1, expect.stringMatching(/key\.ended|F\.105/)];
    const held = await desk.as("trustee-3", "hold", "AT", ...REASON, "--out", fresh());
    expect([held.exit, held.text]).toEqual(ended);
    const together = await submit(await signedBy(["trustee-1", "trustee-3"], "resume", "LU", ...REASON));
    expect([together.exit, together.text]).toEqual(ended);
  });
});
