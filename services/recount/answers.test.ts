import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sampleDefinition } from "../../shared/definition/sample.ts";
import { openAnswer, openCandidate, sealCandidate, signRelease } from "../../shared/platform/release-seal.ts";
import { vaultOf } from "../../shared/platform/vault-fixture.ts";
import { type Harness, startHarness } from "../../test/harness.ts";
import { recountHere } from "../../test/vault.ts";
import { closures, liedLift, openScenario, type Scenario, sharesOf } from "../../test/vault-scenario.ts";
import { firstDifference } from "./difference.ts";

describe("recount's answers", () => {
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
  type Row = { number: number; size: number; sealed: Buffer };
  const candidates = async (scenario: Scenario) =>
    (await scenario.query<Row>("select number, size, sealed from tabulate.candidate order by size")).rows;
  const answers = async (scenario: Scenario) => {
    const { rows } = await scenario.query<Row>("select number, size, sealed from recount.answer order by size");
    const vault = vaultOf(scenario.world.sample);
    return rows.map(({ number, size, sealed }) => ({ size, ...openAnswer(vault, { number, size }, sealed) }));
  };

  /** Another document in the place of the newest candidate's, sealed and signed as tabulate would. */
  const replaceCandidate = async (scenario: Scenario, change: (release: string) => string, by = "tabulate-1") => {
    const { number, size, sealed } = (await candidates(scenario)).at(-1)!;
    const { sample } = scenario.world;
    const vault = vaultOf(sample);
    const release = change(openCandidate(vault, { number, size }, sealed).release);
    const { sign } =
      by === "tabulate-1" ? scenario.tabulate.sources.releases.keys : scenario.recount.sources.answers.keys;
    const signature = signRelease("tabulate-1", Buffer.from(release, "utf8"), sign);
    await scenario.query("alter table tabulate.candidate disable trigger only_grows");
    await scenario.query("update tabulate.candidate set sealed = $3 where number = $1 and size = $2", [
      number,
      size,
      sealCandidate(vault, { number, size }, { release, signature }),
    ]);
  };

  it("signs the same bytes, and tells whoever waits", async () => {
    await inScenario(async (scenario) => {
      const { log, say, turn, world } = scenario;
      await log.append(say.tally("AT-1"));
      await turn();
      expect(await answers(scenario)).toMatchObject([{ size: 2, agrees: true }]);
      expect(world.hints).toEqual([
        { number: 1, size: 2 },
        { number: 1, size: 2 },
      ]);
    });
  });

  it("answers the newest candidate, though older ones were missed and it has read further", async () => {
    await inScenario(async (scenario) => {
      const { log, say, world, tabulate, recount } = scenario;
      for (const unit of ["AT-1", "AT-2", "AT-3"]) {
        await log.append(say.tally(unit));
        world.steadyMs += 1_000;
        await tabulate.round();
      }
      await log.append(say.tally("AT-4"));
      expect((await candidates(scenario)).map(({ size }) => size)).toEqual([2, 3, 4]);
      expect(await recount.round()).toBe(0);
      await recount.round();
      expect(await answers(scenario)).toMatchObject([{ size: 4, agrees: true }]);
      // A restart begins behind the answered one, and finds nothing to answer.
      const again = recountHere(world, scenario.pools.recount);
      expect(await again.round()).toBeGreaterThan(0);
      expect(await answers(scenario)).toHaveLength(1);
    });
  });

  it.each<[string, (release: string) => string, string, string?]>([
    ["a vote more", (r) => r.replace('"votes":120', '"votes":121'), "states.0.constituencies.0.lists.0.votes"],
    [
      "a seat moved",
      (r) => r.replace(/"seats":\d+,"votes":120/, '"seats":0,"votes":120'),
      "states.0.constituencies.0.lists.0.seats",
    ],
    ["another status", (r) => r.replace('"PROVISIONAL"', '"FINAL"'), "states.0.status"],
    ["another form of the same", (r) => `${r} `, "form"],
    ["a signature that is not tabulate's", (r) => r, "signature", "recount-1"],
  ])("does not sign %s, says where it differs and no figure", async (_, change, where, by) => {
    await inScenario(async (scenario) => {
      const { log, say, world, tabulate, recount } = scenario;
      await log.append(say.tally("AT-1"), ...closures(say));
      await tabulate.round();
      await replaceCandidate(scenario, change, by);
      await recount.round();
      expect(await answers(scenario)).toEqual([{ size: 4, agrees: false, differs: where }]);
      expect(world.incidents).toEqual([{ by: "recount", code: "recount.differs", about: `4: ${where}` }]);
    });
  });

  it("gives no share of a release that is in the log and was not found here", async () => {
    await inScenario(async (scenario) => {
      const { log, say, world, tabulate, turn } = scenario;
      await log.append(say.tally("AT-1"), ...closures(say));
      world.clocks = { nats: null };
      await tabulate.round();
      await replaceCandidate(scenario, (r) => r.replace('"votes":120', '"votes":121'));
      await turn();
      await liedLift(scenario);
      world.clocks = {};
      await turn();
      expect(await sharesOf(scenario, "recount")).toEqual([]);
      expect(world.incidents.map(({ code }) => code)).toContain("log.broken");
      expect(scenario.recount.status().broken).toBe(true);
    });
  });

  it("answers in one length, whether it agrees or not", async () => {
    await inScenario(async (scenario) => {
      const { log, say, world, tabulate, recount } = scenario;
      const lengths: number[] = [];
      const length = async () => {
        const { rows } = await scenario.query<{ n: number }>(
          "select length(sealed) as n from recount.answer order by size",
        );
        lengths.push(...rows.map(({ n }) => n));
      };
      await log.append(say.tally("AT-1"));
      await tabulate.round();
      await recount.round();
      await log.append(say.tally("AT-2"));
      world.steadyMs += 1_000;
      await tabulate.round();
      await replaceCandidate(scenario, (r) => r.replace('"votes":240', '"votes":241'));
      await recount.round();
      await length();
      expect((await answers(scenario)).map(({ agrees }) => agrees)).toEqual([true, false]);
      expect(new Set(lengths).size).toBe(1);
      expect(new Set((await candidates(scenario)).map(({ sealed }) => sealed.length)).size).toBe(1);
    });
  });
});

describe("the first difference", () => {
  it.each([
    ['{"a":1}', '{"a":1}', "form"],
    ['{"a":[{"b":1},{"b":2}]}', '{"a":[{"b":1},{"b":3}]}', "a.1.b"],
    ['{"a":[1]}', '{"a":[1,2]}', "a.1"],
    ['{"a":1}', '{"b":1}', "a"],
    ['{"a":{}}', '{"a":[]}', "a"],
    ['{"a":null}', '{"a":{}}', "a"],
    ['{"a":"1"}', '{"a":1}', "a"],
  ])("between %s and %s is at %s", (a, b, where) => {
    expect(firstDifference(a, b)).toBe(where);
  });
});
