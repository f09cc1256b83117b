import { spawn } from "node:child_process";
import { chmod, mkdtemp, readFile, rm, stat, truncate } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { verifyNote } from "../../shared/ledger/checkpoint.ts";
import { findCosignature, verifyCosignatures } from "../../shared/ledger/cosignature.ts";
import { createTestLog, type RunningWitness, startWitness, type TestLog, witnessOf } from "../../test/witnesses.ts";
import { originHash } from "./state.ts";

/** The witness as a process of its own. */

const PROJECT = fileURLToPath(new URL("../..", import.meta.url));

interface Ended {
  code: number | null;
  output: string;
}

/** Runs the witness until it ends by itself. */
function run(...args: string[]): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn("npm", ["run", "-s", "witness", "--", ...args], { cwd: PROJECT });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += chunk));
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, output }));
  });
}

let folder: string;
let log: TestLog;
let running: RunningWitness;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "witness-test-"));
  log = createTestLog();
  running = await startWitness({ folder, name: "first", logs: [log.verifierKey] });
});
afterAll(async () => {
  await running.child.stop();
  await rm(folder, { recursive: true, force: true });
});

const post = async (body: string) => fetch(`${running.url}/add-checkpoint`, { method: "POST", body });
const readBack = async () => (await fetch(`${running.url}/${originHash(log.origin)}/checkpoint`)).text();

describe("a witness' first start", () => {
  it("makes a key for its owner only, and prints what logs are told of it", async () => {
    expect((await stat(join(folder, "first.json"))).mode & 0o777).toBe(0o600);
    const printed = await readFile(join(folder, "logs", "first.log"), "utf8");
    expect(printed).toContain(`cosigning as ${running.verifierKey}`);
    expect(witnessOf(running.verifierKey).name).toBe("witness.example/first");
  });
});

describe("kill -9", () => {
  it("between any write and its answer never lets it cosign a fork, and it is the same witness afterwards", async () => {
    log.grow(5);
    expect((await post(await log.request(0, 5))).status).toBe(200);
    let held = 5;
    for (let round = 0; round < 6; round++) {
      // Two histories race for the memory, and the witness dies while they do.
      const before = running.child.restarts();
      const fork = log.fork(held);
      log.grow(30);
      fork.grow(30);
      const answered: { history: TestLog; size: number; line: string }[] = [];
      const ask = async (history: TestLog) => {
        for (let old = held; old < held + 30; old++) {
          const answer = await post(await history.request(old, old + 1));
          if (answer.status !== 200) return;
          answered.push({ history, size: old + 1, line: await answer.text() });
          if (answered.length === 1 + 3 * round) running.child.kill("SIGKILL");
        }
      };
      await Promise.allSettled([ask(log), ask(fork)]);
      await running.child.up();
      expect(running.child.restarts()).toBe(before + 1);

      const histories = new Set(answered.map(({ history }) => history));
      expect(histories.size).toBe(1);
      const [history = log] = histories;
      for (const { size, line } of answered) {
        const text = (await history.note(size)).split("\n\n")[0];
        expect(findCosignature(`${text}\n`, line, running.witness)).toBeDefined();
      }
      const note = await readBack();
      const size = Number(verifyNote(note, { name: log.origin, publicKey: log.publicKey })?.split("\n")[1]);
      expect(size).toBeGreaterThanOrEqual(Math.max(...answered.map((given) => given.size)));
      expect(note.startsWith(await history.note(size))).toBe(true);
      expect(verifyCosignatures(note, [running.witness])).toHaveLength(1);
      // The one whose answer was lost asks again, and is told where the witness is.
      const answer = await post(await history.request(size - 1, size));
      expect([answer.status, await answer.text()]).toEqual([409, `${size}\n`]);
      expect((await post(await history.request(size, size))).status).toBe(200);
      log = history;
      held = size;
    }
  }, 120_000);
});

describe("a witness does not start", () => {
  const args = (name: string) => ["--key", join(folder, `${name}.json`), "--state", join(folder, `${name}-state`)];
  const made = async (name: string) => {
    const other = await startWitness({ folder, name, logs: [log.verifierKey] });
    const asked = await fetch(`${other.url}/add-checkpoint`, { method: "POST", body: await log.request(0, 3) });
    expect(asked.status).toBe(200);
    await other.child.stop();
    return join(folder, `${name}-state`);
  };

  it.each<[string, (state: string, name: string) => Promise<unknown>, string]>([
    ["on a memory that is cut", (state) => truncate(join(state, `${originHash(log.origin)}.note`), 40), "is damaged"],
    ["on a memory that is empty", (state) => truncate(join(state, `${originHash(log.origin)}.note`), 0), "is damaged"],
    ["without its memory", (state) => rm(state, { recursive: true }), "could cosign a fork"],
    ["without the key of its memory", (_, name) => rm(join(folder, `${name}.json`)), "Put the key back"],
    ["with a key that others may read", (_, name) => chmod(join(folder, `${name}.json`), 0o644), "chmod 600"],
  ])("%s", async (what, damage, says) => {
    const name = what.replaceAll(" ", "-");
    await damage(await made(name), name);
    const { code, output } = await run(...args(name), "--log", log.verifierKey);
    expect([code, output]).toEqual([78, expect.stringContaining(says)]);
  });

  it.each<[string, string[], number, string]>([
    ["without a log", [], 78, "WITNESS_LOGS is not set"],
    ["with a key that is no log's", ["--log", "x"], 78, "not a log's"],
    ["with two keys of one origin", [], 78, "a log's key rotates by a new origin"],
    ["on an address of the network", ["--host", "0.0.0.0"], 78, "Set SCRUTIN_TLS_CERT_FILE"],
    ["with an option that is none", ["--sate", "x"], 2, "--sate"],
    ["when it is asked for help", ["--help"], 0, "--state FOLDER"],
  ])("%s", async (what, more, code, says) => {
    const two = what.includes("two keys")
      ? ["--log", log.verifierKey, "--log", createTestLog(log.origin).verifierKey]
      : [];
    const one = what.includes("address") ? ["--log", log.verifierKey] : [];
    expect(await run(...args("none"), ...two, ...one, ...more)).toEqual({
      code,
      output: expect.stringContaining(says),
    });
  });

  it("on a port that is taken", async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    const { port } = taken.address() as { port: number };
    const { code, output } = await run(...args("taken"), "--log", log.verifierKey, "--port", String(port));
    taken.close();
    expect([code, output]).toEqual([1, expect.stringContaining("EADDRINUSE")]);
  });
});
