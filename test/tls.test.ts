import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, nkeyAuthenticator, type TlsOptions } from "nats";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Authority, type ClientFiles, issue, makeAuthority, type Wanted } from "../infra/stack/certificates.ts";
import { type Database, openDatabase, withoutPassword } from "../infra/stack/database.ts";
import { type Nats, startNats } from "../infra/stack/nats.ts";
import { findNatsServer, isAtLeast, type NatsServer } from "../infra/stack/nats-server.ts";
import { type Postgres, removePostgres, startPostgres } from "../infra/stack/postgres.ts";
import { CROSSING, makeNatsUsers, type NatsUser } from "../infra/stack/secrets.ts";
import type { ClientTls } from "../shared/platform/credentials.ts";
import { createHeardLog } from "../shared/platform/log-fixture.ts";
import { createStreams, natsTime, natsTls, openNats } from "../shared/platform/nats.ts";
import { openPool } from "../shared/platform/postgres.ts";

/** Mutual TLS to Postgres and NATS, on servers as the stack runs them: whoever lacks one thing of all that is asked stays outside. */

const say = () => undefined;
const { log } = createHeardLog();
const DAY_MS = 24 * 60 * 60 * 1000;
const now = Date.now();
let folder = "";
let postgres: Postgres;
let database: Database;
let binary: NatsServer;
let nats: Nats;
let users: NatsUser[];
let admin: ClientFiles;
let servers: Authority;
let clients: Authority;
let strangers: Authority;

async function keep(name: string, text: string): Promise<string> {
  const file = join(folder, name);
  await writeFile(file, text, { mode: 0o600 });
  return file;
}

/** What a client shows, in memory; of the clients' authority unless another is given. */
async function client(name: string, more: Partial<Wanted> = {}, authority = clients): Promise<ClientTls> {
  return { ...(await issue(authority, { name, for: "client", now, ...more })), ca: servers.pem };
}

async function serverFiles(name: string, more: Partial<Wanted> = {}) {
  const { cert, key } = await issue(servers, { name, for: "server", now, ...more });
  const [certFile, keyFile] = [await keep(`${name}.pem`, cert), await keep(`${name}-key.pem`, key)];
  return { cert: certFile, key: keyFile, clients: await keep("clients-ca.pem", clients.pem) };
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "scrutin-tls-"));
  await chmod(folder, 0o711);
  [servers, clients, strangers] = (await Promise.all(
    ["servers", "clients", "strangers"].map((name) => makeAuthority(name, now)),
  )) as [Authority, Authority, Authority];
  const { cert, key, ca } = await client("postgres");
  admin = {
    cert: await keep("admin.pem", cert),
    key: await keep("admin-key.pem", key),
    ca: await keep("ca.pem", ca),
  };
  binary = await findNatsServer({ say });
  users = await makeNatsUsers(folder);
  const tls = { server: await serverFiles("postgres-server"), admin };
  postgres = await startPostgres({ folder: join(folder, "postgres"), say, tls });
  database = await openDatabase(postgres.url);
  nats = await startNats({
    folder: join(folder, "nats"),
    binary,
    users,
    crossing: CROSSING,
    say,
    tls: await serverFiles("nats-server"),
  });
}, 300_000);

afterAll(async () => {
  await nats?.stop();
  await postgres?.stop();
  await removePostgres(join(folder, "postgres"));
  await rm(folder, { recursive: true, force: true });
});

describe("Postgres", () => {
  /** The ledger's own address, without any parameter of TLS. */
  const address = (role: "ledger" | "tabulate" = "ledger", password?: string): string => {
    const url = new URL(database.urlOf(role));
    url.search = "";
    if (password !== undefined) url.password = password;
    return url.href;
  };
  const ask = async (url: string, tls?: ClientTls): Promise<unknown> => {
    const pool = openPool({ url, tls, service: "test", max: 1, log });
    try {
      const { rows } = await pool.query(
        "select current_user as role, version, client_dn from pg_stat_ssl where pid = pg_backend_pid()",
      );
      return rows[0];
    } finally {
      await pool.end();
    }
  };
  const refusal = (url: string, tls?: ClientTls) =>
    ask(url, tls).then(
      (row) => `let in: ${JSON.stringify(row)}`,
      (error: Error) => error.message,
    );

  it("lets a role in by its certificate and its password, over TLS 1.3", async () => {
    expect(await ask(address(), await client("scrutin_ledger"))).toEqual({
      role: "scrutin_ledger",
      version: "TLSv1.3",
      client_dn: "/CN=scrutin_ledger",
    });
  });

  it("lets nobody in who lacks one of them", async () => {
    const own = await client("scrutin_ledger");
    expect(await refusal(address(), undefined)).toMatch(/no pg_hba\.conf entry .*no encryption/);
    expect(await refusal(address("ledger", "wrong"), own)).toContain("password authentication failed");
    const { ca } = own;
    expect(await refusal(address(), { ca } as ClientTls)).toMatch(/requires a valid client certificate/);
    expect(await refusal(address(), await client("scrutin_tabulate"))).toMatch(
      /authentication failed for user "scrutin_ledger"/,
    );
    expect(await refusal(address("tabulate"), own)).toMatch(/authentication failed for user "scrutin_tabulate"/);
    expect(await refusal(address(), await client("postgres"))).toMatch(/authentication failed/);
    const alert = /alert|ECONNRESET|terminated|EPIPE/;
    expect(await refusal(address(), await client("scrutin_ledger", {}, strangers))).toMatch(alert);
    expect(await refusal(address(), await client("scrutin_ledger", {}, servers))).toMatch(alert);
    expect(await refusal(address(), await client("scrutin_ledger", { for: "server" }))).toMatch(alert);
    const expired = await client("scrutin_ledger", { now: now - 10 * DAY_MS, life: DAY_MS });
    expect(await refusal(address(), expired)).toMatch(/expired|alert|ECONNRESET/);
    const notYet = await client("scrutin_ledger", { now: now + 10 * DAY_MS });
    expect(await refusal(address(), notYet)).toMatch(alert);
  });

  it("speaks no older TLS", async () => {
    const own = await client("scrutin_ledger");
    const old = new pg.Client({ connectionString: address(), ssl: { ...own, maxVersion: "TLSv1.2" } });
    await expect(old.connect()).rejects.toThrow(/protocol version|alert|ECONNRESET/);
  });

  it("asks the superuser for the same: the stack keeps a certificate of that name for itself", async () => {
    const { url } = withoutPassword(postgres.url);
    expect(new URL(url).searchParams.get("sslmode")).toBe("verify-full");
    const bare = new URL(postgres.url);
    bare.search = "";
    expect(await refusal(bare.href, undefined)).toMatch(/no pg_hba\.conf entry/);
    expect(await refusal(bare.href, await client("scrutin_ledger"))).toMatch(/authentication failed/);
    expect(await ask(bare.href, await client("postgres"))).toMatchObject({ role: "postgres" });
  });

  it("is itself refused when its authority or its name is another", async () => {
    const own = await client("scrutin_ledger");
    expect(await refusal(address(), { ...own, ca: strangers.pem })).toMatch(/unable to verify|self.signed|issuer/);
    expect(await refusal(address(), { ...own, ca: clients.pem })).toMatch(/unable to verify|self.signed|issuer/);
    const tls = { server: await serverFiles("elsewhere", { dns: "elsewhere.example" }), admin };
    const elsewhere = await startPostgres({ folder: join(folder, "elsewhere"), say, tls });
    const there = new URL(address());
    there.port = String(elsewhere.port);
    expect(await refusal(there.href, own)).toContain("does not match certificate's altnames");
    await elsewhere.stop();
    await removePostgres(join(folder, "elsewhere"));
  });
});

describe("NATS", () => {
  const seedOf = async (name: string) => readFile(users.find((user) => user.name === name)?.file ?? "");
  const enter = async (tls: (TlsOptions & object) | undefined, url = nats.url) => {
    const authenticator = nkeyAuthenticator(await seedOf("stack"));
    const nc = await connect({
      servers: url,
      reconnect: false,
      timeout: 5_000,
      authenticator,
      ...(tls && { tls }),
    });
    await nc.flush();
    await nc.close();
    return "let in";
  };
  const refusal = (...given: Parameters<typeof enter>) => enter(...given).catch((error: Error) => error.message);
  const REFUSED = /TLS|alert|certificate|ECONNRESET|CONNECTION|disconnect|socket|unable to|self.signed|closed/i;

  it("lets a service in by its certificate and its NKEY", async () => {
    const tls = await client("scrutin_tabulate");
    const stack = await connect({
      servers: nats.url,
      authenticator: nkeyAuthenticator(await seedOf("stack")),
      tls: natsTls(await client("scrutin_stack")),
    });
    await createStreams(stack);
    await stack.close();
    const nkeyFile = users.find(({ name }) => name === "tabulate")?.file;
    const nc = await openNats({ url: nats.url, nkeyFile, tls, service: "tabulate", log });
    expect(Math.abs((await natsTime(nc, "tabulate")).getTime() - Date.now())).toBeLessThan(5_000);
    await nc.close();
  });

  it("lets nobody in who lacks one of them", async () => {
    const own = natsTls(await client("scrutin_stack"));
    expect(await refusal(own)).toBe("let in");
    for (const [why, tls] of [
      ["no certificate", { ca: servers.pem }],
      ["another authority", await client("scrutin_stack", {}, strangers)],
      ["the servers' authority", await client("scrutin_stack", {}, servers)],
      ["a certificate for servers", await client("scrutin_stack", { for: "server" })],
      ["expired", await client("scrutin_stack", { now: now - 10 * DAY_MS, life: DAY_MS })],
      ["not valid yet", await client("scrutin_stack", { now: now + 10 * DAY_MS })],
    ] as const)
      expect(await refusal(tls), why).toMatch(REFUSED);
  });

  it("takes no certificate for an NKEY", async () => {
    const tls = natsTls(await client("scrutin_stack"));
    await expect(openNats({ url: nats.url, tls, service: "stack", log })).rejects.toThrow("refuses this service's key");
  });

  it("speaks no older TLS, where it can be told so", async () => {
    const old = { ...(await client("scrutin_stack")), maxVersion: "TLSv1.2" };
    if (isAtLeast(binary.version, "2.11.0")) expect(await refusal(old)).toMatch(REFUSED);
    // Ours does not offer it, whatever the server would take.
    expect(natsTls(await client("scrutin_stack")).minVersion).toBe("TLSv1.3");
  });

  it("is itself refused when its authority is another, and when it speaks in clear", async () => {
    const own = natsTls(await client("scrutin_stack"));
    expect(await refusal({ ...own, ca: strangers.pem })).toMatch(REFUSED);
    expect(await refusal({ ...own, ca: clients.pem })).toMatch(REFUSED);
    const tls = await serverFiles("nowhere", { dns: "elsewhere.example" });
    const elsewhere = await startNats({ folder: join(folder, "nowhere"), binary, users, say, tls });
    expect(await refusal(own, elsewhere.url)).toContain("does not match certificate's altnames");
    await elsewhere.stop();
    const clear = await startNats({ folder: join(folder, "clear"), binary, users, say });
    expect(await refusal(own, clear.url)).toBe("tls");
    await clear.stop();
  });
});
