import { createInterface } from "node:readline/promises";
import type { ReadStream } from "node:tty";
import { Refusal } from "./refusal.ts";

/** How words stand out: on a terminal, and nowhere else. */
export interface Style {
  strong(text: string): string;
  good(text: string): string;
  bad(text: string): string;
}

const plain = (text: string) => text;
export const PLAIN: Style = { strong: plain, good: plain, bad: plain };

/** Colours for a terminal, unless NO_COLOR (no-color.org) asks for none. */
export function styleFor(stream: { isTTY?: boolean }, env: NodeJS.ProcessEnv): Style {
  if (stream.isTTY !== true || (env.NO_COLOR ?? "") !== "" || env.TERM === "dumb") return PLAIN;
  const code = (n: number) => (text: string) => `\u001b[${n}m${text}\u001b[0m`;
  return { strong: code(1), good: code(32), bad: code(31) };
}

/** Controls, and marks that turn the direction of writing: somebody else's text must not move the cursor or read otherwise than it is. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** Somebody else's text as it may be shown to a person who decides by it. */
export function printable(text: string): string {
  return text.replace(UNSAFE, (char) => `\\u{${char.codePointAt(0)?.toString(16)}}`);
}

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
  if (yes) return;
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
