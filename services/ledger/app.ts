import type { Hono } from "hono";
import type { Logger } from "pino";
import { createApp, type Env } from "../../shared/platform/http.ts";
import type { Metrics } from "../../shared/platform/metrics.ts";
import type { Role } from "./writer.ts";

export interface LedgerDeps {
  log: Logger;
  metrics: Metrics;
  role(): Role;
  size(): number;
  /** Why nothing will be written until a person has looked; undefined while that is not so. */
  stopped(): string | undefined;
  postgres(): Promise<boolean>;
  nats(): Promise<boolean>;
}

/** Health only: the ledger is spoken to by the bus. A standby is well, and not ready. */
export function buildApp({ log, metrics, role, size, stopped, postgres, nats }: LedgerDeps): Hono<Env> {
  return createApp({
    service: "ledger",
    log,
    metrics,
    ready: async () => {
      const checks = { postgres: await postgres(), nats: await nats(), writer: role() === "writer" };
      return { ok: Object.values(checks).every(Boolean), checks };
    },
    readyDetail: () => ({ role: role(), size: size(), stopped: stopped() }),
  });
}
