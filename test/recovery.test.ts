import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Child } from "../infra/stack/processes.ts";
import { sampleDefinition, sampleTally } from "../shared/definition/sample.ts";
import { joinRecoveryShares, readRecoveryShare, splitRecoveryKey } from "../shared/platform/recovery.ts";
import { joinShares } from "../shared/platform/release-seal.ts";
import { open } from "../shared/platform/seal.ts";
import { auditRun } from "./audit-run.ts";
import { createSigning, type DoorAnswer, postAt } from "./door.ts";
import { type Harness, startHarness } from "./harness.ts";
import { eventually } from "./ledger.ts";
import { recountHere, tabulateHere, takeIn } from "./vault.ts";
import { closures, openScenario, type Scenario } from "./vault-scenario.ts";

/** The vault's key is lost, and no acknowledged statement with it: two trustees rebuild the recovery key, and decide that it is used. */

const { run, freshState } = auditRun();

describe("a vault whose key is lost before the lift", () => {
  const sample = sampleDefinition();
  let harness: Harness;
  let ingest: Child;
  let release: Child;
  let vault: Child[];
  beforeAll(async () => {
    harness = await startHarness({ sample });
    ingest = await harness.start("ingest");
    vault = await Promise.all([
      harness.start("ledger"),
      harness.start("tabulate", { SCRUTIN_INGEST_URL: ingest.url }),
      harness.start("recount"),
    ]);
    release = await harness.start("release");
  });
  afterAll(() => harness.close());

  const signed = createSigning(sample);
  const tally = (unit: string) => signed({ type: "tally", tallies: [sampleTally(unit)] }, "AT", "AT-1");
  /** As an office does: the same bytes again until there is a receipt. */
  const post = async (bytes: Uint8Array) => {
    let said: Partial<DoorAnswer> = {};
    await eventually(async () => {
      said = await postAt(ingest.url, bytes, 20);
      return said.receipt !== undefined;
    }, 60_000);
    return said as Required<DoorAnswer>;
  };
  const decision = async (name: string, ...by: [string, ...string[]]) => {
    const recover = { type: "decision", decision: "recover", about: "EU", reason: "the machine with the key burnt" };
    const file = join(harness.folder, `${name}.jws`);
    await writeFile(file, signed(recover, "EU", ...by));
    return file;
  };
  const told = (name: string) => readFile(join(harness.folder, "logs", `${name}.log`), "utf8");
  const recoveries = () => harness.query("select from ledger.entry where type = 'decision'");
  /** The Union's figures of the last release, once it counts so many units. */
  const released = (units: number) =>
    eventually(async () => {
      const response = await fetch(`${release.url}/v1/releases/latest`);
      if (response.status !== 200) return false;
      return JSON.stringify(((await response.json()) as { union: object }).union).includes(`"counted":${units}`);
    }, 40_000);

  it("goes on with the recovery key when two trustees have decided it, and loses nothing", {
    timeout: 180_000,
  }, async () => {
    const [first, second] = [tally("AT-1"), tally("AT-2")];
    const before = [await post(first), await post(second)];
    expect(before.map(({ verdict }) => verdict)).toEqual(["accepted", "accepted"]);
    await eventually(async () => (await harness.query("select from recount.answer where size = 3")).length === 1);

    for (const service of vault) await service.stop();
    await rm(join(harness.folder, "vault.json"));
    await expect(harness.start("ledger", {}, "without-key")).rejects.toThrow(/78[\s\S]*vault\.json cannot be read/);

    const trustees = ["trustee-1", "trustee-2", "trustee-3"] as const;
    const shares = (await splitRecoveryKey(sample.recovery.jwk, trustees)).map((share) => JSON.stringify(share));
    const given = [shares[2]!, shares[0]!].map((text, n) => readRecoveryShare(text, `share ${n}`));
    const rebuilt = join(harness.folder, "recovery.json");
    const jwk = await joinRecoveryShares(given, sample.definition.vault.recoveryKey);
    await writeFile(rebuilt, JSON.stringify(jwk), { mode: 0o600 });
    const recovered = { SCRUTIN_VAULT_KEY_FILE: rebuilt };

    const undecided = /78[\s\S]*this is the recovery key, and the log holds no decision to use it/;
    await expect(harness.start("ledger", recovered, "undecided")).rejects.toThrow(undecided);
    const alone = { ...recovered, SCRUTIN_RECOVERY_DECISION: await decision("alone", "trustee-1") };
    await expect(harness.start("ledger", alone, "alone")).rejects.toThrow(/78[\s\S]*two trustees must have signed it/);
    // The counts stand by: they read nothing of what is sealed.
    const [tabulate, recount] = await Promise.all([
      harness.start("tabulate", { ...recovered, SCRUTIN_INGEST_URL: ingest.url }, "tabulate-recovered"),
      harness.start("recount", recovered, "recount-recovered"),
    ]);
    for (const name of ["tabulate-recovered", "recount-recovered"])
      await eventually(async () => (await told(name)).includes("it does nothing before the log holds two trustees'"));
    for (const { url } of [tabulate, recount]) {
      const ready = (await (await fetch(`${url}/readyz`)).json()) as object;
      expect(ready).toMatchObject({ active: false, position: 0 });
    }
    expect(await recoveries()).toEqual([]);

    const file = await decision("recover", "trustee-1", "trustee-2");
    const decided = { ...recovered, SCRUTIN_RECOVERY_DECISION: file };
    let ledger = await harness.start("ledger", decided, "ledger-recovered");
    expect((await post(first)).receipt).toBe(before[0]!.receipt);
    expect((await post(second)).receipt).toBe(before[1]!.receipt);
    expect(await recoveries()).toHaveLength(1);

    // The decision stands in the log: with it or without it, nothing is written twice.
    for (const [n, env] of [recovered, decided].entries()) {
      await ledger.stop();
      ledger = await harness.start("ledger", env, `ledger-again-${n}`);
    }
    expect((await post(tally("AT-3"))).verdict).toBe("accepted");
    expect(await recoveries()).toHaveLength(1);

    for (const [state, ...kids] of [
      ["AT", "AT-1"],
      ["LU", "LU-1", "LU-2"],
    ] as [string, string, ...string[]][])
      expect((await post(signed({ type: "polls", polls: "closed" }, state, ...kids))).verdict).toBe("accepted");
    await released(3);
    const receipts = before.map(({ receipt }, n) => ({ file: `receipt ${n}`, text: receipt }));
    const options = {
      url: new URL(release.url),
      files: { receipts, proofs: [], evidence: [] },
      stateFile: freshState(),
    };
    expect((await run(options, { patienceMs: 10_000 })).failure).toBeNull();
  });

  it("is not recovered with a decision while its own key is there", async () => {
    const own = join(harness.folder, "found.json");
    await writeFile(own, JSON.stringify(sample.vault.jwk), { mode: 0o600 });
    const found = {
      SCRUTIN_VAULT_KEY_FILE: own,
      SCRUTIN_RECOVERY_DECISION: await decision("late", "trustee-1", "trustee-3"),
    };
    await expect(harness.start("ledger", found, "found")).rejects.toThrow(
      /78[\s\S]*the vault's own, which is not lost/,
    );
  });
});

describe("a vault whose key is lost after the lift", () => {
  let harness: Harness;
  beforeAll(async () => {
    harness = await startHarness();
  });
  afterAll(() => harness.close());

  /** Until the log holds the entry of release `number`: the shares of its key follow in the next round. */
  const untilEntry = async (scenario: Scenario, taken: Set<string>, number: number) => {
    const { world, query } = scenario;
    for (let turn = 0; turn < 20; turn++) {
      world.steadyMs += 6_000;
      await scenario.tabulate.round();
      await scenario.recount.round();
      await takeIn(world, taken);
      const { rows } = await query("select from ledger.entry where type = 'release'");
      if (rows.length === number) return;
    }
    throw new Error(`no release ${number}`);
  };
  /** The text of a release, opened with nothing but what `release` may read. */
  const openedText = async ({ query }: Scenario, number: number): Promise<string | undefined> => {
    const { rows } = await query<{ size: number; sealed: Buffer; shares: Buffer[] }>(
      `select c.size, c.sealed, array_agg(s.share) as shares from release.key_share s
         join tabulate.candidate c using (number, size) where number = $1 group by c.size, c.sealed`,
      [number],
    );
    const [{ size, sealed, shares: [a, b] = [] } = { size: 0, sealed: Buffer.alloc(0) }] = rows;
    if (a === undefined || b === undefined) return undefined;
    const text = Buffer.from(open(joinShares(a, b), "release", `${number}/${size}`, sealed)).toString("utf8");
    return (JSON.parse(text) as { release: string }).release;
  };

  it.each<[string, ("tabulate" | "recount")[]]>([
    ["before any share of an accepted release was given", []],
    ["between tabulate's share and recount's", ["tabulate"]],
    ["between recount's share and tabulate's", ["recount"]],
    ["after both", ["tabulate", "recount"]],
  ])("opens what was released, and what is released then: %s", async (_, gave) => {
    const scenario = await openScenario(harness);
    try {
      const { world, log, say, pools, query } = scenario;
      const taken = new Set<string>();
      await log.append(say.tally("AT-1"), ...closures(say));
      await untilEntry(scenario, taken, 1);
      expect(await openedText(scenario, 1)).toBeUndefined();
      for (const by of gave) await scenario[by].round();
      const given = () =>
        query<{ n: number }>("select count(*) as n from release.key_share").then(({ rows }) => rows[0]!.n);
      expect(await given()).toBe(gave.length);

      // Both stop; both are made anew from what Postgres holds, with the recovery key.
      world.recipient = "recovery";
      scenario.tabulate = tabulateHere(world, pools.tabulate);
      scenario.recount = recountHere(world, pools.recount);
      world.steadyMs += 6_000;
      for (const by of ["tabulate", "recount"] as const) await scenario[by].round();
      expect(await given()).toBe(2);
      expect(await openedText(scenario, 1)).toContain('"counted":1');
      const keys =
        "select count(*) as n from release.data_key_share where id in (select data_key from ledger.statement)";
      expect((await query<{ n: number }>(keys)).rows[0]!.n).toBe(2);

      await log.append(say.tally("AT-2"));
      await untilEntry(scenario, taken, 2);
      for (const by of ["tabulate", "recount"] as const) await scenario[by].round();
      expect(await openedText(scenario, 2)).toContain('"counted":2');
      expect(world.incidents).toEqual([]);
    } finally {
      await scenario.close();
    }
  });
});
