import { randomInt } from "node:crypto";
import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { dirname } from "node:path";
import { Unreachable, UsageError } from "../../shared/platform/publisher/discrepancy.ts";
import { makeFolder } from "../../shared/platform/publisher/folder.ts";
import { audit } from "./audit.ts";
import { HELP, type Options, readOptions } from "./options.ts";
import { createProgress } from "./progress.ts";
import { reportText } from "./report-text.ts";
import { type NamedText, requireShapes } from "./shapes.ts";
import { defaultStateFile, readVisit } from "./visit.ts";

const EXIT = { holds: 0, broken: 1, usage: 2, unfinished: 3, interrupted: 130 } as const;

/** A path that is not answered for so long is away; a checkpoint's quorum, a release's keys, a list take less than this. */
const REQUEST_PATIENCE_MS = 60_000;
const PATIENCE_MS = 15_000;
const MAX_THREADS = 8;

const interruption = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => interruption.abort());

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  if (options === undefined) {
    process.stdout.write(HELP);
    return EXIT.holds;
  }
  const report = await audit(await prepare(options), {
    signal: interruption.signal,
    now: () => new Date(),
    progress: createProgress(process.stderr, () => performance.now()),
    requestPatienceMs: REQUEST_PATIENCE_MS,
    patienceMs: PATIENCE_MS,
    threads: Math.min(MAX_THREADS, availableParallelism()),
  });
  process.stdout.write(options.json ? `${JSON.stringify(report, null, 2)}\n` : reportText(report));
  return EXIT[report.result];
}

async function prepare(options: Options) {
  const stateFile = options.state ?? defaultStateFile(options.url, process.env);
  const texts = (files: readonly string[]) => Promise.all(files.map(readText));
  const files = {
    receipts: await texts(options.receipts),
    proofs: await texts(options.proofs),
    evidence: await texts(options.evidence),
  };
  requireShapes(files);
  await makeFolder(dirname(stateFile));
  return {
    ...options,
    files,
    stateFile,
    visit: await readVisit(stateFile),
    isNamedState: options.state !== undefined,
    seed: options.seed ?? randomInt(2 ** 32),
  };
}

async function readText(file: string): Promise<NamedText> {
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(`${file} cannot be read (${error.code ?? error.message}).`);
  });
  return { file, text };
}

function failed(error: Error): number {
  const json = process.argv.includes("--json");
  const [code, sentence] = interruption.signal.aborted
    ? [EXIT.interrupted, "Interrupted. What was fetched is kept: the same command goes on from there."]
    : error instanceof UsageError
      ? [EXIT.usage, error.message]
      : [EXIT.unfinished, `The audit could not be finished, and says nothing about the log. ${error.message}`];
  process.stderr.write(`${sentence}\n`);
  if (code === EXIT.unfinished && !(error instanceof Unreachable)) process.stderr.write(`${error.stack}\n`);
  if (json)
    process.stdout.write(`${JSON.stringify({ audit: "scrutin-audit-1", result: "unfinished", why: sentence })}\n`);
  return code;
}

main()
  .catch(failed)
  .then((code) => {
    process.exitCode = code;
  });
