import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { sampleDefinition } from "../../shared/definition/sample.ts";
import type { Release } from "../../shared/formats/release.ts";
import { openCandidate } from "../../shared/platform/release-seal.ts";
import { vaultOf } from "../../shared/platform/vault-fixture.ts";
import { type Harness, startHarness } from "../../test/harness.ts";
import { tabulateHere, takeIn } from "../../test/vault.ts";
import { closures, openScenario, type Scenario, sharesOf } from "../../test/vault-scenario.ts";

/** That declared seats are not the computed ones is told, and told of what is released only: by both counts, on a real database. */

let harness: Harness;
let scenario: Scenario;
beforeAll(async () => {
  harness = await startHarness({ sample: sampleDefinition() });
});
afterAll(() => harness.close());
beforeEach(async () => {
  scenario = await openScenario(harness);
  return () => scenario.close();
});

/** All twenty of Austria's for one list, which its votes do not give it. */
const declared = () => {
  const { say } = scenario;
  return say.signed({ type: "seats", ...say.common("AT", "AT-1"), constituency: "AT", seats: { AT01: 20 } }, "AT-1");
};

/** The newest document of this number. */
async function releaseOf(number: number): Promise<Release> {
  const sql = "select size::int, sealed from tabulate.candidate where number = $1 order by size desc limit 1";
  const { rows } = await scenario.query<{ size: number; sealed: Buffer }>(sql, [number]);
  const { size, sealed } = rows[0] as (typeof rows)[0];
  return JSON.parse(openCandidate(vaultOf(scenario.world.sample), { number, size }, sealed).release) as Release;
}
const differing = () => scenario.world.incidents.filter(({ code }) => code === "seats.differ");

/** Turns until a release of this number has its share. */
async function until(number: number, taken: Set<string>): Promise<void> {
  for (let n = 0; n < 20; n++) {
    scenario.world.steadyMs += 1_000;
    await scenario.turn();
    await takeIn(scenario.world, taken);
    if ((await sharesOf(scenario, "tabulate")).includes(number)) break;
  }
  await scenario.turn();
  expect(await sharesOf(scenario, "tabulate")).toContain(number);
}

describe("declared seats that are not the computed ones", () => {
  it("are told once, when a release shows them, and nobody is called again for the same", async () => {
    const { log, say, world, pools } = scenario;
    const taken = new Set<string>();
    await log.append(say.tally("AT-1"), declared());
    for (let n = 0; n < 3; n++) await scenario.turn();
    // Counted, and not released: nothing is told yet.
    expect(differing()).toEqual([]);
    await log.append(...closures(say));
    await until(1, taken);
    expect(differing()).toEqual([{ by: "tabulate", code: "seats.differ", about: "1: AT" }]);
    const [austria] = (await releaseOf(1)).states;
    expect(austria?.differences.length).toBeGreaterThan(0);
    const computed = austria?.lists.find(({ id }) => id === "AT01")?.seats ?? 0;
    expect(austria?.differences).toContainEqual({ constituency: "AT", list: "AT01", computed, declared: 20 });

    // Still different: the next release says so, and nobody is called again.
    await log.append(say.tally("AT-2"));
    await until(2, taken);
    expect(differing()).toHaveLength(1);
    // A process that starts anew tells of the last release again, at most.
    const again = tabulateHere(world, pools.tabulate);
    await again.round();
    await again.round();
    expect(differing().every(({ about }) => about === "1: AT" || about === "2: AT")).toBe(true);
  });
});
