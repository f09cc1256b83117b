import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Harness, startHarness } from "../../test/harness.ts";

/** What stands in the database even against a superuser who switches ordinary triggers off, and against a lift that should not be. */

let harness: Harness;
let client: pg.Client;

beforeAll(async () => {
  harness = await startHarness();
  client = new pg.Client({ connectionString: harness.adminUrl });
  await client.connect();
});
afterAll(async () => {
  await client.end();
  await harness.close();
});

/** SQL as a superuser in a transaction that is undone; the SQLSTATE of the first refusal. */
async function refusal(...sql: string[]): Promise<string | undefined> {
  await client.query("begin");
  try {
    for (const statement of sql) await client.query(statement);
    return undefined;
  } catch (error) {
    return (error as pg.DatabaseError).code;
  } finally {
    await client.query("rollback");
  }
}

it("every trigger is ENABLE ALWAYS", async () => {
  const { rows } = await client.query<{ name: string; enabled: string }>(
    `select format('%s on %s', tgname, tgrelid::regclass) as name, tgenabled as enabled from pg_trigger
      where not tgisinternal order by 1`,
  );
  expect(rows.length).toBeGreaterThan(10);
  expect(rows.filter(({ enabled }) => enabled !== "A")).toEqual([]);
});

describe.each([
  ["release.key_share", "number"],
  ["release.data_key_share", "id"],
  ["tabulate.candidate", "number"],
  ["recount.answer", "number"],
  ["ledger.cosignature", "size"],
  ["ledger.origin", "index"],
])("%s only grows", (table, column) => {
  it.each([
    ["update", `update ${table} set ${column} = ${column}`],
    ["delete", `delete from ${table}`],
    ["truncate", `truncate ${table}`],
  ])("and refuses %s", async (_, change) => {
    expect(await refusal("set local session_replication_role = replica", change)).toBe("SC001");
  });
});

describe("a share of a key, though a lift stands in the log", () => {
  const HOUR = 3_600_000;
  const at = (ms: number) => new Date(Date.now() + ms).toISOString();
  const [CLOSE, PASSED, AHEAD] = [at(-HOUR), at(-HOUR / 2), at(HOUR)];
  const entry = (index: number, type: string, state: string) =>
    `insert into ledger.entry (index, body, leaf, received, type, state)
      values (${index}, '', sha256(''), now(), '${type}', '${state}')`;
  const polls = `insert into ledger.poll values ('AT', 'AT', '${CLOSE}'), ('LU', 'LU-N', '${CLOSE}')`;
  const extended = (index: number, state: string, constituency: string, until: string) => [
    entry(index, "polls", state),
    `insert into ledger.gate_fact (index, kind, state, constituency, until)
      values (${index}, 'extended', '${state}', ${constituency}, '${until}')`,
  ];
  const voided = (index: number, extension: number, state: string) => [
    entry(index, "decision", "EU"),
    `insert into ledger.gate_fact (index, kind, state, voids) values (${index}, 'void', '${state}', ${extension})`,
  ];
  const lift = (index: number) => [
    entry(index, "lift", "EU"),
    "alter table ledger.lift disable trigger wall",
    `insert into ledger.lift (index) values (${index})`,
    "alter table ledger.lift enable always trigger wall",
  ];
  const keyShare =
    "insert into release.key_share (number, size, given_by, share) values (1, 1, 'tabulate', sha256('share'))";
  const dataKey = "insert into ledger.data_key (id, wrapped) values (substr(sha256('id'), 1, 16), '')";
  const dataKeyShare = `insert into release.data_key_share (id, given_by, share)
    select id, 'tabulate', sha256('share') from ledger.data_key`;

  /** Facts as if something let them in after the lift. */
  const letIn = (facts: string[]) => [
    "alter table ledger.gate_fact disable trigger look",
    ...facts,
    "alter table ledger.gate_fact enable always trigger look",
  ];

  it.each<[string, string[], string | undefined]>([
    ["a state was extended beyond now before it", [...extended(1, "LU", "null", AHEAD), ...lift(3)], "SC002"],
    ["a constituency was extended beyond now before it", [...extended(1, "LU", "'LU-N'", AHEAD), ...lift(3)], "SC002"],
    ["an extension before it has passed", [...extended(1, "LU", "null", PASSED), ...lift(3)], undefined],
    [
      "an extension before it was voided before it",
      [...extended(1, "LU", "null", AHEAD), ...voided(2, 1, "LU"), ...lift(3)],
      undefined,
    ],
    [
      "one of two extensions before it was voided",
      [...extended(0, "LU", "null", PASSED), ...extended(1, "LU", "null", AHEAD), ...voided(2, 0, "LU"), ...lift(3)],
      "SC002",
    ],
    [
      "an extension before it was voided after it",
      [...extended(1, "LU", "null", AHEAD), ...lift(3), ...letIn(voided(4, 1, "LU"))],
      "SC002",
    ],
    ["an extension came after it", [...lift(2), ...letIn(extended(3, "LU", "null", AHEAD))], undefined],
  ])("when %s", async (_, facts, code) => {
    expect(await refusal(polls, ...facts, keyShare)).toBe(code);
    expect(await refusal(polls, ...facts, dataKey, dataKeyShare)).toBe(code);
  });
});
