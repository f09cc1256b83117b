import { createHash, sign } from "node:crypto";
import type { Pool, QueryResultRow } from "pg";
import { SAMPLE_CLOSE, type Sample, sampleCommon } from "../shared/definition/sample.ts";
import type { ClockReadings } from "../shared/embargo/gate.ts";
import type { Release } from "../shared/formats/release.ts";
import { openCandidate, type ReleaseId } from "../shared/platform/release-seal.ts";
import { vaultOf } from "../shared/platform/vault-fixture.ts";
import { compactEnvelope } from "../shared/statement/jws.ts";
import type { Statement } from "../shared/statement/types.ts";
import type { Harness } from "./harness.ts";
import { cloneDatabase, createWorld, poolOf, recountHere, tabulateHere, type World } from "./vault.ts";
import { openWrittenLog, speakers, type Written, type WrittenLog } from "./written-log.ts";

/** A database, a log and both counts for one test, and what a liar on either side could write. */
export interface Scenario {
  world: World;
  log: WrittenLog;
  say: ReturnType<typeof speakers>;
  pools: Record<"tabulate" | "recount", Pool>;
  tabulate: ReturnType<typeof tabulateHere>;
  recount: ReturnType<typeof recountHere>;
  /** Both look once, a second later. */
  turn(): Promise<void>;
  /** As superuser. */
  query: Pool["query"];
  close(): Promise<void>;
}

export async function openScenario(harness: Harness): Promise<Scenario> {
  const { sample } = harness;
  const database = await cloneDatabase(harness);
  const log = await openWrittenLog(database.urlOf("ledger"), sample);
  const world = createWorld(sample, log);
  const pools = {
    tabulate: poolOf(database.urlOf("tabulate"), "tabulate"),
    recount: poolOf(database.urlOf("recount"), "recount"),
  };
  const admin = poolOf(database.adminUrl, "tabulate");
  const tabulate = tabulateHere(world, pools.tabulate);
  const recount = recountHere(world, pools.recount);
  return {
    world,
    log,
    say: speakers(sample),
    pools,
    tabulate,
    recount,
    async turn() {
      world.steadyMs += 1_000;
      await tabulate.round();
      await recount.round();
    },
    query: admin.query.bind(admin),
    async close() {
      for (const pool of [...Object.values(pools), admin]) await pool.end();
      await log.close();
      await database.drop();
    },
  };
}

type Say = ReturnType<typeof speakers>;

/** Everything that must keep the gate shut, each alone. The sample's polls closed in 2024: Postgres' own clock is past them. */
export const SHUT: [name: string, log: (say: Say) => Written[], clocks: Partial<ClockReadings>][] = [
  ["this process' clock before the close", closures, { process: SAMPLE_CLOSE - 1 }],
  ["Postgres' clock before the close", closures, { postgres: SAMPLE_CLOSE - 1 }],
  ["NATS' clock before the close", closures, { nats: SAMPLE_CLOSE - 1 }],
  ["no answer from NATS", closures, { nats: null }],
  ["no answer from Postgres' clock", closures, { postgres: null }],
  ["clocks that disagree", closures, { nats: SAMPLE_CLOSE + 62_000 }],
  ["a closure missing", (say) => [say.closed("AT")], {}],
  ["a closure that was quarantined", (say) => [say.closed("AT"), { ...say.closed("LU"), verdict: "quarantined" }], {}],
  ["a hold on the Union", (say) => [...closures(say), say.hold("EU")], {}],
  ["a poll that was extended", (say) => [...closures(say), say.extended("LU", "2024-06-09T23:00:00Z")], {}],
];

export function closures(say: Say): Written[] {
  return [say.closed("AT"), say.closed("LU")];
}

/** A statement of the vault's own, signed by whom a liar has the keys of. */
export function ownStatement(statement: Statement, say: Say): Written {
  return say.signed(statement, "tabulate-1", "recount-1");
}

export function liftStatement(sample: Sample, sequence: number, atMs = SAMPLE_CLOSE + 60_000): Statement {
  const at = new Date(atMs).toISOString();
  return { type: "lift", ...sampleCommon(sample, "EU", sequence), clocks: { process: at, postgres: at, nats: at } };
}

/** What a liar needs: the keys, and the database as superuser. */
export interface Reached {
  world: { sample: Sample };
  query<R extends QueryResultRow>(sql: string, values?: unknown[]): Promise<{ rows: R[] }>;
}

/** The newest candidate, opened with the vault's key, and the statement that would release it. */
export async function newestRelease(
  scenario: Reached,
  sequence: number,
): Promise<ReleaseId & { statement: Statement }> {
  const { sample } = scenario.world;
  const { rows } = await scenario.query<{ number: number | string; size: number | string; sealed: Buffer }>(
    "select number, size, sealed from tabulate.candidate order by number desc, size desc limit 1",
  );
  const [{ sealed, ...id }] = rows as [(typeof rows)[0]];
  const [number, size] = [Number(id.number), Number(id.size)];
  const { release } = openCandidate(vaultOf(sample), { number, size }, sealed);
  const { checkpoint, previous } = JSON.parse(release) as Release;
  return {
    number,
    size,
    statement: {
      type: "release",
      ...sampleCommon(sample, "EU", sequence),
      number,
      size,
      root: checkpoint.root,
      release: createHash("sha256").update(release).digest("hex"),
      previous,
    },
  };
}

/** Writes a proposal as tabulate would, signed with its key. */
export async function insertProposal(scenario: Reached, statement: Statement, by = "tabulate-1"): Promise<Buffer> {
  const payload = Buffer.from(JSON.stringify(statement), "utf8");
  const sha256 = createHash("sha256").update(payload).digest();
  const key = scenario.world.sample.keys.get(by)!;
  const signature = sign(null, compactEnvelope("tabulate-1", payload).signed, key.privateKey);
  await scenario.query("insert into tabulate.proposal (sha256, type, payload, signature) values ($1, $2, $3, $4)", [
    sha256,
    statement.type,
    payload,
    signature,
  ]);
  return sha256;
}

/** Postgres finds no reason against the lift any more, in this database: neither the function that writes it nor the trigger behind. */
export async function takeDownLiftWall({ query }: Pick<Scenario, "query">): Promise<void> {
  await query(
    "create or replace function ledger.gate_reasons() returns setof text language sql stable as 'select null::text where false'",
  );
}

/**
 * The log says that the gate was lifted and the newest candidate released, as if a ledger had accepted it against its own rule;
 * Postgres' wall around the lift is taken down for it, so that only the counts' own look is left.
 */
export async function liedLift(scenario: Scenario): Promise<ReleaseId> {
  const { world, say, log } = scenario;
  await takeDownLiftWall(scenario);
  const { statement, number, size } = await newestRelease(scenario, 902);
  await log.append(ownStatement(liftStatement(world.sample, 901), say));
  await log.append(ownStatement(statement, say));
  return { number, size };
}

export async function sharesOf(scenario: Scenario, by: "tabulate" | "recount"): Promise<number[]> {
  const { rows } = await scenario.query<{ number: number }>(
    "select number from release.key_share where given_by = $1 order by number",
    [by],
  );
  return rows.map(({ number }) => number);
}
