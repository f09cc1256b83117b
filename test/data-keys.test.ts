import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DATA_KEYS_AT_ONCE as RECOUNT_AT_ONCE } from "../services/recount/data-keys.ts";
import { DATA_KEYS_AT_ONCE as TABULATE_AT_ONCE } from "../services/tabulate/data-keys.ts";
import { sampleDefinition } from "../shared/definition/sample.ts";
import { commitJudgement, type Entry, type Judgement } from "../shared/ledger/entry.ts";
import { joinShares, keyShare } from "../shared/platform/release-seal.ts";
import { createDataKey, open, SealBroken } from "../shared/platform/seal.ts";
import { vaultOf } from "../shared/platform/vault-fixture.ts";
import { type Harness, startHarness } from "./harness.ts";
import { drive, recountHere, tabulateHere, takeIn } from "./vault.ts";
import { closures, liedLift, openScenario, type Scenario, sharesOf } from "./vault-scenario.ts";

/**
 * With a release the statements under it open, to whoever has the shares of both counts: each of them and their judgements, and
 * nothing for one share alone, before the lift, or of a minute that no release has reached.
 */

type Count = "tabulate" | "recount";
const COUNTS = ["tabulate", "recount"] as const;

describe("the data keys of statements", () => {
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

  /** Shares given so far, by the hex id of their data key. */
  const given = async (scenario: Scenario, by: Count) => {
    const { rows } = await scenario.query<{ id: Buffer; share: Buffer }>(
      "select id, share from release.data_key_share where given_by = $1",
      [by],
    );
    return new Map(rows.map(({ id, share }) => [id.toString("hex"), share]));
  };
  /** Both look until both shares of release `number` are given and nothing more is to come. */
  const released = async (scenario: Scenario, number: number, taken = new Set<string>()) => {
    const done = async () => {
      const shares = await Promise.all(COUNTS.map((by) => sharesOf(scenario, by)));
      return shares.every((numbers) => numbers.includes(number));
    };
    await drive(scenario.world, () => scenario, done, taken);
    for (let n = 0; n < 3; n++) await scenario.turn();
    await takeIn(scenario.world, taken);
  };
  const statements = async (scenario: Scenario) => {
    const { rows } = await scenario.query<{
      index: number;
      body: Buffer;
      id: Buffer;
      sealed: Buffer;
      judgement: Buffer;
    }>(
      `select index, e.body, s.data_key as id, s.sealed, s.judgement
         from ledger.statement s join ledger.entry e using (index) order by index`,
    );
    return rows.map(({ body, id, ...row }) => {
      return { ...row, id: id.toString("hex"), entry: JSON.parse(body.toString("utf8")) as Entry };
    });
  };

  it("open every statement and judgement below the release's size, as whoever serves them has them", async () => {
    await inScenario(async (scenario) => {
      const { log, say } = scenario;
      await log.append(say.tally("AT-1"), { ...say.tally("AT-2", { ballots: 232 }), verdict: "quarantined" });
      await log.nextMinute();
      await log.append(say.tally("AT-3"), ...closures(say));
      await released(scenario, 1);
      const [tabulate, recount] = [await given(scenario, "tabulate"), await given(scenario, "recount")];
      const { rows } = await scenario.query<{ size: number }>("select size from release.key_share where number = 1");
      const all = (await statements(scenario)).filter(({ index }) => index < rows[0]!.size);
      expect(all.length).toBe(rows[0]!.size - 1);
      for (const { id, entry, sealed, judgement } of all) {
        const key = joinShares(tabulate.get(id)!, recount.get(id)!);
        const jws = open(key, "statement", entry.statement, sealed);
        expect(createHash("sha256").update(jws).digest("hex")).toBe(entry.statement);
        const judged = JSON.parse(Buffer.from(open(key, "judgement", entry.statement, judgement)).toString("utf8"));
        expect(commitJudgement(judged as Judgement)).toBe(entry.judgement);
      }
      expect(all.map(({ id }) => id).filter((id, n, ids) => ids.indexOf(id) === n)).toHaveLength(2);
      expect(scenario.world.incidents).toEqual([]);
    });
  });

  it("do not follow from one count's shares, those of the release with them", async () => {
    await inScenario(async (scenario) => {
      const { log, say, world } = scenario;
      await log.append(say.tally("AT-1"), ...closures(say));
      await released(scenario, 1);
      const { rows } = await scenario.query<{ size: number }>("select size from release.key_share limit 1");
      const release = COUNTS.map((by) => keyShare(vaultOf(world.sample), by, { number: 1, size: rows[0]!.size }));
      const [{ id, entry, sealed }] = (await statements(scenario)) as [Awaited<ReturnType<typeof statements>>[0]];
      for (const by of COUNTS) {
        const share = (await given(scenario, by)).get(id)!;
        for (const with_ of [Buffer.alloc(32), ...release, joinShares(release[0]!, release[1]!)])
          expect(() => open(joinShares(share, with_), "statement", entry.statement, sealed)).toThrow(SealBroken);
      }
    });
  });

  it("are not given before the lift, nor before the release's own share", async () => {
    await inScenario(async (scenario) => {
      const { log, say, world, turn } = scenario;
      const none = async () => {
        for (const by of COUNTS) expect(await given(scenario, by)).toEqual(new Map());
      };
      await log.append(say.tally("AT-1"), say.closed("AT"));
      for (let n = 0; n < 4; n++) await turn();
      await none();
      await log.append(say.closed("LU"));
      world.clocks = { nats: null };
      await turn();
      // The log says that it was lifted and released; no clock can be read, so neither share nor data key leaves.
      await liedLift(scenario);
      for (let n = 0; n < 4; n++) await turn();
      await none();
      expect(await sharesOf(scenario, "tabulate")).toEqual([]);
      // What came after the release's prefix is of another minute, whose key is not given with it.
      const [{ id }] = (await statements(scenario)) as [Awaited<ReturnType<typeof statements>>[0]];
      await log.nextMinute();
      await log.append(say.tally("AT-2"));
      world.doorOpen = false;
      world.clocks = {};
      for (let n = 0; n < 4; n++) await turn();
      expect(await sharesOf(scenario, "tabulate")).toEqual([1]);
      for (const by of COUNTS) expect([...(await given(scenario, by)).keys()]).toEqual([id]);
    });
  });

  it("are those of released statements only; a later minute's come with the release that reaches it", async () => {
    await inScenario(async (scenario) => {
      const { log, say, world } = scenario;
      const taken = new Set<string>();
      await log.append(say.tally("AT-1"), ...closures(say));
      await released(scenario, 1, taken);
      const first = await given(scenario, "tabulate");
      // Only the system's own statements came since; the next release is not due before something else does.
      await log.nextMinute();
      world.doorOpen = false;
      await log.append(say.tally("AT-2"));
      for (let n = 0; n < 4; n++) await scenario.turn();
      for (const by of COUNTS) expect([...(await given(scenario, by)).keys()]).toEqual([...first.keys()]);
      world.doorOpen = true;
      const hints = world.hints.length;
      await released(scenario, 2, taken);
      for (const by of COUNTS) expect((await given(scenario, by)).size).toBe(2);
      // Whoever waits is told of the shares, and then of the data keys, with the release that they belong to.
      const told = world.hints.slice(hints).filter(({ number }) => number === 2);
      expect(told.length).toBeGreaterThanOrEqual(4);
      const last = world.hints.length;
      for (let n = 0; n < 3; n++) await scenario.turn();
      expect(world.hints).toHaveLength(last);
    });
  });

  it.each(COUNTS)("follow after a restart when %s could not give them", async (by) => {
    await inScenario(async (scenario) => {
      const { log, say, world, pools, query } = scenario;
      await log.append(say.tally("AT-1"), ...closures(say));
      await query(`revoke execute on function release.give_data_key_shares from scrutin_${by}`);
      const taken = new Set<string>();
      const shares = async () => (await sharesOf(scenario, by)).length === 1;
      await drive(world, () => scenario, shares, taken);
      for (let n = 0; n < 3; n++) await scenario.turn();
      expect(scenario[by].status().working).toBe(false);
      expect((await given(scenario, by)).size).toBe(0);
      await query(`grant execute on function release.give_data_key_shares to scrutin_${by}`);
      const again = by === "tabulate" ? tabulateHere(world, pools.tabulate) : recountHere(world, pools.recount);
      // By the gate of the release's share, which the first release asks of the clocks: not while one of them says no.
      world.clocks = { nats: null };
      await again.round();
      expect((await given(scenario, by)).size).toBe(0);
      world.clocks = {};
      await again.round();
      expect((await given(scenario, by)).size).toBe(1);
      await again.round();
      expect(world.incidents).toEqual([]);
    });
  });

  it("come in batches, between which everything else goes on, and each once", async () => {
    await inScenario(async (scenario) => {
      const { log, say, world, pools, query } = scenario;
      await log.append(say.tally("AT-1"), ...closures(say));
      await released(scenario, 1);
      await withMoreKeys(scenario, 2 * TABULATE_AT_ONCE + 1);
      const total = 2 * TABULATE_AT_ONCE + 2;
      const rounds = async (by: Count, count: { round(): Promise<number> }, atOnce: number) => {
        let looks = 0;
        for (let before = 1; before < total; looks++) {
          const ms = await count.round();
          const now = (await given(scenario, by)).size;
          expect(now - before).toBeLessThanOrEqual(atOnce);
          expect(ms === 0).toBe(now - before === atOnce);
          before = now;
        }
        expect(looks).toBe(Math.ceil((total - 1) / atOnce));
      };
      await rounds("tabulate", tabulateHere(world, pools.tabulate), TABULATE_AT_ONCE);
      await rounds("recount", recountHere(world, pools.recount), RECOUNT_AT_ONCE);
      const { rows } = await query("select from release.data_key_share");
      expect(rows).toHaveLength(2 * total);
    });
  });

  it("that do not open are a broken log: recount stops, and gives none of them", async () => {
    await inScenario(async (scenario) => {
      const { log, say, world, query, turn, recount } = scenario;
      await log.append(say.tally("AT-1"), ...closures(say));
      world.clocks = { nats: null };
      await turn();
      await liedLift(scenario);
      await turn();
      // All entries are read: only the shares are still to be given.
      await query("alter table ledger.data_key disable trigger only_grows");
      await query("update ledger.data_key set wrapped = set_byte(wrapped, 50, get_byte(wrapped, 50) # 1)");
      world.clocks = {};
      await turn();
      expect(await sharesOf(scenario, "recount")).toEqual([1]);
      expect(recount.status().broken).toBe(true);
      expect(world.incidents).toMatchObject([{ by: "recount", code: "log.broken" }]);
      expect((await given(scenario, "recount")).size).toBe(0);
    });
  });

  /** As if so many minutes had passed: data keys that statements below the release were sealed with. */
  async function withMoreKeys({ world, query }: Scenario, count: number): Promise<void> {
    const { definition, hash } = world.sample;
    const { publicKey: vaultPublicKey, recoveryKey: recoveryPublicKey } = definition.vault;
    const keys = await Promise.all(
      Array.from({ length: count }, () => createDataKey({ definition: hash, vaultPublicKey, recoveryPublicKey })),
    );
    const ids = keys.map(({ id }) => Buffer.from(id, "hex"));
    await query("insert into ledger.data_key select * from unnest($1::bytea[], $2::bytea[])", [
      ids,
      keys.map(({ wrapped }) => wrapped),
    ]);
    // Rows beside the log's own, at places below it: what is asked here is only which keys statements name.
    await query("alter table ledger.statement drop constraint statement_pkey, drop constraint statement_index_fkey");
    await query(
      `insert into ledger.statement (index, sha256, data_key, sealed, judgement)
       select 1, sha256(id), id, '', '' from unnest($1::bytea[]) as id`,
      [ids],
    );
  }
});
