import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { NatsConnection } from "nats";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Child } from "../infra/stack/processes.ts";
import type { Statement } from "../shared/statement/types.ts";
import { restarted, takePostgresWallAway } from "./embargo.ts";
import { AHEAD_OF_US, BEHIND_US, HOUR, type Shifts, setClocks, YEAR } from "./embargo-clocks.ts";
import { useFaketime } from "./faketime.ts";
import { type Harness, startHarness } from "./harness.ts";
import { eventually } from "./ledger.ts";
import { insertProposal, liftStatement, newestRelease, ownStatement } from "./vault-scenario.ts";
import { openWrittenLog, speakers, type WrittenLog } from "./written-log.ts";

/**
 * Wall 1 alone, each count's own gate, against clocks that lie: both counts as they run, in a log that the test writes. Wall 2 is
 * away: the log says accepted to whatever is put into it. Wall 3 is away: Postgres lets everything through.
 */

const clocks = useFaketime();
const both = (ms: number): Shifts => ({ tabulate: ms, recount: ms });

const ALL_AHEAD: Shifts = { ...both(2 * HOUR), postgres: 2 * HOUR };
const NATS_AHEAD: Shifts = { ...both(-2 * HOUR), postgres: -2 * HOUR };
type Row = [name: string, at: Shifts, then?: Shifts];

const BEFORE: Row[] = [
  ["the right time on every clock", {}],
  ["both counts a year ahead", both(YEAR)],
  ["Postgres two hours ahead", { postgres: 2 * HOUR }],
  ["both counts and Postgres two hours ahead", ALL_AHEAD],
];
const AFTER: Row[] = [
  ["NATS ahead of the others, which are before the close", NATS_AHEAD],
  ["both counts back before the close", both(600_000), both(-2 * HOUR)],
  ["Postgres back before the close", { postgres: 600_000 }, { postgres: -2 * HOUR }],
  ["both counts back by some minutes, to the right time", both(600_000), {}],
  ["Postgres back by some minutes, to the right time", { postgres: 600_000 }, {}],
];

describe.each<[string, typeof AHEAD_OF_US, Row[], Row[]]>([
  ["an hour before the close", AHEAD_OF_US, BEFORE, BEFORE.slice(-1)],
  ["an hour after the close", BEHIND_US, AFTER, AFTER.slice(0, 1)],
])("wall 1 alone, %s", (_, sample, rows, rowsAfterALie) => {
  let harness: Harness;
  let bus: NatsConnection;
  let log: WrittenLog;
  let say: ReturnType<typeof speakers>;
  let door: Server;
  let counts: Child[];
  let sequence = 1_000;
  const posted: string[] = [];

  beforeAll(async () => {
    harness = await startHarness({ sample, postgresEnv: await clocks.of("postgres") });
    bus = await harness.nats("services");
    await takePostgresWallAway(harness.query);
    log = await openWrittenLog(harness.databaseUrl("ledger"), sample);
    say = speakers(sample);
    await log.append(say.override("AT"), say.override("LU"), say.tally("AT-1"));
    door = createServer((request, response) => {
      let body = "";
      request.on("data", (chunk) => (body += chunk));
      request.on("end", () => {
        posted.push(body);
        response.writeHead(202, { "content-type": "application/json" }).end("{}");
      });
    });
    await new Promise<void>((resolve) => door.listen(0, "127.0.0.1", resolve));
    const SCRUTIN_INGEST_URL = `http://127.0.0.1:${(door.address() as AddressInfo).port}`;
    await setClocks(clocks, rows[0]![1]);
    counts = await Promise.all([
      harness.start("tabulate", { ...(await clocks.of("tabulate")), SCRUTIN_INGEST_URL }),
      harness.start("recount", await clocks.of("recount")),
    ]);
  });
  afterAll(async () => {
    await log?.close();
    await harness?.close();
    door?.close();
  });
  beforeEach((test) => clocks.missing(test));

  const query = async <R extends Record<string, unknown>>(sql: string, values?: unknown[]) => ({
    rows: await harness.query<R>(sql, values),
  });
  const reached = { world: { sample }, query };
  const countOf = async (sql: string) => (await harness.query(sql)).length;

  /** Both have come to the end of the log, and gone round once more: whatever was to be done for its last entry but one is done. */
  const looked = async () => {
    for (const unit of ["AT-2", "AT-3"]) {
      await log.append(say.tally(unit));
      bus.publish("ledger.appended");
      for (const { url } of counts)
        await eventually(async () => {
          const ready = await fetch(`${url}/readyz`);
          return ((await ready.json()) as { position: number }).position >= log.size();
        });
    }
  };
  const turn = async (at: Shifts, then?: Shifts) => {
    await setClocks(clocks, at);
    await Promise.all(counts.map(restarted));
    await looked();
    if (then === undefined) return;
    await setClocks(clocks, then);
    await looked();
  };

  it.each(rows)("no lift with %s", async (_name, at, then) => {
    // As if tabulate were stolen: its key says that every clock is past the close.
    await insertProposal(reached, liftStatement(sample, ++sequence, Date.now() + 2 * HOUR));
    await turn(at, then);
    expect(await countOf("select from recount.cosignature")).toBe(0);
    expect(posted).toEqual([]);
  });

  const shares = () =>
    countOf("select given_by from release.key_share union all select given_by from release.data_key_share");

  it.each(rowsAfterALie)("no key, though the log says that it was lifted, with %s", async (_name, at) => {
    await eventually(() => countOf("select from recount.answer").then((count) => count > 0));
    const { statement } = await newestRelease(reached, ++sequence);
    await log.append(ownStatement(liftStatement(sample, ++sequence, Date.now()), say));
    await log.append(ownStatement({ ...statement, sequence: ++sequence } as Statement, say));
    await turn(at);
    expect(await shares()).toBe(0);
  });

  it.runIf(sample === BEHIND_US)("gives the keys with the right time on every clock", async () => {
    await turn({});
    await eventually(() => shares().then((count) => count >= 4));
  });
});
