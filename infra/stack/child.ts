import { type ChildProcess, execFile, spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { platform } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

/** How a process ended: an exit code, or the signal that ended it, or why it never began. */
export type Ending = { code: number | null; signal: NodeJS.Signals | null; never?: string };

/** Says an ending in words: "exit code 78", "signal SIGKILL". */
export function describeEnding({ code, signal, never }: Ending): string {
  if (never !== undefined) return never;
  return signal ? `signal ${signal}` : `exit code ${code}`;
}

/** Resolves when the process has ended, or could not be started at all. Call it right after `spawn`. */
export function endingOf(child: ChildProcess): Promise<Ending> {
  return new Promise((resolve) => {
    child.once("exit", (code, signal) => resolve({ code, signal }));
    // Also emitted for a signal that could not be sent, which ends nothing.
    child.on("error", ({ message }) => {
      if (child.pid === undefined) resolve({ code: null, signal: null, never: message });
    });
  });
}

/** Whether a process with this id exists, ours or another user's. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** A signal and how long to wait for it to work before the next one, in milliseconds. */
export type Step = readonly [signal: NodeJS.Signals, grace_ms: number];

/** Sends each signal in turn until the process has ended; the last step should be SIGKILL. */
export async function stopChild(child: ChildProcess, ending: Promise<Ending>, steps: readonly Step[]): Promise<Ending> {
  for (const [signal, grace_ms] of steps) {
    child.kill(signal);
    const timer = new AbortController();
    const late = sleep(grace_ms, undefined, { signal: timer.signal }).catch(() => undefined);
    const ended = await Promise.race([ending, late]);
    timer.abort();
    if (ended) return ended;
  }
  return ending;
}

/** A process that ends another one when this one dies. */
export type Guard = { release(): void };

/**
 * Ends `pid` with `signal` when this process dies, however it dies: a shell waits on a pipe that only we
 * hold open, and the kernel closes it for us even after kill -9. Servers that know nothing of their parent
 * (Postgres, nats-server) get one each. It stands in a session of its own, so that a Ctrl-C in the terminal
 * does not end it first. `release()` when the guarded process has ended: its pid may be given to another.
 */
export function guard(pid: number, signal: "INT" | "TERM"): Guard {
  const shell = spawn("/bin/sh", ["-c", 'cat >/dev/null; kill -"$1" "$2"', "guard", signal, String(pid)], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  shell.unref();
  (shell.stdin as unknown as { unref(): void }).unref();
  return { release: () => void shell.kill("SIGKILL") };
}

/**
 * Ends a server that an earlier stack left behind in a folder. `pidFile` holds its pid on the first line;
 * the process is ended only when its command line holds `mark` (a path of this folder), since pids are reused.
 */
export async function endStale(pidFile: string, mark: string, signal: NodeJS.Signals, say: Say): Promise<void> {
  const pid = Number.parseInt((await readFile(pidFile, "utf8").catch(missing)) ?? "", 10);
  if (!(pid > 1) || !isAlive(pid) || !(await commandLine(pid)).includes(mark)) return;
  say(`ending process ${pid}, left behind in this folder by a stack that was killed`);
  process.kill(pid, signal);
  for (let waited = 0; isAlive(pid); waited += 50) {
    if (waited === 15_000) process.kill(pid, "SIGKILL");
    if (waited > 20_000) throw new Error(`process ${pid} does not end; end it and start again`);
    await sleep(50);
  }
}

/** An error in one sentence for a person, with every error that it gathers. */
export function inWords(error: Error): string {
  const gathered =
    error instanceof AggregateError
      ? error.errors.map((e: unknown) => (e instanceof Error ? inWords(e) : String(e)))
      : [];
  return [error.message, ...gathered].join("\n  ");
}

/** A server of ours that runs: on which port, and when and how it ended. */
export interface Server {
  port: number;
  pid: number;
  ended: Promise<Ending>;
  stop(): Promise<void>;
}

/** Tells a person one thing in one line. */
export type Say = (line: string) => void;

async function commandLine(pid: number): Promise<string> {
  // Linux without the ps command is common in containers.
  if (platform() === "linux") return (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(missing)) ?? "";
  // Exit code 1 means that the process is gone meanwhile.
  return run("ps", ["-ww", "-o", "command=", "-p", String(pid)]).then(
    ({ stdout }) => stdout,
    (error: { code?: unknown }) => {
      if (error.code === 1) return "";
      throw error;
    },
  );
}

/** For `catch` of a read: a file that does not exist is undefined, anything else is thrown on. */
export function missing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
  return undefined;
}

/** A port that was free on 127.0.0.1 a moment ago. Another process may take it first: callers retry. */
export async function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      if (address === null || typeof address === "string") throw new Error("a TCP server without a port");
      server.close(() => resolve(address.port));
    });
  });
}

/** Whether 127.0.0.1:port can be listened on at this moment. */
export async function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

/** Waits until `probe` answers something, asking every `every_ms`; undefined when `limit_ms` have passed. */
export async function until<T>(
  probe: () => Promise<T | undefined>,
  limit_ms: number,
  every_ms = 20,
): Promise<T | undefined> {
  const end = performance.now() + limit_ms;
  for (;;) {
    const found = await probe();
    if (found !== undefined) return found;
    if (performance.now() > end) return undefined;
    await sleep(every_ms);
  }
}
