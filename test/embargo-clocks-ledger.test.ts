import type { NatsConnection } from "nats";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Child } from "../infra/stack/processes.ts";
import { createSayings, looks, post, restarted, takePostgresWallAway } from "./embargo.ts";
import { AHEAD_OF_US, BEHIND_US, HOUR, type Shifts, setClocks, YEAR } from "./embargo-clocks.ts";
import { useFaketime } from "./faketime.ts";
import { type Harness, startHarness } from "./harness.ts";

/**
 * Wall 2 alone, the ledger's own judgement, against clocks that lie. Wall 1 is away: the lift is signed by both counts' keys. Wall 3 is
 * away: Postgres lets everything through. No closure stands in the way either: both states are overridden.
 */

const clocks = useFaketime();

describe.each<[string, typeof AHEAD_OF_US, [name: string, at: Shifts, then?: Shifts][]]>([
  [
    "an hour before the close",
    AHEAD_OF_US,
    [
      ["the right time on every clock", {}],
      ["the ledger two hours ahead", { ledger: 2 * HOUR }],
      ["the ledger a year ahead", { ledger: YEAR }],
      ["Postgres two hours ahead", { postgres: 2 * HOUR }],
      ["the ledger and Postgres two hours ahead", { ledger: 2 * HOUR, postgres: 2 * HOUR }],
    ],
  ],
  [
    "an hour after the close",
    BEHIND_US,
    [
      ["NATS ahead of the others, which are before the close", { ledger: -2 * HOUR, postgres: -2 * HOUR }],
      ["the ledger back before the close", {}, { ledger: -2 * HOUR }],
      ["Postgres back before the close", {}, { postgres: -2 * HOUR }],
      ["the ledger two seconds behind", { ledger: -2_000 }],
      ["the ledger back by half a minute, to the right time", { ledger: 30_000 }, {}],
      ["Postgres back by half a minute, to the right time", { postgres: 30_000 }, {}],
    ],
  ],
])("wall 2 alone, %s", (_, sample, rows) => {
  let harness: Harness;
  let bus: NatsConnection;
  let ledger: Child;
  let ingest: Child;
  let say: ReturnType<typeof createSayings>;
  beforeAll(async () => {
    harness = await startHarness({ sample, postgresEnv: await clocks.of("postgres") });
    bus = await harness.nats("services");
    await takePostgresWallAway(harness.query);
    const env = await clocks.of("ledger");
    [ledger, ingest] = await Promise.all([harness.start("ledger", env), harness.start("ingest")]);
    say = createSayings(harness);
    for (const state of ["AT", "LU"]) {
      const answer = await post(harness, ingest.url, say.override(state), "trustee-1", "trustee-2");
      expect(answer).toMatchObject({ verdict: "accepted" });
    }
  });
  afterAll(() => harness?.close());
  beforeEach((test) => clocks.missing(test));

  const lift = () => post(harness, ingest.url, say.lift(Date.now() + 2 * HOUR), "tabulate-1", "recount-1");

  it.each(rows)("stays shut with %s", async (_name, at, then) => {
    await setClocks(clocks, at);
    await restarted(ledger);
    await looks(bus, 1);
    if (then !== undefined) await setClocks(clocks, then);
    expect(await lift()).toMatchObject({ verdict: "quarantined", findings: [{ code: "F.501" }] });
    expect(await harness.query("select from ledger.lift")).toEqual([]);
  });

  it.runIf(sample === BEHIND_US)("opens with the right time on every clock", async () => {
    await setClocks(clocks, {});
    await restarted(ledger);
    expect(await lift()).toMatchObject({ verdict: "accepted", findings: [] });
    expect(await harness.query("select from ledger.lift")).toHaveLength(1);
  });
});
