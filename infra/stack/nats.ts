import { spawn } from "node:child_process";
import { mkdir, open, readFile, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join, resolve } from "node:path";
import { type Lock, tryLock } from "./cache.ts";
import type { ServerFiles } from "./certificates.ts";
import {
  describeEnding,
  type Ending,
  endingOf,
  endStale,
  guard,
  isFree,
  missing,
  type Say,
  type Server,
  stopChild,
  until,
} from "./child.ts";
import { isAtLeast, type NatsServer } from "./nats-server.ts";

/** Twice the largest statement (1 MiB) with its envelope: NATS' default of 1 MiB refuses it. */
const MAX_PAYLOAD_BYTES = 2 * 1024 * 1024;

/** Streams are kept in files; memory only serves the server's own bookkeeping. */
const MAX_MEMORY_BYTES = 64 * 1024 * 1024;

const READY_MS = 30_000;

/** Subjects that may be used; an empty or missing `allow` allows none. */
export type SubjectRules = { allow?: readonly string[]; deny?: readonly string[] };

/** Who may connect: the public NKEY ("U…") and the subjects that it may use. */
export type NatsUser = {
  name: string;
  nkeyPublic: string;
  permissions: { publish: SubjectRules; subscribe: SubjectRules };
  /** Where it is when there are two accounts; the streams are in BUS. */
  account?: "BUS" | "SERVICES";
};

/** A running nats-server with JetStream. `url` has no credentials: services sign with their NKEYs. */
export type Nats = Server & { url: string };

/**
 * Starts a nats-server of our own on 127.0.0.1 in `folder` (created if missing): streams in `jetstream`, the log
 * in `nats.log`, the configuration in `nats.conf`. An existing folder is resumed, on its former port if that is
 * free. Without users anyone on this machine may connect. With `crossing` they are in two accounts, and only these subjects reach the
 * streams from the services. With `tls` nobody may without a certificate of the clients' authority. When we die without `stop()`, a guard ends the server;
 * what was left behind even so is ended by the next start in this folder. Two stacks in one folder are refused.
 */
export async function startNats(options: {
  folder: string;
  binary: NatsServer;
  users: readonly NatsUser[];
  crossing?: readonly string[];
  say: Say;
  port?: number;
  tls?: ServerFiles | undefined;
}): Promise<Nats> {
  const folder = resolve(options.folder);
  await mkdir(folder, { recursive: true });
  const lock = await tryLock(join(folder, "nats.lock"));
  if ("heldBy" in lock) throw new Error(`process ${lock.heldBy} already runs a nats-server in ${folder}`);
  try {
    return await launch(folder, options, lock);
  } catch (error) {
    await lock.release();
    throw error;
  }
}

async function launch(folder: string, options: Parameters<typeof startNats>[0], lock: Lock): Promise<Nats> {
  const { binary, users, crossing, say } = options;
  const config = join(folder, "nats.conf");
  await endStale(join(folder, "nats.pid"), config, "SIGTERM", say);
  const port = options.port ?? (await rememberedPort(folder));
  const tls = options.tls && { files: options.tls, version: binary.version };
  await writeFile(config, natsConfig({ folder, users, crossing, port, tls }), { mode: 0o600 });

  const logFile = join(folder, "nats.log");
  const log = await open(logFile, "a", 0o600);
  const before = (await log.stat()).size;
  const child = spawn(binary.path, ["-c", config], {
    cwd: folder,
    env: { PATH: process.env.PATH },
    // A session of its own: Ctrl-C in the terminal must reach the services first, which still need the bus.
    detached: true,
    stdio: ["ignore", log.fd, log.fd],
  });
  const ending = endingOf(child);
  let ended: Ending | undefined;
  void ending.then((how) => (ended = how));
  await log.close();
  const { pid } = child;
  if (pid === undefined) throw new Error(`${binary.path} could not be started: ${describeEnding(await ending)}`);

  const answer = await until(async () => ended ?? (await listening(folder, pid)), READY_MS);
  if (typeof answer !== "number") {
    const how = answer ?? (await stopChild(child, ending, [["SIGKILL", 5_000]]));
    const said = (await readFile(logFile)).subarray(before).toString("utf8").trim();
    throw new Error(`nats-server did not start (${describeEnding(how)}):\n${said}`);
  }
  await writeFile(join(folder, "port"), `${answer}\n`);
  const guarded = guard(pid, "TERM");
  const settled = ending.finally(() => guarded.release());
  const end = async () => {
    await stopChild(child, settled, [
      ["SIGTERM", 10_000],
      ["SIGKILL", 5_000],
    ]);
    await rm(join(folder, `nats-server_${pid}.ports`), { force: true });
    await lock.release();
  };
  let stopping: Promise<void> | undefined;
  const stop = () => {
    stopping ??= end();
    return stopping;
  };
  return {
    url: `${tls === undefined ? "nats" : "tls"}://127.0.0.1:${answer}`,
    port: answer,
    pid,
    ended: settled,
    stop,
  };
}

/**
 * The configuration. Port -1 lets the server choose a free one, which nobody can take in between; it writes what
 * it chose to a file. No `sync_interval`: 2.9 refuses it, and here JetStream is transport on one machine (a
 * statement has its receipt only after COMMIT in Postgres, and what NATS loses is rebuilt from the ledger).
 */
export function natsConfig(options: {
  folder: string;
  users: readonly NatsUser[];
  crossing?: readonly string[] | undefined;
  port?: number | undefined;
  tls?: { files: ServerFiles; version: string } | undefined;
}): string {
  const { folder, users, crossing, port, tls } = options;
  const quoted = (path: string) => JSON.stringify(join(folder, path));
  return [
    "host: 127.0.0.1",
    `port: ${port ?? -1}`,
    `ports_file_dir: ${JSON.stringify(folder)}`,
    `pid_file: ${quoted("nats.pid")}`,
    `max_payload: ${MAX_PAYLOAD_BYTES}`,
    `jetstream { store_dir: ${quoted("jetstream")}, max_memory_store: ${MAX_MEMORY_BYTES} }`,
    ...(tls === undefined ? [] : [tlsConfig(tls)]),
    ...(crossing === undefined ? authorization(users) : accounts(users, crossing)),
    "",
  ].join("\n");
}

/** The first that knows `min_version`. An older one takes TLS 1.2 as well; our clients do not offer it. */
const MIN_VERSION_SINCE = "2.11.0";

function tlsConfig({ files, version }: { files: ServerFiles; version: string }): string {
  const quoted = (path: string) => JSON.stringify(path);
  const paths = `cert_file: ${quoted(files.cert)}, key_file: ${quoted(files.key)}, ca_file: ${quoted(files.clients)}`;
  const least = isAtLeast(version, MIN_VERSION_SINCE) ? ', min_version: "1.3"' : "";
  return `tls { ${paths}, verify: true${least} }`;
}

function authorization(users: readonly NatsUser[]): string[] {
  return users.length === 0 ? [] : ["authorization {", ...userConfigs(users), "}"];
}

/**
 * The streams in an account of their own. A permission is a rule for the subject of a message and not for its reply: in one account any
 * user could have the server send an answer to `$JS.API.STREAM.DELETE.…`, where its empty body is a command. An answer that crosses goes
 * back to the services' account, in which there is no such API: the server would add one of its own, and its place is taken.
 */
function accounts(users: readonly NatsUser[], crossing: readonly string[]): string[] {
  const usersOf = (account: NatsUser["account"]) => userConfigs(users.filter((user) => user.account === account));
  const exported = (subject: string) => {
    // A request for messages has many answers; the others have one.
    const response = subject.includes("CONSUMER.MSG.NEXT") ? ", response_type: stream" : "";
    return `    { service: ${JSON.stringify(subject)}${response} }`;
  };
  const imported = (subject: string, as = subject) =>
    `    { service: { account: BUS, subject: ${JSON.stringify(subject)} }, to: ${JSON.stringify(as)} }`;
  return [
    "accounts {",
    "BUS {",
    "  jetstream: enabled",
    ...usersOf("BUS"),
    ...["  exports = [", ...[...crossing, NOWHERE].map(exported), "  ]"],
    "}",
    "SERVICES {",
    ...usersOf("SERVICES"),
    ...["  imports = [", imported(NOWHERE, "$JS.API.>"), ...crossing.map((subject) => imported(subject)), "  ]"],
    "}",
    "}",
  ];
}

/** Nobody listens there. */
const NOWHERE = "nowhere.>";

function userConfigs(users: readonly NatsUser[]): string[] {
  return ["  users = [", ...users.map(userConfig), "  ]"];
}

function userConfig({ name, nkeyPublic, permissions }: NatsUser): string {
  const { publish, subscribe } = permissions;
  return `    # ${name}\n    { nkey: ${nkeyPublic}, permissions: { publish: ${rules(publish)}, subscribe: ${rules(subscribe)} } }`;
}

function rules({ allow = [], deny = [] }: SubjectRules): string {
  // To NATS an empty list of what is allowed means everything.
  if (allow.length === 0) return '{ deny: [">"] }';
  const list = (subjects: readonly string[]) => `[${subjects.map((subject) => JSON.stringify(subject)).join(", ")}]`;
  return deny.length === 0 ? `{ allow: ${list(allow)} }` : `{ allow: ${list(allow)}, deny: ${list(deny)} }`;
}

/** The port once the server answers on it with its INFO line; undefined until then. */
async function listening(folder: string, pid: number): Promise<number | undefined> {
  const text = await readFile(join(folder, `nats-server_${pid}.ports`), "utf8").catch(missing);
  const url = /"(?:nats|tls):\/\/127\.0\.0\.1:(\d+)"/.exec(text ?? "");
  if (url === null) return undefined;
  const port = Number(url[1]);
  return (await greets(port)) ? port : undefined;
}

async function greets(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.setTimeout(1_000, () => socket.destroy());
    socket.once("data", (chunk) => {
      resolve(chunk.toString("latin1").startsWith("INFO "));
      socket.destroy();
    });
    socket.once("error", () => resolve(false));
    socket.once("close", () => resolve(false));
  });
}

async function rememberedPort(folder: string): Promise<number | undefined> {
  const port = Number.parseInt((await readFile(join(folder, "port"), "utf8").catch(missing)) ?? "", 10);
  return port > 0 && (await isFree(port)) ? port : undefined;
}
