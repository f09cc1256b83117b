import { createInterface } from "node:readline/promises";
import type { ReadStream } from "node:tty";

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

/**
 * What is not seen for what it is: controls and marks that turn the direction of writing; every blank but a single space, by which text
 * could be pushed to where a line of our own is looked for (U+2800, U+1D159, U+13441 and U+13442 are blank, whatever their category);
 * marks that change the letter before them.
 */
const UNSEEN =
  /[\p{C}\p{Zl}\p{Zp}\p{M}\p{Default_Ignorable_Code_Point}\u2800\u{1d159}\u{13441}\u{13442}]|(?! )\p{Zs}|(?<= ) /gu;

/** Somebody else's text as it may be shown to a person who decides by it: what would not be seen stands there as its code point. */
export function printable(text: string): string {
  return text.replace(UNSEEN, (char) => `\\u{${char.codePointAt(0)?.toString(16)}}`);
}

/** The narrowest terminal that is thought of has 80 columns; this leaves room for what stands before. */
const ROW_COLUMNS = 60;
/** Before each row of a longer text: wherever the terminal breaks lines, a row of somebody else's never looks like one of ours. */
const ROW_BEGINS = "\n        | ";

/** The same between quotes, its own quotes and backslashes marked; what does not fit in a row stands on rows of its own. */
export function quoted(text: string): string {
  const shown = `"${printable(text.replaceAll(/["\\]/g, "\\$&"))}"`;
  if (columnsOf(shown) <= ROW_COLUMNS) return shown;
  const rows: string[] = [];
  let left = 0;
  for (const piece of shown.split(/(?<= )/).flatMap((word) => (columnsOf(word) <= ROW_COLUMNS ? [word] : [...word]))) {
    const columns = columnsOf(piece);
    if (columns > left) {
      rows.push("");
      left = ROW_COLUMNS;
    }
    rows[rows.length - 1] += piece;
    left -= columns;
  }
  return rows.map((row) => `${ROW_BEGINS}${row.trimEnd()}`).join("");
}

/** At most so many columns of a terminal: no character that is left takes more than two, and none before U+1100 more than one. */
const columnsOf = (text: string) => [...text].reduce((sum, char) => sum + (char < "\u1100" ? 1 : 2), 0);

/** Asks for a typed yes on a terminal. `nobody`: there is no terminal to ask on. */
export async function askYes(
  question: string,
  {
    input,
    output,
  }: { input: NodeJS.ReadableStream & Partial<Pick<ReadStream, "isTTY">>; output: NodeJS.WritableStream },
): Promise<"yes" | "no" | "nobody"> {
  if (input.isTTY !== true) return "nobody";
  const lines = createInterface({ input, output, terminal: false });
  try {
    const ended = new Promise<string>((resolve) => lines.once("close", () => resolve("")));
    const answer = await Promise.race([lines.question(question), ended]);
    return answer.trim() === "yes" ? "yes" : "no";
  } finally {
    lines.close();
  }
}
