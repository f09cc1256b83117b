import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { afterEach, describe, expect, it } from "vitest";

const LIFECYCLE = JSON.stringify(new URL("./lifecycle.ts", import.meta.url).href);
const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});

type Line = Record<string, unknown>;

/** A real process with `start` as its body; `until` resolves at the first log line that has that message. */
function service(start: string, env: Record<string, string> = {}) {
  const script = `
    const { announce, runService } = await import(${LIFECYCLE});
    runService("toy", async ({ log, metrics, onStop, fail }) => { ${start} });
  `;
  const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script], {
    env: { ...process.env, ...env },
    stdio: ["pipe", "pipe", "inherit"],
  });
  children.push(child);
  const lines: Line[] = [];
  const waiting: { msg: string; resolve: (line: Line) => void }[] = [];
  createInterface({ input: child.stdout }).on("line", (text) => {
    const line = JSON.parse(text) as Line;
    lines.push(line);
    for (const { msg, resolve } of waiting) if (line.msg === msg) resolve(line);
  });
  const until = (msg: string) => new Promise<Line>((resolve) => waiting.push({ msg, resolve }));
  const exit = once(child, "close").then(([code, signal]) => (code ?? signal) as number | string);
  return { child, lines, until, exit, messages: () => lines.map(({ msg }) => msg) };
}

const ALIVE = "setInterval(() => {}, 1000);";

describe("a service", () => {
  it.each(["SIGTERM", "SIGINT"] as const)("stops in reverse order at %s and exits 0", async (signal) => {
    const toy = service(`
      for (const part of ["one", "two", "three"]) onStop(async () => { await null; log.info("stopped " + part); });
      ${ALIVE} announce(log, "http://127.0.0.1:1");
    `);
    expect(await toy.until("listening")).toMatchObject({ service: "toy", level: "info", url: "http://127.0.0.1:1" });
    toy.child.kill(signal);
    expect(await toy.exit).toBe(0);
    expect(toy.messages().slice(1)).toEqual(["stopping", "stopped three", "stopped two", "stopped one", "stopped"]);
  });

  it("exits at once at the second signal", async () => {
    const toy = service(
      `${ALIVE} onStop(() => { log.info("hanging"); return new Promise(() => {}); }); log.info("up");`,
    );
    await toy.until("up");
    toy.child.kill("SIGTERM");
    await toy.until("hanging");
    toy.child.kill("SIGTERM");
    expect(await toy.exit).toBe(128 + 15);
  });

  it("that does not stop is ended after ten seconds and exits 1", async () => {
    const toy = service(`${ALIVE} onStop(() => new Promise(() => {})); log.info("up");`);
    await toy.until("up");
    const started = performance.now();
    toy.child.kill("SIGTERM");
    expect(await toy.exit).toBe(1);
    expect(performance.now() - started).toBeGreaterThan(9_000);
    expect(performance.now() - started).toBeLessThan(14_000);
    expect(toy.messages()).toContain("did not stop in time");
  });

  it("goes on stopping when a part fails to, and exits 1", async () => {
    const toy = service(
      `${ALIVE} onStop(() => log.info("last")); onStop(() => { throw new Error("stuck"); }); log.info("up");`,
    );
    await toy.until("up");
    toy.child.kill("SIGTERM");
    expect(await toy.exit).toBe(1);
    expect(toy.messages()).toEqual(["up", "stopping", "a part did not stop cleanly", "last", "stopped"]);
  });

  it("that fails says why, stops what was open and exits 1", async () => {
    const failing = service(`${ALIVE} onStop(() => log.info("closed")); setImmediate(() => fail(new Error("fork")));`);
    expect(await failing.exit).toBe(1);
    expect(failing.messages()).toEqual(["cannot go on", "stopping", "closed", "stopped"]);
    expect(failing.lines[0]).toMatchObject({ level: "fatal", err: { message: "fork" } });
    const starting = service(`${ALIVE} onStop(() => log.info("closed")); throw new Error("no database");`);
    expect(await starting.exit).toBe(1);
    expect(starting.messages()).toEqual(["cannot go on", "stopping", "closed", "stopped"]);
  });

  it.each([
    ["an exception", "setImmediate(() => { throw new Error('unseen'); });"],
    ["a rejection", "Promise.reject(new Error('unseen'));"],
  ])("ends at once at %s that nobody caught", async (_what, cause) => {
    const toy = service(`${ALIVE} onStop(() => log.info("never")); ${cause}`);
    expect(await toy.exit).toBe(1);
    expect(toy.messages()).toEqual(["nobody caught this"]);
    expect(toy.lines[0]).toMatchObject({ level: "fatal", err: { message: "unseen", stack: expect.any(String) } });
  });

  it("that is stopped while it starts closes what it opens after that, too", async () => {
    const toy = service(`
      ${ALIVE} onStop(() => log.info("first closed"));
      await new Promise((resolve) => { onStop(resolve); log.info("starting"); });
      onStop(() => log.info("late closed"));
    `);
    await toy.until("starting");
    toy.child.kill("SIGTERM");
    expect(await toy.exit).toBe(0);
    expect(toy.messages()).toEqual(expect.arrayContaining(["first closed", "late closed"]));
  });

  it("ends with its parent when asked to, and only then", async () => {
    const toy = service(`${ALIVE} onStop(() => log.info("closed")); log.info("up");`, { SCRUTIN_PARENT: "1" });
    await toy.until("up");
    toy.child.stdin?.end();
    expect(await toy.exit).toBe(0);
    expect(toy.messages()).toEqual(["up", "stopping", "closed", "stopped"]);
    const other = service(`${ALIVE} process.stdin.on("end", () => log.info("stdin ended")).resume(); log.info("up");`);
    await other.until("up");
    const ended = other.until("stdin ended");
    other.child.stdin?.end();
    await ended;
    expect(other.child.exitCode).toBeNull();
  });
});
