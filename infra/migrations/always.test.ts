import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SAMPLE_CLOSE } from "../../shared/definition/sample.ts";
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
  const PASSED = "2024-06-09T22:00:00Z";
  const AHEAD = "2099-01-01T00:00:00Z";
  const entries = `insert into ledger.entry (index, body, leaf, received, type, state)
    select n, '', sha256(''), now(), 'polls', 'EU' from generate_series(0, 3) as n`;
  const polls = `insert into ledger.poll values
    ('AT', 'AT', to_timestamp(${SAMPLE_CLOSE / 1000})), ('LU', 'LU-N', to_timestamp(${SAMPLE_CLOSE / 1000}))`;
  const extended = (index: number, state: string, constituency: string, until: string) =>
    `insert into ledger.gate_fact values (${index}, 'extended', '${state}', ${constituency}, '${until}')`;
  const lifted = [
    "alter table ledger.lift disable trigger wall",
    "insert into ledger.lift (index) values (2)",
    "alter table ledger.lift enable always trigger wall",
  ];
  const keyShare =
    "insert into release.key_share (number, size, given_by, share) values (1, 1, 'tabulate', sha256('share'))";
  const dataKey = "insert into ledger.data_key (id, wrapped) values (substr(sha256('id'), 1, 16), '')";
  const dataKeyShare = `insert into release.data_key_share (id, given_by, share)
    select id, 'tabulate', sha256('share') from ledger.data_key`;

  it.each<[string, string, string | undefined]>([
    ["a state was extended beyond now before it", extended(1, "LU", "null", AHEAD), "SC002"],
    ["a constituency was extended beyond now before it", extended(1, "LU", "'LU-N'", AHEAD), "SC002"],
    ["an extension before it has passed", extended(1, "LU", "null", PASSED), undefined],
    ["an extension came after it", extended(3, "LU", "null", AHEAD), undefined],
  ])("when %s", async (_, fact, code) => {
    expect(await refusal(entries, polls, fact, ...lifted, keyShare)).toBe(code);
    expect(await refusal(entries, polls, fact, ...lifted, dataKey, dataKeyShare)).toBe(code);
  });
});
