import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sampleDefinition } from "../../shared/definition/sample.ts";
import {
  openCandidate,
  type SealedAnswer,
  sealAnswer,
  sealCandidate,
  signRelease,
} from "../../shared/platform/release-seal.ts";
import { vaultOf } from "../../shared/platform/vault-fixture.ts";
import { type Harness, startHarness } from "../../test/harness.ts";
import { takeIn } from "../../test/vault.ts";
import {
  closures,
  liftStatement,
  newestRelease,
  openScenario,
  ownStatement,
  type Scenario,
  sharesOf,
  takeDownLiftWall,
} from "../../test/vault-scenario.ts";

/** A release is proposed, and its key's share given, only for bytes that both counts have signed, each by its own hand. */

describe("what tabulate proposes and opens", () => {
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
  /** Both look some times, with the door between them. */
  const goOn = async (scenario: Scenario, taken: Set<string>, turns = 5) => {
    for (let n = 0; n < turns; n++) {
      await scenario.turn();
      await takeIn(scenario.world, taken);
    }
  };
  const proposed = async (scenario: Scenario, type: "lift" | "release") =>
    (await scenario.query("select from tabulate.proposal where type = $1", [type])).rows.length;
  const lifts = async (scenario: Scenario) => (await scenario.query("select from ledger.lift")).rows.length;

  /** The one candidate, and what both keys of the counts can sign. */
  const candidateOf = async (scenario: Scenario) => {
    const { rows } = await scenario.query<{ number: number; size: number; sealed: Buffer }>(
      "select number, size, sealed from tabulate.candidate",
    );
    expect(rows).toHaveLength(1);
    const [{ number, size, sealed }] = rows as [(typeof rows)[0]];
    const vault = vaultOf(scenario.world.sample);
    return { id: { number, size }, vault, ...openCandidate(vault, { number, size }, sealed) };
  };
  const signers = ({ tabulate, recount }: Scenario) => ({
    tabulate: tabulate.sources.releases.keys.sign,
    recount: recount.sources.answers.keys.sign,
  });
  const answer = async (scenario: Scenario, made: SealedAnswer) => {
    const { id, vault } = await candidateOf(scenario);
    const sealed = sealAnswer(vault, id, made);
    await scenario.query("insert into recount.answer (number, size, sealed) values ($1, $2, $3)", [
      id.number,
      id.size,
      sealed,
    ]);
  };

  type Lie = (scenario: Scenario) => Promise<void>;
  const lies: [string, Lie][] = [
    ["recount has found another", (scenario) => answer(scenario, { agrees: false, differs: "union" })],
    [
      "recount has signed other bytes",
      async (scenario) => {
        const { release } = await candidateOf(scenario);
        const signature = signRelease("recount-1", Buffer.from(`${release} `), signers(scenario).recount);
        await answer(scenario, { agrees: true, signature });
      },
    ],
    [
      "tabulate has signed in recount's place",
      async (scenario) => {
        const { release } = await candidateOf(scenario);
        const signature = signRelease("recount-1", Buffer.from(release), signers(scenario).tabulate);
        await answer(scenario, { agrees: true, signature });
      },
    ],
    [
      "tabulate has not signed it, though recount has",
      async (scenario) => {
        const { id, vault, release } = await candidateOf(scenario);
        const other = Buffer.from(release.replace('"votes":120', '"votes":121'));
        const by = signers(scenario).recount;
        const sealed = sealCandidate(vault, id, {
          release: other.toString(),
          signature: signRelease("tabulate-1", other, by),
        });
        await scenario.query("alter table tabulate.candidate disable trigger only_grows");
        await scenario.query("update tabulate.candidate set sealed = $1", [sealed]);
        await answer(scenario, { agrees: true, signature: signRelease("recount-1", other, by) });
      },
    ],
  ];

  it.each<[string, Lie, number]>([
    ...lies.map(([name, lie]): [string, Lie, number] => [name, lie, 0]),
    [
      "both have signed it",
      async (scenario) => {
        const { release } = await candidateOf(scenario);
        const signature = signRelease("recount-1", Buffer.from(release), signers(scenario).recount);
        await answer(scenario, { agrees: true, signature });
      },
      1,
    ],
  ])("after the lift, when %s: releases proposed", async (_, lie, expected) => {
    await inScenario(async (scenario) => {
      const { log, say, tabulate } = scenario;
      await log.append(say.tally("AT-1"), ...closures(say));
      await tabulate.round();
      await lie(scenario);
      await goOn(scenario, new Set());
      // The gate is open and the lift is in the log: nothing but the answer can stand against a release.
      expect(await lifts(scenario)).toBe(1);
      expect(await proposed(scenario, "release")).toBe(expected);
    });
  });

  it("posts no lift that recount has not signed", async () => {
    await inScenario(async (scenario) => {
      const { log, say, tabulate, world } = scenario;
      await log.append(...closures(say));
      for (let n = 0; n < 4; n++) {
        world.steadyMs += 1_000;
        await tabulate.round();
        await scenario.query(
          "insert into recount.cosignature (proposal, signature) select sha256, $1 from tabulate.proposal on conflict do nothing",
          [randomBytes(64)],
        );
      }
      // Each was given up for another, which may be signed.
      expect(await proposed(scenario, "lift")).toBe(2);
      expect(world.posted).toEqual([]);
    });
  });

  it("proposes no second release before the share of the first was given", async () => {
    await inScenario(async (scenario) => {
      const { log, say, world } = scenario;
      const taken = new Set<string>();
      await log.append(say.tally("AT-1"), ...closures(say));
      for (let n = 0; n < 8 && (await lifts(scenario)) === 0; n++) await goOn(scenario, taken, 1);
      // From here on no clock can be read: the release comes into the log, and its share is not given.
      world.clocks = { nats: null };
      await goOn(scenario, taken);
      expect(await proposed(scenario, "release")).toBe(1);
      await log.append(say.tally("AT-2"));
      await goOn(scenario, taken);
      const { rows } = await scenario.query("select from recount.answer where number = 2");
      expect(rows.length).toBeGreaterThan(0);
      expect(await sharesOf(scenario, "tabulate")).toEqual([]);
      expect(await proposed(scenario, "release")).toBe(1);
      world.clocks = {};
      await goOn(scenario, taken);
      expect(await proposed(scenario, "release")).toBe(2);
    });
  });

  it("gives no share of a release in the log that it did not write, and stops", async () => {
    await inScenario(async (scenario) => {
      const { log, say, world, turn, tabulate } = scenario;
      await log.append(say.tally("AT-1"), ...closures(say));
      world.clocks = { nats: null };
      await turn();
      await takeDownLiftWall(scenario);
      const { statement } = await newestRelease(scenario, 902);
      await log.append(ownStatement(liftStatement(world.sample, 901), say));
      await log.append(ownStatement({ ...statement, release: "ab".repeat(32) } as typeof statement, say));
      world.clocks = {};
      await turn();
      expect(await sharesOf(scenario, "tabulate")).toEqual([]);
      expect(world.incidents.filter(({ by }) => by === "tabulate")).toMatchObject([{ code: "log.broken" }]);
      expect(tabulate.status().broken).toBe(true);
    });
  });
});
