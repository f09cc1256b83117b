import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openFold as openRecountFold } from "../services/recount/fold.ts";
import { openFold as openTabulateFold } from "../services/tabulate/fold.ts";
import { sampleDefinition } from "../shared/definition/sample.ts";
import { type Harness, startHarness } from "./harness.ts";
import { candidatesOf, expectRight, type Told } from "./revocations.ts";
import { type Crash, crashingPool, drive, recountHere, tabulateHere, takeIn, type World } from "./vault.ts";
import { closures, openScenario, type Scenario, sharesOf } from "./vault-scenario.ts";
import { receivedAt, type Written } from "./written-log.ts";

/**
 * From a revocation on, both counts leave out what the key signed while it was compromised: in every prefix that holds the revocation, and in
 * none before it. A candidate that is not the plain count of its prefix, or to which recount says no, fails each test here.
 */

/** Long enough that every pause of a count is over, snapshots' too. */
const LONG_MS = 6_000;

/** Scenarios at once: they mostly wait for Postgres. */
const AT_ONCE = 4;

type Rounds = { round(): Promise<number> };

/** Each looks twice, long after the time before: one that was just started writes and stores at its second look. */
async function looks(world: World, ...counts: Rounds[]): Promise<void> {
  for (const count of counts) {
    for (let n = 0; n < 2; n++) {
      world.steadyMs += LONG_MS;
      await count.round();
    }
  }
}

describe("after a revocation", () => {
  let harness: Harness;
  beforeAll(async () => {
    harness = await startHarness({ sample: sampleDefinition() });
  });
  afterAll(() => harness.close());

  /** A scenario, and a log that also tells what was written into it. */
  const inScenario = async (
    test: (
      scenario: Scenario,
      told: Told,
      write: (...batch: Written[]) => Promise<number>,
      look: () => Promise<void>,
    ) => Promise<void>,
  ) => {
    const scenario = await openScenario(harness);
    const told: Told = [];
    const write = async (...batch: Written[]) => {
      const from = await scenario.log.append(...batch);
      for (const [n, written] of batch.entries()) told[from + n] = written;
      return from;
    };
    const look = () => looks(scenario.world, scenario.tabulate, scenario.recount);
    try {
      await test(scenario, told, write, look);
    } finally {
      await scenario.close();
    }
  };
  const austria = (candidate: Awaited<ReturnType<typeof candidatesOf>>[0] | undefined) => {
    const state = candidate?.release.states.find(({ state }) => state === "AT");
    return { counted: state?.units.counted, votes: state?.lists.map(({ votes }) => votes), status: state?.status };
  };
  const one = [120, 98, 0, 2];
  const times = (n: number) => one.map((votes) => n * votes);

  it("what the key signed since counts for nothing, and what it signed before still does", async () => {
    await inScenario(async (scenario, told, write, look) => {
      const { say } = scenario;
      await write(say.tally("AT-1"));
      await write(say.tally("AT-2"), say.tallyBy(["AT-2"], "AT-3"), say.tally("AT-4"));
      await look();
      await write(say.revoked("AT-1", receivedAt(1)));
      await look();
      const [before, after] = await expectRight(scenario, told);
      expect([before, after].map((candidate) => candidate?.agrees)).toEqual([true, true]);
      expect(austria(before)).toMatchObject({ counted: 4, votes: times(4) });
      // Entry 1 was received at the very instant: it stands.
      expect(austria(after)).toMatchObject({ counted: 2, votes: times(2) });
    });
  });

  it("it counts again once it is signed anew, by a key that stands", async () => {
    await inScenario(async (scenario, told, write, look) => {
      const { say } = scenario;
      await write(say.tally("AT-1"), say.tally("AT-2"));
      await look();
      await write(say.revoked("AT-1", receivedAt(0)), say.tallyBy(["AT-2"], "AT-2", { version: 2 }));
      await look();
      await write(say.tallyBy(["AT-2"], "AT-1"));
      await look();
      const candidates = await expectRight(scenario, told);
      expect(candidates.map(austria).map(({ counted }) => counted)).toEqual([2, 1, 2]);
      expect(candidates.every(({ agrees }) => agrees)).toBe(true);
    });
  });

  it("the version before, by an honest key, stands again; so does what it had declared", async () => {
    await inScenario(async (scenario, told, write, look) => {
      const { say } = scenario;
      const votes = { AT01: 100, AT02: 118, AT90: 2 };
      await write(say.tallyBy(["AT-2"], "AT-1"), say.tallyBy(["AT-2"], "AT-2"));
      await write(say.tally("AT-1", { version: 2, votes }), say.tally("AT-1", { version: 7, votes }));
      await write(say.declared("final"), say.tally("AT-2", { version: 2, votes }));
      await look();
      await write(say.revoked("AT-1", receivedAt(2)));
      await look();
      const [before, after] = await expectRight(scenario, told);
      expect(austria(before)).toMatchObject({ counted: 2, votes: [200, 236, 0, 4], status: "PROVISIONAL" });
      expect(austria(after)).toMatchObject({ counted: 2, votes: times(2), status: "PROVISIONAL" });
    });
  });

  it("a statement that another one signed as well is left out too, a declaration like a tally", async () => {
    await inScenario(async (scenario, told, write, look) => {
      const { say } = scenario;
      await write(say.tallyBy(["AT-2"], "AT-1"), say.declared("official"));
      await look();
      await write(say.revoked("AT-2", receivedAt(1)));
      await look();
      const [before, after] = await expectRight(scenario, told);
      expect(austria(before)).toMatchObject({ counted: 1, status: "OFFICIAL" });
      expect(austria(after)).toMatchObject({ counted: 1, status: "PROVISIONAL" });
    });
  });

  it("several revocations of one batch and of many, one that reaches further back, one that was quarantined", async () => {
    await inScenario(async (scenario, told, write, look) => {
      const { say } = scenario;
      await write(say.tally("AT-1"), say.tallyBy(["AT-2"], "AT-2"), say.tallyBy(["AT-3"], "AT-3"));
      await write(say.tally("AT-4"), say.tallyBy(["AT-3", "AT-2"], "AT-P"));
      await look();
      await write({ ...say.revoked("AT-1", receivedAt(0)), verdict: "quarantined" });
      await look();
      await write(say.revoked("AT-1", receivedAt(3)), say.revoked("AT-2", receivedAt(2)));
      await look();
      await write(say.revoked("AT-1", receivedAt(0)));
      await look();
      await write(say.revoked("AT-3", receivedAt(3)));
      await look();
      const candidates = await expectRight(scenario, told);
      expect(candidates.map(austria).map(({ counted }) => counted)).toEqual([5, 5, 3, 2, 2]);
      expect(candidates.every(({ agrees }) => agrees)).toBe(true);
    });
  });

  it("closures, holds and voids stand, whoever signed them", async () => {
    await inScenario(async (scenario, told, write, look) => {
      const { say, tabulate } = scenario;
      await write(say.tallyBy(["AT-2"], "AT-1"), say.closed("AT"), say.closed("LU"));
      await write(say.revoked("AT-1", receivedAt(0)), say.revoked("LU-1", receivedAt(0)));
      await look();
      await expectRight(scenario, told);
      expect((await openTabulateFold(tabulate.sources.fold)).road.facts.polls.every(({ closed }) => closed)).toBe(true);
    });
  });

  it("recount answers a candidate of before by what stood before, though it has read the revocation", async () => {
    await inScenario(async (scenario, told, write) => {
      const { say, world, tabulate, recount, pools } = scenario;
      await write(say.tally("AT-1"), say.tally("AT-2"));
      await tabulate.round();
      await write(say.revoked("AT-1", receivedAt(1)), say.tallyBy(["AT-2"], "AT-3"));
      await recount.round();
      let candidates = await expectRight(scenario, told);
      expect(candidates.map(({ size, agrees }) => [size, agrees])).toEqual([[3, true]]);
      expect(austria(candidates[0])).toMatchObject({ counted: 2 });
      // It goes on to one of after, and so does one that starts at the candidate of before.
      await recount.close();
      const again = recountHere(world, pools.recount);
      await looks(world, tabulate, again);
      candidates = await expectRight(scenario, told);
      expect(candidates.map(({ size, agrees }) => [size, agrees])).toEqual([
        [3, true],
        [5, true],
      ]);
      expect(austria(candidates[1])).toMatchObject({ counted: 2 });
    });
  });

  it("a count that was away for all of it comes to the same", async () => {
    await inScenario(async (scenario, told, write) => {
      const { say, world, tabulate, recount, pools } = scenario;
      await write(say.tally("AT-1"), say.tally("AT-2"));
      for (const [unit, since] of [
        ["AT-3", 2],
        ["AT-4", 1],
      ] as const) {
        await write(say.revoked("AT-1", receivedAt(since)));
        await looks(world, tabulate);
        await write(say.tallyBy(["AT-2"], unit));
        await looks(world, tabulate);
      }
      await recount.round();
      const fresh = tabulateHere(world, pools.tabulate);
      await write(say.tallyBy(["AT-2"], "AT-P"));
      await looks(world, fresh, recount);
      const candidates = await expectRight(scenario, told);
      expect(candidates.map(austria).map(({ counted }) => counted)).toEqual([2, 3, 2, 3, 4]);
      expect(candidates.map(({ agrees }) => agrees)).toEqual([null, null, null, true, true]);
    });
  });

  it("releases are right before and after it, and both counts open both", async () => {
    await inScenario(async (scenario, told, write) => {
      const { say, world } = scenario;
      const taken = new Set<string>();
      const released = async (number: number) => {
        const shares = async () =>
          (await sharesOf(scenario, "tabulate")).includes(number) &&
          (await sharesOf(scenario, "recount")).includes(number);
        await drive(world, () => scenario, shares, taken);
        const found = await candidatesOf(scenario);
        return found.findLast((candidate) => candidate.number === number && candidate.agrees === true);
      };
      await write(say.tally("AT-1"), say.tallyBy(["AT-2"], "AT-2"), ...closures(say));
      expect(austria(await released(1))).toMatchObject({ counted: 2 });
      await write(say.revoked("AT-1", receivedAt(0)));
      expect(austria(await released(2))).toMatchObject({ counted: 1, votes: times(1) });
      await write(say.tallyBy(["AT-2"], "AT-1"));
      expect(austria(await released(3))).toMatchObject({ counted: 2 });
      await takeIn(world, taken);
      await expectRight(scenario, told);
    });
  });

  it("the part of each state is stored again, whether anything of it was left out or not", async () => {
    const partsAfter = async (verdict: Written["verdict"]) => {
      const stored: string[] = [];
      await inScenario(async (scenario, _, write, look) => {
        const { say, query } = scenario;
        await write(say.tally("AT-1"));
        await look();
        const parts = async () => {
          const { rows } = await query<{ name: string; sealed: Buffer }>("select name, sealed from tabulate.part");
          return new Map(rows.map(({ name, sealed }) => [name, sealed.toString("hex")]));
        };
        const before = await parts();
        await write({ ...say.revoked("AT-1", receivedAt(0)), verdict });
        await look();
        const after = await parts();
        for (const [name, sealed] of after) if (before.get(name) !== sealed) stored.push(name);
        const lengths = (all: Map<string, string>) => new Set([...all.values()].map(({ length }) => length));
        expect(lengths(after)).toEqual(lengths(before));
      });
      return stored.sort();
    };
    const stored = await partsAfter("accepted");
    expect(stored).toEqual(["AT", "EU", "LU", "left-out", "road"]);
    expect(await partsAfter("quarantined")).toEqual(stored);
  });

  describe.each(["tabulate", "recount"] as const)("%s dies in the midst of it", (who) => {
    /** The same night; the one that dies starts again from what it had stored before the revocation. */
    const night = async (crash: Crash | null) => {
      let queries: readonly string[] = [];
      let died = false;
      await inScenario(async (scenario, told, write, look) => {
        const { say, world, pools, tabulate, recount } = scenario;
        await write(say.tallyBy(["AT-2"], "AT-1"), say.tally("AT-1", { version: 2, electors: 900 }));
        await write(say.tally("AT-2"));
        await look();
        await tabulate.close();
        await recount.close();
        await write(say.revoked("AT-1", receivedAt(1)));
        await write(say.revoked("AT-2", receivedAt(2)), say.tallyBy(["AT-3"], "AT-3"));
        const pool = crashingPool(pools[who], crash);
        const here = who === "tabulate" ? tabulateHere : recountHere;
        const dying = here(world, pool.pool);
        const other = who === "tabulate" ? recountHere(world, pools.recount) : tabulateHere(world, pools.tabulate);
        if (who === "recount") await looks(world, other);
        // A crash of the process shows as an error of the round; whoever starts again knows only the database.
        await looks(world, dying);
        await dying.close().catch(() => undefined);
        queries = [...pool.queries()];
        died = pool.dead();
        const again = here(world, pools[who]);
        await looks(world, again, other);
        const candidates = await expectRight(scenario, told);
        expect(austria(candidates.at(-1))).toMatchObject({ counted: 2, votes: times(2) });
        expect(candidates.at(-1)).toMatchObject({ size: 7, agrees: true });
        for (const count of [again, other] as { close(): Promise<void> }[]) await count.close();
        // What is stored goes on from here to the right thing.
        await write(say.tallyBy(["AT-3"], "AT-4"), say.revoked("AT-3", receivedAt(6)));
        const [left, right] = [tabulateHere(world, pools.tabulate), recountHere(world, pools.recount)];
        await looks(world, left, right);
        expect(austria((await expectRight(scenario, told)).at(-1))).toMatchObject({ counted: 2, votes: times(2) });
        expect((await openTabulateFold(left.sources.fold)).leftOut).toEqual(
          (await openRecountFold(right.sources.fold)).leftOut,
        );
      });
      return { queries, died };
    };

    it("at any query, before it was done and after, and nothing comes of it", async () => {
      const { queries } = await night(null);
      expect(queries.length).toBeGreaterThan(12);
      // To have read and not know it is to not have read; to have written and not committed is to not have written.
      const crashes = queries.flatMap((text, n): Crash[] => [
        { at: n + 1, when: "before" },
        ...(/^commit/.test(text) ? [{ at: n + 1, when: "after" } as const] : []),
      ]);
      while (crashes.length > 0) {
        const ended = await Promise.all(crashes.splice(0, AT_ONCE).map(night));
        expect(ended.every(({ died }) => died)).toBe(true);
      }
    }, 240_000);
  });
});
