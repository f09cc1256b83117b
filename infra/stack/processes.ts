import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, fstatSync, openSync } from "node:fs";
import { mkdir, open } from "node:fs/promises";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath, pathToFileURL } from "node:url";
import { describeEnding, type Ending, endingOf, type Say, stopChild, until } from "./child.ts";

/** The project's folder: scripts are named from it, and services run in it. */
const PROJECT = fileURLToPath(new URL("../..", import.meta.url));

/** `sysexits.h`: the configuration is refused. Starting again would change nothing. */
export const EX_CONFIG = 78;

/** How long a service may take from its start to its "listening" line. */
const READY_MS = 60_000;

/** A service that dies this often before it was ever ready is given up; once it has served, it never is. */
const FIRST_ATTEMPTS = 5;

/** Restarts are immediate at first, then wait 50 ms, 100 ms, … up to this. */
const BACKOFF_MS = 2_000;

/** A service that has lived this long counts as healthy again: its next death is answered at once. */
const HEALTHY_MS = 10_000;

/** From SIGTERM to SIGKILL. */
const STOP_MS = 10_000;

/** How many of a log's last lines are shown with a refusal. */
const LAST_LINES = 20;

/** What of our own environment a service gets; the rest is what the stack gives it, so no secret is inherited. */
const INHERITED = ["PATH", "HOME", "TMPDIR", "TZ", "LANG", "NODE_EXTRA_CA_CERTS"] as const;

/** A supervised service. */
export type Child = {
  name: string;
  /** Its address, the same after every restart. */
  url: string;
  /** Of the process at this moment; another one after a restart. */
  pid(): number;
  /** How often it was started again after it died unasked. */
  restarts(): number;
  /** Resolves when the present process, or the next one if it is dead, has said that it listens. */
  up(): Promise<void>;
  /** SIGTERM; SIGKILL after 10 s. */
  stop(): Promise<void>;
  /** Sends a signal to the present process. It is restarted if it dies of it. */
  kill(signal: NodeJS.Signals): void;
};

/** What to run: a script of this project, with tsx, as a process of its own. */
export type Order = {
  name: string;
  script: string;
  env: Readonly<Record<string, string>>;
  folder: string;
  say: Say;
  restart: boolean;
  /** For a service that others know by its address; else it takes a free one the first time. */
  port?: number;
};

/**
 * Starts a service and keeps it running. Its output goes to `<folder>/logs/<name>.log`. It is ready when it has
 * logged one JSON line with `"msg":"listening"` and `"url":"http://127.0.0.1:PORT"`; PORT is 0 in its environment
 * the first time (or `port`), and afterwards the port that it had. Rejects, with the end of its log, when it exits with
 * `EX_CONFIG` at its first start, when it is not ready in a minute, or dies again and again before it ever was.
 *
 * A service must not outlive us. We hold its standard input open and set SCRUTIN_PARENT=1: a service that sees it
 * ends, as on SIGTERM, when its input ends, which the kernel brings about even if we are killed.
 */
export async function supervise(order: Order): Promise<Child> {
  const logs = join(order.folder, "logs");
  await mkdir(logs, { recursive: true });
  const watched = new Supervisor(order, join(logs, `${order.name}.log`));
  await watched.first();
  return {
    name: order.name,
    url: watched.url,
    pid: () => watched.pid,
    restarts: () => watched.restarts,
    up: () => watched.up(),
    stop: () => watched.stop(),
    kill: (signal) => watched.kill(signal),
  };
}

type Incarnation = { process: ChildProcess; pid: number; ending: Promise<Ending>; offset: number; since: number };

/** Signals that a service does not survive unless it says otherwise. */
const DEADLY: readonly NodeJS.Signals[] = ["SIGKILL", "SIGTERM", "SIGINT", "SIGABRT", "SIGSEGV"];

class Supervisor {
  restarts = 0;
  url = "";
  private readonly order: Order;
  private readonly logFile: string;
  private readonly stopped = new AbortController();
  private present: Incarnation | undefined;
  private listens = false;
  private keeping: Promise<void> = Promise.resolve();
  private stopping: Promise<void> | undefined;

  constructor(order: Order, logFile: string) {
    this.order = order;
    this.logFile = logFile;
  }

  get pid(): number {
    if (this.present === undefined) throw new Error(`${this.order.name} was never started`);
    return this.present.pid;
  }

  /** Starts it until it has been ready once. */
  async first(): Promise<void> {
    const { name, say, restart } = this.order;
    const attempts = restart ? FIRST_ATTEMPTS : 1;
    for (let attempt = 1; ; attempt++) {
      const here = this.spawn(this.order.port ?? 0);
      const url = await this.readiness(here);
      if (typeof url === "string") {
        this.url = url;
        this.listens = true;
        this.keeping = this.keep(here);
        return;
      }
      const how = await stopChild(here.process, here.ending, [["SIGKILL", STOP_MS]]);
      const what = url === undefined ? `was not ready within ${READY_MS / 1000} s` : `ended (${describeEnding(how)})`;
      if (how.code === EX_CONFIG || url === undefined || attempt === attempts) {
        throw new Error(`${name} ${what}; the end of ${this.logFile}:\n${lastLines(await this.logFrom(here.offset))}`);
      }
      say(`${name} ${what} before it was ready, starting it again`);
      await sleep(backoff(attempt + 1));
    }
  }

  /** Answers each death with a new start, until the end is asked for. */
  private async keep(here: Incarnation): Promise<void> {
    const { name, say, restart } = this.order;
    for (let failures = 0; ; ) {
      const how = await here.ending;
      this.listens = false;
      if (this.stopped.signal.aborted) return;
      if (!restart) return say(`${name} ended (${describeEnding(how)})`);
      failures = performance.now() - here.since > HEALTHY_MS ? 1 : failures + 1;
      const wait_ms = backoff(failures);
      say(`${name} ended (${describeEnding(how)}), starting it again${wait_ms > 0 ? ` in ${wait_ms} ms` : ""}`);
      // Cut short by stop().
      await sleep(wait_ms, undefined, { signal: this.stopped.signal }).catch(() => undefined);
      if (this.stopped.signal.aborted) return;
      here = this.spawn(Number(new URL(this.url).port));
      this.restarts += 1;
      void this.announce(here);
    }
  }

  private async announce(here: Incarnation): Promise<void> {
    const url = await this.readiness(here);
    if (here !== this.present || this.stopped.signal.aborted) return;
    if (url === this.url) this.listens = true;
    else if (url === undefined) this.order.say(`${this.order.name} was started again but does not listen`);
  }

  async up(): Promise<void> {
    if (!(await until(async () => this.listens || undefined, READY_MS))) {
      throw new Error(`${this.order.name} is not up; see ${this.logFile}`);
    }
  }

  stop(): Promise<void> {
    this.stopping ??= this.end();
    return this.stopping;
  }

  private async end(): Promise<void> {
    this.stopped.abort();
    const { present, order } = this;
    if (present === undefined) return;
    const steps = [
      ["SIGTERM", STOP_MS],
      ["SIGKILL", STOP_MS],
    ] as const;
    const how = await stopChild(present.process, present.ending, steps);
    await this.keeping;
    if (how.signal === "SIGKILL") order.say(`${order.name} did not end within ${STOP_MS / 1000} s and was killed`);
  }

  kill(signal: NodeJS.Signals): void {
    if (DEADLY.includes(signal)) this.listens = false;
    this.present?.process.kill(signal);
  }

  private spawn(port: number): Incarnation {
    const log = openSync(this.logFile, "a", 0o600);
    try {
      const offset = fstatSync(log).size;
      const child = spawn(process.execPath, ["--import", tsx(), resolve(PROJECT, this.order.script)], {
        cwd: PROJECT,
        env: { ...inherited(), ...this.order.env, PORT: String(port), SCRUTIN_PARENT: "1" },
        // A session of its own: Ctrl-C reaches us alone, and we end the services in their order.
        detached: true,
        // The log is the service's own file: it goes on while we are busy, and after we are gone.
        stdio: ["pipe", log, log],
      });
      const ending = endingOf(child);
      this.present = { process: child, pid: child.pid ?? 0, ending, offset, since: performance.now() };
      return this.present;
    } finally {
      closeSync(log);
    }
  }

  /** The address that it logs; its ending if it dies first; undefined when a minute has passed. */
  private async readiness({ ending, offset }: Incarnation): Promise<string | Ending | undefined> {
    let ended: Ending | undefined;
    void ending.then((how) => (ended = how));
    return until<string | Ending>(async () => {
      const dead = ended;
      return dead ?? listeningUrl(await this.logFrom(offset));
    }, READY_MS);
  }

  private async logFrom(offset: number): Promise<string> {
    const log = await open(this.logFile, "r");
    try {
      const { size } = await log.stat();
      const { buffer } = await log.read({ buffer: Buffer.alloc(Math.max(0, size - offset)), position: offset });
      return buffer.toString("utf8");
    } finally {
      await log.close();
    }
  }
}

function lastLines(log: string): string {
  return log.trimEnd().split("\n").slice(-LAST_LINES).join("\n");
}

/** The first death is answered at once; then 50 ms, doubled each time. */
function backoff(failures: number): number {
  return failures <= 1 ? 0 : Math.min(BACKOFF_MS, 50 * 2 ** (failures - 2));
}

function inherited(): NodeJS.ProcessEnv {
  return Object.fromEntries(INHERITED.map((name) => [name, process.env[name]] as const).filter(([, value]) => value));
}

/** tsx of this project, wherever the script lies. */
function tsx(): string {
  return pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href;
}

function listeningUrl(log: string): string | undefined {
  for (const line of log.split("\n")) {
    if (!line.includes('"listening"')) continue;
    try {
      const { msg, url } = JSON.parse(line) as { msg?: unknown; url?: unknown };
      if (msg === "listening" && typeof url === "string") return url;
    } catch {
      // A line still being written; it is complete the next time.
    }
  }
  return undefined;
}
