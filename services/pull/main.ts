import { releaseFiles } from "../../shared/formats/files.ts";
import { Unreachable, UsageError } from "../../shared/platform/publisher/discrepancy.ts";
import { readSigner, SecretRefused } from "../../shared/platform/sign.ts";
import { HELP, type Options, readOptions } from "./options.ts";
import { pull } from "./pull.ts";
import { type Said, sentenceOf } from "./words.ts";

const EXIT = { holds: 0, broken: 1, usage: 2, unfinished: 3, interrupted: 130 } as const;

/** An address that is not answered for so long is away; a proof's cosignatures take less than this. */
const REQUEST_PATIENCE_MS = 60_000;
const PATIENCE_MS = 15_000;

const interruption = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => interruption.abort());

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  if (options === undefined) {
    process.stdout.write(HELP);
    return EXIT.holds;
  }
  const signer = options.keyFile === undefined ? undefined : await readKey(options.keyFile);
  const result = await pull(
    { ...options, signer },
    {
      signal: interruption.signal,
      now: Date.now,
      say: (said) => say(said, options),
      makeFiles: releaseFiles,
      requestPatienceMs: REQUEST_PATIENCE_MS,
      patienceMs: PATIENCE_MS,
    },
  );
  return EXIT[result];
}

async function readKey(file: string) {
  return readSigner(file).catch((error: unknown) => {
    throw error instanceof SecretRefused ? new UsageError(`--key: ${error.message}`) : error;
  });
}

function say(said: Said, { json, out }: Options): void {
  if (json) process.stdout.write(`${JSON.stringify(said)}\n`);
  else if (said.event === "refused") process.stderr.write(`${sentenceOf(said)}\n`);
  else process.stdout.write(`${sentenceOf(said)}${said.event === "end" ? ` Folder: ${out}` : ""}\n`);
}

function failed(error: Error): number {
  const [code, sentence] = interruption.signal.aborted
    ? [EXIT.interrupted, "Interrupted. What is in the folder is whole: the same command goes on from there."]
    : error instanceof UsageError
      ? [EXIT.usage, error.message]
      : [EXIT.unfinished, `The pull could not be finished. ${error.message}`];
  process.stderr.write(`${sentence}\n`);
  if (code === EXIT.unfinished && !(error instanceof Unreachable)) process.stderr.write(`${error.stack}\n`);
  if (process.argv.includes("--json"))
    process.stdout.write(`${JSON.stringify({ event: "end", result: "unfinished", why: sentence })}\n`);
  return code;
}

main()
  .catch(failed)
  .then((code) => {
    process.exitCode = code;
  });
