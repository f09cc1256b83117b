import { type ChildProcess, spawn } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { constants, setPriority } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Logger } from "pino";
import { z } from "zod";
import type { Definition } from "../../shared/definition/schema.ts";

/**
 * The canary: the observer's own program, run as a stranger would run it, against what is public and nothing else. It recounts every release
 * from the log; soon after one is published it runs, and what it finds is an incident before anybody outside finds it.
 */
export interface CanaryView {
  /** `off`: there is no address to audit, or no folder for what it fetches. */
  state: "off" | "nothing-yet" | "running" | "holds" | "differs" | "failed";
  /** The last release that was out when the last finished run began; null before any. */
  release: number | null;
  /** When that run ended, ISO, and how long it took. */
  at: string | null;
  tookMs: number | null;
  /** What it found wrong, in a sentence. */
  says: string | null;
}

export interface Canary {
  /** Begins a run if there is something new. Never rejects. */
  look(): Promise<void>;
  view(): CanaryView;
  /** Ends a run that is going on. */
  close(): Promise<void>;
}

/** As every program of this project is run. */
const TSX = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href;
const AUDIT = fileURLToPath(new URL("../audit/main.ts", import.meta.url));
/** Between two runs: with the longest run that is bearable, a release is recounted within a minute of its publication. */
const PAUSE_MS = 20_000;
const LONGEST_MS = 10 * 60_000;
/** A report is small; what is larger is none. */
const MOST_CHARS = 1024 * 1024;

const Report = z.object({
  result: z.enum(["holds", "broken"]),
  failure: z.object({ code: z.string(), what: z.string() }).nullable(),
});

export function createCanary(opts: {
  /** The publication endpoint as a stranger reaches it; undefined: there is no canary. */
  url: string | undefined;
  /** Where it keeps what it has fetched; undefined: there is no canary. */
  folder: string | undefined;
  definition: Definition;
  /** The last release that is announced; 0 before any. */
  announced: () => number;
  now: () => number;
  log: Logger;
}): Canary {
  const { url, folder, definition, announced, now, log } = opts;
  const isOff = url === undefined || folder === undefined;
  let done: Omit<CanaryView, "state"> = { release: null, at: null, tookMs: null, says: null };
  let verdict: "holds" | "differs" | "failed" | undefined;
  let endedAt = Number.NEGATIVE_INFINITY;
  let running: { child: ChildProcess; ended: Promise<void> } | undefined;
  let closing = false;

  const keys = definition.authority.flatMap(({ id, publicKey }) => ["--definition-key", `${id}=${publicKey}`]);

  const run = async (address: string, state: string, release: number) => {
    const start = now();
    // At the end of the queue for the processor: whoever counts and answers comes first.
    const child = spawn(process.execPath, ["--import", TSX, AUDIT, address, "--json", "--state", state, ...keys], {
      stdio: ["ignore", "pipe", "pipe"],
      env: own(),
    });
    if (child.pid !== undefined) setPriority(child.pid, constants.priority.PRIORITY_LOW);
    const ended = outcomeOf(child).then((found) => {
      running = undefined;
      endedAt = now();
      if (closing) return;
      verdict = found.verdict;
      done = { release, at: new Date(endedAt).toISOString(), tookMs: endedAt - start, says: found.says };
      if (found.verdict === "holds") log.info({ release, tookMs: done.tookMs }, "the canary recounted the releases");
      else log.error({ release, says: found.says }, "the canary found something wrong");
    });
    running = { child, ended };
  };

  return {
    async look() {
      if (url === undefined || folder === undefined || running !== undefined || closing) return;
      const release = announced();
      const isNew = release > (done.release ?? 0) || verdict === "failed";
      if (release === 0 || !isNew || now() - endedAt < PAUSE_MS) return;
      try {
        await mkdir(folder, { recursive: true, mode: 0o700 });
        await run(url, join(folder, "visit.json"), release);
      } catch (error) {
        log.error({ err: error }, "the canary did not start");
        verdict = "failed";
        endedAt = now();
        done = { release, at: new Date(endedAt).toISOString(), tookMs: null, says: "It did not start." };
      }
    },
    view() {
      if (isOff) return { state: "off", ...done };
      // What the last run found stands while the next one is going on.
      const state = verdict ?? (running === undefined ? "nothing-yet" : "running");
      return { state, ...done };
    },
    async close() {
      closing = true;
      running?.child.kill("SIGTERM");
      await running?.ended;
    },
  };
}

/** Of our environment what a stranger has as well: no address, no secret of ours. */
function own(): NodeJS.ProcessEnv {
  const { PATH, HOME, TMPDIR, NODE_EXTRA_CA_CERTS } = process.env;
  return { PATH, HOME, TMPDIR, NODE_EXTRA_CA_CERTS };
}

interface Outcome {
  verdict: "holds" | "differs" | "failed";
  says: string | null;
}

async function outcomeOf(child: ChildProcess): Promise<Outcome> {
  const late = setTimeout(() => child.kill("SIGKILL"), LONGEST_MS);
  const [out, err, code] = await Promise.all([
    textOf(child.stdout),
    textOf(child.stderr),
    new Promise<number | null>((resolve) => {
      child.once("close", resolve);
      child.once("error", () => resolve(null));
    }),
  ]);
  clearTimeout(late);
  const report = Report.safeParse(jsonOrUndefined(out)).data;
  if (code === 0 && report?.result === "holds") return { verdict: "holds", says: null };
  if (code === 1 && report?.failure)
    return { verdict: "differs", says: `${report.failure.code}: ${report.failure.what}` };
  const lastLine = err.trim().split("\n").at(-1)?.slice(0, 300) ?? "";
  return {
    verdict: "failed",
    says: code === null ? "It was ended after ten minutes." : `Exit code ${code}. ${lastLine}`,
  };
}

async function textOf(stream: NodeJS.ReadableStream | null): Promise<string> {
  let text = "";
  stream?.setEncoding("utf8");
  for await (const chunk of (stream ?? []) as AsyncIterable<string>) if (text.length < MOST_CHARS) text += chunk;
  return text;
}

function jsonOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // then it has failed
  }
}
