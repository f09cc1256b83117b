import { randomBytes } from "node:crypto";
import { chmod, mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { homedir, hostname } from "node:os";
import { dirname, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isAlive, missing } from "./child.ts";

/** The longest that an installation may take (a compilation on a slow machine) before its lock counts as stale. */
const LOCK_LIFE_MS = 15 * 60_000;

/**
 * The folder for what is fetched or unpacked once and used by every stack: `$SCRUTIN_CACHE`, else
 * `$XDG_CACHE_HOME/scrutin`, else `~/.cache/scrutin`. Root uses `/var/cache/scrutin`: Postgres runs as
 * another user then, which cannot enter root's home. Created, and readable by all, when it is missing.
 */
export async function cacheFolder(): Promise<string> {
  const folder = resolve(chosenFolder());
  try {
    await mkdir(folder, { recursive: true });
  } catch (error) {
    throw new Error(`cannot create the cache ${folder}; set SCRUTIN_CACHE to a folder that can be written`, {
      cause: error,
    });
  }
  if (isRoot()) await chmod(folder, 0o755);
  return folder;
}

function chosenFolder(): string {
  const { SCRUTIN_CACHE, XDG_CACHE_HOME } = process.env;
  if (SCRUTIN_CACHE) return SCRUTIN_CACHE;
  if (isRoot()) return "/var/cache/scrutin";
  return XDG_CACHE_HOME ? join(XDG_CACHE_HOME, "scrutin") : join(homedir(), ".cache", "scrutin");
}

/** Whether this process runs as root. */
export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/** Whether every user can enter `folder`: it and each folder above it let others through. */
export async function anyoneCanEnter(folder: string): Promise<boolean> {
  for (let path = resolve(folder); ; path = dirname(path)) {
    const found = await stat(path).catch(missing);
    if (found && (found.mode & 0o001) === 0) return false;
    if (path === dirname(path)) return true;
  }
}

type Owner = { pid: number; host: string; since: string; token: string };

/** A held lock; `release()` gives it back. */
export type Lock = { release(): Promise<void> };

/**
 * Takes the lock `path` if it is free or its owner is dead; otherwise answers who holds it.
 * The lock is a folder that holds its owner, and it appears by rename, so it is never seen without one.
 */
export async function tryLock(path: string): Promise<Lock | { heldBy: number }> {
  const mine: Owner = {
    pid: process.pid,
    host: hostname(),
    since: new Date().toISOString(),
    token: randomBytes(8).toString("hex"),
  };
  const prepared = `${path}.${mine.pid}.${mine.token}`;
  await mkdir(dirname(path), { recursive: true });
  await mkdir(prepared);
  await writeFile(join(prepared, "owner"), JSON.stringify(mine));
  try {
    for (;;) {
      if (await appears(prepared, path)) return { release: () => takeAway(path) };
      const owner = await ownerOf(path);
      if (owner && !isStale(owner)) return { heldBy: owner.pid };
      if (owner) await removeStale(path, owner.token);
    }
  } finally {
    await rm(prepared, { recursive: true, force: true });
  }
}

/** Runs `work` while holding the lock `path`, waiting for it as long as another process holds it. */
export async function withLock<T>(path: string, work: () => Promise<T>, waiting?: (pid: number) => void): Promise<T> {
  let told = false;
  for (;;) {
    const lock = await tryLock(path);
    if ("release" in lock) {
      try {
        return await work();
      } finally {
        await lock.release();
      }
    }
    if (!told) waiting?.(lock.heldBy);
    told = true;
    await sleep(50);
  }
}

/** Renames a prepared folder into place; false when the place is taken. */
export async function appears(prepared: string, path: string): Promise<boolean> {
  try {
    await rename(prepared, path);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOTEMPTY" || code === "EEXIST") return false;
    throw error;
  }
}

async function ownerOf(path: string): Promise<Owner | undefined> {
  const text = await readFile(join(path, "owner"), "utf8").catch(missing);
  return text === undefined ? undefined : (JSON.parse(text) as Owner);
}

function isStale(owner: Owner): boolean {
  if (owner.host === hostname()) return !isAlive(owner.pid);
  return Date.now() - Date.parse(owner.since) > LOCK_LIFE_MS;
}

/**
 * Two processes may find the same dead owner at once, and the slower must not remove the lock that the
 * faster has taken since: only one at a time removes, and only what still bears the dead owner's token.
 */
async function removeStale(path: string, token: string): Promise<void> {
  const turn = `${path}.removal`;
  try {
    await mkdir(turn);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    const since = (await stat(turn).catch(missing))?.mtimeMs ?? Date.now();
    // Held for the time of one removal; older means that its holder died in the middle of it.
    if (Date.now() - since > 10_000) await rm(turn, { recursive: true, force: true });
    await sleep(20);
    return;
  }
  try {
    if ((await ownerOf(path))?.token === token) await takeAway(path);
  } finally {
    await rm(turn, { recursive: true, force: true });
  }
}

/** Away at once, by rename: a folder being emptied could be replaced by the next lock, and emptied with it. */
async function takeAway(path: string): Promise<void> {
  const away = `${path}.away.${randomBytes(8).toString("hex")}`;
  await rename(path, away);
  await rm(away, { recursive: true, force: true });
}
