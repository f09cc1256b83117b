import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Harness, startHarness } from "../../test/harness.ts";
import { cloneDatabase } from "../../test/vault.ts";
import { openWrittenLog, speakers, type Written } from "../../test/written-log.ts";
import { sampleCommon, sampleDefinition, sampleTally } from "../definition/sample.ts";
import type { Statement } from "../statement/types.ts";
import { createHeardLog } from "./log-fixture.ts";
import { createLogReader } from "./log-reader.ts";
import { openPool } from "./postgres.ts";

/** A ledger that has accepted, and signed, what it must not: whoever counts looks for itself who may say what. */

const sample = sampleDefinition();

describe("a log whose ledger was wrong", () => {
  let harness: Harness;
  beforeAll(async () => {
    harness = await startHarness({ sample });
  });
  afterAll(() => harness.close());

  /** Reads a log that holds this entry. */
  const reading = async (written: Written): Promise<number> => {
    const database = await cloneDatabase(harness);
    const log = await openWrittenLog(database.urlOf("ledger"), sample);
    const url = database.urlOf("tabulate");
    const pool = openPool({ url, service: "tabulate", log: createHeardLog().log });
    try {
      await log.append(written);
      const { definition, hash, vault } = sample;
      const reader = createLogReader({
        pool,
        definitionHash: hash,
        vaultPrivateKey: vault.privateKey,
        definition,
      });
      let entries = 0;
      for await (const _ of reader.read(0, 2)) entries++;
      return entries;
    } finally {
      await pool.end();
      await log.close();
      await database.drop();
    }
  };
  const { signed, closed } = speakers(sample);
  const tally: Statement = { type: "tally", ...sampleCommon(sample, "AT", 1), tallies: [sampleTally()] };

  it.each<[string, Written, string]>([
    ["another state's office", signed(tally, "LU-1"), "its keys may not say this"],
    ["a cosigner of another state", signed(tally, "AT-1", "LU-1"), "its keys may not say this"],
    ["a trustee", signed(tally, "trustee-1"), "its keys may not say this"],
    ["a count, for the Union", signed({ ...tally, state: "EU" }, "tabulate-1"), "its keys may not say this"],
    ["a key that the entry does not name", { ...signed(tally, "AT-1"), key: "AT-2" }, "not what the entry says"],
    ["another type than the entry's", { ...closed("AT"), statement: tally }, "not what the entry says"],
  ])("is not read on: %s", async (_, written, why) => {
    await expect(reading(written)).rejects.toThrow(why);
  });

  it("is read when it was right, and when it refused what nobody may say", async () => {
    expect(await reading(signed(tally, "AT-1"))).toBe(2);
    expect(await reading({ ...signed(tally, "LU-1"), verdict: "quarantined" })).toBe(2);
  });
});
