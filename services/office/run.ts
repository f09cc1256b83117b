import { helpFor } from "./help.ts";
import type { Command, CommandName } from "./options.ts";
import { EXIT } from "./refusal.ts";
import { runCheck, runMap, runSign } from "./run-files.ts";
import { runEnrol, runKeygen } from "./run-keys.ts";
import { runCosign, runSay } from "./run-say.ts";
import { runProve, runStatus, runSubmit } from "./run-spool.ts";
import type { World } from "./world.ts";

const RUN: Readonly<Record<CommandName, (command: Command, world: World) => Promise<number>>> = {
  keygen: runKeygen,
  enrol: runEnrol,
  map: runMap,
  check: runCheck,
  sign: runSign,
  cosign: runCosign,
  submit: runSubmit,
  status: runStatus,
  correct: runSay,
  close: runSay,
  extend: runSay,
  seats: runSay,
  declare: runSay,
  void: runSay,
  prove: runProve,
};

/** Carries out one command and answers the exit code. Rejects with a Refusal for everything that is not done. */
export async function run(command: Command | { help: CommandName | undefined }, world: World): Promise<number> {
  if ("name" in command) return RUN[command.name](command, world);
  world.output.write(helpFor(command.help));
  return EXIT.done;
}
