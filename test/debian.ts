import { execFile } from "node:child_process";
import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { cacheFolder, isRoot, withLock } from "../infra/stack/cache.ts";

/** Tools that a test needs and this project does not carry: as they are installed, or as Debian's package, which root may add. */

export const INSTALL_MS = 300_000;

export const isExecutable = (path: string) =>
  access(path, constants.X_OK).then(
    () => true,
    () => false, // not there, or not for us
  );

/**
 * What `find` finds, before or after Debian's package `name` was installed; otherwise why there is none. `missing` is said where
 * nothing can be installed.
 */
export async function installedBy(
  name: string,
  find: () => Promise<string | undefined>,
  missing: string,
): Promise<{ path: string } | { missing: string }> {
  const present = await find();
  if (present !== undefined) return { path: present };
  if (!isRoot() || !(await isExecutable("/usr/bin/apt-get"))) return { missing };
  // Several test files may find none at once, and dpkg takes one at a time.
  return withLock(join(await cacheFolder(), `${name}.lock`), async () => {
    const meanwhile = await find();
    if (meanwhile !== undefined) return { path: meanwhile };
    const failure = await install(name);
    const path = await find();
    return path === undefined ? { missing: `apt-get has installed no ${name}: ${failure}` } : { path };
  });
}

/** Answers why it failed, or an empty line. */
async function install(name: string): Promise<string> {
  const aptGet = (...args: string[]) =>
    promisify(execFile)("apt-get", args, {
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
      timeout: INSTALL_MS,
    });
  try {
    await aptGet("update");
    await aptGet("install", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=120", name);
    return "";
  } catch (error) {
    return String(error).split("\n")[0] ?? "";
  }
}
