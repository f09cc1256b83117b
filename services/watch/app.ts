import type { Logger } from "pino";
import type { Definition } from "../../shared/definition/schema.ts";
import { type App, createApp } from "../../shared/platform/http.ts";
import type { Metrics } from "../../shared/platform/metrics.ts";
import { statusPage } from "./page.ts";
import type { Status } from "./status.ts";

/** What the app asks of the rest. */
export interface WatchDeps {
  log: Logger;
  metrics: Metrics;
  definition: Definition;
  status: () => Status;
}

/** What operators look at: one document, and one page of it. */
export function buildApp({ log, metrics, definition, status }: WatchDeps): App {
  const up = metrics.gauge("watch_service_ready", "1 if the service says that it is ready.", ["name"]);
  Object.assign(up, {
    collect: () => {
      for (const { name, ready } of status().services) up.set({ name }, ready ? 1 : 0);
    },
  });
  const app = createApp({
    service: "watch",
    log,
    metrics,
    headers: { "Scrutin-Mode": definition.mode },
    ready: async () => {
      const { postgres, nats } = status().dependencies;
      const checks = { database: postgres.well, definition: postgres.ownLog, nats: nats.well };
      return { ok: Object.values(checks).every(Boolean), checks };
    },
  });
  app.get("/v1/status", (c) => c.json(status()));
  app.get("/", (c) => {
    const { document, policy } = statusPage(definition, status());
    return c.html(document, 200, { "content-security-policy": policy });
  });
  return app;
}
