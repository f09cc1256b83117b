import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { access, chmod, constants, readdir, rm } from "node:fs/promises";
import { basename, delimiter, dirname, join } from "node:path";
import { promisify } from "node:util";
import { appears, cacheFolder, isRoot, withLock } from "./cache.ts";
import type { Say } from "./child.ts";
import {
  aptUnpack,
  fetchRelease,
  goInstall,
  NATS_RELEASES,
  NATS_SHA256,
  NATS_VERSION,
  releasePlatform,
} from "./nats-release.ts";

const run = promisify(execFile);

/** The oldest version that the system runs on: Debian 12's. */
export const OLDEST_NATS = "2.9.10";

/** A nats-server that answered with its version ("2.15.0"). */
export type NatsServer = { path: string; version: string };

/** Where releases come from and which hashes they must have; other values only in tests. */
export type ReleaseSource = { base: string; pins: Readonly<Record<string, string>> };

/**
 * Finds a nats-server of at least `OLDEST_NATS`, or gets one; says each step in a line. In this order:
 * `NATS_SERVER`, the PATH, a copy in the cache, the pinned release, `go install`, Debian's package (as root).
 * Throws a sentence that says what to install when none works, and when `NATS_SERVER` is set but of no use.
 */
export async function findNatsServer({ say, ...given }: { say: Say } & Partial<ReleaseSource>): Promise<NatsServer> {
  const named = process.env.NATS_SERVER;
  if (named) return namedServer(named, say);

  const onPath = await firstUsable("nats-server on the PATH", serversOnPath(), say);
  if (onPath) return onPath;

  const folder = join(await cacheFolder(), `nats-server-${NATS_VERSION}-${releasePlatform()}`);
  const cached = await firstUsable("nats-server in the cache", [join(folder, "nats-server")], say);
  if (cached) return cached;

  const wait = (pid: number) => say(`nats-server: process ${pid} is getting one, waiting for it`);
  return withLock(
    `${folder}.lock`,
    async () => {
      const meanwhile = await usable(join(folder, "nats-server"));
      if ("version" in meanwhile) {
        say(`nats-server ${meanwhile.version}: ${meanwhile.path}, which another stack has just put into the cache`);
        return meanwhile;
      }
      return install(folder, say, { base: NATS_RELEASES, pins: NATS_SHA256, ...given });
    },
    wait,
  );
}

async function namedServer(path: string, say: Say): Promise<NatsServer> {
  const found = await usable(path);
  if (!("version" in found)) {
    throw new Error(`NATS_SERVER is ${path}, but ${found.why}; correct it, or unset it to have one found`);
  }
  say(`nats-server ${found.version}: ${path}, from NATS_SERVER`);
  return found;
}

async function firstUsable(what: string, paths: readonly string[], say: Say): Promise<NatsServer | undefined> {
  for (const path of paths) {
    const found = await usable(path);
    if ("version" in found) {
      say(`${what}: ${found.version}, ${path}`);
      return found;
    }
    if (found.exists) say(`${what}: ${path} is not used, ${found.why}`);
  }
  say(`${what}: none`);
  return undefined;
}

function serversOnPath(): string[] {
  return commandFolders().map((folder) => join(folder, "nats-server"));
}

type Refused = { exists: boolean; why: string };

/** Asks a binary for its version; refused when it is missing, does not run, or is too old. */
async function usable(path: string): Promise<NatsServer | Refused> {
  try {
    await access(path, constants.X_OK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return { exists: false, why: "there is no such file" };
    return { exists: true, why: "it cannot be executed" };
  }
  const output = await run(path, ["-v"], { timeout: 10_000 }).then(
    ({ stdout, stderr }) => stdout + stderr,
    (error: Error) => error,
  );
  if (output instanceof Error) return { exists: true, why: `"${path} -v" fails: ${firstLine(output)}` };
  const version = /nats-server: v(\d+\.\d+\.\d+)/.exec(output)?.[1];
  if (version === undefined) return { exists: true, why: `"${path} -v" does not answer with a version` };
  if (!isAtLeast(version, OLDEST_NATS)) {
    return { exists: true, why: `it is version ${version}, and ${OLDEST_NATS} is the oldest that will do` };
  }
  return { path, version };
}

/** Compares versions of three numbers. */
export function isAtLeast(version: string, least: string): boolean {
  const [ours, theirs] = [version, least].map((text) => text.split(".").map(Number)) as [number[], number[]];
  for (const [place, number] of theirs.entries()) {
    if (ours[place] !== number) return (ours[place] ?? 0) > number;
  }
  return true;
}

/** Tries each way to get one; it lies in `folder` under the pinned version's name, Debian's possibly older one too. */
async function install(folder: string, say: Say, source: ReleaseSource): Promise<NatsServer> {
  await removeUnfinished(folder);
  const ways: readonly [name: string, possible: boolean, get: (to: string) => Promise<string>][] = [
    [`release ${NATS_VERSION} from ${source.base}`, true, (to) => fetchRelease(to, source.base, source.pins)],
    [`go install of ${NATS_VERSION}`, await hasCommand("go"), goInstall],
    ["apt-get", isRoot() && (await hasCommand("apt-get")), aptUnpack],
  ];
  for (const [name, possible, get] of ways) {
    if (!possible) {
      say(`nats-server by ${name}: not possible here`);
      continue;
    }
    say(`nats-server by ${name}: trying`);
    const got = await attempt(folder, get);
    if ("version" in got) {
      say(`nats-server by ${name}: ${got.version}, kept as ${got.path}`);
      return got;
    }
    say(`nats-server by ${name}: ${got.why}`);
  }
  throw new Error(
    `no nats-server: install version ${NATS_VERSION} (https://github.com/nats-io/nats-server/releases; ` +
      "brew install nats-server; apt-get install nats-server) and put it on the PATH or name it in NATS_SERVER, " +
      "or set NATS_URL to a server that runs",
  );
}

/** Gets a binary beside `folder` and renames it into place once it has answered with a version that will do. */
async function attempt(folder: string, get: (to: string) => Promise<string>): Promise<NatsServer | Refused> {
  const unfinished = `${folder}.unfinished.${randomBytes(6).toString("hex")}`;
  try {
    const binary = await get(unfinished);
    await chmod(binary, 0o755);
    await chmod(unfinished, 0o755);
    const found = await usable(binary);
    if (!("version" in found)) return found;
    // What is there does not run: we hold the lock and have asked it.
    await rm(folder, { recursive: true, force: true });
    if (!(await appears(unfinished, folder))) throw new Error(`${folder} cannot be replaced`);
    return { path: join(folder, "nats-server"), version: found.version };
  } catch (error) {
    return { exists: false, why: firstLine(error as Error) };
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}

async function removeUnfinished(folder: string): Promise<void> {
  for (const name of await readdir(dirname(folder))) {
    if (!name.startsWith(`${basename(folder)}.unfinished.`)) continue;
    await rm(join(dirname(folder), name), { recursive: true, force: true });
  }
}

function commandFolders(): string[] {
  return (process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
}

async function hasCommand(name: string): Promise<boolean> {
  for (const folder of commandFolders()) {
    const found = await access(join(folder, name), constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return true;
  }
  return false;
}

/** The most telling line of an error, its cause first ("fetch failed" alone says nothing). */
function firstLine(error: Error): string {
  const { cause } = error;
  const text = cause instanceof Error ? `${error.message}: ${cause.message}` : error.message;
  return text.split("\n").slice(0, 2).join(" ").slice(0, 300);
}
