import { readOwnSecret, SecretRefused } from "../../shared/platform/sign.ts";
import { Refusal } from "./refusal.ts";
import type { World } from "./world.ts";

/** What encrypts an office's keys: typed, or from a file that nobody else may read. Never on the command line, which everyone on the machine sees. */

export const LEAST_CHARACTERS = 12;

/** Asks for the passphrase; a new one is typed twice. Rejects with a Refusal. */
export async function askPassphrase(
  file: string | undefined,
  world: World,
  { isNew }: { isNew: boolean },
): Promise<string> {
  const path = file ?? world.env.SCRUTIN_OFFICE_PASSPHRASE_FILE;
  const passphrase = path ? await fromFile(path) : await typed("Passphrase of your key: ", world);
  if (isNew && passphrase.length < LEAST_CHARACTERS)
    throw new Refusal("passphrase.weak", `A passphrase has at least ${LEAST_CHARACTERS} characters.`);
  if (isNew && !path && (await typed("The same again: ", world)) !== passphrase)
    throw new Refusal("passphrase.wrong", "The two are not the same.");
  return passphrase;
}

async function fromFile(path: string): Promise<string> {
  const text = await readOwnSecret(path).catch((error: unknown) => {
    if (!(error instanceof SecretRefused)) throw error;
    throw new Refusal(error.why === "exposed" ? "key.exposed" : "file.unreadable", error.message);
  });
  return text.replace(/\r?\n$/, "");
}

/** A line that is not shown. Ctrl-C ends the command, and the terminal is as it was. */
async function typed(question: string, { input, output }: World): Promise<string> {
  const terminal = input as NodeJS.ReadStream;
  if (terminal.isTTY !== true) throw new Refusal("passphrase.missing", "There is no terminal to type a passphrase on.");
  output.write(question);
  terminal.setRawMode(true);
  terminal.resume();
  terminal.setEncoding("utf8");
  try {
    return await new Promise<string>((resolve, reject) => {
      let text = "";
      const take = (chunk: string) => {
        for (const char of chunk) {
          if (char === "\r" || char === "\n" || char === "\u0004") {
            terminal.off("data", take);
            return resolve(text);
          }
          if (char === "\u0003") {
            terminal.off("data", take);
            return reject(new Refusal("passphrase.missing", "Interrupted."));
          }
          text = char === "\u007f" || char === "\b" ? text.slice(0, -1) : text + char;
        }
      };
      terminal.on("data", take);
    });
  } finally {
    terminal.setRawMode(false);
    terminal.pause();
    output.write("\n");
  }
}
