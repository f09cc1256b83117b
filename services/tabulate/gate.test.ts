import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SAMPLE_CLOSE, sampleDefinition } from "../../shared/definition/sample.ts";
import { createRoad } from "../../shared/embargo/road.ts";
import { type Harness, startHarness } from "../../test/harness.ts";
import { takeIn } from "../../test/vault.ts";
import { closures, liedLift, openScenario, type Scenario, SHUT, sharesOf } from "../../test/vault-scenario.ts";
import { nextLook } from "./gate.ts";

describe("tabulate's gate", () => {
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
  const proposals = async (scenario: Scenario) =>
    (await scenario.query<{ type: string }>("select type from tabulate.proposal order by proposed_at")).rows.map(
      ({ type }) => type,
    );

  it.each(SHUT)("proposes no lift with %s", async (_, statements, clocks) => {
    await inScenario(async (scenario) => {
      const { world, log, say, turn } = scenario;
      await log.append(say.tally(), ...statements(say));
      world.clocks = clocks;
      world.now = clocks.process ?? world.now;
      for (let n = 0; n < 4; n++) await turn();
      expect(await proposals(scenario)).toEqual([]);
      expect(world.posted).toEqual([]);
    });
  });

  it("proposes none by a clock that went back, though only another of its looks had seen it", async () => {
    await inScenario(async (scenario) => {
      const { world, log, say, turn, tabulate } = scenario;
      await log.append(...closures(say));
      world.now += 3_600_000;
      await tabulate.sources.proposals.lookAtClocks();
      world.now -= 3_600_000;
      for (let n = 0; n < 3; n++) await turn();
      expect(await proposals(scenario)).toEqual([]);
      world.now += 3_600_000;
      await turn();
      expect(await proposals(scenario)).toEqual(["lift"]);
    });
  });

  it("proposes it when nothing stands against it", async () => {
    await inScenario(async (scenario) => {
      await scenario.log.append(...closures(scenario.say));
      await scenario.turn();
      expect(await proposals(scenario)).toEqual(["lift"]);
    });
  });

  it.each(SHUT)("gives no share with %s, whatever the log says", async (_, statements, clocks) => {
    await inScenario(async (scenario) => {
      const { world, log, say, turn } = scenario;
      await log.append(say.tally(), ...statements(say));
      world.clocks = clocks;
      world.now = clocks.process ?? world.now;
      await turn();
      await liedLift(scenario);
      for (let n = 0; n < 3; n++) await turn();
      expect(await sharesOf(scenario, "tabulate")).toEqual([]);
      expect(world.incidents).toEqual([]);
    });
  });

  it("gives it when the gate is open by its own look as well", async () => {
    await inScenario(async (scenario) => {
      await scenario.log.append(scenario.say.tally(), ...closures(scenario.say));
      scenario.world.clocks = { nats: null };
      await scenario.turn();
      await liedLift(scenario);
      await scenario.turn();
      expect(await sharesOf(scenario, "tabulate")).toEqual([]);
      scenario.world.clocks = {};
      await scenario.turn();
      expect(await sharesOf(scenario, "tabulate")).toEqual([1]);
    });
  });

  it("gives none for a release that the log does not hold, or was there before the lift", async () => {
    await inScenario(async (scenario) => {
      const { log, say, turn, world } = scenario;
      await log.append(say.tally(), ...closures(say));
      world.doorOpen = false;
      for (let n = 0; n < 4; n++) await turn();
      expect(world.posted.length).toBeGreaterThan(0);
      expect(await sharesOf(scenario, "tabulate")).toEqual([]);
    });
  });

  it("does not post a lift that a hold has overtaken, and posts it when that is resumed", async () => {
    await inScenario(async (scenario) => {
      const { log, say, turn, world, tabulate, recount } = scenario;
      await log.append(say.tally(), ...closures(say));
      await tabulate.round();
      await recount.round(); // cosigned
      await log.append(say.hold("EU"));
      for (let n = 0; n < 3; n++) await turn();
      expect(world.posted).toEqual([]);
      await log.append(say.resume("EU"));
      await turn();
      expect(world.posted).toHaveLength(1);
    });
  });

  it("states clocks of its own reading, and withdraws a lift whose readings an extension has overtaken", async () => {
    await inScenario(async (scenario) => {
      const { log, say, turn, world, tabulate } = scenario;
      await log.append(say.tally(), ...closures(say));
      await tabulate.round();
      // recount has not cosigned when the extension comes, with a closure after it.
      await log.append(say.extended("LU", "2024-06-09T22:00:00Z"), say.closed("LU"));
      for (let n = 0; n < 2; n++) await turn();
      expect(world.posted).toEqual([]);
      world.now = Date.parse("2024-06-09T22:00:01Z");
      const taken = new Set<string>();
      for (let n = 0; n < 8 && (await sharesOf(scenario, "tabulate")).length === 0; n++) {
        await turn();
        await takeIn(world, taken);
      }
      expect(await sharesOf(scenario, "tabulate")).toEqual([1]);
      expect(await proposals(scenario)).toEqual(["lift", "lift", "release"]);
      const sequences = await scenario.query(
        "select sequence::int from ledger.entry where key = 'tabulate-1' order by index",
      );
      expect(sequences.rows).toEqual([{ sequence: 1 }, { sequence: 2 }]);
    });
  });

  it("looks more often as the last close comes near", () => {
    const road = createRoad(harness.sample.definition);
    expect(nextLook(road, SAMPLE_CLOSE - 3_600_000, false)).toBe(1_000);
    expect(nextLook(road, SAMPLE_CLOSE - 2_001, false)).toBe(1_000);
    expect(nextLook(road, SAMPLE_CLOSE - 2_000, false)).toBe(200);
    expect(nextLook(road, SAMPLE_CLOSE + 1, false)).toBe(1_000);
    for (const poll of road.facts.polls) poll.closed = true;
    expect(nextLook(road, SAMPLE_CLOSE - 1, false)).toBe(200);
    expect(nextLook(road, SAMPLE_CLOSE, false)).toBe(50);
    expect(nextLook(road, SAMPLE_CLOSE - 3_600_000, true)).toBe(50);
  });
});
