import { randomBytes } from "node:crypto";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Pool } from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Postgres, removePostgres, startPostgres } from "../../infra/stack/postgres.ts";
import { createHeardLog } from "./log-fixture.ts";
import { checkDurability, openPool, waitForPostgres, withTransaction } from "./postgres.ts";

let folder = "";
let postgres: Postgres;
const { log, lines, heard } = createHeardLog();
const pools: Pool[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "scrutin-platform-"));
  postgres = await startPostgres({ folder, say: () => undefined });
});
afterEach(async () => {
  for (const pool of pools.splice(0)) await pool.end();
});
afterAll(async () => {
  await postgres.stop();
  await removePostgres(folder);
});

function pool(url = postgres.url, max?: number): Pool {
  const opened = openPool({ url, service: "test", log, ...(max !== undefined && { max }) });
  pools.push(opened);
  return opened;
}

/** A login role of its own, so that what a test sets for it touches no other test. */
async function role(): Promise<{ name: string; url: string }> {
  const name = `t_${randomBytes(6).toString("hex")}`;
  await pool().query(`create role ${name} login password 'x'`);
  const url = new URL(postgres.url);
  url.username = name;
  url.password = "x";
  return { name, url: url.href };
}

describe("a pool", () => {
  it("gives bigint as a number, timestamptz as a Date, and refuses what a number cannot hold", async () => {
    const one = pool();
    const at = new Date("2024-06-09T21:00:00.123Z");
    const { rows } = await one.query(
      "select $1::bigint as big, $2::timestamptz as at, null::bigint as none, array[1, null, 9007199254740991]::bigint[] as many",
      [Number.MAX_SAFE_INTEGER, at],
    );
    expect(rows[0]).toEqual({ big: Number.MAX_SAFE_INTEGER, at, none: null, many: [1, null, Number.MAX_SAFE_INTEGER] });
    for (const beyond of ["9007199254740992", "-9007199254740992"]) {
      await expect(one.query("select $1::bigint as big", [beyond])).rejects.toThrow(RangeError);
      await expect(one.query("select array[$1::bigint] as many", [beyond])).rejects.toThrow(RangeError);
    }
    expect((await one.query("select 1::bigint as n")).rows).toEqual([{ n: 1 }]);
  });

  it("says who it is and ends what takes too long", async () => {
    const { rows } = await pool().query(
      "select current_setting('application_name') as name, current_setting('statement_timeout') as statement, current_setting('idle_in_transaction_session_timeout') as idle",
    );
    expect(rows[0]).toEqual({ name: "scrutin-test", statement: "15s", idle: "30s" });
  });

  it("outlives the end of its connections, idle and lent out", async () => {
    const one = pool(undefined, 2);
    const other = pool();
    const end = (pid: unknown) => other.query("select pg_terminate_backend($1, 5000)", [pid]);
    const { rows } = await one.query("select pg_backend_pid() as pid");
    await end(rows[0].pid);
    expect((await one.query("select 1 as n")).rows).toEqual([{ n: 1 }]);
    const failed = withTransaction(one, async (client) => {
      await end((await client.query("select pg_backend_pid() as pid")).rows[0].pid);
      await client.query("select 1");
    });
    await expect(failed).rejects.toThrow();
    expect((await one.query("select 2 as n")).rows).toEqual([{ n: 2 }]);
    expect(lines.some(({ msg }) => msg === "a postgres connection broke")).toBe(true);
  });
});

describe("durability", () => {
  it("is there as we start Postgres", async () => {
    await expect(checkDurability(pool())).resolves.toBeUndefined();
  });

  it.each(["role", "role in this database"])("is missed when synchronous_commit is off for the %s", async (where) => {
    const { name, url } = await role();
    const early = pool(url);
    await checkDurability(early); // connected before it was switched off: a later connection would be lossy
    const inDatabase = where === "role" ? "" : "in database postgres";
    await pool().query(`alter role ${name} ${inDatabase} set synchronous_commit = off`);
    await expect(checkDurability(pool(url))).rejects.toThrow(/synchronous_commit is off/);
    await expect(checkDurability(early)).rejects.toThrow(/synchronous_commit is off/);
    await expect(checkDurability(pool())).resolves.toBeUndefined();
  });

  it("is missed when the connection switches it off itself", async () => {
    const url = new URL(postgres.url);
    url.searchParams.set("options", "-c synchronous_commit=off");
    await expect(checkDurability(pool(url.href))).rejects.toThrow(/synchronous_commit is off/);
  });

  it.each(["fsync", "full_page_writes"])("is missed when %s is off for the server", async (name) => {
    const admin = pool();
    const become = async (value: string) => {
      for (;;) {
        const { rows } = await admin.query("select current_setting($1) as value", [name]);
        if (rows[0].value === value) return;
      }
    };
    await admin.query(`alter system set ${name} = off`);
    try {
      await admin.query("select pg_reload_conf()");
      await become("off");
      await expect(checkDurability(admin)).rejects.toThrow(`${name} is off`);
    } finally {
      await admin.query(`alter system reset ${name}`);
      await admin.query("select pg_reload_conf()");
      await become("on");
    }
  });
});

describe("a transaction", () => {
  it("is there after it resolved, and not at all after it rejected", async () => {
    const one = pool(undefined, 1);
    await one.query("create table if not exists kept (n bigint)");
    const insert = (n: number, after?: () => void) =>
      withTransaction(one, async (client) => {
        await client.query("insert into kept values ($1)", [n]);
        after?.();
        return n;
      });
    expect(await insert(1)).toBe(1);
    const stop = () => {
      throw new Error("stop");
    };
    await expect(insert(2, stop)).rejects.toThrow("stop");
    expect((await one.query("select n from kept")).rows).toEqual([{ n: 1 }]);
    await one.query("drop table kept");
  });

  it("rejects when a failed statement in it was not noticed, since COMMIT then rolls back without an error", async () => {
    const one = pool(undefined, 1);
    const careless = withTransaction(one, async (client) => {
      await client.query("create table never (n int)");
      await client.query("select 1 / 0").catch(() => undefined);
      return "done";
    });
    await expect(careless).rejects.toThrow("ROLLBACK");
    await expect(one.query("select * from never")).rejects.toThrow("does not exist");
  });
});

describe("waiting", () => {
  it("ends when Postgres answers, and at once when it never will", async () => {
    await waitForPostgres(pool(), log);
    const wrong = new URL(postgres.url);
    wrong.password = "wrong";
    await expect(waitForPostgres(pool(wrong.href), log)).rejects.toMatchObject({ code: "28P01" });
    wrong.password = new URL(postgres.url).password;
    wrong.pathname = "/nowhere";
    await expect(waitForPostgres(pool(wrong.href), log)).rejects.toMatchObject({ code: "3D000" });
  });

  it("lasts until a server that is not up yet is up", async () => {
    const second = await mkdtemp(join(tmpdir(), "scrutin-platform-"));
    const once = await startPostgres({ folder: second, say: () => undefined });
    await once.stop();
    const late = pool(once.url);
    const said = heard(({ msg }) => msg === "waiting for postgres");
    const waiting = waitForPostgres(late, log);
    await said;
    const again = await startPostgres({ folder: second, say: () => undefined, port: once.port });
    await waiting;
    await late.end();
    pools.splice(pools.indexOf(late), 1);
    await again.stop();
    await removePostgres(second);
  });
});
