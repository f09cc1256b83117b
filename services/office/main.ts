#!/usr/bin/env node
import { systemClock } from "../../shared/platform/clock.ts";
import { styleFor } from "../../shared/platform/terminal.ts";
import { readCommand } from "./options.ts";
import { EXIT, Refusal } from "./refusal.ts";
import { run } from "./run.ts";
import type { World } from "./world.ts";

const interruption = new AbortController();
// The first signal ends after what is on its way; the second one at once, which loses nothing either.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => interruption.abort());

const { stdin, stdout, stderr, env } = process;
/** A reader that went away (`| head`) wants no more; that is no fault. */
stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit();
});

let shown = 0;
const world: World = {
  input: stdin,
  output: stdout,
  style: styleFor(stdout, env),
  env,
  now: systemClock,
  signal: interruption.signal,
  say: (line) => void stdout.write(`${line}\n`),
  answer: (value) => void stdout.write(`${JSON.stringify(value, null, 2)}\n`),
  progress(line) {
    if (stderr.isTTY !== true) return;
    stderr.write(`\r${(line ?? "").padEnd(shown)}${line === undefined ? "\r" : ""}`);
    shown = line?.length ?? 0;
  },
};

function failed(error: Error): number {
  const isOurs = error instanceof Refusal;
  const text = isOurs
    ? error.text
    : `This is a fault of the program. What was signed before is in the spool. ${error.stack}`;
  stderr.write(`${text}\n`);
  if (process.argv.includes("--json") && isOurs)
    world.answer({ error: { code: error.code, detail: error.message, todo: error.todo } });
  return isOurs ? error.exit : EXIT.silent;
}

async function main(): Promise<number> {
  return run(readCommand(process.argv.slice(2)), world);
}

main()
  .catch(failed)
  .then((code) => {
    process.exitCode = code;
  });
