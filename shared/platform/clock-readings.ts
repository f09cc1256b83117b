import type { NatsConnection } from "nats";
import type { Pool } from "pg";
import type { ClockReadings } from "../embargo/gate.ts";
import { systemClock } from "./clock.ts";
import { natsTime } from "./nats.ts";

/**
 * Reads the three clocks that the gate asks for, in ms since the epoch: this process', Postgres' `clock_timestamp()`, and NATS'
 * by the stored time of a heartbeat. A clock that does not answer is null, and the gate stays shut. The process is asked first:
 * time lost in waiting for the others shows as a spread, never as a later reading.
 */
export async function readClocks(sources: { pool: Pool; nc: NatsConnection }): Promise<ClockReadings> {
  const process = systemClock();
  const [postgres, nats] = await Promise.allSettled([postgresTime(sources.pool), natsTime(sources.nc)]);
  return {
    process,
    postgres: postgres.status === "fulfilled" ? postgres.value.getTime() : null,
    nats: nats.status === "fulfilled" ? nats.value.getTime() : null,
  };
}

async function postgresTime(pool: Pool): Promise<Date> {
  const { rows } = await pool.query<{ now: Date }>("select clock_timestamp() as now");
  if (rows[0] === undefined) throw new Error("Postgres gave no time");
  return rows[0].now;
}
