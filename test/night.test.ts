import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readOfficial, readRomania, readSlovenia } from "../infra/elections/ep2024/feed.ts";
import type { Report } from "../infra/stack/report.ts";

/** The night as a newcomer runs it: one command, a report, exit code 0, and nothing left behind. */

const PROJECT = fileURLToPath(new URL("..", import.meta.url));

interface Run {
  code: number | null;
  output: string;
}

function npm(args: string[], env: Record<string, string> = {}): Promise<Run> {
  return new Promise((resolve, reject) => {
    const child = spawn("npm", ["run", "-s", ...args], { cwd: PROJECT, env: { ...process.env, ...env } });
    let output = "";
    const take = (chunk: Buffer) => {
      output += chunk.toString("utf8");
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, output }));
  });
}

describe("npm run night", () => {
  let folder: string;
  let run: Run;
  let report: Report;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "night-test-"));
    const file = join(folder, "night.json");
    run = await npm(["night", "--", "--seed", "7", "--report", file]);
    expect(run, run.output).toMatchObject({ code: 0 });
    report = JSON.parse(await readFile(file, "utf8")) as Report;
  }, 240_000);

  afterAll(() => rm(folder, { recursive: true, force: true }));

  it("gives every list, group and state its published seats", () => {
    const { seats } = readOfficial();
    expect(report.differences).toEqual([]);
    expect(report.statesMatchingOfficialSeats).toBe(27);
    expect(report.seats).toEqual(seats);
  });

  it("served nothing before the lift, though it was asked all the time", () => {
    expect(report.embargo.servedBeforeLift).toBe(0);
    expect(report.embargo.askedBeforeLift).toBeGreaterThan(100);
    expect(report.embargo.firstReleaseMsAfterLift).toBeGreaterThanOrEqual(0);
  });

  it("counted every unit, at least half of them before the lift", () => {
    expect(report.units.counted).toBe(report.units.expected);
    expect(report.units.countedAtLift).toBeGreaterThan(report.units.expected / 2);
  });

  it("accounts for every statement: sent = accepted + quarantined + refused", () => {
    const { sent, accepted, quarantined, refused } = report.statements;
    expect(accepted + quarantined + refused).toBe(sent);
    expect(refused).toBe(0);
    // Seven Romanian protocols and thirty Slovenian events do not add up.
    expect(quarantined).toBe(37);
  });

  it("gives Romania and Slovenia the votes that their published stations add up to", () => {
    expect(report.voteDifferences).toEqual([]);
  });

  it("was counted again from scratch by both counts", () => {
    expect(report.recount).toBe("ok");
  });

  it("plans corrections from real data", () => {
    expect(readRomania().corrections).toHaveLength(6_905);
    expect(readSlovenia().finals).toHaveLength(3_078);
  });
});

describe("its options", () => {
  it.each([
    [["night", "--", "--help"], 0, "--full"],
    [["night", "--", "--speed", "100"], 2, "--speed takes a number"],
    [["night", "--", "--sped", "1"], 2, "--sped"],
    [["start", "--", "--help"], 0, "--lift-in"],
    [["start", "--", "--lift-in", "soon"], 2, "--lift-in takes"],
  ])("%j exits %i and says %s", async (args, code, says) => {
    const run = await npm(args);
    expect(run.code).toBe(code);
    expect(run.output).toContain(says);
  });
});
