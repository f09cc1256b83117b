import pg from "pg";
import { describe, expect, it } from "vitest";
import { startHarness } from "./harness.ts";

describe("the harness", () => {
  it("gives each harness a database and a bus of its own", async () => {
    const [one, two] = [await startHarness(), await startHarness()];
    await one.query("create table only_here (a int)");
    expect(await two.query("select to_regclass('only_here') as found")).toEqual([{ found: null }]);
    const rows = await two.query("select rolname from pg_roles where rolname = 'scrutin_ledger' and rolcanlogin");
    expect(rows).toHaveLength(1);
    expect(one.natsUrl).not.toBe(two.natsUrl);
    await one.close();
    await two.close();
  });

  it("fails when a connection leaks", async () => {
    const harness = await startHarness();
    const client = new pg.Client({ connectionString: harness.databaseUrl("ledger"), application_name: "forgotten" });
    client.on("error", () => undefined);
    await client.connect();
    await expect(harness.close()).rejects.toThrow("forgotten");
  });
});
