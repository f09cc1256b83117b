import { createInterface } from "node:readline/promises";
import type { Command } from "./options.ts";
import { Refusal } from "./refusal.ts";
import type { World } from "./world.ts";

/** Asks for a typed yes on a terminal; --yes answers for a script. Rejects with a Refusal for any other answer, and where there is nobody to ask. */
export async function confirm(command: Command, { input, output }: World, question: string): Promise<void> {
  if (command.values.yes) return;
  if (input.isTTY !== true)
    throw new Refusal("confirmation.missing", "There is no terminal to ask on. In a script give --yes.");
  const lines = createInterface({ input, output, terminal: false });
  try {
    const ended = new Promise<string>((resolve) => lines.once("close", () => resolve("")));
    const answer = await Promise.race([lines.question(question), ended]);
    if (answer.trim() !== "yes") throw new Refusal("confirmation.missing", 'The answer was not "yes".');
  } finally {
    lines.close();
  }
}
