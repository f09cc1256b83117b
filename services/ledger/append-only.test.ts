import { createHash } from "node:crypto";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sampleCommon, sampleTally, signSample } from "../../shared/definition/sample.ts";
import { type Harness, startHarness } from "../../test/harness.ts";
import { dataKeyFor, eventually, runLedger, sealedFor } from "../../test/ledger.ts";

/** The log only grows: as the ledger's own role, as the owner, and as a superuser that switches ordinary triggers off. */

let harness: Harness;
const TABLES = ["definition", "poll", "data_key", "entry", "statement", "checkpoint", "gate_fact", "lift"] as const;

beforeAll(async () => {
  harness = await startHarness();
  const ledger = await runLedger(harness);
  const nc = await harness.nats("services");
  const common = sampleCommon(harness.sample, "AT", 1);
  const bytes = signSample(harness.sample, { type: "tally", ...common, tallies: [sampleTally()] }, "AT-1");
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const { headers, data } = sealedFor(await dataKeyFor(harness.sample), sha256, bytes, "receipt.x");
  await nc.jetstream().publish("statement.AT", data, { headers });
  await eventually(() => ledger.writer.size() === 2);
  await ledger.stop();
});

afterAll(() => harness.close());

async function refusal(url: string, ...sql: string[]): Promise<string | undefined> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    for (const statement of sql) await client.query(statement);
    return undefined;
  } catch (error) {
    return (error as { code?: string }).code;
  } finally {
    await client.end();
  }
}

const changes = (table: string) => [
  `update ledger.${table} set ${table === "lift" || table === "definition" ? "one = one" : table === "poll" ? "state = state" : table === "data_key" ? "id = id" : table === "checkpoint" ? "size = size" : "index = index"}`,
  `delete from ledger.${table}`,
  `truncate ledger.${table} cascade`,
];

describe.each(TABLES)("ledger.%s", (table) => {
  it.each(changes(table))("as the ledger: %s is refused", async (change) => {
    // 42501: no such right. The triggers stand behind that.
    expect(await refusal(harness.databaseUrl("ledger"), change)).toBe("42501");
  });

  it.each(changes(table))("as the owner: %s is refused", async (change) => {
    expect(await refusal(harness.adminUrl, "set role scrutin_owner", change)).toBe("SC001");
  });

  it.each(changes(table))("as a superuser without ordinary triggers: %s is refused", async (change) => {
    expect(await refusal(harness.adminUrl, "set session_replication_role = replica", change)).toBe("SC001");
  });
});

describe("the head", () => {
  const backwards = [
    "update ledger.head set size = size",
    "update ledger.head set size = 1",
    "delete from ledger.head",
    "truncate ledger.head",
  ];
  it.each(backwards)("as a superuser without ordinary triggers: %s is refused", async (change) => {
    expect(await refusal(harness.adminUrl, "set session_replication_role = replica", change)).toBe("SC001");
  });

  it("may be moved forward by the ledger, and by no other service", async () => {
    const forward = "update ledger.head set size = size + 1";
    for (const role of ["tabulate", "recount", "release", "watch"] as const)
      expect(await refusal(harness.databaseUrl(role), forward)).toBe("42501");
    expect(await refusal(harness.databaseUrl("ledger"), "begin", forward, "rollback")).toBeUndefined();
  });
});

it("nobody can log in as the owner", async () => {
  const rows = await harness.query("select rolcanlogin, rolsuper from pg_roles where rolname = 'scrutin_owner'");
  expect(rows).toEqual([{ rolcanlogin: false, rolsuper: false }]);
});

it("no service role is a superuser, owns a table of the log, or may switch triggers off", async () => {
  for (const role of ["ledger", "tabulate", "recount", "release", "watch"] as const) {
    const url = harness.databaseUrl(role);
    expect(await refusal(url, "set session_replication_role = replica")).toBe("42501");
    expect(await refusal(url, "alter table ledger.entry disable trigger all")).toBe("42501");
    expect(await refusal(url, "set role scrutin_owner")).toBe("42501");
  }
});
