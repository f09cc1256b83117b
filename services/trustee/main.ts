import { systemClock } from "../../shared/platform/clock.ts";
import { styleFor } from "../../shared/platform/terminal.ts";
import { HELP } from "./help.ts";
import { readCommand } from "./options.ts";
import { EXIT, Refusal } from "./refusal.ts";
import { run } from "./run.ts";

/** A door that is restarted is back by then; whoever holds the Union does not wait for longer without a word. */
const PATIENCE_MS = 60_000;

async function main(): Promise<number> {
  const command = readCommand(process.argv.slice(2), process.env);
  if (command === undefined) {
    process.stdout.write(HELP);
    return EXIT.done;
  }
  const [input, output] = [process.stdin, process.stdout];
  const style = styleFor(output, process.env);
  return run(command, { input, output, style, now: systemClock, patienceMs: PATIENCE_MS });
}

function failed(error: Error): number {
  if (error instanceof Refusal) {
    process.stderr.write(`${error.text}\n`);
    return error.exit;
  }
  process.stderr.write(`This is a fault of the program. Nothing more was done. ${error.stack}\n`);
  return EXIT.silent;
}

main()
  .catch(failed)
  .then((code) => {
    process.exitCode = code;
  });
