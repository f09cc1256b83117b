import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { type ConnectionOptions, type TLSSocket, connect as tlsConnect } from "node:tls";
import { afterEach, describe, expect, it } from "vitest";
import { certifyDoor } from "../../infra/stack/certificates.ts";
import type { ServerTls } from "./credentials.ts";
import { doorFetch, pinOf } from "./door.ts";
import { createApp, readBody, type Served, serve } from "./http.ts";
import { createHeardLog } from "./log-fixture.ts";
import { createMetrics } from "./metrics.ts";

/** The limits of http.test.ts, once more under TLS: a handshake must be no way around them. */

const opened: Served[] = [];
afterEach(async () => {
  for (const served of opened.splice(0)) await served.close();
});

const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const key = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
const LIMITS = { headersTimeoutMs: 400, requestTimeoutMs: 800, idleTimeoutMs: 3_000, keepAliveTimeoutMs: 300 };
const GET = "GET /items/7 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

async function bench(limits: Parameters<typeof serve>[1]["limits"] = {}) {
  const { log } = createHeardLog();
  const ready = async () => ({ ok: true, checks: {} });
  const app = createApp({ service: "bench", log, metrics: createMetrics("bench"), ready });
  app.get("/items/:id", (c) => c.text(c.req.param("id")));
  app.post("/body", async (c) => c.json({ bytes: (await readBody(c, 1_000)).length }));
  const tls: ServerTls = { cert: await certifyDoor(privateKey, Date.now()), key };
  const served = await serve(app, { host: "127.0.0.1", port: 0, log, tls, limits });
  opened.push(served);
  return { served };
}

/** Everything that comes back until the connection ends, however it ends. */
function untilClosed(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", (chunk) => (text += chunk.toString("latin1")));
  socket.on("error", () => undefined); // a reset, or an alert, is one way to be cut off; `close` follows
  return new Promise((resolve) => socket.once("close", () => resolve(text)));
}

const plain = (served: Served) => connect(served.port, "127.0.0.1");
const secure = (served: Served, more: ConnectionOptions = {}): TLSSocket =>
  tlsConnect({ port: served.port, host: "127.0.0.1", rejectUnauthorized: false, ...more });

async function ask(socket: Socket, text = GET): Promise<string> {
  const ended = untilClosed(socket);
  socket.write(text);
  return ended;
}

describe("a service with a certificate", () => {
  it("answers over TLS 1.3, and is known by its key", async () => {
    const { served } = await bench();
    expect(served.url).toMatch(/^https:/);
    const socket = secure(served);
    await once(socket, "secureConnect");
    expect(socket.getProtocol()).toBe("TLSv1.3");
    expect(await ask(socket)).toMatch(/^HTTP\/1\.1 200 [\s\S]*7$/);
    const fetch = doorFetch(served.url, [pinOf(publicKey)]);
    const posted = await fetch(new URL("/body", served.url), { method: "POST", body: "x".repeat(500) });
    expect([posted.status, await posted.json()]).toEqual([200, { bytes: 500 }]);
    const refused = await fetch(new URL("/body", served.url), { method: "POST", body: "x".repeat(1_001) });
    expect([refused.status, ((await refused.json()) as { code: string }).code]).toEqual([413, "statement.too-large"]);
  });

  it("answers nothing to TLS 1.2, and nothing in clear", async () => {
    const { served } = await bench();
    for (const maxVersion of ["TLSv1.2", "TLSv1.1"] as const) {
      const old = secure(served, { minVersion: "TLSv1", maxVersion, ciphers: "DEFAULT@SECLEVEL=0" });
      const [error] = (await once(old, "error")) as [NodeJS.ErrnoException];
      expect(error.code).toMatch(/^(ERR_SSL|ECONNRESET|EPROTO)/);
    }
    expect(await ask(plain(served))).not.toContain("HTTP/1.1");
    expect(await ask(secure(served))).toMatch(/^HTTP\/1\.1 200 /);
  });
});

describe("a client that is slow", () => {
  it("in its handshake is cut off as it is in its headers, and leaves its place to others", async () => {
    const { served } = await bench({ ...LIMITS, maxConnectionsPerAddress: 2 });
    const started = performance.now();
    const silent = plain(served);
    const half = plain(served);
    const hellos = [untilClosed(silent), untilClosed(half)];
    await Promise.all([once(silent, "connect"), once(half, "connect")]);
    half.write(Buffer.from("160301020001", "hex"));
    const shutOut = secure(served);
    await untilClosed(shutOut);
    expect(performance.now() - started).toBeLessThan(LIMITS.headersTimeoutMs);
    expect(await Promise.all(hellos)).not.toContain("HTTP/1.1");
    expect(performance.now() - started).toBeLessThan(3_000);
    await expect.poll(() => ask(secure(served))).toMatch(/^HTTP\/1\.1 200 /);
  });

  it("in its headers or its body is told so, over TLS", async () => {
    const { served } = await bench(LIMITS);
    const [headers, body] = await Promise.all([
      ask(secure(served), "GET /items/1 HTTP/1.1\r\nHost: a\r\nX-"),
      ask(secure(served), "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc"),
    ]);
    for (const text of [headers, body]) expect(text).toMatch(/^HTTP\/1\.1 408 [\s\S]*"code":"request\.too-slow"/);
    // After its handshake it says nothing at all.
    await untilClosed(secure(served));
  });
});

describe("the end", () => {
  it("waits for no handshake", async () => {
    const { served } = await bench();
    const silent = plain(served);
    const ended = untilClosed(silent);
    await once(silent, "connect");
    const started = performance.now();
    await served.close();
    await ended;
    expect(performance.now() - started).toBeLessThan(2_000);
  });
});
