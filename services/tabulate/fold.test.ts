import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sampleDefinition } from "../../shared/definition/sample.ts";
import { LogBroken } from "../../shared/platform/log-reader.ts";
import { size } from "../../shared/results/fold.ts";
import { buildRelease, releaseBytes } from "../../shared/results/release.ts";
import { type Harness, startHarness } from "../../test/harness.ts";
import { tabulateHere } from "../../test/vault.ts";
import { openScenario, type Scenario } from "../../test/vault-scenario.ts";
import { advance, type Fold, openFold, saveFold } from "./fold.ts";

describe("tabulate's fold", () => {
  let harness: Harness;
  beforeAll(async () => {
    harness = await startHarness({ sample: sampleDefinition() });
  });
  afterAll(() => harness.close());

  const inScenario = async (test: (scenario: Scenario) => Promise<void>) => {
    const scenario = await openScenario(harness);
    try {
      await test(scenario);
    } finally {
      await scenario.close();
    }
  };
  const HEADER = { number: 1, checkpoint: { origin: "x", size: 1, root: "x" }, asOf: "x", previous: null };
  const bytesOf = (fold: Fold) => Buffer.from(releaseBytes(buildRelease(fold.tabulation, HEADER))).toString("utf8");
  const parts = async (scenario: Scenario) => {
    const { rows } = await scenario.query<{ name: string; sealed: Buffer }>("select name, sealed from tabulate.part");
    return new Map(rows.map(({ name, sealed }) => [name, sealed]));
  };

  it("goes on from the stored position, and comes to the same as a fold from the start", async () => {
    await inScenario(async ({ log, say, tabulate }) => {
      const sources = tabulate.sources.fold;
      const first = await openFold(sources);
      expect(size(first.tabulation)).toBe(0);
      await log.append(say.tally("AT-1"), say.tally("AT-2"));
      expect(await advance(first)).toBe(3);
      await saveFold(first, sources);
      await log.append(say.tally("AT-1", { version: 2, votes: { AT01: 100, AT02: 118, AT90: 2 } }), say.hold("AT"));

      const second = await openFold(sources);
      expect([size(second.tabulation), second.road.size, second.reader.position()]).toEqual([3, 3, 3]);
      expect(second.last).toEqual(first.last);
      // Nothing is read twice: only what came after the position.
      expect(await advance(second)).toBe(2);
      await advance(first);
      expect(bytesOf(second)).toBe(bytesOf(first));
      await saveFold(second, sources);
      const third = await openFold(sources);
      expect(await advance(third)).toBe(0);
      expect(bytesOf(third)).toBe(bytesOf(first));
    });
  });

  it.each<[string, string, string]>([
    ["a position beside parts of another", "update tabulate.position set size = 1", "the stored position is 1"],
    [
      "a part in another's place",
      "update tabulate.part set sealed = (select sealed from tabulate.part where name = 'road') where name = 'AT'",
      "does not open",
    ],
    [
      "an older part",
      "update tabulate.part p set sealed = o.sealed from older o where p.name = o.name",
      "of 3, 3, 3, 2",
    ],
    ["nothing where a part was", "update tabulate.part set name = 'XX' where name = 'road'", "part road is missing"],
  ])("folds from the start of the log when it finds %s, and stores all anew", async (_, damage, why) => {
    await inScenario(async (scenario) => {
      const { log, say, tabulate, query } = scenario;
      const sources = tabulate.sources.fold;
      const fold = await openFold(sources);
      for (const unit of ["AT-1", "AT-2"]) {
        await log.append(say.tally(unit));
        await advance(fold);
        await saveFold(fold, sources);
        if (unit === "AT-1") await query("create table older as select * from tabulate.part where name = 'left-out'");
      }
      await query(damage);
      const again = await openFold(sources);
      expect(again.refused?.message).toContain(why);
      expect(await advance(again)).toBe(3);
      expect(bytesOf(again)).toBe(bytesOf(fold));
      await saveFold(again, sources);
      const third = await openFold(sources);
      expect([third.refused, size(third.tabulation)]).toEqual([null, 3]);
      expect(bytesOf(third)).toBe(bytesOf(fold));
    });
  });

  it("refuses a log that is not the one it folded", async () => {
    await inScenario(async ({ log, say, tabulate, query }) => {
      const sources = tabulate.sources.fold;
      await log.append(say.tally("AT-1"));
      const fold = await openFold(sources);
      await advance(fold);
      await saveFold(fold, sources);
      await query("alter table ledger.entry disable trigger only_grows");
      await query("update ledger.entry set leaf = sha256(leaf) where index = 1");
      await expect(openFold(sources)).rejects.toThrow(LogBroken);
    });
  });

  it("stores a state's part after any of its entries, and in lengths that say nothing", async () => {
    await inScenario(async (scenario) => {
      const { log, say, tabulate } = scenario;
      const sources = tabulate.sources.fold;
      const fold = await openFold(sources);
      await advance(fold);
      await saveFold(fold, sources);
      const before = await parts(scenario);
      await log.append({ ...say.tally("AT-1"), verdict: "quarantined" });
      await advance(fold);
      await saveFold(fold, sources);
      const afterQuarantine = await parts(scenario);
      expect(afterQuarantine.has("AT")).toBe(true);
      expect(before.get("LU")).toEqual(afterQuarantine.get("LU"));
      await log.append(say.tally("AT-2", { electors: 999_999_999, ballots: 231 }));
      await advance(fold);
      await saveFold(fold, sources);
      const afterTally = await parts(scenario);
      expect(afterTally.get("AT")).not.toEqual(afterQuarantine.get("AT"));
      expect(afterTally.get("AT")!.length).toBe(afterQuarantine.get("AT")!.length);
      const lengths = [...afterTally.values()].map(({ length }) => length);
      expect(lengths.every((length) => Math.log2(length - 28) % 1 === 0)).toBe(true);
    });
  });

  it("stops at a log that is broken, says so, and gives nothing more", async () => {
    await inScenario(async ({ log, say, world, query, pools }) => {
      await log.append(say.tally("AT-1"), say.closed("AT"), say.closed("LU"));
      await query("alter table ledger.statement disable trigger only_grows");
      await query(
        "update ledger.statement set sealed = set_byte(sealed, 50, get_byte(sealed, 50) # 1) where index = 1",
      );
      const { round, status, close } = tabulateHere(world, pools.tabulate);
      await round();
      expect(status()).toMatchObject({ broken: true, working: false });
      expect(world.incidents).toMatchObject([{ code: "log.broken", by: "tabulate" }]);
      await round();
      await close();
      expect(world.incidents).toHaveLength(1);
      const { rows } = await query("select from tabulate.candidate union all select from tabulate.position");
      expect(rows).toHaveLength(0);
    });
  });

  it("opens everything again after an error, and goes on", async () => {
    await inScenario(async ({ log, say, world, query, pools }) => {
      await log.append(say.tally("AT-1"));
      const { round, status } = tabulateHere(world, pools.tabulate);
      await query("revoke select on ledger.entry from scrutin_tabulate");
      await round();
      expect(status()).toMatchObject({ working: false, broken: false });
      await query("grant select on ledger.entry to scrutin_tabulate");
      await round();
      expect(status()).toMatchObject({ working: true, position: 2 });
    });
  });
});
