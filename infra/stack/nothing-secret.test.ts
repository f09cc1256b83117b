import { readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeNightExercise } from "./exercise.ts";
import { freshFolder, type Stack, startStack } from "./stack.ts";

/** The secrets of a stack that runs lie in files of their owner's alone, and nowhere else that another process could look. */

let folder = "";
let stack: Stack;
const said: string[] = [];

beforeAll(async () => {
  folder = await freshFolder();
  const inAnHour = Date.now() + 3_600_000;
  const closesAt = (utc: string) => new Date(inAnHour + Date.parse(utc) - Date.parse("2024-06-09T21:00:00Z"));
  const makeExercise = () => makeNightExercise({ full: false, closesAt });
  stack = await startStack({ folder, makeExercise, keepData: false, say: (line) => void said.push(line) });
}, 120_000);
afterAll(async () => {
  await stack?.stop();
  await rm(folder, { recursive: true, force: true });
});

const filesIn = async (path: string) =>
  (await readdir(path, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

/** What of a file nobody else may know: the private part of a JWK, a line of a PEM's key, or all of it. */
async function secretsOf(file: string): Promise<string[]> {
  const text = (await readFile(file, "utf8")).trim();
  if (text.startsWith("{")) {
    const { d, share } = JSON.parse(text) as { d?: string; share?: string };
    return [d ?? share ?? ""];
  }
  if (text.includes("PRIVATE KEY")) return text.split("\n").slice(1, -1);
  return text.includes("BEGIN CERTIFICATE") ? [] : [text];
}

async function allSecrets(): Promise<Map<string, string>> {
  const files = (
    await Promise.all(["secrets", "keys", "certificates"].map((name) => filesIn(join(folder, name))))
  ).flat();
  const found = new Map<string, string>();
  for (const file of [...files, join(folder, "postgres", "superuser")])
    for (const secret of await secretsOf(file)) found.set(secret, file);
  return found;
}

describe("a stack's secrets", () => {
  it("are many, and of their owner alone", async () => {
    const secrets = await allSecrets();
    expect(secrets.size).toBeGreaterThan(60);
    for (const secret of secrets.keys()) expect(secret.length).toBeGreaterThan(20);
    for (const name of ["secrets", "keys", "certificates"]) {
      const path = join(folder, name);
      expect((await stat(path)).mode & 0o777, path).toBe(0o700);
      for (const file of await filesIn(path)) expect((await stat(file)).mode & 0o777, file).toBe(0o600);
    }
  });

  it.runIf(process.platform === "linux")("stand in no process' arguments or environment", async () => {
    const secrets = await allSecrets();
    const ours = [...stack.services.values(), ...stack.witnesses].map((child) => child.pid());
    const pids = [...ours, ...[...stack.servers.values()].map((pid) => pid())];
    expect(pids.length).toBe(10);
    const looked = new Set<number>();
    // Every process that we may look into: a guard, or a server's own child, might be told one as well.
    for (const entry of await readdir("/proc")) {
      if (!/^\d+$/.test(entry) || Number(entry) === process.pid) continue;
      const texts = ["cmdline", "environ"].map((name) => readFile(`/proc/${entry}/${name}`, "latin1"));
      const text = await Promise.all(texts).catch(() => undefined); // it has ended, or is another's
      if (text === undefined) continue;
      looked.add(Number(entry));
      for (const [secret, file] of secrets) expect(text.join("\n").includes(secret), `${file} in ${entry}`).toBe(false);
    }
    expect(pids.filter((pid) => !looked.has(pid))).toEqual([]);
  });

  it("stand in no log, and not in what is told to a person", async () => {
    const secrets = await allSecrets();
    const logs = [...(await filesIn(join(folder, "logs"))), join(folder, "nats", "nats.log")];
    logs.push(join(folder, "postgres", "postgres.log"), join(folder, "nats", "nats.conf"), join(folder, "stack.json"));
    expect(logs.length).toBe(12);
    for (const log of logs) {
      const text = await readFile(log, "utf8");
      for (const [secret, file] of secrets) expect(text.includes(secret), `${file} in ${log}`).toBe(false);
    }
    for (const secret of secrets.keys()) expect(said.join("\n")).not.toContain(secret);
  });
});
