import { writeFileSync } from "node:fs";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { connect, type NatsConnection, nkeyAuthenticator, nkeys } from "nats";
import type pg from "pg";
import { afterAll } from "vitest";
import { type Database, openDatabase, type Role, withClient, withoutPassword } from "../infra/stack/database.ts";
import { startNats } from "../infra/stack/nats.ts";
import { findNatsServer, type NatsServer } from "../infra/stack/nats-server.ts";
import { type Postgres, removePostgres, startPostgres } from "../infra/stack/postgres.ts";
import { type Child, supervise } from "../infra/stack/processes.ts";
import { CROSSING, makeNatsUsers, type ServiceName, writeSecret } from "../infra/stack/secrets.ts";
import { type Sample, sampleDefinition } from "../shared/definition/sample.ts";
import { createStreams, inboxOf } from "../shared/platform/nats.ts";

/**
 * Real servers for tests.
 *
 *   const harness = await startHarness();                    // in beforeAll (or in a test that wants a world of its own)
 *   harness.sample                                           // the definition and every key (shared/definition/sample.ts)
 *   harness.databaseUrl("ledger"), harness.adminUrl          // a database of its own: as a service's role, as superuser
 *   await harness.query("select …", [1])                     // as superuser: rows
 *   harness.natsUrl, harness.nkeyFile("ledger")              // a nats-server of its own, with the services' real permissions
 *   const nc = await harness.nats("stack")                   // a connection as a service; as "stack", which may do all to the streams; as "services", which may say and hear all that they do
 *   harness.env("ledger", { … })                             // the whole environment of a service
 *   const ledger = await harness.start("ledger", { … })      // services/ledger/main.ts as a process: url, kill(), stop(), …
 *   const back = await harness.away("NATS"); await back()    // kill -9 of a server; and up again on its port, with what it had stored
 *   harness.say                                              // for infra functions that want one; lines are kept in `said`
 *   await harness.close()                                    // in afterAll; fails if a connection to the database leaks
 *
 * One Postgres serves a test file; every harness is a clone of one migrated template in it. Each harness has a nats-server
 * of its own, so that subjects of two never meet. `close()` stops what `start()` started and closes what `nats()` opened; every other
 * connection is the test's to close. What a file leaves open is ended, and told as a failure, when the file is over.
 */
export interface Harness {
  sample: Sample;
  /** Of this harness alone; removed by `close()`. Logs of processes are in `logs/<name>.log`. */
  folder: string;
  /** Of the Postgres that all harnesses of a file share: the cluster is `data`, the log `postgres.log`. */
  postgresFolder: string;
  adminUrl: string;
  natsUrl: string;
  said: string[];
  say(line: string): void;
  databaseUrl(role: Role): string;
  nkeyFile(user: ServiceName | "stack"): string;
  query<R extends pg.QueryResultRow>(sql: string, values?: unknown[]): Promise<R[]>;
  nats(user: ServiceName | "stack" | "services"): Promise<NatsConnection>;
  env(service: ServiceName, more?: Readonly<Record<string, string>>): Record<string, string>;
  start(service: ServiceName, more?: Readonly<Record<string, string>>, name?: string): Promise<Child>;
  away(server: "Postgres" | "NATS"): Promise<() => Promise<void>>;
  close(): Promise<void>;
}

const PROJECT = fileURLToPath(new URL("..", import.meta.url));
/** With which a test reads watch, as a script would: `fetch(url, { headers: watchHeaders })`. */
const WATCH_TOKEN = "the-token-of-every-harness";
export const watchHeaders = { authorization: `Bearer ${WATCH_TOKEN}` };
/** A connection that is being closed is still seen for a moment. */
const LEAK_MS = 5_000;
const AGAIN_MS = 20_000;
const LOOK_MS = 20;

interface Servers {
  folder: string;
  postgresEnv: Readonly<Record<string, string>>;
  postgres: Postgres;
  template: Database;
  binary: NatsServer;
}

let servers: Promise<Servers> | undefined;
const open = new Set<Harness>();
let clones = 0;

afterAll(async () => {
  const left = [...open];
  for (const harness of left) await harness.close();
  if (servers !== undefined) {
    const { folder, postgres } = await servers;
    servers = undefined;
    await postgres.stop();
    await removePostgres(join(folder, "postgres"));
    await rm(folder, { recursive: true, force: true });
  }
  if (left.length > 0) throw new Error(`${left.length} harnesses were not closed by their test`);
});

async function startServers(postgresEnv: Readonly<Record<string, string>> = {}): Promise<Servers> {
  const folder = await freshFolder();
  const quiet = () => undefined;
  const [postgres, binary] = await Promise.all([
    startPostgres({ folder: join(folder, "postgres"), say: quiet, env: postgresEnv }),
    findNatsServer({ say: quiet }),
  ]);
  return { folder, postgresEnv, postgres, binary, template: await openDatabase(postgres.url) };
}

/** Postgres may run as a user of its own, who must be able to enter. */
async function freshFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "scrutin-test-"));
  await chmod(folder, 0o711);
  return folder;
}

/**
 * Starts a world: see the top of this file. `sample` defaults to `sampleDefinition()`; `postgresEnv` is heard by the file's first
 * harness, which starts the server.
 */
export async function startHarness(
  options: { sample?: Sample; postgresEnv?: Readonly<Record<string, string>> } = {},
): Promise<Harness> {
  servers ??= startServers(options.postgresEnv);
  const { folder: serverFolder, postgres, template, binary } = await servers;
  const sample = options.sample ?? sampleDefinition();
  const folder = await freshFolder();
  const name = `${template.name}_${++clones}`;
  await withClient(postgres.url, async (client) => {
    await client.query(`create database ${name} template ${template.name}`);
    // A clone has the template's tables, and not its rights as a database (infra/migrations/0006_limits.sql).
    await client.query(`revoke temporary on database ${name} from public`);
  });
  const said: string[] = [];
  const say = (line: string) => void said.push(line);
  const users = [...(await makeNatsUsers(folder)), await makeObserver(folder)];
  const upNats = (port?: number) =>
    startNats({
      folder: join(folder, "nats"),
      binary,
      users,
      crossing: CROSSING,
      say,
      ...(port !== undefined && { port }),
    });
  let nats = await upNats();
  const nkeyFile = (user: ServiceName | "stack" | "services") => users.find((u) => u.name === user)?.file ?? "";
  const files = await writeFiles(folder, sample);
  const connections: NatsConnection[] = [];
  const children: Child[] = [];
  const adminUrl = inDatabase(postgres.url, name);

  const harness: Harness = {
    sample,
    folder,
    postgresFolder: join(serverFolder, "postgres"),
    adminUrl,
    natsUrl: nats.url,
    said,
    say,
    databaseUrl: (role) => inDatabase(template.urlOf(role), name),
    nkeyFile,
    query: (sql, values) => withClient(adminUrl, async (client) => (await client.query(sql, values)).rows),
    async nats(user) {
      const authenticator = nkeyAuthenticator(await readFile(nkeyFile(user)));
      const nc = await connect({ servers: nats.url, authenticator, name: `test-${user}`, inboxPrefix: inboxOf(user) });
      connections.push(nc);
      return nc;
    },
    env: (service, more = {}) => passwordInFile(folder, { ...envOf(harness, service, files), ...more }),
    async start(service, more, as = service) {
      const script = join(PROJECT, "services", service, "main.ts");
      const child = await supervise({ name: as, script, env: harness.env(service, more), folder, say, restart: true });
      children.push(child);
      return child;
    },
    async away(server) {
      const running = await servers;
      if (running === undefined) throw new Error("the servers have ended");
      const down = server === "NATS" ? nats : running.postgres;
      process.kill(down.pid, "SIGKILL");
      await down.ended;
      await down.stop();
      return async () => {
        if (server === "NATS") nats = await upNats(down.port);
        else running.postgres = await postgresAgain(running, down.port);
      };
    },
    async close() {
      if (!open.delete(harness)) return;
      for (const child of children.reverse()) await child.stop();
      for (const nc of connections) await nc.close();
      await nats.stop();
      const leaks = await leaksOf(postgres.url, name);
      await withClient(postgres.url, (client) => client.query(`drop database ${name} with (force)`));
      await rm(folder, { recursive: true, force: true });
      if (leaks.length > 0) throw new Error(`connections to the database leak: ${leaks.join(", ")}`);
    },
  };
  open.add(harness);
  const admin = await harness.nats("stack");
  await createStreams(admin);
  return harness;
}

/** Beside the services, with none of their bounds: a test hears all that they say, and can say what a stolen key could. */
async function makeObserver(folder: string) {
  const user = nkeys.createUser();
  const file = join(folder, "secrets", "services.nkey");
  await writeSecret(file, new TextDecoder().decode(user.getSeed()));
  const all = { allow: [">"] };
  const permissions = { publish: all, subscribe: all };
  return { name: "services", account: "SERVICES", nkeyPublic: user.getPublicKey(), file, permissions } as const;
}

/** What a killed server's children hold is theirs for another moment. */
async function postgresAgain({ folder, postgresEnv: env }: Servers, port: number): Promise<Postgres> {
  for (const end = performance.now() + AGAIN_MS; ; ) {
    try {
      return await startPostgres({ folder: join(folder, "postgres"), say: () => undefined, env, port });
    } catch (error) {
      if (performance.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }
}

function inDatabase(url: string, name: string): string {
  const changed = new URL(url);
  changed.pathname = `/${name}`;
  return changed.href;
}

/** Applications that are still connected when everything should be closed. */
async function leaksOf(serverUrl: string, database: string): Promise<string[]> {
  const end = performance.now() + LEAK_MS;
  for (;;) {
    const rows = await withClient(serverUrl, async (client) => {
      const seen = await client.query<{ application_name: string }>(
        "select application_name from pg_stat_activity where datname = $1 and backend_type = 'client backend'",
        [database],
      );
      return seen.rows;
    });
    if (rows.length === 0 || performance.now() > end) return rows.map((row) => row.application_name);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

type Files = Record<
  "definition" | "signatures" | "authority" | "vault" | "ledger" | "tabulate" | "recount" | "release" | "watch",
  string
>;

async function writeFiles(folder: string, sample: Sample): Promise<Files> {
  const write = async (name: string, content: string | Uint8Array) => {
    const file = join(folder, name);
    await writeFile(file, content, { mode: 0o600 });
    return file;
  };
  const key = (role: "ledger" | "tabulate" | "recount") => {
    const id = sample.definition.keys.find((k) => k.role === role)?.id ?? "";
    return write(`${role}.json`, JSON.stringify(sample.keys.get(id)?.jwk));
  };
  return {
    definition: await write("definition.json", sample.bytes),
    signatures: await write("definition.signatures.json", JSON.stringify(sample.signatures)),
    authority: await write("authority.json", JSON.stringify(sample.anchors)),
    vault: await write("vault.json", JSON.stringify(sample.vault.jwk)),
    ledger: await key("ledger"),
    tabulate: await key("tabulate"),
    recount: await key("recount"),
    release: await write("release.json", JSON.stringify(sample.keys.get("release-1")?.jwk)),
    watch: await write("watch.token", WATCH_TOKEN),
  };
}

function envOf(harness: Harness, service: ServiceName, files: Files): Record<string, string> {
  const ownsKey = service === "ledger" || service === "tabulate" || service === "recount";
  return {
    HOST: "127.0.0.1",
    PORT: "0",
    NATS_URL: harness.natsUrl,
    NATS_NKEY_FILE: harness.nkeyFile(service),
    SCRUTIN_DEFINITION: files.definition,
    SCRUTIN_DEFINITION_SIGNATURES: files.signatures,
    SCRUTIN_AUTHORITY: files.authority,
    SCRUTIN_PARENT: "1",
    ...(service === "ingest" ? {} : { DATABASE_URL: harness.databaseUrl(service) }),
    ...(service === "release" && harness.sample.definition.publication ? { SCRUTIN_KEY_FILE: files.release } : {}),
    ...(service === "watch" ? { SCRUTIN_WATCH_TOKEN_FILE: files.watch } : {}),
    ...(ownsKey ? { SCRUTIN_KEY_FILE: files[service], SCRUTIN_VAULT_KEY_FILE: files.vault } : {}),
  };
}

/** A service takes a password from a file only. */
function passwordInFile(folder: string, env: Record<string, string>): Record<string, string> {
  if (env.DATABASE_URL === undefined) return env;
  const { url, password } = withoutPassword(env.DATABASE_URL);
  if (password === "") return env;
  const file = join(folder, `${new URL(url).username}.password`);
  writeFileSync(file, password, { mode: 0o600 });
  return { ...env, DATABASE_URL: url, SCRUTIN_DATABASE_PASSWORD_FILE: file };
}
