import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Postgres, removePostgres, startPostgres } from "../stack/postgres.ts";
import { dumpSchema } from "./dump.ts";
import { migrate } from "./migrate.ts";

let root = "";
let postgres: Postgres;
let databases = 0;
let client: pg.Client;
let folder = "";
const open: pg.Client[] = [];

async function connect(database: string): Promise<pg.Client> {
  const connected = new pg.Client({ connectionString: postgres.url.replace(/\/postgres$/, `/${database}`) });
  await connected.connect();
  open.push(connected);
  return connected;
}

async function freshDatabase(): Promise<string> {
  const name = `migrate_${databases++}`;
  const admin = await connect("postgres");
  await admin.query(`create database ${name}`);
  return name;
}

const put = (name: string, sql: string) => writeFile(join(folder, name), sql);
const applied = async () => (await client.query("select number, name from scrutin.migration order by number")).rows;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "scrutin-migrate-"));
  postgres = await startPostgres({ folder: join(root, "postgres"), say: () => {} });
});
afterAll(async () => {
  await Promise.all(open.map((each) => each.end()));
  await postgres.stop();
  await removePostgres(join(root, "postgres"));
  await rm(root, { recursive: true });
});
beforeEach(async () => {
  client = await connect(await freshDatabase());
  folder = await mkdtemp(join(root, "files-"));
  await put("0001_first.sql", "create schema a; create table a.t (id bigint primary key);");
  await put("0002_second.sql", "alter table a.t add column name text not null;");
  // The dump lies beside the migrations and is none.
  await put("schema.sql", "this is no SQL");
});

describe("migrate", () => {
  it("applies each file once, in order, and later only what is new", async () => {
    expect(await migrate(client, folder)).toEqual(["0001_first.sql", "0002_second.sql"]);
    expect(await migrate(client, folder)).toEqual([]);
    await put("0003_third.sql", "create table a.u ();");
    expect(await migrate(client, folder)).toEqual(["0003_third.sql"]);
    expect((await applied()).map(({ number }) => number)).toEqual([1, 2, 3]);
  });

  it("applies a file whole or not at all, and says where it failed", async () => {
    await put("0003_third.sql", "create table a.u ();\n\ninsert into a.nowhere values (1);");
    await expect(migrate(client, folder)).rejects.toThrow(/0003_third\.sql, line 3: .*a\.nowhere/);
    expect(await applied()).toHaveLength(2);
    expect((await client.query("select to_regclass('a.u') as u")).rows).toEqual([{ u: null }]);
    await put("0003_third.sql", "create table a.u ();");
    expect(await migrate(client, folder)).toEqual(["0003_third.sql"]);
  });

  it("refuses when an applied file has changed, and changes nothing", async () => {
    await migrate(client, folder);
    await put("0001_first.sql", "create schema a; create table a.t (id bigint primary key); ");
    await put("0003_third.sql", "create table a.u ();");
    await expect(migrate(client, folder)).rejects.toThrow("0001_first.sql has changed since it was applied");
    expect(await applied()).toHaveLength(2);
  });

  it("refuses a database that is newer than its files", async () => {
    await migrate(client, folder);
    await rm(join(folder, "0002_second.sql"));
    await expect(migrate(client, folder)).rejects.toThrow("0002_second.sql, which is newer than this program");
  });

  it.each([
    ["a gap", "0004_fourth.sql", "expected 0003_…, found 0004_fourth.sql"],
    ["a repetition", "0002_again.sql", "expected 0003_…, found 0002_second.sql"],
    ["another name", "fix.sql", "expected 0003_…, found fix.sql"],
  ])("refuses files with %s", async (_, name, why) => {
    await put(name, "create table a.u ();");
    await expect(migrate(client, folder)).rejects.toThrow(why);
    expect((await client.query("select to_regclass('a.t') as t")).rows).toEqual([{ t: null }]);
  });

  it("works once when several processes call it at once", async () => {
    const name = (await client.query<{ name: string }>("select current_database() as name")).rows[0]?.name ?? "";
    const clients = await Promise.all([1, 2, 3, 4].map(() => connect(name)));
    const done = await Promise.all(clients.map((each) => migrate(each, folder)));
    expect(done.flat()).toEqual(["0001_first.sql", "0002_second.sql"]);
  });

  it("creates the server's roles once when several databases are migrated at once", async () => {
    await put(
      "0003_role.sql",
      `do $$ begin
         if not exists (select from pg_roles where rolname = 'scrutin_race') then
           perform pg_sleep(0.05);
           create role scrutin_race nologin;
         end if;
       end $$;
       alter role scrutin_race login;`,
    );
    const clients = await Promise.all([1, 2, 3, 4].map(async () => connect(await freshDatabase())));
    const done = await Promise.all(clients.map((each) => migrate(each, folder)));
    expect(done).toEqual(clients.map(() => ["0001_first.sql", "0002_second.sql", "0003_role.sql"]));
  });
});

describe("dumpSchema", () => {
  it("is the same for the same schema in another database, whatever its rows", async () => {
    await migrate(client, folder);
    const before = await dumpSchema(client);
    await client.query("insert into a.t values (1, 'x'); analyze a.t");
    const other = await connect(await freshDatabase());
    await migrate(other, folder);
    expect(await dumpSchema(other)).toBe(before);
    expect(await dumpSchema(client)).toBe(before);
  });

  it("shows every change that a review must see", async () => {
    await put(
      "0003_rest.sql",
      `create role scrutin_seen nologin;
       create function a.refuse() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
       create trigger guard before update on a.t execute function a.refuse();
       alter table a.t enable always trigger guard;
       create view a.v as select id from a.t;
       create type a.kind as enum ('x', 'y');
       create sequence a.s;
       grant select on a.t to scrutin_seen;`,
    );
    await migrate(client, folder);
    let before = await dumpSchema(client);
    for (const change of [
      "alter table a.t disable trigger guard",
      "alter table a.t enable trigger guard",
      "grant insert on a.t to scrutin_seen",
      "grant update (name) on a.t to scrutin_seen",
      "grant select on a.t to public",
      "revoke execute on function a.refuse from public",
      "create or replace function a.refuse() returns trigger language plpgsql as $$ begin return new; end $$",
      "alter function a.refuse security definer",
      "alter role scrutin_seen login",
      "alter role scrutin_seen set synchronous_commit = off",
      "alter table a.t owner to scrutin_seen",
      "alter table a.t alter name set default ''",
      "alter table a.t alter name drop not null",
      "alter table a.t add check (id > 0)",
      "create index on a.t (name)",
      "alter table a.t enable row level security",
      "create policy p on a.t using (true)",
      "alter table a.t set (fillfactor = 50)",
      "create or replace view a.v as select id, name from a.t",
      "alter type a.kind add value 'z'",
      "grant usage on sequence a.s to scrutin_seen",
      "alter default privileges in schema a grant select on tables to scrutin_seen",
      "grant usage on schema a to scrutin_seen",
      "drop trigger guard on a.t",
      "create table a.another ()",
    ]) {
      await client.query(change);
      const after = await dumpSchema(client);
      expect(after, change).not.toBe(before);
      before = after;
    }
  });
});
