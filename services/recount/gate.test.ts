import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SAMPLE_CLOSE, sampleCommon, sampleDefinition } from "../../shared/definition/sample.ts";
import { createRoad } from "../../shared/embargo/road.ts";
import type { Statement } from "../../shared/statement/types.ts";
import { type Harness, startHarness } from "../../test/harness.ts";
import {
  closures,
  insertProposal,
  liedLift,
  liftStatement,
  newestRelease,
  openScenario,
  ownStatement,
  type Scenario,
  SHUT,
  sharesOf,
} from "../../test/vault-scenario.ts";
import { nextLook } from "./gate.ts";

describe("recount's gate", () => {
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
  const cosigned = async (scenario: Scenario) => (await scenario.query("select from recount.cosignature")).rows.length;

  it.each(SHUT)("cosigns no lift with %s, whatever tabulate says", async (_, statements, clocks) => {
    await inScenario(async (scenario) => {
      const { world, log, say, recount } = scenario;
      await log.append(say.tally(), ...statements(say));
      await insertProposal(scenario, liftStatement(world.sample, 1, SAMPLE_CLOSE + 12 * 3_600_000));
      world.clocks = clocks;
      world.now = clocks.process ?? world.now;
      for (let n = 0; n < 3; n++) await recount.round();
      expect(await cosigned(scenario)).toBe(0);
    });
  });

  it("cosigns none by a clock that went back, though only another of its looks had seen it", async () => {
    await inScenario(async (scenario) => {
      const { world, log, say, recount } = scenario;
      await log.append(...closures(say));
      await insertProposal(scenario, liftStatement(world.sample, 1));
      world.clocks = { nats: world.now + 500 };
      await recount.sources.cosign.lookAtClocks();
      world.clocks = {};
      for (let n = 0; n < 3; n++) await recount.round();
      expect(await cosigned(scenario)).toBe(0);
      world.clocks = { nats: world.now + 500 };
      await recount.round();
      expect(await cosigned(scenario)).toBe(1);
    });
  });

  it("cosigns it when nothing stands against it", async () => {
    await inScenario(async (scenario) => {
      await scenario.log.append(...closures(scenario.say));
      await insertProposal(scenario, liftStatement(scenario.world.sample, 1));
      await scenario.recount.round();
      expect(await cosigned(scenario)).toBe(1);
    });
  });

  it.each<[string, (s: Scenario) => [Statement, string?]]>([
    ["that states readings before the close", ({ world }) => [liftStatement(world.sample, 1, SAMPLE_CLOSE - 1)]],
    ["that tabulate did not sign", ({ world }) => [liftStatement(world.sample, 1), "trustee-1"]],
    ["of another election", ({ world }) => [{ ...liftStatement(world.sample, 1), definition: "00".repeat(32) }]],
    ["that speaks for a state", ({ world }) => [{ ...liftStatement(world.sample, 1), state: "AT" }]],
    ["that is none", ({ world }) => [{ ...sampleCommon(world.sample, "EU", 1), type: "lift" } as Statement]],
  ])("cosigns no lift %s", async (_, make) => {
    await inScenario(async (scenario) => {
      await scenario.log.append(...closures(scenario.say));
      await insertProposal(scenario, ...make(scenario));
      await scenario.recount.round();
      expect(await cosigned(scenario)).toBe(0);
    });
  });

  it("cosigns no second lift, and nothing under a sequence that was used", async () => {
    await inScenario(async (scenario) => {
      const { log, say, world, recount } = scenario;
      await log.append(...closures(say), ownStatement(liftStatement(world.sample, 5), say));
      await insertProposal(scenario, liftStatement(world.sample, 6));
      await insertProposal(scenario, liftStatement(world.sample, 4));
      await recount.round();
      expect(await cosigned(scenario)).toBe(0);
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
      expect(await sharesOf(scenario, "recount")).toEqual([]);
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
      expect(await sharesOf(scenario, "recount")).toEqual([]);
      scenario.world.clocks = {};
      await scenario.turn();
      expect(await sharesOf(scenario, "recount")).toEqual([1]);
    });
  });

  it.each<[string, (release: Record<string, unknown>) => object]>([
    ["of other bytes", () => ({ release: "ab".repeat(32) })],
    ["of another root", () => ({ root: Buffer.alloc(32).toString("base64") })],
    ["of another prefix", ({ size }) => ({ size: Number(size) - 1 })],
    ["out of order", () => ({ number: 2 })],
    ["after another one", () => ({ previous: "ab".repeat(32) })],
  ])("cosigns no release %s than it found", async (_, change) => {
    await inScenario(async (scenario) => {
      const { log, say, world, turn, recount } = scenario;
      await log.append(say.tally(), ...closures(say));
      world.doorOpen = false;
      await turn();
      const { statement } = await newestRelease(scenario, 902);
      await log.append(ownStatement(liftStatement(world.sample, 901), say));
      const before = await cosigned(scenario);
      await insertProposal(scenario, { ...statement, ...change(statement) } as Statement);
      await recount.round();
      expect(await cosigned(scenario)).toBe(before);
      await insertProposal(scenario, statement);
      await recount.round();
      expect(await cosigned(scenario)).toBe(before + 1);
    });
  });

  it("cosigns no release before the lift", async () => {
    await inScenario(async (scenario) => {
      const { log, say, world, turn, recount } = scenario;
      await log.append(say.tally(), say.closed("AT"));
      await turn();
      const { statement } = await newestRelease(scenario, 902);
      await insertProposal(scenario, statement);
      await recount.round();
      expect(await cosigned(scenario)).toBe(0);
      expect(world.posted).toEqual([]);
    });
  });

  it("looks more often as the last close comes near, and until the first release is there", () => {
    const road = createRoad(harness.sample.definition);
    expect(nextLook(road, SAMPLE_CLOSE - 2_001)).toBe(1_000);
    expect(nextLook(road, SAMPLE_CLOSE - 2_000)).toBe(200);
    for (const poll of road.facts.polls) poll.closed = true;
    expect(nextLook(road, SAMPLE_CLOSE)).toBe(50);
    road.lift = { index: 1, facts: road.facts };
    expect(nextLook(road, SAMPLE_CLOSE)).toBe(50);
  });
});
