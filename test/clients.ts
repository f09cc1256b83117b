import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { access, mkdtemp, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { appears, cacheFolder, withLock } from "../infra/stack/cache.ts";
import { installedBy } from "./debian.ts";

/** The worked examples of services/office/clients, and what it takes to run each of them on this machine. */

const CLIENTS = fileURLToPath(new URL("../services/office/clients", import.meta.url));
const EXECUTE_MS = 60_000;
const FETCH_MS = 240_000;
const run = promisify(execFile);

/** How an example is called, before its arguments; or why it cannot be called here. */
export type Example = { command: [string, ...string[]] } | { missing: string };

/** What came of one call. */
export interface Ran {
  exit: number;
  out: string;
  err: string;
}

/** Every example by its folder. `folder` is for what is built. None of them fails for want of a tool. */
export const EXAMPLES: Record<"node" | "python" | "go" | "curl", (folder: string) => Promise<Example>> = {
  node: async () => ({ command: [process.execPath, join(CLIENTS, "node", "submit.mjs")] }),
  python,
  go,
  curl,
};

/** Calls an example to its end. */
export async function call(example: Example, ...args: string[]): Promise<Ran> {
  if ("missing" in example) throw new Error(example.missing);
  const [program, ...first] = example.command;
  const all = [...first, ...args];
  return new Promise((resolve, reject) => {
    execFile(program, all, { timeout: EXECUTE_MS }, (error, out, err) => {
      const exit = error === null ? 0 : error.code;
      if (typeof exit === "number") resolve({ exit, out, err });
      else reject(error);
    });
  });
}

/** The path of a program, if this answers without failing. */
const answering = (program: string, ...args: string[]) =>
  run(program, args, { timeout: EXECUTE_MS }).then(
    () => program,
    () => undefined,
  );

async function curl(): Promise<Example> {
  const tools: [string, ...string[]][] = [
    ["curl", "--version"],
    ["jq", "--version"],
    // Older ones cannot sign with Ed25519 on the command line.
    ["openssl", "pkeyutl", "-rawin", "-help"],
  ];
  for (const [name, ...asked] of tools) {
    const found = await installedBy(name, () => answering(name, ...asked), `install ${name}`);
    if ("missing" in found) return found;
  }
  return { command: ["sh", join(CLIENTS, "curl", "submit.sh")] };
}

async function go(folder: string): Promise<Example> {
  const { stdout } = await run("go", ["env", "GOVERSION"]).catch(() => ({ stdout: "" }));
  const minor = Number(/^go1\.(\d+)/.exec(stdout)?.[1] ?? 0);
  if (minor < 22) return { missing: "there is no go, or it is older than 1.22" };
  const binary = join(folder, "submit-go");
  const env = { ...process.env, GOTOOLCHAIN: "local", GOWORK: "off", GOFLAGS: "-buildvcs=false", GOPROXY: "off" };
  await run("go", ["build", "-o", binary, "."], { cwd: join(CLIENTS, "go"), env, timeout: FETCH_MS });
  return { command: [binary] };
}

/** In an environment of its own in the cache, made once for these requirements and this Python. */
async function python(): Promise<Example> {
  const usable = () => answering("python3", "-c", "import ensurepip, venv, sys; sys.exit(sys.version_info < (3, 9))");
  const found = await installedBy("python3-venv", usable, "install python3 and python3-venv");
  if ("missing" in found) return found;
  const requirements = join(CLIENTS, "python", "requirements.txt");
  const { stdout: version } = await run("python3", ["-c", "import sys; print(sys.version, sys.executable)"]);
  const name = createHash("sha256")
    .update(version)
    .update(await readFile(requirements))
    .digest("hex");
  const cache = await cacheFolder();
  const home = join(cache, `python-${name.slice(0, 16)}`);
  const failure = await withLock(`${home}.lock`, () => makeEnvironment(cache, home, requirements));
  if (failure !== undefined) return { missing: failure };
  return { command: [join(home, "bin", "python"), join(CLIENTS, "python", "submit.py")] };
}

/** Answers why there is none; a half-made one is never seen. */
async function makeEnvironment(cache: string, home: string, requirements: string): Promise<string | undefined> {
  const there = await access(join(home, "bin", "python")).then(
    () => true,
    () => false,
  );
  if (there) return undefined;
  const draft = await mkdtemp(join(cache, "python-draft-"));
  try {
    await run("python3", ["-m", "venv", draft], { timeout: FETCH_MS });
    const pip = [
      "-m",
      "pip",
      "install",
      "--quiet",
      "--retries",
      "1",
      "--timeout",
      "20",
      "--only-binary",
      ":all:",
      "-r",
      requirements,
    ];
    await run(join(draft, "bin", "python"), pip, { timeout: FETCH_MS });
    await appears(draft, home);
    return undefined;
  } catch (error) {
    const [line] = String((error as { stderr?: string }).stderr || error)
      .trim()
      .split("\n")
      .slice(-1);
    return `PyPI does not give what requirements.txt names: ${line}`;
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}
