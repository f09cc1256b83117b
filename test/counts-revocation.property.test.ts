import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sampleDefinition } from "../shared/definition/sample.ts";
import { type Harness, startHarness } from "./harness.ts";
import { expectRight, struck, type Told } from "./revocations.ts";
import { recountHere, tabulateHere } from "./vault.ts";
import { openScenario, type Scenario } from "./vault-scenario.ts";
import { receivedAt, type Written } from "./written-log.ts";

/**
 * Whatever is said, revoked and said again, in whatever batches, wherever either count looks or starts again: every candidate is the
 * plain count of its prefix, and recount finds the same. fast-check prints the seed of a failing night.
 */

type Step =
  | { do: "tally"; by: string[]; unit: string; version: number; votes: number; verdict: "accepted" | "quarantined" }
  | { do: "declare" }
  | { do: "revoke"; kid: string; back: number; further: boolean }
  | { do: "commit" }
  | { do: "look"; who: "tabulate" | "recount" }
  | { do: "restart"; who: "tabulate" | "recount" };

const who = fc.constantFrom("tabulate" as const, "recount" as const);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constant("tally" as const),
      by: fc.constantFrom<string[][]>(["AT-1"], ["AT-2"], ["AT-3"], ["AT-1", "AT-2"], ["AT-2", "AT-3"]),
      unit: fc.constantFrom("AT-1", "AT-2", "AT-3", "AT-P"),
      version: fc.integer({ min: 1, max: 5 }),
      votes: fc.integer({ min: 0, max: 200 }),
      verdict: fc.constantFrom("accepted" as const, "accepted" as const, "accepted" as const, "quarantined" as const),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ do: "declare" as const }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("revoke" as const),
      kid: fc.constantFrom("AT-1", "AT-2", "AT-3"),
      /** Entries back from where it stands or, if the key is revoked already, from where that reached. */
      back: fc.nat(12),
      further: fc.boolean(),
    }),
  },
  { weight: 5, arbitrary: fc.constant({ do: "commit" as const }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("look" as const), who }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("restart" as const), who }) },
);

const LONG_MS = 6_000;
const seen = { nights: 0, revoked: 0, further: 0, takenBack: 0, restarts: 0, candidates: 0, agreed: 0 };

/** One night: what was written so far, what waits for its batch, and which keys have ended since when. */
async function live(scenario: Scenario, plan: Step[]): Promise<void> {
  const { world, say, log, pools } = scenario;
  const told: Told = [];
  const batch: Written[] = [];
  const since = new Map<string, number>();
  const counts = { tabulate: scenario.tabulate, recount: scenario.recount };
  const next = () => log.size() + batch.length;
  const commit = async () => {
    const from = log.size();
    for (const [n, written] of batch.entries()) told[from + n] = written;
    if (batch.length > 0) await log.append(...batch.splice(0));
  };
  const put = (written: Written, by: string[]) =>
    // A key that has ended says nothing more that is accepted.
    batch.push(by.some((kid) => since.has(kid)) ? { ...written, verdict: "quarantined" } : written);
  const look = async (name: "tabulate" | "recount") => {
    for (let n = 0; n < 2; n++) {
      world.steadyMs += LONG_MS;
      await counts[name].round();
    }
  };
  for (const each of plan) {
    if (each.do === "commit") await commit();
    else if (each.do === "declare") put(say.declared("final"), ["AT-1", "AT-2"]);
    else if (each.do === "look") await look(each.who);
    else if (each.do === "restart") {
      if (each.who === "tabulate") counts.tabulate = tabulateHere(world, pools.tabulate);
      else counts.recount = recountHere(world, pools.recount);
      seen.restarts++;
    } else if (each.do === "tally") {
      const { by, unit, version, votes, verdict } = each;
      put({ ...say.tallyBy(by, unit, { version, votes: { AT01: votes, AT02: 98, AT90: 2 } }), verdict }, by);
    } else {
      const before = since.get(each.kid);
      const at = (each.further && before !== undefined ? before - 1 : next()) - each.back;
      const written = say.revoked(each.kid, receivedAt(at));
      if (before !== undefined && before <= at) batch.push({ ...written, verdict: "quarantined" });
      else {
        batch.push(written);
        since.set(each.kid, at);
        seen[before === undefined ? "revoked" : "further"]++;
      }
    }
  }
  batch.push(say.tallyBy(["AT-3"], "AT-4", {}));
  if (since.has("AT-3")) batch[batch.length - 1]!.verdict = "quarantined";
  await commit();
  await look("tabulate");
  await look("recount");
  const candidates = await expectRight(scenario, told);
  expect(candidates.at(-1)).toMatchObject({ size: log.size(), agrees: true });
  seen.nights++;
  seen.candidates += candidates.length;
  seen.agreed += candidates.filter(({ agrees }) => agrees).length;
  seen.takenBack += candidates.filter(({ size }, n) => {
    const before = candidates[n - 1]?.size ?? 0;
    const out = [...struck(told, size)].filter((index) => index < before && !struck(told, before).has(index));
    return out.some((index) => told[index]?.verdict !== "quarantined");
  }).length;
}

describe("both counts", () => {
  let harness: Harness;
  beforeAll(async () => {
    harness = await startHarness({ sample: sampleDefinition() });
  });
  afterAll(() => harness.close());

  it("property: agree with the plain count of every prefix, whatever is revoked", async () => {
    const night = fc.asyncProperty(fc.array(step, { minLength: 25, maxLength: 60 }), async (plan) => {
      const scenario = await openScenario(harness);
      try {
        await live(scenario, plan);
      } finally {
        await scenario.close();
      }
    });
    await fc.assert(night, { numRuns: 20, endOnFailure: true });
    // The plans reach what the test is for.
    for (const [what, times] of Object.entries(seen)) expect(times, what).toBeGreaterThan(3);
  }, 240_000);
});
