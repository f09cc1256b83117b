import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { HTTPException } from "hono/http-exception";
import { afterEach, describe, expect, it } from "vitest";
import { createApp, Problem, type Readiness, readBody, remoteAddress, type Served, serve } from "./http.ts";
import { createHeardLog, type LogLine } from "./log-fixture.ts";
import { createMetrics } from "./metrics.ts";

const MAX = 1000;

const opened: Served[] = [];
afterEach(async () => {
  for (const served of opened.splice(0)) await served.close();
});

async function bench(
  options: { limits?: Parameters<typeof serve>[1]["limits"]; ready?: () => Promise<Readiness> } = {},
) {
  const { log, lines, heard } = createHeardLog();
  const ready = options.ready ?? (async () => ({ ok: true, checks: { postgres: true } }));
  const app = createApp({
    service: "bench",
    log,
    metrics: createMetrics("bench"),
    ready,
    readyDetail: () => ({ at: 7 }),
  });
  app.post("/body", async (c) => c.json({ bytes: (await readBody(c, MAX)).length }));
  app.get("/items/:id", (c) => c.text(c.req.param("id")));
  app.get("/boom", () => {
    throw new Error("the password is hunter2");
  });
  app.get("/busy", () => {
    throw new Problem("service.busy", {
      detail: "The inbox is full.",
      retryAfterSeconds: 2.2,
      headers: { "x-a": "b" },
    });
  });
  app.get("/gone/:status", (c) => {
    throw new HTTPException(Number(c.req.param("status")) as 404, { message: "internal words" });
  });
  app.get("/cached", (c) => c.text("x", 200, { "cache-control": "public, max-age=5" }));
  app.get("/page", (c) => c.html("<p>"));
  app.get("/who", (c) => c.text(remoteAddress(c)));
  const { limits } = options;
  const served = await serve(app, { host: "127.0.0.1", port: 0, log, ...(limits && { limits }) });
  opened.push(served);
  return { app, log, lines, heard, served };
}

/** A client that says exactly these bytes; resolves `ended` with all that came back. */
function raw(served: Served, head: string): { socket: Socket; ended: Promise<string> } {
  const socket = connect(served.port, "127.0.0.1");
  let text = "";
  socket.on("data", (chunk) => (text += chunk.toString("latin1")));
  socket.on("error", () => undefined); // a reset is one way to be cut off; `close` follows
  socket.write(head);
  return { socket, ended: new Promise<string>((resolve) => socket.once("close", () => resolve(text))) };
}

const post = (served: Served, body: RequestInit["body"]) =>
  fetch(`${served.url}/body`, { method: "POST", body, duplex: "half" } as RequestInit);

function stream(chunks: number, bytes: number): ReadableStream<Uint8Array> {
  let left = chunks;
  return new ReadableStream({
    pull: (controller) => (left-- > 0 ? controller.enqueue(new Uint8Array(bytes)) : controller.close()),
  });
}

async function expectProblem(response: Response, status: number, code: string): Promise<LogLine> {
  expect(response.status).toBe(status);
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  expect(response.headers.get("cache-control")).toBe("no-store");
  const document = (await response.json()) as LogLine;
  expect(document).toMatchObject({ status, code, type: `/v1/codes/${code}` });
  expect(String(document.detail).length).toBeGreaterThan(5);
  return document;
}

describe("what every service answers", () => {
  it("says that it lives, is ready, counts and knows its codes", async () => {
    const { served } = await bench();
    expect(await (await fetch(`${served.url}/healthz`)).json()).toMatchObject({ status: "ok" });
    const ready = await fetch(`${served.url}/readyz`);
    expect([ready.status, await ready.json()]).toEqual([200, { status: "ready", checks: { postgres: true }, at: 7 }]);
    const { codes } = (await (await fetch(`${served.url}/v1/codes`)).json()) as { codes: { code: string }[] };
    expect(codes.map(({ code }) => code)).toContain("embargo.in-force");
    const one = await fetch(`${served.url}/v1/codes/embargo.in-force`);
    expect(await one.json()).toMatchObject({ code: "embargo.in-force", status: 403 });
    await expectProblem(await fetch(`${served.url}/v1/codes/no.such`), 404, "request.not-found");
    await (await fetch(`${served.url}/items/17`)).text();
    await (await fetch(`${served.url}/items/18`)).text();
    const metrics = await (await fetch(`${served.url}/metrics`)).text();
    expect(metrics).toContain(
      'scrutin_http_requests_total{method="GET",route="/items/:id",status="200",service="bench"} 2',
    );
    expect(metrics).toContain("process_resident_memory_bytes");
  });

  it("is not ready when a part is away, when the check fails and when it hangs", async () => {
    const away = await bench({ ready: async () => ({ ok: false, checks: { postgres: false } }) });
    const answer = await fetch(`${away.served.url}/readyz`);
    expect([answer.status, await answer.json()]).toMatchObject([
      503,
      { status: "unready", checks: { postgres: false } },
    ]);
    const failing = await bench({ ready: () => Promise.reject(new Error("secret")) });
    const failed = await fetch(`${failing.served.url}/readyz`);
    expect(failed.status).toBe(503);
    expect(await failed.text()).not.toContain("secret");
    const hanging = await bench({ ready: () => new Promise<never>(() => undefined) });
    expect((await fetch(`${hanging.served.url}/readyz`)).status).toBe(503);
  });
});

describe("errors", () => {
  it("are problem documents with a code", async () => {
    const { served } = await bench();
    await expectProblem(await fetch(`${served.url}/none`), 404, "request.not-found");
    const busy = await fetch(`${served.url}/busy`);
    expect([busy.headers.get("retry-after"), busy.headers.get("x-a")]).toEqual(["3", "b"]);
    expect((await expectProblem(busy, 503, "service.busy")).detail).toMatch(/^The inbox is full\. Wait/);
    for (const [status, expected, code] of [
      [404, 404, "request.not-found"],
      [400, 400, "request.malformed"],
      [418, 400, "request.malformed"],
      [413, 413, "statement.too-large"],
      [500, 500, "service.error"],
    ] as const) {
      const document = await expectProblem(await fetch(`${served.url}/gone/${status}`), expected, code);
      expect(JSON.stringify(document)).not.toContain("internal words");
    }
  });

  it("name the methods that an address takes", async () => {
    const { served } = await bench();
    const wrong = await fetch(`${served.url}/body`);
    expect(wrong.headers.get("allow")).toBe("POST");
    await expectProblem(wrong, 405, "request.method");
    const other = await fetch(`${served.url}/items/1`, { method: "DELETE" });
    expect(other.headers.get("allow")).toBe("GET, HEAD");
    expect((await fetch(`${served.url}/items/1`, { method: "HEAD" })).status).toBe(200);
  });

  it("of our own say nothing of what happened, and log it with its stack", async () => {
    const { served, lines } = await bench();
    const response = await fetch(`${served.url}/boom`);
    const document = await expectProblem(response, 500, "service.error");
    expect(JSON.stringify(document)).not.toContain("hunter2");
    const logged = lines.find((line) => line.msg === "a request failed on our side");
    expect(logged?.err).toMatchObject({
      message: "the password is hunter2",
      stack: expect.stringContaining("http.test"),
    });
  });

  it("come before the app as problem documents too", async () => {
    const { served } = await bench();
    const host = await raw(served, "GET / HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n").ended;
    expect(host).toMatch(/^HTTP\/1\.1 400 [\s\S]*"code":"request\.malformed"/);
    const noise = await raw(served, "\x16\x03\x01 not http\r\n\r\n").ended;
    expect(noise).toMatch(/^HTTP\/1\.1 400 [\s\S]*"code":"request\.malformed"/);
    const header = await raw(served, `GET / HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(17 * 1024)}\r\n\r\n`).ended;
    expect(header).toMatch(/^HTTP\/1\.1 400 [\s\S]*"code":"request\.malformed"/);
  });
});

describe("security headers", () => {
  it("are set, and leave alone what a handler has set", async () => {
    const { served } = await bench();
    const plain = (await fetch(`${served.url}/items/1`)).headers;
    expect(plain.get("x-content-type-options")).toBe("nosniff");
    expect(plain.get("cache-control")).toBe("no-store");
    expect(plain.get("content-security-policy")).toBe("default-src 'none'");
    expect((await fetch(`${served.url}/cached`)).headers.get("cache-control")).toBe("public, max-age=5");
    const page = (await fetch(`${served.url}/page`)).headers;
    expect(page.get("content-security-policy")).toContain("default-src 'self'");
    expect(page.get("referrer-policy")).toBe("no-referrer");
  });
});

describe("a body", () => {
  it("may be as long as the limit and no longer, by its length and as a stream", async () => {
    const { served } = await bench();
    for (const body of [new Uint8Array(0), new Uint8Array(MAX - 1), new Uint8Array(MAX)])
      expect(await (await post(served, body)).json()).toEqual({ bytes: body.length });
    expect(await (await post(served, stream(10, MAX / 10))).json()).toEqual({ bytes: MAX });
    for (const body of [new Uint8Array(MAX + 1), new Uint8Array(3_000_000), stream(11, MAX / 10), stream(40, 50_000)]) {
      const response = await post(served, body);
      expect(response.headers.get("connection")).toBe("close");
      await expectProblem(response, 413, "statement.too-large");
    }
  });

  it("that is announced as too long is refused before any of it has come", async () => {
    const { served } = await bench();
    const { ended } = raw(served, `POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: ${MAX + 1}\r\n\r\n`);
    expect(await ended).toMatch(/^HTTP\/1\.1 413 /);
  });

  it("without an end is refused while it goes on", async () => {
    const { served } = await bench();
    const { socket, ended } = raw(served, "POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    const chunk = `10000\r\n${"x".repeat(0x10000)}\r\n`;
    const more = () => {
      while (!socket.destroyed && socket.write(chunk));
    };
    socket.on("drain", more);
    more();
    await ended;
    expect(socket.bytesWritten).toBeLessThan(64 * 1024 * 1024);
  });

  it("is limited without a server too", async () => {
    const { app } = await bench();
    const send = (body: Uint8Array<ArrayBuffer> | ReadableStream) =>
      app.request("/body", { method: "POST", body, duplex: "half" } as RequestInit);
    expect(await (await send(new Uint8Array(MAX))).json()).toEqual({ bytes: MAX });
    await expectProblem(await send(new Uint8Array(MAX + 1)), 413, "statement.too-large");
    await expectProblem(await send(stream(2, MAX)), 413, "statement.too-large");
  });
});

describe("slow clients", () => {
  const limits = { headersTimeoutMs: 300, requestTimeoutMs: 600, idleTimeoutMs: 3_000, keepAliveTimeoutMs: 300 };

  it("are cut off in their headers and in their bodies", async () => {
    const { served, heard } = await bench({ limits });
    const logged = heard(({ msg, route }) => msg === "request" && route === "/body");
    const started = performance.now();
    const headers = raw(served, "GET /items/1 HTTP/1.1\r\nHost: a\r\nX-");
    const body = raw(served, "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc");
    const silent = raw(served, "");
    expect(await headers.ended).toMatch(/^HTTP\/1\.1 408 [\s\S]*"code":"request\.too-slow"/);
    expect(await body.ended).toMatch(/^HTTP\/1\.1 408 [\s\S]*"code":"request\.too-slow"/);
    await silent.ended;
    expect(performance.now() - started).toBeLessThan(4_000);
    expect(await logged).toMatchObject({ status: 408, code: "request.too-slow" });
  });

  it("that drip byte by byte gain no time", async () => {
    const { served } = await bench({ limits });
    const { socket, ended } = raw(served, "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n");
    const drip = setInterval(() => socket.write("x"), 50);
    const started = performance.now();
    expect(await ended).toMatch(/^HTTP\/1\.1 408 /);
    clearInterval(drip);
    expect(performance.now() - started).toBeLessThan(3_000);
  });
});

describe("many connections", () => {
  it("from one address do not shut out another", async () => {
    const { served } = await bench({ limits: { maxConnectionsPerAddress: 3 } });
    const idle = [1, 2, 3].map(() => raw(served, "GET /items/1 HTTP/1.1\r\nHost: a\r\nX-"));
    const from = (localAddress: string) =>
      new Promise<string>((resolve) => {
        const socket = connect({ port: served.port, host: "127.0.0.1", localAddress });
        let text = "";
        socket.on("data", (chunk) => (text += chunk.toString("latin1")));
        socket.on("error", () => undefined); // a reset: `close` follows, and the text says that there was no answer
        socket.once("close", () => resolve(text));
        socket.write("GET /items/2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
      });
    await Promise.all(idle.map(({ socket }) => once(socket, "connect")));
    expect(await from("127.0.0.1")).toBe("");
    // Other systems than Linux answer on 127.0.0.1 alone.
    if (process.platform === "linux") expect(await from("127.0.0.9")).toMatch(/^HTTP\/1\.1 200 /);
    for (const { socket } of idle) socket.destroy();
    await Promise.all(idle.map(({ ended }) => ended));
    await expect.poll(() => from("127.0.0.1")).toMatch(/^HTTP\/1\.1 200 /);
  });
});

describe("clients that do not read", () => {
  it("are cut off when nothing has moved for a while", async () => {
    const { app, served } = await bench({ limits: { idleTimeoutMs: 300 } });
    let cut = () => {};
    const gone = new Promise<void>((resolve) => (cut = resolve));
    app.get("/large", (c) => {
      c.env.incoming.socket.once("close", () => cut());
      return c.body(new Uint8Array(64 * 1024 * 1024));
    });
    const { socket, ended } = raw(served, "GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
    await once(socket, "data");
    socket.pause();
    await gone;
    socket.resume();
    expect((await ended).length).toBeLessThan(64 * 1024 * 1024);
  });
});

describe("the log", () => {
  it("has one line a request: pattern, status and time, and nothing of what was asked", async () => {
    const { served, lines, heard } = await bench();
    const logging = ["/items/:id", "/body"].map((pattern) => heard(({ route }) => route === pattern));
    await (await fetch(`${served.url}/items/4711?secret=hunter2`)).text();
    await (await post(served, new Uint8Array(500).fill(65))).text();
    const logged = await Promise.all(logging);
    expect(logged[0]).toMatchObject({ method: "GET", route: "/items/:id", status: 200, ms: expect.any(Number) });
    expect(logged[1]).toMatchObject({ method: "POST", route: "/body", status: 200 });
    // The size of a statement tells how many digits its figures have, that of an answer what was found: before the lift a log must not.
    for (const line of logged)
      for (const size of ["in", "out", "bytes", "length"]) expect(line).not.toHaveProperty(size);
    expect(JSON.stringify(lines)).not.toMatch(/hunter2|4711|127\.0\.0\.1|AAAA/);
  });

  it("knows no end of routes or methods", async () => {
    const { served, heard } = await bench();
    const logged = heard(({ msg }) => msg === "request");
    await (await fetch(`${served.url}/a/b/c`, { method: "PROPFIND" })).text();
    expect(await logged).toMatchObject({ method: "other", route: "/*", status: 404 });
  });
});

describe("the end", () => {
  it("lets a request in flight finish, closes idle connections and takes no more", async () => {
    const { app, served } = await bench();
    let entered = () => {};
    const inside = new Promise<void>((resolve) => (entered = resolve));
    let release = () => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    app.get("/held", async (c) => {
      entered();
      await held;
      return c.text("done");
    });
    const idle = raw(served, "GET /items/1 HTTP/1.1\r\nHost: a\r\n\r\n");
    await once(idle.socket, "data");
    const answer = fetch(`${served.url}/held`);
    await inside;
    const started = performance.now();
    const closed = served.close();
    await idle.ended;
    await expect(fetch(`${served.url}/healthz`)).rejects.toThrow();
    release();
    expect(await (await answer).text()).toBe("done");
    await closed;
    expect(performance.now() - started).toBeLessThan(2_000);
  });

  it("rejects a port that is taken", async () => {
    const { app, log, served } = await bench();
    await expect(serve(app, { host: "127.0.0.1", port: served.port, log })).rejects.toThrow("EADDRINUSE");
  });
});

describe("a client's address", () => {
  it("comes from the socket, not from what a header claims", async () => {
    const { served } = await bench();
    const headers = { "x-forwarded-for": "203.0.113.9" };
    expect(await (await fetch(`${served.url}/who`, { headers })).text()).toBe("127.0.0.1");
  });
});
