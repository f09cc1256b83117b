import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sampleDefinition } from "../../shared/definition/sample.ts";
import type { Statement } from "../../shared/statement/types.ts";
import { type Harness, startHarness } from "../../test/harness.ts";
import { takeIn } from "../../test/vault.ts";
import {
  closures,
  insertProposal,
  newestRelease,
  openScenario,
  type Scenario,
  sharesOf,
} from "../../test/vault-scenario.ts";
import { emptyMemory } from "./answers.ts";
import { cosign } from "./cosign.ts";
import { openFold, readAhead } from "./fold.ts";

/** What recount signs of a tabulate that has lost its way, or is somebody else: each thing alone that is not right. */

describe("recount's signature under a proposal", () => {
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
  const signed = async (scenario: Scenario, sha256: Buffer) =>
    (await scenario.query("select from recount.cosignature where proposal = $1", [sha256])).rows.length === 1;
  /** One look of recount at a proposal; whether it signs. */
  const signs = async (scenario: Scenario, statement: Statement) => {
    const sha256 = await insertProposal(scenario, statement);
    await scenario.recount.round();
    return signed(scenario, sha256);
  };

  /** Release 1 is in the log, as sequence 2 after the lift; release 2 is counted by both, and not proposed. */
  const afterTheFirst = async (scenario: Scenario, share: boolean) => {
    const { log, say, world, turn, tabulate, recount } = scenario;
    const taken = new Set<string>();
    const inLog = async (type: string) =>
      (await scenario.query("select from ledger.entry where type = $1", [type])).rows.length;
    const on = async () => {
      await turn();
      await takeIn(world, taken);
    };
    await log.append(say.tally("AT-1"), ...closures(say));
    for (let n = 0; n < 8 && (await inLog("lift")) === 0; n++) await on();
    if (!share) world.clocks = { nats: null };
    for (let n = 0; n < 8 && (await inLog("release")) === 0; n++) await on();
    await on();
    expect([await inLog("lift"), await inLog("release")]).toEqual([1, 1]);
    expect(await sharesOf(scenario, "recount")).toEqual(share ? [1] : []);
    await log.append(say.tally("AT-2"));
    world.steadyMs += 6_000;
    await tabulate.round();
    await recount.round();
    const next = await newestRelease(scenario, 3);
    expect(next.number).toBe(2);
    return next.statement as Extract<Statement, { type: "release" }>;
  };

  it("is there for the release that follows, under the sequence that follows", async () => {
    await inScenario(async (scenario) => {
      expect(await signs(scenario, await afterTheFirst(scenario, true))).toBe(true);
    });
  });

  it.each<[string, (release: Extract<Statement, { type: "release" }>) => Statement]>([
    ["under a sequence that the log has seen", (release) => ({ ...release, sequence: 2 })],
    ["of another number", (release) => ({ ...release, number: 3 })],
    ["of another prefix", (release) => ({ ...release, size: release.size - 1 })],
    ["of other bytes", (release) => ({ ...release, release: "ab".repeat(32) })],
    ["of another root", (release) => ({ ...release, root: Buffer.alloc(32).toString("base64") })],
    ["after another one", (release) => ({ ...release, previous: "ab".repeat(32) })],
    ["after none", (release) => ({ ...release, previous: null })],
    ["of another election", (release) => ({ ...release, definition: "0".repeat(64) })],
    ["for a state", (release) => ({ ...release, state: "AT" })],
  ])("is not there for a release %s", async (_, change) => {
    await inScenario(async (scenario) => {
      const release = await afterTheFirst(scenario, true);
      expect(await signs(scenario, change(release))).toBe(false);
    });
  });

  it("is not there for the first release once more, in the form of a later candidate", async () => {
    await inScenario(async (scenario) => {
      const { log, say, world, turn, tabulate, recount } = scenario;
      const taken = new Set<string>();
      await log.append(say.tally("AT-1"));
      await turn();
      const early = await newestRelease(scenario, 2);
      await log.append(say.tally("AT-2"), ...closures(say));
      world.steadyMs += 6_000;
      await tabulate.round();
      await recount.round();
      const late = await newestRelease(scenario, 3);
      expect([early.number, late.number, late.size > early.size]).toEqual([1, 1, true]);
      for (let n = 0; n < 3; n++) {
        await turn();
        await takeIn(world, taken);
        if (world.posted.length > 0) break;
      }
      expect((await scenario.query("select from ledger.lift")).rows).toHaveLength(1);
      // The lift is in the log; the earlier candidate is released, as a ledger would take it.
      await log.append(say.signed(early.statement, "tabulate-1", "recount-1"));
      await recount.round();
      expect(await signs(scenario, late.statement)).toBe(false);
    });
  });

  it("is not there before the share of the last release was given", async () => {
    await inScenario(async (scenario) => {
      const release = await afterTheFirst(scenario, false);
      const sha256 = await insertProposal(scenario, release);
      await scenario.recount.round();
      expect(await signed(scenario, sha256)).toBe(false);
      scenario.world.clocks = {};
      await scenario.recount.round();
      expect(await sharesOf(scenario, "recount")).toEqual([1]);
      expect(await signed(scenario, sha256)).toBe(true);
    });
  });

  it("is not there for a payload under another's hash", async () => {
    await inScenario(async (scenario) => {
      const sha256 = await insertProposal(scenario, await afterTheFirst(scenario, true));
      const other = randomBytes(32);
      await scenario.query("update tabulate.proposal set sha256 = $1 where sha256 = $2", [other, sha256]);
      await scenario.recount.round();
      expect(await signed(scenario, other)).toBe(false);
    });
  });

  it("waits until the log was read to its head: a hold could stand in what is not known", async () => {
    await inScenario(async (scenario) => {
      const { log, say, tabulate, recount } = scenario;
      await log.append(...closures(say));
      await tabulate.round();
      const fold = await openFold(recount.sources.fold);
      await readAhead(fold);
      const memory = { ...emptyMemory(), lastShare: 0 };
      const signatures = async () => (await scenario.query("select from recount.cosignature")).rows.length;
      await cosign({ ...fold, atHead: false }, memory, recount.sources.cosign);
      expect(await signatures()).toBe(0);
      await cosign(fold, memory, recount.sources.cosign);
      expect(await signatures()).toBe(1);
    });
  });
});
