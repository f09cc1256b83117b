import { setTimeout as sleep } from "node:timers/promises";
import pg, { type Pool, type PoolClient } from "pg";
import type { Logger } from "pino";
import type { ClientTls } from "./credentials.ts";

/** Longer than any statement of ours takes; what hangs longer is ended by Postgres itself. */
const STATEMENT_TIMEOUT_MS = 15_000;
/** For a server whose machine is gone without a word: nobody there ends the statement. */
const QUERY_TIMEOUT_MS = 20_000;
/** A transaction left open by a bug would hold locks and stop vacuum. */
const IDLE_IN_TRANSACTION_MS = 30_000;
const CONNECT_TIMEOUT_MS = 5_000;
/** A Postgres that recovers from a crash may take this long to take connections. */
const WAIT_MS = 120_000;
const RETRY_MS = 250;

const INT8 = 20;
const INT8_ARRAY = 1016;

/** `bigint` as a number: positions and counts of ours stay below 2^53, and anything beyond is refused, never rounded. */
function parseInt8(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new RangeError("a bigint beyond 2^53 came from Postgres");
  return value;
}

const parseArray = pg.types.getTypeParser(INT8_ARRAY as never) as (text: string) => (string | null)[];

const types = {
  getTypeParser(oid: number, format?: "text" | "binary") {
    if (format !== "binary" && oid === INT8) return parseInt8;
    if (format !== "binary" && oid === INT8_ARRAY)
      return (text: string) => parseArray(text).map((item) => (item === null ? null : parseInt8(item)));
    return pg.types.getTypeParser(oid, format as "text");
  },
} as pg.CustomTypesConfig;

/**
 * Opens a pool of at most `max` connections; connects when first used. `bigint` comes as a number, `timestamptz` as a Date,
 * `numeric` as a string. Statements end after 15 seconds; waiting for a connection after 5. With `tls` both sides prove by TLS 1.3
 * who they are: the server's name is checked, and there is no connection without.
 */
export function openPool(opts: {
  url: string;
  tls?: ClientTls | undefined;
  service: string;
  max?: number;
  log: Logger;
}): Pool {
  const pool = new pg.Pool({
    connectionString: opts.url,
    ...(opts.tls === undefined ? {} : { ssl: { ...opts.tls, minVersion: "TLSv1.3" } }),
    application_name: `scrutin-${opts.service}`,
    max: opts.max ?? 4,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    query_timeout: QUERY_TIMEOUT_MS,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    types,
  });
  // A connection that breaks while it is lent out reports it on itself; without a listener that would end the process, though
  // whoever holds it is told by its next query.
  pool.on("connect", (client) => {
    client.on("error", (error) => opts.log.warn({ err: error }, "a postgres connection broke"));
  });
  pool.on("error", () => undefined); // the same break of an idle connection, already logged above; the pool replaces it
  return pool;
}

const DURABLE = ["fsync", "full_page_writes", "synchronous_commit"] as const;

/**
 * Makes sure that COMMIT means durable for this database and role. Looks at the running settings and at those that a new
 * connection of this role would get (`alter role … set`, `alter database … set`). Throws an Error that names each that is off.
 */
export async function checkDurability(pool: Pool): Promise<void> {
  const running = await pool.query<{ name: string; setting: string }>(
    "select name, setting from pg_settings where name = any($1)",
    [DURABLE],
  );
  const perRole = await pool.query<{ name: string; setting: string }>(
    `select split_part(line, '=', 1) as name, split_part(line, '=', 2) as setting
       from pg_db_role_setting, unnest(setconfig) as line
      where setdatabase in (0, (select oid from pg_database where datname = current_database()))
        and setrole in (0, (select oid from pg_roles where rolname = session_user))
        and split_part(line, '=', 1) = any($1)`,
    [DURABLE],
  );
  const missing = DURABLE.filter((name) => !running.rows.some((row) => row.name === name));
  const off = [...running.rows, ...perRole.rows].filter((row) => isOff(row.setting)).map((row) => row.name);
  const wrong = [...new Set([...missing, ...off])];
  if (wrong.length > 0)
    throw new Error(
      `Postgres would lose what it has acknowledged: ${wrong.join(", ")} ${wrong.length === 1 ? "is" : "are"} off. ` +
        "Switch on fsync, full_page_writes and synchronous_commit for the server, the database and this role, and start again.",
    );
}

/** Postgres takes any of these, and prefixes of them, for off. */
function isOff(setting: string): boolean {
  return ["off", "of", "false", "fals", "fal", "fa", "f", "no", "n", "0"].includes(setting.toLowerCase());
}

/**
 * Runs `fn` in a transaction: COMMIT when it resolves, ROLLBACK when it rejects. Resolves only after COMMIT was acknowledged. When
 * the connection breaks during COMMIT it rejects and the outcome is unknown: the caller asks the database, never assumes.
 */
export async function withTransaction<T>(pool: Pool, fn: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    await client.query("begin");
    const result = await fn(client);
    const { command } = await client.query("commit");
    // COMMIT of a transaction in which a statement failed succeeds as a ROLLBACK, and says so only here.
    if (command !== "COMMIT") throw new Error(`COMMIT was answered with ${command}: a statement in it had failed`);
    return result;
  } catch (error) {
    await client.query("rollback").catch((failure: Error) => {
      broken = failure; // the pool throws the connection away, and Postgres rolls back
    });
    throw error;
  } finally {
    client.release(broken);
  }
}

/** SQLSTATEs that waiting does not cure: wrong password, no such role or database, no right to connect. */
const HOPELESS = new Set(["28P01", "28000", "3D000", "42501"]);

/**
 * Resolves when Postgres answers; says once that it waits. Rejects at once when waiting cannot help, and after two minutes with
 * the last error as cause.
 */
export async function waitForPostgres(pool: Pool, log: Logger): Promise<void> {
  const deadline = performance.now() + WAIT_MS;
  for (let attempt = 1; ; attempt++) {
    try {
      await pool.query("select 1");
      return;
    } catch (error) {
      const { code } = error as { code?: string };
      if (code !== undefined && HOPELESS.has(code)) throw error;
      if (performance.now() > deadline) throw new Error("Postgres did not answer in two minutes", { cause: error });
      if (attempt === 1) log.warn({ err: error }, "waiting for postgres");
      await sleep(RETRY_MS);
    }
  }
}
