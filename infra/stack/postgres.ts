import { type ChildProcess, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { chmod, chown, mkdir, open, readFile, rename, rm, stat, symlink, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { anyoneCanEnter, cacheFolder, type Lock, tryLock } from "./cache.ts";
import type { ClientFiles, ServerFiles } from "./certificates.ts";
import {
  describeEnding,
  type Ending,
  endingOf,
  endStale,
  freePort,
  guard,
  isFree,
  missing,
  type Say,
  type Server,
  stopChild,
  until,
} from "./child.ts";
import { type Identity, postgresBinaries, postgresIdentity } from "./postgres-binaries.ts";

/** Longer than any first start; the recovery of a large log after a power failure may need it. */
const READY_MS = 120_000;

/** How often a port that another process took between our look and Postgres' bind is replaced by another. */
const PORT_ATTEMPTS = 5;

export interface PostgresOptions {
  folder: string;
  say: Say;
  port?: number;
  /** With it every connection is TLS 1.3, and each role shows a certificate of its own name besides its password. */
  tls?: { server: ServerFiles; admin: ClientFiles } | undefined;
  /** More for the server's environment, which is otherwise bare. */
  env?: Readonly<Record<string, string>>;
}

/** A running PostgreSQL 18. `url` is its superuser's, on loopback, with a random password, and with TLS with the superuser's certificate. */
export type Postgres = Server & { url: string; data: string };

/**
 * Starts a PostgreSQL 18 of our own on 127.0.0.1 in `folder` (created if missing): the cluster in `data`, the
 * log in `postgres.log`, the superuser's password in `superuser` (0600). An existing folder is resumed, on its
 * former port if that is free. Durable: fsync, synchronous_commit and full_page_writes are on.
 *
 * When we die without `stop()`, kill -9 included, a guard ends the server (fast shutdown); should the guard be
 * killed as well, the next start in the same folder ends what was left behind. Two stacks in one folder are refused.
 *
 * Under root the server runs as a system user. When that user cannot enter `folder`, the cluster lies in the
 * cache and `data` is a link to it: `removePostgres` removes both. `data` in the answer is the real place.
 */
export async function startPostgres(options: PostgresOptions): Promise<Postgres> {
  const folder = resolve(options.folder);
  await mkdir(folder, { recursive: true });
  const lock = await tryLock(join(folder, "postgres.lock"));
  if ("heldBy" in lock) throw new Error(`process ${lock.heldBy} already runs a Postgres in ${folder}`);
  try {
    return await startLocked(folder, options, lock);
  } catch (error) {
    await lock.release();
    throw error;
  }
}

async function startLocked(folder: string, options: PostgresOptions, lock: Lock): Promise<Postgres> {
  const { say } = options;
  const binaries = await postgresBinaries(say);
  const identity = await postgresIdentity(say);
  const data = await placeFor(folder, identity, say);
  const password = await initialise({ folder, data, binaries, identity });
  await endStale(join(data, "postmaster.pid"), data, "SIGINT", say);
  await configure(data, identity, options.tls?.server);

  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await rememberedPort(folder)) ?? (await freePort());
    const started = await launch({ folder, data, binaries, identity, port, env: options.env });
    if (started.kind === "ready") {
      await writeFile(join(folder, "port"), `${port}\n`);
      const url = withTls(`postgres://postgres:${password}@127.0.0.1:${port}/postgres`, options.tls?.admin);
      return { ...serve(started, lock), port, data, url };
    }
    if (options.port !== undefined || attempt === PORT_ATTEMPTS || (await isFree(port))) throw new Error(started.why);
    say(`port ${port} was taken by another process, trying another`);
  }
}

/** The address with what a client needs for TLS, as libpq and `readDatabase` spell it. */
export function withTls(address: string, files: ClientFiles | undefined): string {
  if (files === undefined) return address;
  const url = new URL(address);
  const { ca: sslrootcert, cert: sslcert, key: sslkey } = files;
  const parameters = { sslmode: "verify-full", sslrootcert, sslcert, sslkey };
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  return url.href;
}

type Running = { kind: "ready"; child: ChildProcess; ending: Promise<Ending>; pid: number };

function serve({ child, ending, pid }: Running, lock: Lock): Omit<Server, "port"> {
  const guarded = guard(pid, "INT");
  const settled = ending.finally(() => guarded.release());
  const stop = async () => {
    // SIGINT: fast shutdown. SIGQUIT: at once, recovered from the log at the next start.
    await stopChild(child, settled, [
      ["SIGINT", 30_000],
      ["SIGQUIT", 5_000],
      ["SIGKILL", 5_000],
    ]);
    await lock.release();
  };
  let stopping: Promise<void> | undefined;
  return {
    pid,
    ended: settled,
    stop: () => {
      stopping ??= stop();
      return stopping;
    },
  };
}

/** Removes what `startPostgres` made in `folder`, wherever the cluster lies. The server must be stopped. */
export async function removePostgres(folder: string): Promise<void> {
  const path = resolve(folder);
  await rm(await placeInCache(path), { recursive: true, force: true });
  await rm(path, { recursive: true, force: true });
}

async function placeInCache(folder: string): Promise<string> {
  return join(await cacheFolder(), "clusters", createHash("sha256").update(folder).digest("hex").slice(0, 16));
}

/** Where the cluster lies: in `folder/data`, or in the cache when its user cannot enter `folder`. */
async function placeFor(folder: string, identity: Identity, say: Say): Promise<string> {
  const link = join(folder, "data");
  if (identity.uid === undefined || (await anyoneCanEnter(folder))) return link;
  const place = await placeInCache(folder);
  await mkdir(place, { recursive: true });
  await chmod(join(place, ".."), 0o755);
  await chmod(place, 0o755);
  const data = join(place, "data");
  if (await stat(link).catch(missing)) return data;
  say(`only root can enter ${folder}, so the database lies in ${place}`);
  await rm(link, { force: true });
  await symlink(data, link);
  // A cluster whose folder was deleted: without its password nobody can use it.
  await rm(data, { recursive: true, force: true });
  return data;
}

type Site = { folder: string; data: string; binaries: string; identity: Identity };

/** Makes the cluster unless it exists; answers the superuser's password. `data` appears by rename, complete. */
async function initialise({ folder, data, binaries, identity }: Site): Promise<string> {
  const secret = join(folder, "superuser");
  if (await stat(join(data, "PG_VERSION")).catch(missing)) {
    const kept = await readFile(secret, "utf8").catch(missing);
    if (kept === undefined) throw new Error(`${data} has lost its password (${secret}); restore it or start elsewhere`);
    return kept.trim();
  }
  const password = randomBytes(24).toString("base64url");
  const fresh = `${data}.new`;
  const passwordFile = `${data}.password`;
  await rm(fresh, { recursive: true, force: true });
  await mkdir(fresh, { mode: 0o700 });
  await give(fresh, identity);
  try {
    await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
    await give(passwordFile, identity);
    await initdb(binaries, fresh, passwordFile, identity);
  } finally {
    await rm(passwordFile, { force: true });
  }
  await writeFile(secret, `${password}\n`, { mode: 0o600 });
  await rename(fresh, data);
  return password;
}

async function initdb(binaries: string, data: string, passwordFile: string, identity: Identity): Promise<void> {
  const args = [
    `--pgdata=${data}`,
    "--username=postgres",
    `--pwfile=${passwordFile}`,
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    // The same order of strings on every machine, whatever its locales.
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--locale=C",
  ];
  const child = spawn(join(binaries, "bin", "initdb"), args, {
    ...identity,
    cwd: "/",
    env: serverEnv(),
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += chunk));
  const ending = await endingOf(child);
  if (ending.code !== 0) throw new Error(`initdb failed (${describeEnding(ending)}):\n${output.trim()}`);
}

/** The server's whole configuration, written anew at every start. Nothing here weakens what COMMIT means. */
async function configure(data: string, identity: Identity, tls: ServerFiles | undefined): Promise<void> {
  const settings = {
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    password_encryption: "scram-sha-256",
    // Of all services together less than there are (infra/migrations/0006_limits.sql); what does not log in soon is let go.
    max_connections: "200",
    authentication_timeout: "5s",
    temp_file_limit: "256MB",
    shared_buffers: "128MB",
    fsync: "on",
    synchronous_commit: "on",
    full_page_writes: "on",
    timezone: "UTC",
    log_timezone: "UTC",
    lc_messages: "C",
    log_line_prefix: "%m [%p] %u@%d ",
    ...(tls === undefined ? {} : await configureTls(data, identity, tls)),
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = '${value}'\n`);
  // `verify-full`: the certificate's common name is the role's.
  const rules =
    tls === undefined
      ? "# Loopback only, by password.\nhost all all 127.0.0.1/32 scram-sha-256\n"
      : "# Loopback only, by certificate and by password.\nhostssl all all 127.0.0.1/32 scram-sha-256 clientcert=verify-full\n";
  for (const [name, text] of [
    ["postgresql.conf", lines.join("")],
    ["pg_hba.conf", rules],
  ] as const) {
    await writeFile(join(data, name), text, { mode: 0o600 });
    await give(join(data, name), identity);
  }
}

/** Copies that the server's own user may read, which is another one under root. */
async function configureTls(data: string, identity: Identity, files: ServerFiles): Promise<Record<string, string>> {
  const copies = { ssl_cert_file: files.cert, ssl_key_file: files.key, ssl_ca_file: files.clients };
  for (const [setting, file] of Object.entries(copies)) {
    const copy = join(data, `${setting}.pem`);
    await rm(copy, { force: true });
    await writeFile(copy, await readFile(file), { mode: 0o600 });
    await give(copy, identity);
  }
  const named = Object.keys(copies).map((setting) => [setting, `${setting}.pem`]);
  return { ssl: "on", ssl_min_protocol_version: "TLSv1.3", ...Object.fromEntries(named) };
}

async function give(path: string, { uid, gid }: Identity): Promise<void> {
  if (uid !== undefined && gid !== undefined) await chown(path, uid, gid);
}

/** Only what the server needs: no PGDATA, PGPORT or LD_PRELOAD of the caller by accident, no secret in its environment. */
function serverEnv(): NodeJS.ProcessEnv {
  return { PATH: process.env.PATH, LC_ALL: "C", TZ: "UTC" };
}

/** One attempt to start. It fails only when the server ends by itself: a port taken, a broken folder. */
async function launch(
  site: Site & { port: number; env?: PostgresOptions["env"] },
): Promise<Running | { kind: "ended"; why: string }> {
  const { data, binaries, identity, port } = site;
  const logFile = join(site.folder, "postgres.log");
  const pidFile = join(data, "postmaster.pid");
  const log = await open(logFile, "a", 0o600);
  const before = (await log.stat()).size;
  const child = spawn(join(binaries, "bin", "postgres"), ["-D", data, "-p", String(port)], {
    ...identity,
    cwd: "/",
    env: { ...serverEnv(), ...site.env },
    // A session of its own: Ctrl-C in the terminal must reach the services first, which still need the database.
    detached: true,
    stdio: ["ignore", log.fd, log.fd],
  });
  const ending = endingOf(child);
  let ended: Ending | undefined;
  void ending.then((how) => (ended = how));
  await log.close();
  const { pid } = child;
  if (pid === undefined)
    throw new Error(`${binaries}/bin/postgres could not be started: ${describeEnding(await ending)}`);
  const answer = await until(async () => {
    if (ended) return ended;
    const lines = ((await readFile(pidFile, "utf8").catch(missing)) ?? "").split("\n");
    return Number(lines[0]) === pid && lines[7]?.trim() === "ready" ? "ready" : undefined;
  }, READY_MS);
  if (answer === "ready") return { kind: "ready", child, ending, pid };
  const how =
    answer ??
    (await stopChild(child, ending, [
      ["SIGQUIT", 5_000],
      ["SIGKILL", 5_000],
    ]));
  const said = (await readFile(logFile)).subarray(before).toString("utf8").trim();
  return { kind: "ended", why: `Postgres did not start (${describeEnding(how)}):\n${said}` };
}

async function rememberedPort(folder: string): Promise<number | undefined> {
  const port = Number.parseInt((await readFile(join(folder, "port"), "utf8").catch(missing)) ?? "", 10);
  return port > 0 && (await isFree(port)) ? port : undefined;
}
