import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Harness, startHarness } from "../../test/harness.ts";
import { eventually } from "../../test/ledger.ts";
import { readClocks } from "./clock-readings.ts";
import { createHeardLog } from "./log-fixture.ts";
import { becomeActive } from "./one-active.ts";
import { openPool } from "./postgres.ts";

describe("on a real database", () => {
  let harness: Harness;
  beforeAll(async () => {
    harness = await startHarness();
  });
  afterAll(() => harness.close());
  const poolAs = (role: "tabulate" | "recount") =>
    openPool({ url: harness.databaseUrl(role), service: role, log: createHeardLog().log });

  it("lets one process of a service be active; the next follows when it is gone", async () => {
    const [first, second] = [poolAs("tabulate"), poolAs("tabulate")];
    const other = poolAs("recount");
    const { log } = createHeardLog();
    const { signal } = new AbortController();
    const lost: Error[] = [];
    const options = { log, signal, lost: (error: Error) => void lost.push(error) };
    const releaseFirst = await becomeActive({ ...options, pool: first, service: "tabulate" });
    const releaseOther = await becomeActive({ ...options, pool: other, service: "recount" });
    let active = false;
    const waiting = becomeActive({ ...options, pool: second, service: "tabulate" }).then((release) => {
      active = true;
      return release;
    });
    await second.query("select pg_sleep(0.5)"); // two looks of the standby
    expect(active).toBe(false);
    // The connection dies with its process; here an operator ends it.
    await harness.query(
      "select pg_terminate_backend(l.pid) from pg_locks l join pg_stat_activity a using (pid) where l.locktype = 'advisory' and l.granted and a.usename = 'scrutin_tabulate' and a.datname = current_database()",
    );
    await (await waiting)();
    await eventually(() => lost.length > 0);
    await releaseFirst();
    await releaseOther();
    expect(lost).toHaveLength(1);
    for (const pool of [first, second, other]) await pool.end();
  });

  it("gives up waiting when told to", async () => {
    const [first, second] = [poolAs("tabulate"), poolAs("tabulate")];
    const { log } = createHeardLog();
    const stop = new AbortController();
    const options = { log, signal: stop.signal, service: "tabulate" as const, lost: () => undefined };
    const release = await becomeActive({ ...options, pool: first });
    const waiting = becomeActive({ ...options, pool: second });
    stop.abort();
    await expect(waiting).rejects.toThrow();
    await release();
    await first.end();
    await second.end();
  });

  it("reads three clocks, and says null of one that does not answer", async () => {
    const pool = poolAs("tabulate");
    const nc = await harness.nats("tabulate");
    const clocks = await readClocks({ pool, nc, service: "tabulate" });
    for (const reading of Object.values(clocks)) expect(Math.abs(Number(reading) - Date.now())).toBeLessThan(5_000);
    await nc.close();
    expect(await readClocks({ pool, nc, service: "tabulate" })).toMatchObject({ nats: null });
    await pool.end();
    const gone = await readClocks({ pool, nc, service: "tabulate" });
    expect(gone).toMatchObject({ postgres: null, nats: null });
    expect(gone.process).not.toBeNull();
  });
});
