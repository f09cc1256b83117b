import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { removePostgres, startPostgres } from "../stack/postgres.ts";
import { dumpSchema } from "./dump.ts";

/** The project's own migrations, beside this file. */
const MIGRATIONS = fileURLToPath(new URL(".", import.meta.url));

/** What `--dump` writes, for review: it shows every migration as a difference. */
const SCHEMA = "schema.sql";

type Migration = { number: number; name: string; sql: string; sha256: Buffer };

/**
 * Brings a database up to date: applies the files `NNNN_name.sql` of `folder` that it does not have yet, in
 * order, each in a transaction of its own, and records them in `scrutin.migration`. Forward only. `client` is a
 * superuser's, or an owner's who may create roles and schemas; it must not be in a transaction.
 * Answers the names of what it applied. Several processes may call it at once: one works, the others wait.
 *
 * Refuses, before changing anything, when the files have a gap, when one that was applied has changed since, or
 * when the database has one that the files do not know.
 */
export async function migrate(client: pg.Client, folder = MIGRATIONS): Promise<string[]> {
  const files = await readMigrations(folder);
  await client.query("select pg_advisory_lock(hashtext('scrutin migration'))");
  try {
    await client.query(`
      create schema if not exists scrutin;
      create table if not exists scrutin.migration (
        number integer primary key,
        name text not null,
        sha256 bytea not null check (length(sha256) = 32),
        applied_at timestamptz not null default clock_timestamp()
      )`);
    const applied = await checkApplied(client, files);
    const pending = files.slice(applied);
    for (const file of pending) await apply(client, file);
    return pending.map(({ name }) => name);
  } finally {
    await client.query("select pg_advisory_unlock(hashtext('scrutin migration'))");
  }
}

async function readMigrations(folder: string): Promise<Migration[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith(".sql") && name !== SCHEMA).sort();
  return Promise.all(
    names.map(async (name, place) => {
      const number = Number(/^(\d{4})_[a-z0-9_]+\.sql$/.exec(name)?.[1]);
      if (number !== place + 1) {
        const expected = String(place + 1).padStart(4, "0");
        throw new Error(`migrations are numbered without gap or repetition: expected ${expected}_…, found ${name}`);
      }
      const sql = await readFile(join(folder, name), "utf8");
      return { number, name, sql, sha256: createHash("sha256").update(sql).digest() };
    }),
  );
}

/** How many of the files the database has; throws when what it has is not what the files say. */
async function checkApplied(client: pg.Client, files: readonly Migration[]): Promise<number> {
  const { rows } = await client.query<{ number: number; name: string; sha256: Buffer }>(
    "select number, name, sha256 from scrutin.migration order by number",
  );
  for (const [place, row] of rows.entries()) {
    const file = files[place];
    if (row.number !== place + 1)
      throw new Error(`migration ${place + 1} is missing in the database, which has ${row.name}`);
    if (file === undefined) throw new Error(`the database has migration ${row.name}, which is newer than this program`);
    if (!file.sha256.equals(row.sha256)) {
      throw new Error(`migration ${file.name} has changed since it was applied; put it back and write a new one`);
    }
  }
  return rows.length;
}

async function apply(client: pg.Client, { number, name, sql, sha256 }: Migration): Promise<void> {
  await client.query("begin");
  try {
    await lockRoles(client);
    await client.query(sql);
    await client.query("insert into scrutin.migration (number, name, sha256) values ($1, $2, $3)", [
      number,
      name,
      sha256,
    ]);
    await client.query("commit");
  } catch (error) {
    await client.query("rollback");
    const { position, message } = error as pg.DatabaseError;
    const line = position === undefined ? "" : `, line ${sql.slice(0, Number(position)).split("\n").length}`;
    throw new Error(`migration ${name}${line}: ${message}`, { cause: error });
  }
}

/**
 * Until the end of the transaction nobody else creates or alters a role. Roles belong to the whole server while
 * advisory locks belong to one database, so two databases that are migrated at once would both find a role
 * missing and both create it. Only a superuser may take the lock; another owner is alone on its server.
 */
export async function lockRoles(client: pg.ClientBase): Promise<void> {
  const { rows } = await client.query("select rolsuper from pg_roles where rolname = current_user and rolsuper");
  if (rows.length > 0) await client.query("lock table pg_catalog.pg_authid in share row exclusive mode");
}

/** Migrates `DATABASE_URL`, or with `--dump` a fresh database whose schema it writes to `schema.sql`. */
async function main(): Promise<void> {
  const say = (line: string) => console.log(line);
  if (process.argv.includes("--dump")) {
    await writeFile(join(MIGRATIONS, SCHEMA), await freshSchema(say));
    return say(`written: ${join("infra", "migrations", SCHEMA)}`);
  }
  const { DATABASE_URL } = process.env;
  if (!DATABASE_URL) throw new Error("set DATABASE_URL to the database to migrate, or give --dump");
  const applied = await connected(DATABASE_URL, (client) => migrate(client));
  say(applied.length === 0 ? "up to date" : `applied: ${applied.join(", ")}`);
}

/** The schema that the project's migrations make in an empty database. */
async function freshSchema(say: (line: string) => void): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "scrutin-schema-"));
  try {
    const postgres = await startPostgres({ folder, say });
    try {
      return await connected(postgres.url, async (client) => {
        await migrate(client);
        return dumpSchema(client);
      });
    } finally {
      await postgres.stop();
    }
  } finally {
    await removePostgres(folder);
  }
}

async function connected<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, application_name: "scrutin migrate" });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
