import { askYes } from "../../shared/platform/terminal.ts";
import type { Command } from "./options.ts";
import { Refusal } from "./refusal.ts";
import type { World } from "./world.ts";

/** Asks for a typed yes on a terminal; --yes answers for a script. Rejects with a Refusal for any other answer, and where there is nobody to ask. */
export async function confirm(command: Command, world: World, question: string): Promise<void> {
  const answer = command.values.yes ? "yes" : await askYes(question, world);
  if (answer === "nobody")
    throw new Refusal("confirmation.missing", "There is no terminal to ask on. In a script give --yes.");
  if (answer === "no") throw new Refusal("confirmation.missing", 'The answer was not "yes".');
}
