import { setTimeout as sleep } from "node:timers/promises";
import type { Pool } from "pg";
import type { Logger } from "pino";

/** How often a standby looks whether it is its turn. */
const LOOK_MS = 250;

/**
 * Waits until this process is the only active one of its service on this database: a Postgres advisory lock on a session of its
 * own, which Postgres gives up by itself when the process dies. `lost` is called once if that session breaks: another process
 * may be active then, so the caller stops. Resolves with what gives the lock up; rejects with the signal's reason when aborted.
 */
export async function becomeActive(opts: {
  pool: Pool;
  service: "tabulate" | "recount";
  log: Logger;
  signal: AbortSignal;
  lost: (error: Error) => void;
}): Promise<() => Promise<void>> {
  const { pool, service, log, signal, lost } = opts;
  const client = await pool.connect();
  let released = false;
  let told = false;
  // Postgres may say why it ends a session, and then the connection ends, too.
  client.on("error", (error: Error) => {
    if (!released && !told) lost(error);
    told = true;
  });
  const release = async () => {
    if (released) return;
    released = true;
    client.release(true); // ends the session, and the lock with it
  };
  try {
    for (let attempt = 1; ; attempt++) {
      const { rows } = await client.query<{ taken: boolean }>(`select ${service}.become_active() as taken`);
      if (rows[0]?.taken === true) return release;
      if (attempt === 1) log.info("another process is active; standing by");
      await sleep(LOOK_MS, undefined, { signal });
    }
  } catch (error) {
    await release();
    throw error;
  }
}
