import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Said } from "../services/pull/words.ts";
import { sampleDefinition } from "../shared/definition/sample.ts";
import type { Statement } from "../shared/statement/types.ts";
import { createSayings, post } from "./embargo.ts";
import { type Harness, startHarness } from "./harness.ts";
import { eventually } from "./ledger.ts";
import { filesIn, freshFolder, removeFolder } from "./pull-run.ts";

/** The command at a real lift: every service as a process, and `pull` beside them with the Parliament's key. */

const PROJECT = fileURLToPath(new URL("..", import.meta.url));
/** Services are up and have counted by then. */
const LEAD_MS = 20_000;

let harness: Harness;
let url = "";
let out = "";
let keyFile = "";
const running: ChildProcess[] = [];

/** `npm run pull` with these options, and what it says. */
function command(...args: string[]) {
  const child = spawn(process.execPath, ["--import", "tsx", "services/pull/main.ts", ...args], { cwd: PROJECT });
  running.push(child);
  const said: (Said & { atMs: number })[] = [];
  const errors: string[] = [];
  createInterface(child.stdout).on("line", (line) => said.push({ ...(JSON.parse(line) as Said), atMs: Date.now() }));
  createInterface(child.stderr).on("line", (line) => errors.push(line));
  const ended = once(child, "close").then(([code]) => code as number | null);
  return { child, said, errors, ended };
}

beforeAll(async () => {
  const closesAt = Math.ceil((Date.now() + LEAD_MS) / 1000) * 1000;
  harness = await startHarness({ sample: sampleDefinition({ closesAt }) });
  const { sample, start } = harness;
  const [, ingest, , release] = await Promise.all([
    start("ledger"),
    start("ingest"),
    start("recount"),
    start("release"),
  ]);
  await start("tabulate", { SCRUTIN_INGEST_URL: ingest.url });
  url = release.url;
  const say = createSayings(harness);
  const said = async (statement: Statement, ...kids: string[]) =>
    expect(await post(harness, ingest.url, statement, ...kids)).toMatchObject({ verdict: "accepted" });
  for (const state of ["AT", "LU"]) await said(say.override(state), "trustee-1", "trustee-2");
  expect(sample.definition.publication).toBeDefined();
  out = await freshFolder();
  keyFile = join(harness.folder, "parliament.json");
  await writeFile(keyFile, JSON.stringify(sample.keys.get("parliament-1")?.jwk), { mode: 0o600 });
}, 60_000);
afterAll(async () => {
  for (const child of running) child.kill("SIGKILL");
  await harness?.close();
  if (out !== "") await removeFolder(out);
});

const trusted = () => harness.sample.anchors.flatMap(({ id, publicKey }) => ["--definition-key", `${id}=${publicKey}`]);

describe("npm run pull", () => {
  it("opens release 1 from the copy that it holds, a moment after its key is committed", async () => {
    const { said, child, ended } = command(url, "--out", out, "--key", keyFile, "--json", ...trusted());
    await eventually(() => said.some(({ event }) => event === "sealed"), 30_000);
    expect(said.some(({ event }) => event === "release")).toBe(false);
    await eventually(() => said.some(({ event }) => event === "settled"), 60_000);
    expect(said.find(({ event }) => event === "release")).toMatchObject({ number: 1, how: "opened" });
    const [key] = await harness.query<{ ms: number }>(
      "select extract(epoch from max(given_at))::float8 * 1000 as ms from release.key_share where number = 1",
    );
    const { mtimeMs } = await stat(join(out, "release-1.json"));
    const tookMs = Math.round(mtimeMs - (key?.ms ?? 0));
    process.stdout.write(`release 1 lay opened ${tookMs} ms after its key was committed\n`);
    expect(tookMs).toBeLessThan(100);
    child.kill("SIGINT");
    expect(await ended).toBe(130);
  }, 90_000);

  it("goes on from the folder, and takes what came since; another that fetches all has the same", async () => {
    const again = command(url, "--out", out, "--once", "--json", ...trusted());
    expect(await again.ended).toBe(0);
    expect(again.said.at(-1)).toMatchObject({ event: "end", result: "holds" });
    const fresh = await freshFolder();
    const other = command(url, "--out", fresh, "--once", "--json");
    expect(await other.ended).toBe(0);
    expect(await filesIn(fresh)).toEqual(await filesIn(out));
    await removeFolder(fresh);
  }, 30_000);

  it("says what is wrong with a command", async () => {
    const wrong = [[], [url], [url, "--out", out, "--definition-key", "x"], [url, "--out", out, "--key", "/nothing"]];
    const [none, noOut, badKey, badFile] = wrong.map((args) => command(...args, "--json"));
    expect(await none!.ended).toBe(2);
    expect(await noOut!.ended).toBe(2);
    expect(await badKey!.ended).toBe(2);
    expect(await badFile!.ended).toBe(2);
    expect(badFile!.errors.join()).toContain("--key: /nothing cannot be read");
  }, 30_000);
});
