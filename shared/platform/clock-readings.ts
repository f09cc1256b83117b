import type { NatsConnection } from "nats";
import type { Pool } from "pg";
import { type ClockFloor, type ClockReadings, NO_FLOOR, raiseFloor, wentBack } from "../embargo/gate.ts";
import { systemClock } from "./clock.ts";
import type { RaiseIncident } from "./incidents.ts";
import { lookAgain } from "./look.ts";
import { natsTime } from "./nats.ts";

/** Readings, and the highest of each clock that this process has seen, these included. */
export interface SeenClocks {
  clocks: ClockReadings;
  floor: ClockFloor;
}

export type LookAtClocks = () => Promise<SeenClocks>;

/**
 * The clocks with a memory: one for each process that asks the gate, from its start to its end. Whatever clock went back since is
 * found out by it; only a restart forgets.
 */
export interface ClockWatch {
  /** Reads all clocks. One at a time: readings that overtook each other would look like a clock that goes back. */
  look: LookAtClocks;
  /** Looks every second, for a clock that goes back is seen only by who looked before. Answers what ends it. `fail` is told if a look rejects. */
  keepLooking(fail: (error: unknown) => void): () => Promise<void>;
}

const quiet: RaiseIncident = async () => undefined;

/**
 * `read` answers null for a clock that could not be read, and does not reject. A clock that went back is told once, until it is where it
 * was: the gate stays shut for as long, and nobody else can see why.
 */
export function createClockWatch(read: () => Promise<ClockReadings>, raise: RaiseIncident = quiet): ClockWatch {
  let floor: ClockFloor = NO_FLOOR;
  let last: Promise<unknown> = Promise.resolve();
  let back: readonly string[] = [];
  const lookNow = async (): Promise<SeenClocks> => {
    const clocks = await read();
    floor = raiseFloor(floor, clocks);
    const now = wentBack(clocks, floor);
    for (const { clock, byMs } of now)
      if (!back.includes(clock)) void raise({ code: "clock.went-back", about: `${clock} ${byMs} ms` });
    back = now.map(({ clock }) => clock);
    return { clocks, floor };
  };
  const look = (): Promise<SeenClocks> => {
    const next = last.then(lookNow);
    last = next.catch(() => undefined); // told to whoever asked for it
    return next;
  };
  return {
    look,
    keepLooking: (fail) => lookAgain(look, fail),
  };
}

/**
 * Reads the three clocks that the gate asks for, in ms since the epoch: this process', Postgres' `clock_timestamp()`, and NATS'
 * by the stored time of a heartbeat. A clock that does not answer is null, and the gate stays shut. The process is asked first:
 * time lost in waiting for the others shows as a spread, never as a later reading.
 */
export async function readClocks(sources: {
  pool: Pool;
  nc: NatsConnection;
  /** Whose heartbeat it is. */
  service: string;
}): Promise<ClockReadings> {
  const process = systemClock();
  const [postgres, nats] = await Promise.allSettled([
    postgresTime(sources.pool),
    natsTime(sources.nc, sources.service),
  ]);
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
