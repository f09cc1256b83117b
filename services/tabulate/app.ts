import type { Logger } from "pino";
import { type App, createApp } from "../../shared/platform/http.ts";
import type { Metrics } from "../../shared/platform/metrics.ts";

/** What the app asks of the rest; each rejects when its part is away. */
export interface AppDeps {
  log: Logger;
  metrics: Metrics;
  /** The size of the committed log; undefined before the ledger's first start. */
  headSize: () => Promise<number | undefined>;
  pingNats: () => Promise<unknown>;
  status: () => { position: number; working: boolean; broken: boolean };
  /** False while another process of this service is the active one. */
  active: () => boolean;
}

/** How far the fold may lie behind the log and still be called ready. */
const MAX_LAG_ENTRIES = 5_000;

/**
 * Health only: results leave this service sealed, by way of the database. Positions are public with the log; what was accepted
 * is not, before the lift, and shows nowhere here.
 */
export function buildApp({ log, metrics, headSize, pingNats, status, active }: AppDeps): App {
  const position = metrics.gauge("log_position", "Entries of the log that are folded.");
  const head = metrics.gauge("log_head", "Entries of the log, as last seen.");
  let headSeen = 0;
  const holds = (part: Promise<unknown>) =>
    part.then(
      () => true,
      () => false,
    );
  return createApp({
    service: "tabulate",
    log,
    metrics,
    ready: async () => {
      const database = await holds(
        headSize().then((size) => {
          headSeen = size ?? 0;
        }),
      );
      const nats = await holds(pingNats());
      const now = status();
      position.set(now.position);
      head.set(headSeen);
      const checks = {
        database,
        nats,
        log: !now.broken && (!active() || now.working),
        lag: !active() || headSeen - now.position <= MAX_LAG_ENTRIES,
      };
      return { ok: Object.values(checks).every((ok) => ok), checks };
    },
    readyDetail: () => ({ active: active(), position: status().position, head: headSeen }),
  });
}
