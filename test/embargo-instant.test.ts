import { describe, expect, it } from "vitest";
import type { Child } from "../infra/stack/processes.ts";
import { type Sample, sampleCommon, sampleDefinition, sampleTally } from "../shared/definition/sample.ts";
import { localTime } from "../shared/definition/schedule.ts";
import type { Statement } from "../shared/statement/types.ts";
import { createSayings, post } from "./embargo.ts";
import { type Harness, startHarness } from "./harness.ts";
import { eventually } from "./ledger.ts";

/**
 * What is gone at the very instant of the lift, and comes back: the lift and the release follow by themselves, once, and nothing was given
 * before. Each world is struck twice: just before the last close, and when the lift is written and the release is not. That any one
 * service dies around the lift is in faults.test.ts, in a whole night.
 */

const HOUR = 3_600_000;
const VOTES = { AT01: 123_457, AT02: 97, AT90: 2 };
const STRUCK = ["ledger", "tabulate", "recount", "release"] as const;
/** How long before the close the first blow falls, and how long a server is away. */
const BEFORE_MS = 150;
const AWAY_MS = 800;

/** Austria closed an hour before: its figures come, and are counted, before the last close. */
function closingAt(closesAt: number): Sample {
  return sampleDefinition({
    closesAt,
    edit: ({ states: [austria] }) => {
      const early = closesAt - HOUR;
      for (const closing of austria?.closings ?? [])
        Object.assign(closing, { local: localTime("Europe/Vienna", early), utc: new Date(early).toISOString() });
    },
  });
}

interface World {
  harness: Harness;
  services: Map<string, Child>;
  closesAt: number;
}

const until = (at: number) => new Promise((resolve) => setTimeout(resolve, Math.max(0, at - Date.now())));

/** A world that is up, and has counted, before its close. */
async function worldBefore(leadMs: number): Promise<World> {
  const closesAt = Math.ceil((Date.now() + leadMs) / 1000) * 1000;
  const harness = await startHarness({ sample: closingAt(closesAt) });
  const services = await counted(harness);
  if (Date.now() < closesAt - 2 * BEFORE_MS) return { harness, closesAt, services };
  // On a busy machine it came up too late.
  await harness.close();
  return worldBefore(leadMs * 2);
}

/** Every service of the road, with a tally that both counts have counted and nothing in the way of the lift but the clock. */
async function counted(harness: Harness): Promise<Map<string, Child>> {
  const { sample, start, query } = harness;
  const [ledger, ingest, recount, release] = await Promise.all([
    start("ledger"),
    start("ingest"),
    start("recount"),
    start("release"),
  ]);
  const tabulate = await start("tabulate", { SCRUTIN_INGEST_URL: ingest.url });
  const say = createSayings(harness);
  const said = async (statement: Statement, ...kids: string[]) =>
    expect(await post(harness, ingest.url, statement, ...kids)).toMatchObject({ verdict: "accepted" });
  for (const state of ["AT", "LU"]) await said(say.override(state), "trustee-1", "trustee-2");
  const tallies = [sampleTally("AT-1", { electors: 200_000, ballots: 123_567, votes: VOTES })];
  await said({ type: "tally", ...sampleCommon(sample, "AT", 1_000), tallies }, "AT-1");
  await eventually(async () => (await query("select from recount.answer")).length > 0);
  return new Map(Object.entries({ ledger, tabulate, recount, release, ingest }));
}

/** Asks for results all the time; when they were first given, and every other answer. */
function listen(url: string) {
  const statuses = new Set<number>();
  let first: number | undefined;
  let over = false;
  const listening = (async () => {
    while (!over) {
      const response = await fetch(`${url}/v1/releases/1`).catch(() => undefined); // the service is struck too
      await response?.arrayBuffer();
      if (response?.ok) first ??= Date.now();
      else if (response !== undefined) statuses.add(response.status);
      await until(Date.now() + 20);
    }
  })();
  return {
    async end() {
      over = true;
      await listening;
      return { first, refusals: [...statuses] };
    },
  };
}

type Strike = (world: World) => Promise<void>;

async function struck(strike: Strike): Promise<void> {
  const world = await worldBefore(7_000);
  const { harness, closesAt, services } = world;
  const { query } = harness;
  const release = services.get("release") as Child;
  const count = async (sql: string) => (await query(sql)).length;
  const lifted = () => count("select from ledger.lift");
  const heard = listen(release.url);
  try {
    await until(closesAt - BEFORE_MS);
    expect(await lifted()).toBe(0);
    await strike(world);
    await eventually(async () => (await lifted()) === 1, 40_000);
    await strike(world);
    await eventually(
      async () => (await fetch(`${release.url}/v1/releases/1`).catch(() => undefined))?.ok === true,
      40_000,
    );
    for (const service of services.values()) await service.up();
    const listed = async () => {
      const answer = (await (await fetch(`${release.url}/v1/releases`)).json()) as { releases: { number: number }[] };
      return answer.releases.map(({ number }) => number);
    };
    // The tally is in the first release, or, when no count had come to it before the close, in the second.
    await eventually(async () =>
      (await (await fetch(`${release.url}/v1/releases/latest`)).text()).includes(String(VOTES.AT01)),
    );
    await eventually(
      async () => (await count("select from ledger.entry where type = 'release'")) === (await listed()).length,
    );
    const numbers = await listed();
    expect(numbers).toEqual(numbers.length === 1 ? [1] : [1, 2]);
    expect(await count("select from ledger.entry where type = 'lift'")).toBe(1);
    expect(await query("select number::int, given_by from release.key_share order by 1, 2")).toEqual(
      numbers.flatMap((number) => ["recount", "tabulate"].map((given_by) => ({ number, given_by }))),
    );
    const [lift] = await query<{ at: Date }>("select at from ledger.lift");
    expect(lift?.at.getTime()).toBeGreaterThanOrEqual(closesAt);
  } finally {
    const { first, refusals } = await heard.end();
    await harness.close();
    expect(refusals).toEqual([403]);
    expect(first).toBeGreaterThanOrEqual(closesAt);
  }
}

const serversAway = (server: "Postgres" | "NATS") =>
  struck(async ({ harness }) => {
    const back = await harness.away(server);
    await until(Date.now() + AWAY_MS);
    await back();
  });

describe("gone at the instant of the lift, and back", () => {
  it("ledger, both counts and release, killed at once", async () => {
    await struck(async ({ services }) => {
      for (const name of STRUCK) services.get(name)?.kill("SIGKILL");
    });
  }, 120_000);
  it("Postgres", () => serversAway("Postgres"), 120_000);
  it("NATS", () => serversAway("NATS"), 120_000);
});
