import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import type { Definition } from "../shared/definition/schema.ts";
import { readReceipt } from "../shared/ledger/receipt.ts";
import { readSigner, signStatement, writeStatement } from "../shared/platform/sign.ts";
import { createSubmitter } from "../shared/platform/submit.ts";
import { importVerifyKey } from "../shared/statement/ed25519.ts";

/** `npm start` as a person uses it: an exercise until Ctrl-C, which loses nothing; and two of them side by side. */

const PROJECT = fileURLToPath(new URL("..", import.meta.url));

interface Started {
  child: ChildProcess;
  output(): string;
  ended: Promise<number | null>;
  addresses: { ingest: string; release: string; watch: string };
  definition: string;
  keys: string;
}

const folders: string[] = [];
const running: Started[] = [];

afterEach(async () => {
  for (const { child, ended } of running.splice(0)) {
    if (child.exitCode === null && child.signalCode === null) interrupt(child);
    await ended;
  }
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

async function freshFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "start-test-"));
  folders.push(folder);
  return folder;
}

/** As Ctrl-C in a terminal: to the whole group. */
function interrupt(child: ChildProcess): void {
  if (child.pid !== undefined) process.kill(-child.pid, "SIGINT");
}

async function start(folder: string, name: string): Promise<Started> {
  const file = join(folder, `${name}.json`);
  const args = ["run", "-s", "start", "--", "--lift-in", "5m", "--data", join(folder, "data"), "--stack", file];
  const child = spawn("npm", args, { cwd: PROJECT, detached: true });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream?.on("data", (chunk: Buffer) => (output += chunk.toString("utf8")));
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  let over = false;
  void ended.then(() => (over = true));
  while (!output.includes("Ctrl-C ends it.")) {
    if (over) throw new Error(`npm start ended:\n${output}`);
    await sleep(50);
  }
  const started = {
    child,
    ended,
    output: () => output,
    ...(JSON.parse(await readFile(file, "utf8")) as Omit<Started, "child" | "ended" | "output">),
  };
  running.push(started);
  return started;
}

/** A signed tally of Austria's one unit, whose polls have closed a moment ago in every exercise. */
async function signedTally(
  stack: Started,
  sequence: number,
): Promise<{ bytes: Uint8Array; ledgerKey: NonNullable<ReturnType<typeof importVerifyKey>> }> {
  const text = await readFile(stack.definition);
  const definition = JSON.parse(text.toString("utf8")) as Definition;
  const hash = createHash("sha256").update(text).digest("hex");
  const state = definition.states.find(({ id }) => id === "AT");
  const unit = state?.units[0]?.ids[0];
  const key = importVerifyKey(
    Buffer.from(definition.keys.find(({ role }) => role === "ledger")?.publicKey ?? "", "base64url"),
  );
  if (unit === undefined || key === undefined) throw new Error("a definition without Austria or a ledger");
  const tally = {
    unit,
    version: sequence,
    status: "final" as const,
    electors: 100,
    ballots: 50 + sequence,
    blank: 0,
    invalid: 0,
    votes: { AT01: 50 + sequence },
  };
  const about = { definition: hash, state: "AT", sequence, now: Date.now() };
  const signer = await readSigner(join(stack.keys, "AT-1.json"));
  return { bytes: signStatement(writeStatement({ type: "tally", tallies: [tally] }, about), [signer]), ledgerKey: key };
}

async function send(stack: Started, bytes: Uint8Array) {
  const { door } = JSON.parse(await readFile(stack.definition, "utf8")) as Definition;
  const about = { ingestUrl: stack.addresses.ingest, pins: door?.pins };
  const submitter = createSubmitter({ ...about, inFlight: 1, patienceMs: 20_000 });
  try {
    const outcome = await submitter.submit(bytes);
    if (outcome.kind === "refused") throw new Error(outcome.code);
    return outcome;
  } finally {
    submitter.close();
  }
}

describe("npm start", () => {
  it("is taken up after Ctrl-C where it was left: the same bytes get the same receipt", async () => {
    const folder = await freshFolder();
    const first = await start(folder, "first");
    const { bytes, ledgerKey } = await signedTally(first, 1);
    const before = await send(first, bytes);
    expect(before).toMatchObject({ verdict: "accepted" });
    expect(readReceipt(before.receipt, ledgerKey)).toBeDefined();
    interrupt(first.child);
    await first.ended;
    expect(first.output()).toContain("stopped; its data stays in");

    const second = await start(folder, "second");
    const again = await send(second, bytes);
    expect(again.receipt).toBe(before.receipt);
    const next = await send(second, (await signedTally(second, 2)).bytes);
    expect(next).toMatchObject({ verdict: "accepted" });
    expect(next.index).toBeGreaterThan(before.index);
  }, 120_000);

  it("runs twice side by side, each for its own exercise", async () => {
    const [one, two] = await Promise.all([start(await freshFolder(), "one"), start(await freshFolder(), "two")]);
    const { bytes } = await signedTally(one, 1);
    expect(await send(one, bytes)).toMatchObject({ verdict: "accepted" });
    // Another exercise has other keys: what was signed for one is worth nothing at the other.
    await expect(send(two, bytes)).rejects.toThrow("signature.invalid");
    expect(await send(two, (await signedTally(two, 1)).bytes)).toMatchObject({ verdict: "accepted" });
  }, 120_000);
});
