import { createHash, createHmac, pbkdf2Sync, randomBytes } from "node:crypto";
import pg from "pg";
import { lockRoles, migrate } from "../migrations/migrate.ts";
import type { ClientFiles } from "./certificates.ts";
import { withTls } from "./postgres.ts";

/** Services that have a login role of their own in Postgres; `ingest` keeps nothing there. */
export const ROLES = ["ledger", "tabulate", "recount", "release", "watch"] as const;
export type Role = (typeof ROLES)[number];

export interface Database {
  name: string;
  /** As whoever made it: owner of everything, for the stack and for tests. */
  adminUrl: string;
  /** As a service's own login role. */
  urlOf(role: Role): string;
  /** Ends every connection to it and removes it. */
  drop(): Promise<void>;
}

/**
 * Makes a fresh database on the server at `serverUrl`, or opens the one that an earlier start made there, with every migration applied and a password for each role. Roles belong
 * to the whole server and may serve another stack there, so a password follows from the server's own secret: setting it twice
 * sets the same one. `clientOf` gives a role's certificate where the server asks for one.
 */
export async function openDatabase(
  serverUrl: string,
  existing?: string,
  clientOf?: (role: string) => ClientFiles,
): Promise<Database> {
  const name = existing ?? `scrutin_${randomBytes(6).toString("hex")}`;
  if (existing === undefined) {
    await withClient(serverUrl, async (client) => {
      await client.query(`create database ${name}`);
    });
  }
  const adminUrl = at(serverUrl, name);
  await withClient(adminUrl, async (client) => {
    await migrate(client);
    await client.query("begin");
    await lockRoles(client);
    for (const role of ROLES) {
      // What a thief of its password has set for later sessions.
      await client.query(`alter role scrutin_${role} reset all`);
      await client.query(`alter role scrutin_${role} login password '${scramVerifier(passwordOf(serverUrl, role))}'`);
    }
    await client.query("commit");
  });
  return {
    name,
    adminUrl,
    urlOf: (role) => {
      const user = `scrutin_${role}`;
      return withTls(at(serverUrl, name, { user, password: passwordOf(serverUrl, role) }), clientOf?.(user));
    },
    drop: () =>
      withClient(serverUrl, async (client) => {
        await client.query(`drop database if exists ${name} with (force)`);
      }),
  };
}

/** Runs `work` with one connection that is closed whatever happens. */
export async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, application_name: "scrutin stack" });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** The same address, which is no secret any more, and the password that it had. */
export function withoutPassword(url: string): { url: string; password: string } {
  const bare = new URL(url);
  const password = decodeURIComponent(bare.password);
  bare.password = "";
  return { url: bare.href, password };
}

function passwordOf(serverUrl: string, role: Role): string {
  const { password, username, host } = new URL(serverUrl);
  return createHmac("sha256", password || `${username}@${host}`)
    .update(`scrutin_${role}`)
    .digest("base64url");
}

const SCRAM_ROUNDS = 4096;

/**
 * What Postgres keeps of a password (RFC 5803): a statement that fails is written to the server's log, and must not hold the
 * password itself.
 */
function scramVerifier(password: string): string {
  const salt = randomBytes(16);
  const salted = pbkdf2Sync(password, salt, SCRAM_ROUNDS, 32, "sha256");
  const keyed = (text: string) => createHmac("sha256", salted).update(text).digest();
  const stored = createHash("sha256").update(keyed("Client Key")).digest("base64");
  return `SCRAM-SHA-256$${SCRAM_ROUNDS}:${salt.toString("base64")}$${stored}:${keyed("Server Key").toString("base64")}`;
}

function at(serverUrl: string, database: string, as?: { user: string; password: string }): string {
  const url = new URL(serverUrl);
  url.pathname = `/${database}`;
  if (as !== undefined) {
    url.username = as.user;
    url.password = as.password;
  }
  return url.href;
}
