import type { HttpBindings } from "@hono/node-server";
import type { Context } from "hono";
import { routePath } from "hono/route";
import type { Logger } from "pino";
import type { Metrics } from "./metrics.ts";

const DURATION_BUCKETS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** Asked every few seconds by machines: their lines would bury the others. */
const PROBES: ReadonlySet<string> = new Set(["/healthz", "/readyz", "/metrics"]);
/** A method is a label; anyone can invent new ones. */
const KNOWN_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

/**
 * Middleware: one wide line and two metrics per request, when the answer has left or the client has. `codeOf` gives the problem's
 * code of what a handler threw. No path, query, address or body: a route pattern says enough. No sizes: that of a statement tells
 * how many digits its figures have, that of an answer a verdict.
 */
export function observe(log: Logger, metrics: Metrics, codeOf: (error: Error) => string) {
  const labels = ["method", "route", "status"] as const;
  const requests = metrics.counter("http_requests_total", "HTTP requests answered.", labels);
  const duration = metrics.histogram(
    "http_request_duration_seconds",
    "From the request's headers to the end of its answer.",
    labels,
    DURATION_BUCKETS,
  );
  return async (c: Context<{ Bindings: HttpBindings }>, next: () => Promise<void>) => {
    const started = performance.now();
    const { outgoing } = c.env ?? {};
    // Listened for before the handler runs: a client that is cut off while it sends has gone by the time that it ends.
    const left = outgoing && new Promise<void>((resolve) => outgoing.once("close", resolve));
    await next();
    const { status } = c.res;
    const code = c.error === undefined ? undefined : codeOf(c.error);
    // The pattern of the handler that answered; for no handler the middleware's "*".
    const route = c.req.routeIndex === undefined ? "*" : routePath(c);
    const done = () => {
      const ms = performance.now() - started;
      const method = KNOWN_METHODS.has(c.req.method) ? c.req.method : "other";
      requests.inc({ method, route, status });
      duration.observe({ method, route, status }, ms / 1000);
      const line = { method, route, status, ms: Math.round(ms * 10) / 10, code };
      const level = status >= 500 ? "error" : PROBES.has(route) ? "debug" : "info";
      log[level](outgoing === undefined || outgoing.writableFinished ? line : { ...line, aborted: true }, "request");
    };
    if (left === undefined) done();
    else void left.then(done);
  };
}
