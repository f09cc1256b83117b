import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Harness, startHarness } from "../../test/harness.ts";

/**
 * What Postgres takes for a fact of the gate, by its own look at the entries, the schedule and its clock; and what it takes for a
 * schedule. As the ledger's role, whose code is not to be trusted here, and as a superuser.
 */

const HOUR = 3_600_000;
const now = Math.floor(Date.now() / 1000) * 1000;
const at = (ms: number) => new Date(now + ms).toISOString();

let harness: Harness;
let admin: pg.Client;
let ledger: pg.Client;

/** AT closed an hour ago; LU closes in an hour. Entries of every kind that a fact could be said to stand in. */
beforeAll(async () => {
  harness = await startHarness();
  admin = new pg.Client({ connectionString: harness.adminUrl });
  ledger = new pg.Client({ connectionString: harness.databaseUrl("ledger") });
  await Promise.all([admin.connect(), ledger.connect()]);
  await ledger.query("insert into ledger.poll values ('AT', 'AT', $1), ('LU', 'LU-N', $2), ('LU', 'LU-S', $2)", [
    at(-HOUR),
    at(HOUR),
  ]);
  const entries: [string, string][] = [
    ["definition", "EU"],
    ["polls", "AT"],
    ["polls", "LU"],
    ["decision", "EU"],
    ["tally", "AT"],
    ["lift", "EU"],
    ["polls", "LU"],
    ["decision", "EU"],
    ["decision", "AT"],
  ];
  for (const [index, [type, state]] of entries.entries())
    await ledger.query(
      "insert into ledger.entry (index, body, leaf, received, type, state) values ($1, '', sha256(''), now(), $2, $3)",
      [index, type, state],
    );
});
afterAll(async () => {
  await Promise.all([admin.end(), ledger.end()]);
  await harness.close();
});
beforeEach(async () => {
  await Promise.all([admin.query("begin"), ledger.query("begin")]);
});
afterEach(async () => {
  await Promise.all([admin.query("rollback"), ledger.query("rollback")]);
});
const [AT, LU, DECISION, TALLY, LIFT, LU_AGAIN, DECISION_AGAIN, OF_AT] = [1, 2, 3, 4, 5, 6, 7, 8];

type Fact = [
  index: number,
  kind: string,
  state: string,
  constituency?: string | null,
  until?: string | null,
  voids?: number | null,
];
const valuesOf = ([index, kind, state, constituency = null, until = null, voids = null]: Fact) => [
  index,
  kind,
  state,
  constituency,
  until,
  voids,
];
const FUNCTION = "select ledger.record_gate_fact($1, $2, $3, $4, $5, $6)";
const ROW =
  "insert into ledger.gate_fact (index, kind, state, constituency, until, voids) values ($1, $2, $3, $4, $5, $6)";
const refused = (code: string, message = "") =>
  expect.objectContaining({ code, message: expect.stringContaining(message) as string });

describe("a fact of the gate", () => {
  it.each<[string, Fact[], string]>([
    ["a closure in an entry that is not there", [[99, "closed", "AT"]], "no statement that says so"],
    ["a closure in a tally", [[TALLY, "closed", "AT"]], "no statement that says so"],
    ["a closure in a decision", [[DECISION, "closed", "AT"]], "no statement that says so"],
    ["a closure by another state", [[LU, "closed", "AT"]], "no statement that says so"],
    ["an override in a closure", [[AT, "override", "AT"]], "no statement that says so"],
    ["an override in an office's decision", [[OF_AT, "override", "AT"]], "no statement that says so"],
    ["a hold that the lift resumes", [[LIFT, "resume", "EU"]], "no statement that says so"],
    ["a void in the extension's own kind", [[LU, "void", "LU", null, null, LU]], "no statement that says so"],
    ["a closure of no constituency", [[AT, "closed", "AT", "AT-X"]], "no such polls"],
    ["a closure of another state's constituency", [[AT, "closed", "AT", "LU-N"]], "no such polls"],
    ["a closure before the close", [[LU, "closed", "LU"]], "polls of LU-N close later"],
    ["a constituency's closure before the close", [[LU, "closed", "LU", "LU-S"]], "polls of LU-S close later"],
    ["an extension by more than four hours", [[AT, "extended", "AT", null, at(3 * HOUR + 1)]], "extended too far"],
    ["an extension to next year", [[LU, "extended", "LU", "LU-N", at(8760 * HOUR)]], "extended too far"],
    ["a void of what is no extension", [[DECISION, "void", "AT", null, null, AT]], "no extension of AT"],
    [
      "a void of another state's extension",
      [
        [LU, "extended", "LU", null, at(2 * HOUR)],
        [DECISION, "void", "AT", null, null, LU],
      ],
      "no extension of AT",
    ],
  ])("is not %s, through the function or past it", async (_, facts, why) => {
    const last = facts.at(-1) as Fact;
    for (const [client, sql] of [
      [ledger, FUNCTION],
      [admin, ROW],
    ] as const) {
      for (const fact of facts.slice(0, -1)) await client.query(sql, valuesOf(fact));
      await expect(client.query(sql, valuesOf(last))).rejects.toEqual(refused("SC005", why));
      await client.query("rollback");
      await client.query("begin");
    }
    await admin.query("set local session_replication_role = 'replica'");
    for (const fact of facts.slice(0, -1)) await admin.query(ROW, valuesOf(fact));
    await expect(admin.query(ROW, valuesOf(last))).rejects.toEqual(refused("SC005", why));
  });

  it.each<[string, Fact[]]>([
    ["a closure after the close", [[AT, "closed", "AT"]]],
    ["a constituency's closure", [[AT, "closed", "AT", "AT"]]],
    ["an extension by four hours", [[AT, "extended", "AT", null, at(3 * HOUR)]]],
    [
      "four hours more, after it",
      [
        [LU, "extended", "LU", null, at(5 * HOUR)],
        [LU_AGAIN, "extended", "LU", "LU-S", at(9 * HOUR)],
      ],
    ],
    [
      "an extension, and the void that takes it away",
      [
        [LU, "extended", "LU", null, at(5 * HOUR)],
        [DECISION, "override", "LU"],
        [DECISION_AGAIN, "void", "LU", null, null, LU],
      ],
    ],
  ])("is %s", async (_, facts) => {
    await admin.query("set local session authorization scrutin_ledger");
    for (const fact of facts) await admin.query(FUNCTION, valuesOf(fact));
    // The ledger's role writes facts and reads none.
    await admin.query("reset session authorization");
    const { rows } = await admin.query("select from ledger.gate_fact");
    expect(rows).toHaveLength(facts.length);
  });

  it("is no closure before an extended close, and is one once that is voided", async () => {
    await ledger.query(FUNCTION, valuesOf([AT, "extended", "AT", null, at(HOUR)]));
    await ledger.query("insert into ledger.entry values (20, '', sha256(''), now(), 'polls', 'AT')");
    const closed = valuesOf([20, "closed", "AT"]);
    await ledger.query("savepoint early");
    await expect(ledger.query(FUNCTION, closed)).rejects.toEqual(refused("SC005", "polls of AT close later"));
    await ledger.query("rollback to savepoint early");
    await ledger.query(FUNCTION, valuesOf([DECISION_AGAIN, "void", "AT", null, null, AT]));
    await ledger.query(FUNCTION, closed);
  });

  it("is not said twice of one extension", async () => {
    await ledger.query(FUNCTION, valuesOf([LU, "extended", "LU", null, at(5 * HOUR)]));
    await ledger.query(FUNCTION, valuesOf([DECISION, "void", "LU", null, null, LU]));
    const again = valuesOf([DECISION_AGAIN, "void", "LU", null, null, LU]);
    await expect(ledger.query(FUNCTION, again)).rejects.toEqual(refused("23505"));
  });

  it("is written by nobody but the function", async () => {
    await expect(ledger.query(ROW, valuesOf([AT, "closed", "AT"]))).rejects.toEqual(refused("42501"));
    for (const role of ["tabulate", "recount", "release", "watch"] as const) {
      const client = new pg.Client({ connectionString: harness.databaseUrl(role) });
      await client.connect();
      try {
        for (const sql of [FUNCTION, ROW])
          await expect(client.query(sql, valuesOf([AT, "closed", "AT"]))).rejects.toEqual(refused("42501"));
      } finally {
        await client.end();
      }
    }
  });
});

describe("the schedule", () => {
  const LATER = "insert into ledger.poll values ('FR', 'FR', '2000-01-01T00:00:00Z')";
  it.each(["ledger", "admin"] as const)("comes once: nothing is added to it by %s", async (who) => {
    const client = who === "ledger" ? ledger : admin;
    await expect(client.query(LATER)).rejects.toEqual(refused("SC001"));
  });

  it("is not added to by a superuser without ordinary triggers either", async () => {
    await admin.query("set local session_replication_role = 'replica'");
    await expect(admin.query(LATER)).rejects.toEqual(refused("SC001"));
  });
});

describe("a function that writes", () => {
  it("runs as the owner, who cannot log in, and looks nowhere that the caller chose", async () => {
    const { rows } = await admin.query<{ name: string; settings: string[]; owner: string }>(
      `select p.proname as name, p.proconfig as settings, pg_get_userbyid(p.proowner) as owner
         from pg_proc p where p.pronamespace in ('ledger'::regnamespace, 'release'::regnamespace) and p.prosecdef order by 1`,
    );
    const settings = ["search_path=pg_catalog, pg_temp"];
    expect(rows).toEqual(
      [
        "become_writer",
        "give_data_key_shares",
        "give_key_share",
        "record_delivery",
        "record_gate_fact",
        "record_lift",
      ].map((name) => {
        return { name, settings, owner: "scrutin_owner" };
      }),
    );
  });

  it("is open to nobody but whom it was given to", async () => {
    const { rows } = await admin.query(
      `select p.proname as name, string_agg(r.rolname, ' ' order by r.rolname) as roles
         from pg_proc p join pg_roles r on has_function_privilege(r.rolname, p.oid, 'execute')
        where p.prosecdef and p.pronamespace in ('ledger'::regnamespace, 'release'::regnamespace)
          and r.rolname like 'scrutin\\_%' and r.rolname <> 'scrutin_owner'
        group by p.proname order by 1`,
    );
    expect(rows).toEqual([
      { name: "become_writer", roles: "scrutin_ledger" },
      { name: "give_data_key_shares", roles: "scrutin_recount scrutin_tabulate" },
      { name: "give_key_share", roles: "scrutin_recount scrutin_tabulate" },
      { name: "record_delivery", roles: "scrutin_release" },
      { name: "record_gate_fact", roles: "scrutin_ledger" },
      { name: "record_lift", roles: "scrutin_ledger" },
    ]);
  });
});
