import { execFile } from "node:child_process";
import { stat } from "node:fs/promises";
import { refuseConfig } from "./config.ts";

/** A key service that takes longer does not answer at all. */
const KEY_COMMAND_MS = 30_000;
/** A JWK has some 200 bytes. */
const MAX_KEY_BYTES = 64 * 1024;

/**
 * The way to a key service: runs a program once, without a shell and without arguments, and answers what it printed. Only we and root may
 * be able to change it: whoever else can chooses the key. What it says on stderr is not passed on: it could quote a secret. If it fails,
 * a sentence is printed and the process exits with EX_CONFIG.
 */
export async function runKeyCommand(path: string, limit_ms = KEY_COMMAND_MS): Promise<string> {
  const refuse: (what: string) => never = (what) => refuseConfig([`SCRUTIN_VAULT_KEY_COMMAND: ${path} ${what}`]);
  const wrong = await programProblem(path);
  if (wrong !== undefined) refuse(wrong);
  const answered = await run(path, limit_ms);
  if ("wrong" in answered) refuse(answered.wrong);
  return answered.text;
}

/** Why a program is not run: others than we and root can change it, or it is none; undefined if it may be. */
export async function programProblem(path: string): Promise<string | undefined> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => error);
  if (found instanceof Error) return `cannot be run (${found.code ?? found.message}). Correct the path.`;
  if (!found.isFile()) return "is no file. Name the program itself.";
  if ((found.mode & 0o022) !== 0)
    return `can be changed by others than its owner. Run: chmod go-w ${path}, and look at it.`;
  if (found.uid !== 0 && found.uid !== process.getuid?.())
    return "belongs to somebody else, who can change it. Look at it, and make it this service's own or root's.";
  return undefined;
}

function run(path: string, limit_ms: number): Promise<{ text: string } | { wrong: string }> {
  return new Promise((resolve) => {
    const options = { timeout: limit_ms, killSignal: "SIGKILL", maxBuffer: MAX_KEY_BYTES, encoding: "utf8" } as const;
    const child = execFile(path, [], options, (error, text) => {
      if (error === null) resolve({ text });
      else resolve({ wrong: describe(error, limit_ms) });
    });
    child.stdin?.on("error", () => undefined); // it ended without reading: there is nothing to read
    child.stdin?.end();
  });
}

type Failure = Pick<Error, "message"> & { code?: string | number | null; killed?: boolean; signal?: string | null };

function describe({ code, killed, signal }: Failure, limit_ms: number): string {
  if (code === "ERR_CHILD_PROCESS_STDIO_MAXBUFFER")
    return `printed more than ${MAX_KEY_BYTES} bytes. It must print the key as a JWK and nothing else.`;
  if (killed === true) return `did not end within ${limit_ms / 1000} s. See to the key service, and start again.`;
  if (typeof code === "string") return `cannot be run (${code}). Correct the path or the rights.`;
  return `failed with ${signal ? signal : `exit code ${code}`}. Run it by hand to see why.`;
}
