import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sampleDefinition, sampleTally } from "../../shared/definition/sample.ts";
import { counted } from "../../shared/recount/count.ts";
import { recountRelease } from "../../shared/recount/document.ts";
import { type Harness, startHarness } from "../../test/harness.ts";
import { closures, insertProposal, liftStatement, openScenario, type Scenario } from "../../test/vault-scenario.ts";
import { receivedAt } from "../../test/written-log.ts";
import { countTo, type Fold, MAX_WAITING_UNITS, openFold, readAhead, saveFold } from "./fold.ts";

describe("recount's fold", () => {
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
  const bytesOf = (fold: Fold) => Buffer.from(recountRelease(fold.count, HEADER)).toString("utf8");

  it("reads to the head and counts to where it is asked", async () => {
    await inScenario(async ({ log, say, recount }) => {
      const fold = await openFold(recount.sources.fold);
      await log.append(say.tally("AT-1"));
      await log.append(say.tally("AT-2"), say.hold("EU"));
      await readAhead(fold);
      expect([fold.road.size, counted(fold.count), fold.atHead]).toEqual([4, 0, true]);
      expect(fold.road.facts.held.has("EU")).toBe(true);
      expect((await countTo(fold, 2))?.checkpoint.size).toBe(2);
      expect(counted(fold.count)).toBe(2);
      expect(await countTo(fold, 3)).toBeUndefined(); // no checkpoint has that size
      expect((await countTo(fold, 4))?.checkpoint.size).toBe(4);
      expect(await countTo(fold, 2)).toBeUndefined(); // counted past
      await log.append(say.tally("AT-3"));
      expect((await countTo(fold, 5))?.checkpoint.size).toBe(5); // beyond what was read
      expect(fold.road.size).toBe(5);
    });
  });

  it("leaves out by the revocations that it counts, whether they were read before or are read for it", async () => {
    await inScenario(async ({ log, say, recount }) => {
      await log.append(say.tally("AT-1"), say.tally("AT-2"));
      await log.append(say.tallyBy(["AT-2"], "AT-3"));
      await log.append(say.revoked("AT-1", receivedAt(1)), say.revoked("AT-2", receivedAt(0)));
      const countedTo = async (size: number) => {
        const fold = await openFold(recount.sources.fold);
        expect((await countTo(fold, size))?.checkpoint.size).toBe(size);
        return fold;
      };
      const votes = (fold: Fold) => JSON.parse(bytesOf(fold)).states[0].lists[0].votes as number;
      // Read for it, batch by batch; then up to a place between the two revocations, which no checkpoint has.
      const read = await countedTo(6);
      expect(votes(read)).toBe(120);
      const between = await openFold(recount.sources.fold);
      await readAhead(between);
      expect(await countTo(between, 5)).toBeUndefined();
      expect([counted(between.count), votes(between), between.leftOut.since]).toEqual([
        5,
        240,
        { "AT-1": Date.parse(receivedAt(1)) },
      ]);
      expect((await countTo(between, 6))?.checkpoint.size).toBe(6);
      expect(bytesOf(between)).toBe(bytesOf(read));
      expect(between.leftOut).toEqual(read.leftOut);
      // Only one that was counted leaves out anything.
      expect(votes(await countedTo(4))).toBe(360);
    });
  });

  it("goes on from the stored position, though the road was ahead of it, and comes to the same", async () => {
    await inScenario(async ({ log, say, recount }) => {
      const sources = recount.sources.fold;
      const first = await openFold(sources);
      await log.append(say.tally("AT-1"));
      await log.append(say.tally("AT-2"), say.closed("AT"), say.hold("EU"));
      await readAhead(first);
      await countTo(first, 2);
      await saveFold(first, sources);
      const second = await openFold(sources);
      expect([counted(second.count), second.reader.position(), second.road.size]).toEqual([2, 2, 5]);
      await log.append(say.tally("AT-1", { version: 2, votes: { AT01: 90, AT02: 128, AT90: 2 } }), say.resume("EU"));
      for (const fold of [first, second]) {
        await readAhead(fold);
        expect(await countTo(fold, 7)).toBeDefined();
      }
      expect(bytesOf(second)).toBe(bytesOf(first));
      expect(second.road).toEqual(first.road);
    });
  });

  it.each<[string, string, string]>([
    ["a position beside a count of another", "update recount.position set size = 1", "the stored position is 1"],
    ["a count that is none", "update recount.part set sealed = 'x' where name = 'count'", "too short"],
    ["an older part", "update recount.part p set sealed = o.sealed from older o where p.name = o.name", "of 3, 3, 2"],
    ["nothing where a part was", "update recount.part set name = 'x' where name = 'road'", "part road is missing"],
  ])("counts from the start of the log when it finds %s, and stores all anew", async (_, damage, why) => {
    await inScenario(async ({ log, say, recount, query }) => {
      const sources = recount.sources.fold;
      const fold = await openFold(sources);
      for (const [n, unit] of ["AT-1", "AT-2"].entries()) {
        await log.append(say.tally(unit));
        await readAhead(fold);
        await countTo(fold, n + 2);
        await saveFold(fold, sources);
        if (n === 0) await query("create table older as select * from recount.part where name = 'left-out'");
      }
      await query(damage);
      const again = await openFold(sources);
      expect(again.refused?.message).toContain(why);
      expect(counted(again.count)).toBe(0);
      await readAhead(again);
      await countTo(again, 3);
      expect(bytesOf(again)).toBe(bytesOf(fold));
      await saveFold(again, sources);
      const third = await openFold(sources);
      expect([third.refused, counted(third.count)]).toEqual([null, 3]);
      expect(bytesOf(third)).toBe(bytesOf(fold));
    });
  });

  it("stops reading ahead when too much waits, cosigns nothing then, and catches up when it may count", async () => {
    await inScenario(async (scenario) => {
      const { log, say, recount, world, query } = scenario;
      await log.append(...closures(say));
      await insertProposal(scenario, liftStatement(world.sample, 1));
      const many = Array.from({ length: 1000 }, () => sampleTally("AT-1"));
      const statement = () => say.signed({ type: "tally", ...say.common("AT", "AT-1"), tallies: many }, "AT-1");
      const batches = MAX_WAITING_UNITS / 1000 / 10 + 2;
      for (let n = 0; n < batches; n++)
        await log.append(...Array.from({ length: 10 }, () => ({ ...statement(), verdict: "quarantined" as const })));
      await log.append(say.hold("EU"));
      await recount.round();
      const { rows } = await query("select from recount.cosignature");
      expect(rows).toHaveLength(0);
      const fold = await openFold(recount.sources.fold);
      await readAhead(fold);
      expect(fold.atHead).toBe(false);
      expect(fold.road.facts.held.has("EU")).toBe(false); // not known yet: that is why nothing may be signed
      expect(fold.waitingUnits).toBe(MAX_WAITING_UNITS);
      await countTo(fold, world.log.size());
      await readAhead(fold);
      expect(fold.atHead).toBe(true);
      expect(fold.waitingUnits).toBe(0);
    });
  });
});
