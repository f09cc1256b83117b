import type { ReadStream } from "node:tty";
import { askYes } from "../../shared/platform/terminal.ts";
import { Refusal } from "./refusal.ts";

/**
 * Asks for a typed yes on a terminal; `yes` answers for a script. Rejects with a Refusal for any other answer, and where there is nobody to ask.
 */
export async function confirm(
  question: string,
  {
    input,
    output,
    yes,
  }: { input: NodeJS.ReadableStream & Partial<Pick<ReadStream, "isTTY">>; output: NodeJS.WritableStream; yes: boolean },
): Promise<void> {
  const answer = yes ? "yes" : await askYes(question, { input, output });
  if (answer === "nobody")
    throw new Refusal("confirmation.missing", "There is no terminal to ask on. In a script give --yes.");
  if (answer === "no") throw new Refusal("confirmation.missing", 'The answer was not "yes".');
}
