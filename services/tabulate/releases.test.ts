import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sampleCommon, sampleDefinition } from "../../shared/definition/sample.ts";
import { openAnswer, sealAnswer, signRelease } from "../../shared/platform/release-seal.ts";
import { vaultOf } from "../../shared/platform/vault-fixture.ts";
import { openEnvelope } from "../../shared/statement/jws.ts";
import { readStatement } from "../../shared/statement/read.ts";
import type { Statement } from "../../shared/statement/types.ts";
import { type Harness, startHarness } from "../../test/harness.ts";
import { recountHere, tabulateHere, takeIn } from "../../test/vault.ts";
import {
  closures,
  insertProposal,
  liftStatement,
  newestRelease,
  openScenario,
  ownStatement,
  type Scenario,
  sharesOf,
} from "../../test/vault-scenario.ts";

describe("tabulate's releases", () => {
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
  const candidates = async (scenario: Scenario) => {
    const sql = "select number, size from tabulate.candidate order by number, size";
    return (await scenario.query<{ number: number; size: number }>(sql)).rows.map(({ number, size }) => [number, size]);
  };
  const posted = ({ world }: Scenario): Statement[] =>
    world.posted.map((jws) => {
      const opened = openEnvelope(Buffer.from(jws));
      const read = opened.kind === "envelope" ? readStatement(opened.envelope.payload) : opened;
      if (read.kind !== "statement") throw new Error("what was posted is no statement");
      return read.statement;
    });

  it("are written at most once a second, and only when an entry came that may change them", async () => {
    await inScenario(async (scenario) => {
      const { log, say, world, tabulate } = scenario;
      const look = async (ms: number) => {
        world.steadyMs += ms;
        return tabulate.round();
      };
      await look(0);
      expect(await candidates(scenario)).toEqual([[1, 1]]);
      await log.append(say.tally("AT-1"));
      // Due a second after the one before, whose time is Postgres'.
      expect(await look(100)).toBeLessThanOrEqual(1_000);
      expect(await candidates(scenario)).toEqual([[1, 1]]);
      await look(1_000);
      expect(await candidates(scenario)).toEqual([
        [1, 1],
        [1, 2],
      ]);
      await look(5_000);
      expect(await candidates(scenario)).toHaveLength(2);
      // What was quarantined counts for nothing, but a candidate that failed to come would tell.
      await log.append({ ...say.tally("AT-2"), verdict: "quarantined" });
      await look(1_000);
      expect(await candidates(scenario)).toHaveLength(3);
      // A restart writes none again.
      const again = tabulateHere(world, scenario.pools.tabulate);
      world.steadyMs += 5_000;
      await again.round();
      expect(await candidates(scenario)).toHaveLength(3);
    });
  });

  it("trigger none of themselves", async () => {
    await inScenario(async (scenario) => {
      const { log, say, world, turn } = scenario;
      await log.append(say.tally("AT-1"), ...closures(say));
      const taken = new Set<string>();
      for (let n = 0; n < 10; n++) {
        await turn();
        await takeIn(world, taken);
      }
      expect(posted(scenario).map(({ type }) => type)).toEqual(["lift", "release"]);
      expect(await candidates(scenario)).toEqual([[1, 4]]);
      expect(await sharesOf(scenario, "tabulate")).toEqual([1]);
    });
  });

  it("are posted again as the same bytes until the log holds them, after a restart as well", async () => {
    await inScenario(async (scenario) => {
      const { log, say, world, pools } = scenario;
      await log.append(say.tally("AT-1"), ...closures(say));
      world.doorOpen = false;
      const taken = new Set<string>();
      for (const type of ["lift", "release"]) {
        for (let n = 0; n < 4; n++) {
          // Both start anew each time: what they know of the road, they know from the database.
          world.steadyMs += 1_000;
          const tabulate = tabulateHere(world, pools.tabulate);
          for (let rounds = 0; rounds < 2; rounds++) await tabulate.round();
          await recountHere(world, pools.recount).round();
        }
        const here = world.posted.filter((_, n) => posted(scenario)[n]?.type === type);
        expect(here.length).toBeGreaterThan(1);
        expect(new Set(here).size).toBe(1);
        world.doorOpen = true;
        await takeIn(world, taken);
        world.doorOpen = false;
      }
      await scenario.turn();
      expect(await sharesOf(scenario, "tabulate")).toEqual([1]);
      const proposals = await scenario.query("select type from tabulate.proposal");
      expect(proposals.rows).toHaveLength(2);
    });
  });

  it("are proposed anew, under the next sequence, when the ledger quarantined the lift", async () => {
    await inScenario(async (scenario) => {
      const { log, say, world, turn } = scenario;
      await log.append(say.tally("AT-1"), ...closures(say));
      const taken = new Set<string>();
      world.verdict = "quarantined";
      for (let n = 0; n < 3; n++) {
        await turn();
        await takeIn(world, taken);
      }
      expect(world.incidents[0]).toEqual({ by: "tabulate", code: "lift.quarantined", about: "1" });
      world.verdict = "accepted";
      for (let n = 0; n < 8; n++) {
        await turn();
        await takeIn(world, taken);
      }
      const sequences = posted(scenario).map(({ sequence }) => sequence);
      expect([...new Set(sequences)]).toEqual([...new Set(sequences)].sort((a, b) => a - b));
      expect(await sharesOf(scenario, "tabulate")).toEqual([1]);
    });
  });

  it("are proposed only with recount's true signature over the same bytes", async () => {
    await inScenario(async (scenario) => {
      const { log, say, world, turn, query } = scenario;
      await log.append(say.tally("AT-1"), ...closures(say));
      world.clocks = { nats: null };
      await turn();
      const { rows } = await query<{ number: number; size: number; sealed: Buffer }>(
        "select number, size, sealed from recount.answer",
      );
      const { number, size, sealed } = rows[0]!;
      const vault = vaultOf(harness.sample);
      expect(openAnswer(vault, { number, size }, sealed).agrees).toBe(true);
      const { sign } = scenario.recount.sources.answers.keys;
      const other = signRelease("recount-1", Buffer.from("{}"), sign);
      await query("alter table recount.answer disable trigger only_grows");
      await query("update recount.answer set sealed = $1", [
        sealAnswer(vault, { number, size }, { agrees: true, signature: other }),
      ]);
      world.clocks = {};
      const taken = new Set<string>();
      const again = tabulateHere(world, scenario.pools.tabulate);
      for (let n = 0; n < 5; n++) {
        world.steadyMs += 1_000;
        await again.round();
        await scenario.recount.round();
        await takeIn(world, taken);
      }
      expect(posted(scenario).map(({ type }) => type)).toEqual(["lift"]);
      expect((await query("select type from tabulate.proposal")).rows).toEqual([{ type: "lift" }]);
    });
  });

  it("do not go to the door with a cosignature that is not recount's", async () => {
    await inScenario(async (scenario) => {
      const { log, say, world, tabulate, query } = scenario;
      await log.append(say.tally("AT-1"), ...closures(say));
      await tabulate.round();
      await query(
        "insert into recount.cosignature (proposal, signature) select sha256, signature from tabulate.proposal",
      );
      for (let n = 0; n < 3; n++) await tabulate.round();
      expect(world.posted).toEqual([]);
    });
  });

  it("give no share of one that is in the log and was not written here", async () => {
    await inScenario(async (scenario) => {
      const { log, say, world, tabulate } = scenario;
      await log.append(say.tally("AT-1"), ...closures(say));
      world.clocks = { nats: null };
      await tabulate.round();
      const { statement } = await newestRelease(scenario, 902);
      await log.append(ownStatement(liftStatement(world.sample, 901), say));
      await log.append(ownStatement({ ...statement, release: "ab".repeat(32) } as Statement, say));
      world.clocks = {};
      await tabulate.round();
      await tabulate.round();
      expect(await sharesOf(scenario, "tabulate")).toEqual([]);
      expect(world.incidents).toMatchObject([{ by: "tabulate", code: "log.broken" }]);
      expect(tabulate.status().broken).toBe(true);
    });
  });

  it("take no stored proposal for one of theirs that says something else", async () => {
    await inScenario(async (scenario) => {
      const { log, say, world, tabulate } = scenario;
      await log.append(...closures(say));
      const other = await insertProposal(scenario, {
        ...sampleCommon(world.sample, "EU", 1),
        type: "lift",
      } as Statement);
      await tabulate.round();
      const { rows } = await scenario.query("select type from tabulate.proposal where sha256 <> $1", [other]);
      expect(rows).toEqual([{ type: "lift" }]);
      expect(world.posted).toEqual([]);
    });
  });
});
