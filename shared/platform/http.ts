import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { getRequestListener, type HttpBindings, RequestError } from "@hono/node-server";
import { type Context, Hono } from "hono";
import type { Logger } from "pino";
import { codeCatalogue, PROBLEMS } from "../statement/problems.ts";
import type { ServerTls } from "./credentials.ts";
import { type Collected, collectBody, linger } from "./http-body.ts";
import { createHttpServer, cutOff, LIMITS, type ServeLimits, shareConnections } from "./http-connections.ts";
import { observe } from "./http-observe.ts";
import { Problem, problemResponse, toProblem } from "./http-problem.ts";
import type { Metrics } from "./metrics.ts";

export { Problem };

/** What every service's app is: Hono on Node's HTTP server. */
export type Env = { Bindings: HttpBindings };
export type App = Hono<Env>;

/** Whether a service can do its work, by named part; no figures, no secrets. */
export interface Readiness {
  ok: boolean;
  checks: Record<string, boolean>;
}

export interface AppOptions {
  service: string;
  log: Logger;
  metrics: Metrics;
  ready: () => Promise<Readiness>;
  /** More to say in /readyz (positions, lags); as public as the rest of it. */
  readyDetail?: () => Record<string, unknown>;
  /** What every answer of this service carries, errors too. */
  headers?: Readonly<Record<string, string>>;
}

/**
 * An app with what every service has: /healthz, /readyz, /metrics, /v1/codes; a problem document for every error; one log line
 * and two metrics per request; the security headers. Add routes to it. A handler throws `Problem` for an expected refusal;
 * anything else that it throws is logged with its stack and answered 500 without a word of it.
 */
export function createApp(options: AppOptions): App {
  const { log } = options;
  const app = new Hono<Env>();
  app.use(
    "*",
    observe(log, options.metrics, (error) => toProblem(error).code),
  );
  app.use("*", async (c, next) => {
    await next();
    secure(c.res.headers);
    for (const [name, value] of Object.entries(options.headers ?? {})) c.res.headers.set(name, value);
  });
  app.onError((error) => {
    const problem = toProblem(error);
    if (problem.code === "service.error") log.error({ err: problem.cause ?? error }, "a request failed on our side");
    else if (PROBLEMS[problem.code].status >= 500 && problem.cause !== undefined)
      log.warn({ err: problem.cause, code: problem.code }, "a request could not be served");
    return problemResponse(problem);
  });
  app.notFound((c) => {
    const allowed = allowedMethods(app, c.req.path);
    if (allowed.length === 0) return problemResponse(new Problem("request.not-found"));
    return problemResponse(new Problem("request.method", { headers: { allow: allowed.join(", ") } }));
  });
  addCommonRoutes(app, options);
  return app;
}

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"] as const;

/** Methods for which a handler of this very path exists; middleware, which takes all methods, does not count. */
function allowedMethods(app: App, path: string): string[] {
  const allowed: string[] = METHODS.filter((method) =>
    app.router.match(method, path)[0].some(([[, route]]) => route.method === method),
  );
  return allowed.includes("GET") ? ["GET", "HEAD", ...allowed.filter((method) => method !== "GET")] : allowed;
}

/** /readyz asks the database: a probe that hangs must not gather others behind it. */
const READY_MS = 3_000;

function addCommonRoutes(app: App, { service, log, metrics, ready, readyDetail }: AppOptions): void {
  app.get("/healthz", (c) => c.json({ status: "ok", service }));
  let asking: Promise<Readiness> | undefined;
  app.get("/readyz", async (c) => {
    asking ??= askReady(ready, log).finally(() => {
      asking = undefined;
    });
    const { ok, checks } = await asking;
    return c.json({ status: ok ? "ready" : "unready", checks, ...readyDetail?.() }, ok ? 200 : 503);
  });
  app.get("/metrics", async (c) =>
    c.body(await metrics.registry.metrics(), 200, { "content-type": metrics.registry.contentType }),
  );
  app.get("/v1/codes", (c) => c.json({ codes: codeCatalogue() }));
  app.get("/v1/codes/:code", (c) => {
    const entry = codeCatalogue().find(({ code }) => code === c.req.param("code"));
    if (entry === undefined) throw new Problem("request.not-found", { detail: "No such code is in the catalogue." });
    return c.json(entry);
  });
}

async function askReady(ready: () => Promise<Readiness>, log: Logger): Promise<Readiness> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Readiness>((resolve) => {
    timer = setTimeout(() => resolve({ ok: false, checks: { answered: false } }), READY_MS);
  });
  try {
    return await Promise.race([ready(), late]);
  } catch (error) {
    log.warn({ err: error }, "the readiness check failed");
    return { ok: false, checks: { answered: false } };
  } finally {
    clearTimeout(timer);
  }
}

/** What a handler has set itself stands. Before the lift nothing may be kept by a cache, so `no-store` is the default. */
function secure(headers: Headers): void {
  const page = headers.get("content-type")?.startsWith("text/html") === true;
  headers.set("x-content-type-options", "nosniff");
  if (page) headers.set("referrer-policy", "no-referrer");
  if (!headers.has("cache-control")) headers.set("cache-control", "no-store");
  if (!headers.has("content-security-policy")) {
    headers.set("content-security-policy", page ? "default-src 'self'; frame-ancestors 'none'" : "default-src 'none'");
  }
}

/** The client's address by its socket; an IPv4 address always in its plain form. "unknown" without a socket. */
export function remoteAddress(c: Context<Env>): string {
  const address = c.env?.incoming?.socket.remoteAddress;
  return address === undefined ? "unknown" : address.replace(/^::ffff:(?=\d+\.)/i, "");
}

const noRoom = () => new Problem("service.busy", { retryAfterSeconds: 1, headers: { connection: "close" } });
const tooLarge = () => new Problem("statement.too-large", { headers: { connection: "close" } });

/**
 * Reads a request's body of at most `maxBytes`. Throws Problem `statement.too-large` by its Content-Length, before anything is
 * kept, or as soon as more has come, and closes the connection; `request.too-slow` if the connection ends before the body does;
 * `service.busy` when `grow`, asked before each chunk is kept, has no room for it.
 */
export async function readBody(
  c: Context<Env>,
  maxBytes: number,
  grow?: (bytes: number) => boolean,
): Promise<Uint8Array> {
  const incoming = c.env?.incoming;
  if (incoming === undefined) return readWebBody(c.req.raw, maxBytes, grow);
  const declared = Number(incoming.headers["content-length"] ?? 0);
  const collected: Collected =
    declared > maxBytes ? { kind: "too-large" } : await collectBody(incoming, maxBytes, grow);
  if (collected.kind === "body") return collected.bytes;
  if (collected.kind === "cut-off") throw new Problem("request.too-slow", { headers: { connection: "close" } });
  await linger(incoming);
  throw collected.kind === "no-room" ? noRoom() : tooLarge();
}

async function readWebBody(
  request: Request,
  maxBytes: number,
  grow: (bytes: number) => boolean = () => true,
): Promise<Uint8Array> {
  if (Number(request.headers.get("content-length") ?? 0) > maxBytes) throw tooLarge();
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request.body ?? []) {
    length += chunk.length;
    if (length > maxBytes) throw tooLarge();
    if (!grow(chunk.length)) throw noRoom();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length);
}

const DRAIN_MS = 5_000;
const IDLE_LOOK_MS = 20;

export interface Served {
  url: string;
  port: number;
  /** Takes no new connections, lets requests in flight finish for at most 5 seconds, then closes what is left. */
  close(): Promise<void>;
}

/**
 * Serves an app over HTTP on `host` and `port` (0: a free one), with `tls` over TLS 1.3 and nothing else. Rejects if the address
 * cannot be had.
 */
export async function serve(
  app: App,
  opts: {
    host: string;
    port: number;
    log: Logger;
    tls?: ServerTls;
    limits?: ServeLimits;
    /** Asked before the app: true if it has answered. */
    first?: (incoming: IncomingMessage, outgoing: ServerResponse) => boolean;
  },
): Promise<Served> {
  const limits = { ...LIMITS, ...opts.limits };
  const listener = getRequestListener(app.fetch as Parameters<typeof getRequestListener>[0], {
    errorHandler: (error) => {
      if (!(error instanceof RequestError)) opts.log.error({ err: error }, "a request failed outside of the app");
      const answer = problemResponse(
        new Problem(error instanceof RequestError ? "request.malformed" : "service.error"),
      );
      secure(answer.headers);
      return answer;
    },
  });
  const { server, cutHandshakes } = createHttpServer(limits, opts.tls);
  server.maxConnections = limits.maxConnections;
  server.timeout = limits.idleTimeoutMs;
  shareConnections(server, limits.maxConnectionsPerAddress);
  server.on("drop", () => opts.log.warn({ limit: limits.maxConnections }, "a connection was refused: too many"));
  const answering = new WeakMap<Duplex, ServerResponse>();
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => cutOff(error, socket, answering.get(socket)));
  let closing: Promise<void> | undefined;
  server.on("request", (incoming, outgoing) => {
    answering.set(incoming.socket, outgoing);
    if (opts.first?.(incoming, outgoing) !== true) void listener(incoming, outgoing);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(opts.port, opts.host, () => {
      server.off("error", reject);
      resolve();
    });
  });
  server.on("error", (error) => opts.log.error({ err: error }, "the HTTP server failed"));
  const { port } = server.address() as AddressInfo;
  const host = opts.host.includes(":") ? `[${opts.host}]` : opts.host;
  const close = () =>
    new Promise<void>((resolve, reject) => {
      cutHandshakes();
      const timer = setTimeout(() => server.closeAllConnections(), DRAIN_MS);
      // A connection whose last answer leaves from now on is idle, and nobody else would end it.
      const idle = setInterval(() => server.closeIdleConnections(), IDLE_LOOK_MS);
      server.close((error) => {
        clearTimeout(timer);
        clearInterval(idle);
        if (error) reject(error);
        else resolve();
      });
    });
  return {
    url: `http${opts.tls === undefined ? "" : "s"}://${host}:${port}`,
    port,
    close: () => {
      closing ??= close();
      return closing;
    },
  };
}
