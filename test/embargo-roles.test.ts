import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ROLES, type Role } from "../infra/stack/database.ts";
import { sampleDefinition } from "../shared/definition/sample.ts";
import { type Harness, startHarness } from "./harness.ts";
import { foundIn, packed, rowBytes, type Sought, textTraces } from "./sentinel.ts";
import { FORBIDDEN, FORBIDDEN_ALONE, OPENINGS, TRICKS, VERBS } from "./sql-attacks.ts";
import { createWorld, poolOf, recountHere, tabulateHere } from "./vault.ts";
import { liftStatement, ownStatement } from "./vault-scenario.ts";
import { openWrittenLog, speakers } from "./written-log.ts";

/**
 * Wall 3 alone, against whoever holds a service's database credential and writes SQL of their own: the services are away. Every
 * state is overridden and the log has an entry of a lift, so that nothing stands in the way but Postgres' own look at its clock.
 */

const DAY = 24 * 3_600_000;
const ELECTORS = 907_654_321;
const SOUGHT: Sought = [
  ["a figure", [...textTraces(String(ELECTORS)), ...packed([ELECTORS])]],
  ["the figures", packed([ELECTORS, 231, 4, 7])],
];

const words = (text: string) => text.trim().split(/\s+/);

/** Every right that a service's role has in the database, and no other: each is one that its `store.ts` uses. */
const RIGHTS: Record<Role, Partial<Record<string, string[]>>> = {
  ledger: {
    // `ledger.poll` is read by the trigger that takes a schedule once.
    select: words(`ledger.checkpoint ledger.cosignature ledger.data_key ledger.definition ledger.entry ledger.head
      ledger.origin ledger.poll ledger.statement`),
    insert: words(`ledger.checkpoint ledger.cosignature ledger.data_key ledger.definition ledger.entry ledger.head
      ledger.origin ledger.poll ledger.statement`),
    update: ["ledger.head"],
    call: ["ledger.append", "ledger.become_writer", "ledger.record_gate_fact", "ledger.record_lift"],
  },
  tabulate: {
    select: words(`ledger.checkpoint ledger.data_key ledger.entry ledger.head ledger.origin ledger.statement
      recount.answer recount.cosignature release.data_key_share release.key_share
      tabulate.candidate tabulate.part tabulate.position tabulate.proposal`),
    insert: words("tabulate.candidate tabulate.part tabulate.position tabulate.proposal"),
    update: words("tabulate.part tabulate.position"),
    call: words("release.give_data_key_shares release.give_key_share tabulate.become_active"),
  },
  recount: {
    select: words(`ledger.checkpoint ledger.data_key ledger.entry ledger.head ledger.origin ledger.statement
      recount.answer recount.cosignature recount.part recount.position release.data_key_share release.key_share
      tabulate.candidate tabulate.proposal`),
    insert: words("recount.answer recount.cosignature recount.part recount.position"),
    update: words("recount.part recount.position"),
    call: words("recount.become_active release.give_data_key_shares release.give_key_share"),
  },
  release: {
    select: words(`ledger.checkpoint ledger.cosignature ledger.definition ledger.entry ledger.head ledger.origin
      ledger.statement recount.answer release.data_key_share release.key_share tabulate.candidate`),
    call: ["release.record_delivery"],
  },
  watch: {
    select: words(`ledger.checkpoint ledger.cosignature ledger.entry ledger.gate_fact ledger.head ledger.lift
      release.delivery release.key_share watch.delivered watch.incident_event watch.position`),
    insert: words("watch.delivered watch.incident_event watch.position"),
    update: words("watch.delivered watch.position"),
  },
};

type Client = pg.Client;
let harness: Harness;
const clients = new Map<Role, Client>();
let other: Client;
let liftAt = 0;

/** The SQLSTATE of the first refusal, undefined if there was none, and what the last statement answered; all is undone. */
async function tried(client: Client, ...statements: string[]): Promise<{ code?: string; rows: unknown[] }> {
  await client.query("begin");
  try {
    let rows: unknown[] = [];
    for (const statement of statements) ({ rows } = await client.query(statement));
    return { rows };
  } catch (error) {
    const { code } = error as pg.DatabaseError;
    if (code === undefined) throw error;
    return { code, rows: [] };
  } finally {
    await client.query("rollback");
  }
}

const of = (role: Role): Client => clients.get(role) as Client;
const NOT_YOURS = "42501";
const SHUT = "SC002";

beforeAll(async () => {
  const sample = sampleDefinition({ closesAt: Math.floor(Date.now() / 1000) * 1000 + DAY });
  harness = await startHarness({ sample });
  const log = await openWrittenLog(harness.databaseUrl("ledger"), sample);
  const say = speakers(sample);
  await log.append(say.override("AT"), say.override("LU"), say.tally("AT-1", { electors: ELECTORS }));
  const world = createWorld(sample, log);
  const pools = (["tabulate", "recount"] as const).map((role) => poolOf(harness.databaseUrl(role), role));
  const [tabulate, recount] = [tabulateHere(world, pools[0]!), recountHere(world, pools[1]!)];
  for (let turn = 0; turn < 3; turn++) {
    world.steadyMs += 6_000;
    await tabulate.round();
    await recount.round();
  }
  liftAt = await log.append({ ...ownStatement(liftStatement(sample, 1), say), verdict: "quarantined" });
  await log.close();
  for (const pool of pools) await pool.end();
  // Somebody else's query, as it stays to be seen in pg_stat_activity; and statistics of what every column holds.
  other = new pg.Client({ connectionString: harness.adminUrl, application_name: "other" });
  await other.connect();
  await other.query("analyze");
  await other.query(`select '${ELECTORS}'`);
  for (const role of ROLES) {
    const client = new pg.Client({ connectionString: harness.databaseUrl(role), application_name: `thief-${role}` });
    await client.connect();
    clients.set(role, client);
  }
});
afterAll(async () => {
  for (const client of clients.values()) await client.end();
  await other?.end();
  await harness?.close();
});

const tablesOf = () =>
  harness.query<{ name: string; column: string }>(
    `select format('%s.%s', n.nspname, c.relname) as name, quote_ident(a.attname) as column from pg_class c
       join pg_namespace n on n.oid = c.relnamespace
       join pg_attribute a on a.attrelid = c.oid and a.attnum = 1
      where n.nspname !~ '^pg_|^information_schema$' and c.relkind = 'r'`,
  );

describe.each(ROLES)("wall 3 alone, with the credential of %s", (role) => {
  it("has these rights to tables and functions, and no other", async () => {
    const rights: Record<string, string[]> = {};
    const has = (right: string, name: string) => {
      rights[right] = [...(rights[right] ?? []), name].sort();
    };
    const tables = await tablesOf();
    expect(tables.length).toBeGreaterThan(20);
    for (const [verb, sql] of Object.entries(VERBS))
      for (const { name, column } of tables)
        if ((await tried(of(role), sql(name, column))).code !== NOT_YOURS) has(verb, name);
    const functions = await harness.query<{ name: string; call: string }>(
      `select p.oid::regproc::text as name, format('select %s(%s)', p.oid::regproc,
          (select string_agg(format('null::%s', t::regtype), ', ') from unnest(p.proargtypes) as t)) as call
         from pg_proc p where p.pronamespace::regnamespace::text !~ '^pg_|^information_schema$'`,
    );
    expect(functions.length).toBeGreaterThan(12);
    for (const { name, call } of functions) if ((await tried(of(role), call)).code !== NOT_YOURS) has("call", name);
    expect(rights).toEqual(RIGHTS[role]);
  });

  it("has no right to anything of the server", async () => {
    const letIn: string[] = [];
    for (const sql of FORBIDDEN) {
      const { code } = await tried(of(role), sql);
      if (code !== NOT_YOURS) letIn.push(`${code}: ${sql}`);
    }
    expect(letIn).toEqual([]);
    for (const sql of FORBIDDEN_ALONE)
      await expect(of(role).query(sql), sql).rejects.toEqual(expect.objectContaining({ code: NOT_YOURS }));
  });

  it("opens nothing by any trick of the session", async () => {
    // A right that none of them has: the functions must hold without it being taken away.
    const [temporary, to] = [`temporary on database ${of(role).database}`, `scrutin_${role}`];
    await harness.query(`grant ${temporary} to ${to}`);
    for (const trick of TRICKS)
      for (const call of OPENINGS) {
        const { code } = await tried(of(role), ...trick, call(liftAt));
        const mine = RIGHTS[role].call?.some((name) => call(liftAt).includes(`${name}(`));
        expect([trick, call(liftAt), code]).toEqual([trick, call(liftAt), mine ? SHUT : NOT_YOURS]);
      }
    await harness.query(`revoke ${temporary} from ${to}`);
  });

  it("reads no figure from any table, view or statistic that it may read", async () => {
    const views = await harness.query<{ name: string }>(
      `select format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relkind in ('r', 'v', 'm') and n.nspname <> 'pg_toast'`,
    );
    const leaks: string[] = [];
    let looked = 0;
    for (const { name } of views) {
      const { code, rows } = await tried(of(role), `select t::text as row from ${name} t`);
      if (code === undefined) looked++;
      for (const { row } of rows as { row: string }[])
        for (const what of foundIn(rowBytes(row), SOUGHT)) leaks.push(`${name}: ${what}`);
    }
    expect(looked).toBeGreaterThan(100);
    expect(leaks).toEqual([]);
  });
});

describe("wall 3 alone, when every credential was tried", () => {
  it("stands with a ledger that writes entries and facts as it likes", async () => {
    const entry = (index: number, type: string, state: string) =>
      `insert into ledger.entry (index, body, leaf, received, type, state)
        values (${index}, '', sha256(''), '2000-01-01', '${type}', '${state}')`;
    const fact = (index: number, kind: string, state: string, more = "null, null, null") =>
      `select ledger.record_gate_fact(${index}, '${kind}', '${state}', ${more})`;
    const lies = [
      ["an extension that shortens", entry(90, "polls", "AT"), fact(90, "extended", "AT", "null, '2000-01-01', null")],
      ["an override more", entry(90, "decision", "EU"), fact(90, "override", "AT")],
      ["a hold that was resumed", entry(90, "decision", "EU"), fact(90, "resume", "EU")],
      ["another head", "update ledger.head set size = 90"],
    ];
    for (const [name, ...lie] of lies as [string, ...string[]][])
      expect([name, (await tried(of("ledger"), ...lie, `select ledger.record_lift(${liftAt})`)).code]).toEqual([
        name,
        SHUT,
      ]);
    const closed = [entry(90, "polls", "AT"), fact(90, "closed", "AT")];
    expect((await tried(of("ledger"), ...closed)).code).toBe("SC005");
    expect((await tried(of("ledger"), "insert into ledger.poll values ('FR', 'FR', '2000-01-01')")).code).toBe("SC001");
    const other = `insert into ledger.definition (sha256, origin, document, signatures) values (sha256(''), '', '', '[]')`;
    expect((await tried(of("ledger"), other)).code).toBe("23505");
  });

  it("finds the figure where it does lie", async () => {
    for (const coded of ["$1::bigint::text", "int8send($1)", "encode(int8send($1), 'base64')", "int8send($1 << 0)"]) {
      const sql = `select t::text as row from (select ${coded}) t`;
      const { rows } = await of("watch").query<{ row: string }>(sql, [ELECTORS]);
      expect(foundIn(rowBytes(rows[0]?.row ?? ""), SOUGHT), coded).toEqual(["a figure"]);
    }
    const [seen] = await harness.query<{ query: string }>(
      "select query from pg_stat_activity where application_name = 'other'",
    );
    expect(foundIn(rowBytes(seen?.query ?? ""), SOUGHT)).toEqual(["a figure"]);
    for (const table of ["ledger.statement", "tabulate.candidate", "tabulate.part", "recount.answer", "recount.part"])
      expect(await harness.query(`select from ${table} limit 1`), table).toHaveLength(1);
  });

  it("has neither a lift nor a share", async () => {
    for (const table of ["ledger.lift", "release.key_share", "release.data_key_share"])
      expect(await harness.query(`select from ${table}`)).toEqual([]);
  });
});
