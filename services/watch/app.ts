import type { Logger } from "pino";
import type { Definition } from "../../shared/definition/schema.ts";
import type { Bell } from "../../shared/platform/bell.ts";
import { type App, createApp, Problem } from "../../shared/platform/http.ts";
import type { Metrics } from "../../shared/platform/metrics.ts";
import { createGuard } from "./access/guard.ts";
import type { Provider } from "./access/provider.ts";
import { addAccessRoutes } from "./access/routes.ts";
import type { Sessions } from "./access/sessions.ts";
import { addDecisionRoutes, type DecisionDeps } from "./decisions.ts";
import type { FeedHistory } from "./feeds.ts";
import type { IncidentBook } from "./incidents/book.ts";
import { kindOf } from "./incidents/catalogue.ts";
import { addIncidentRoutes } from "./incidents/routes.ts";
import { addLiveRoute } from "./live.ts";
import { addShellRoutes, type Shell } from "./shell.ts";
import type { Status } from "./status.ts";

/** What the app asks of the rest. */
export interface WatchDeps {
  log: Logger;
  metrics: Metrics;
  definition: Definition;
  status: () => Status;
  /** Rung when the status may have changed. */
  bell: Bell;
  /** A state's feed over time; undefined for one that there is not. */
  history: (state: string) => FeedHistory | undefined;
  book: IncidentBook;
  /** The page of an incident's code, in Markdown; undefined without one. */
  runbook: (code: string) => Promise<string | undefined>;
  shell: Shell | undefined;
  decisions: DecisionDeps;
  access: {
    sessions: Sessions;
    provider: Provider | undefined;
    linkFile: string | undefined;
    /** For scripts that read; undefined: there are none. */
    token: string | undefined;
    /** People reach this by https alone. */
    secure: boolean;
    now: () => number;
  };
}

/** What operators look at, and what they may do. */
export function buildApp(deps: WatchDeps): App {
  const { log, metrics, definition, status, book, access } = deps;
  observeStatus(deps);
  const app = createApp({
    service: "watch",
    log,
    metrics,
    headers: {
      "Scrutin-Mode": definition.mode,
      ...(access.secure ? { "strict-transport-security": "max-age=31536000" } : {}),
    },
    ready: async () => {
      const { postgres, nats } = status().dependencies;
      const checks = { database: postgres.well, definition: postgres.ownLog, nats: nats.well };
      return { ok: Object.values(checks).every(Boolean), checks };
    },
  });
  const guard = createGuard(app, access);
  addAccessRoutes({ guard, log, ...access });
  guard.add("GET", "/v1/status", "machine", (c) => c.json(status()));
  guard.add("GET", "/v1/states/:state", "viewer", (c) => {
    const history = deps.history(c.req.param("state") ?? "");
    if (history === undefined) throw new Problem("request.not-found", { detail: "The definition has no such state." });
    return c.json(history);
  });
  guard.add("GET", "/v1/runbooks/:code", "viewer", async (c) => {
    const text = await deps.runbook(c.req.param("code") ?? "");
    if (text === undefined) throw new Problem("request.not-found", { detail: "There is no page for this code." });
    return c.body(text, 200, { "content-type": "text/markdown; charset=utf-8" });
  });
  addIncidentRoutes(guard, book);
  addDecisionRoutes(guard, deps.decisions);
  addLiveRoute(guard, status, deps.bell);
  addShellRoutes(guard, deps.shell, definition.mode);
  return app;
}

/** Gauges of what watch sees, read when they are asked for. */
function observeStatus({ metrics, status, book }: WatchDeps): void {
  const up = metrics.gauge("watch_service_ready", "1 if the service says that it is ready.", ["name"]);
  const open = metrics.gauge("watch_incidents_open", "Incidents that are not closed.", ["severity", "state"]);
  const light = metrics.gauge("watch_promise_kept", "1 while nothing speaks against the promise.", ["promise"]);
  Object.assign(up, {
    collect: () => {
      for (const { name, ready } of status().services) up.set({ name }, ready ? 1 : 0);
      for (const { promise, light: is } of status().promises) light.set({ promise }, is === "kept" ? 1 : 0);
      open.reset();
      for (const { code, state } of book.list())
        if (state !== "closed") open.inc({ severity: kindOf(code).severity, state });
    },
  });
}
