import { setTimeout as sleep } from "node:timers/promises";
import type { NatsConnection } from "nats";
import type { Pool } from "pg";

const ANSWER_MS = 1_000;

const inTime = (asked: Promise<unknown>): Promise<boolean> =>
  Promise.race([
    asked.then(
      () => true,
      () => false,
    ),
    sleep(ANSWER_MS, false, { ref: false }),
  ]);

export function postgresAnswers(pool: Pool): Promise<boolean> {
  return inTime(pool.query("select 1"));
}

/** A connection that is down flushes only when it is back. */
export async function natsAnswers(nc: NatsConnection): Promise<boolean> {
  return !nc.isClosed() && inTime(nc.flush());
}
