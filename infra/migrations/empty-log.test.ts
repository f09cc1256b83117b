import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Harness, startHarness } from "../../test/harness.ts";

/** The third wall where there is nothing to look at yet: it fails closed. */

describe("a database without a log", () => {
  let harness: Harness;
  beforeAll(async () => {
    harness = await startHarness();
  });
  afterAll(() => harness.close());

  it("has no schedule, and so takes no lift", async () => {
    expect(await harness.query("select from ledger.poll")).toEqual([]);
    const refused = harness.query("insert into ledger.lift (index) values (0)");
    await expect(refused).rejects.toMatchObject({ code: "SC002", message: "the gate is closed: no schedule" });
  });

  it("takes no share of a key", async () => {
    const refused = harness.query(
      "insert into release.key_share (number, size, given_by, share) values (1, 1, 'tabulate', $1)",
      [Buffer.alloc(32)],
    );
    await expect(refused).rejects.toMatchObject({ code: "SC002" });
    const dataKey = "insert into release.data_key_share (id, given_by, share) values ($1, 'tabulate', $2)";
    await expect(harness.query(dataKey, [Buffer.alloc(16), Buffer.alloc(32)])).rejects.toMatchObject({ code: "SC002" });
  });
});
