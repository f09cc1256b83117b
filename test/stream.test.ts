import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { eventsOf } from "../services/pull/stream.ts";
import type { Listed } from "../services/release/shelf.ts";
import {
  type Announced,
  addStream,
  createStream,
  MAX_REPLAYED,
  MAX_STREAMS_PER_ADDRESS,
} from "../services/release/stream.ts";
import { createApp, type Served, serve } from "../shared/platform/http.ts";
import { createHeardLog } from "../shared/platform/log-fixture.ts";
import { createMetrics } from "../shared/platform/metrics.ts";

const listed = (number: number): Listed => ({
  number,
  sha256: number.toString(16).padStart(64, "0"),
  size: number * 10,
  asOf: "2024-06-09T21:00:01.000Z",
  status: "PROVISIONAL",
  key: "0".repeat(64),
});

let releases: Listed[] = [];
let server: Served;
const HEARTBEAT_MS = 100;
const metrics = createMetrics("release");
const stream = createStream(() => releases, metrics, HEARTBEAT_MS);
const opened: (IncomingMessage | Socket)[] = [];

beforeAll(async () => {
  const { log } = createHeardLog();
  const app = createApp({ service: "release", log, metrics, ready: async () => ({ ok: true, checks: {} }) });
  addStream(app, stream);
  server = await serve(app, { host: "127.0.0.1", port: 0, log });
});
beforeEach(async () => {
  for (const one of opened.splice(0)) one.destroy();
  await until(() => stream.clients === 0);
  releases = [];
});
afterAll(async () => {
  stream.end();
  await server.close();
});

async function until(holds: () => boolean): Promise<void> {
  for (const end = performance.now() + 10_000; !holds(); ) {
    if (performance.now() > end) throw new Error(`not in time: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function open(headers: Record<string, string> = {}, method = "GET"): Promise<IncomingMessage> {
  const sent = request(`${server.url}/v1/stream`, { headers, method, agent: false }).end();
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  opened.push(response);
  response.on("error", () => undefined);
  return response;
}

/** The bytes that come until they hold this. */
async function bytesUntil(response: IncomingMessage, holds: (text: string) => boolean): Promise<string> {
  let text = "";
  response.setEncoding("utf8");
  response.on("data", (chunk: string) => {
    text += chunk;
  });
  await until(() => holds(text));
  return text;
}

function serveNext(...numbers: number[]): void {
  const found = numbers.map(listed);
  releases = [...releases, ...found];
  stream.tell(found);
}

async function take(response: IncomingMessage, count: number): Promise<Announced[]> {
  const taken: Announced[] = [];
  for await (const { event, data } of eventsOf(response)) {
    expect(event).toBe("release");
    taken.push(JSON.parse(data) as Announced);
    if (taken.length === count) break;
  }
  return taken;
}

describe("the stream", () => {
  it("has nothing but heartbeats of one size before the lift", async () => {
    const response = await open();
    expect(response.statusCode).toBe(200);
    expect(response.headers["content-type"]).toBe("text/event-stream");
    expect(response.headers["cache-control"]).toBe("no-store");
    const text = await bytesUntil(response, (got) => got.length > 30);
    expect(text).toMatch(/^retry: 2000\n\n(:\n\n)+$/);
  });

  it("tells every client of a release at once, with the hash of the one before it", async () => {
    const clients = await Promise.all([open(), open(), open()]);
    await until(() => stream.clients === 3);
    serveNext(1);
    serveNext(2, 3);
    for (const client of clients) {
      const taken = await take(client, 3);
      expect(taken.map(({ number, url, previous }) => ({ number, url, previous }))).toEqual([
        { number: 1, url: "/v1/releases/1", previous: null },
        { number: 2, url: "/v1/releases/2", previous: listed(1).sha256 },
        { number: 3, url: "/v1/releases/3", previous: listed(2).sha256 },
      ]);
    }
  });

  it("tells whoever comes back what it missed, and a newcomer the newest", async () => {
    serveNext(...Array.from({ length: MAX_REPLAYED + 5 }, (_, n) => n + 1));
    const last = MAX_REPLAYED + 5;
    const numbers = async (count: number, id?: string) =>
      (await take(await open(id === undefined ? {} : { "last-event-id": id }), count)).map(({ number }) => number);
    expect(await numbers(1)).toEqual([last]);
    expect(await numbers(3, String(last - 3))).toEqual([last - 2, last - 1, last]);
    // Too much is missed: the first that comes does not follow what the client has, and it sees that.
    expect((await numbers(MAX_REPLAYED, "2")).slice(0, 2)).toEqual([6, 7]);
    for (const strange of ["x", "-1", "1e3", String(last + 1), "9".repeat(30)])
      expect(await numbers(1, strange), strange).toEqual([last]);
    const uptodate = await open({ "last-event-id": String(last) });
    serveNext(last + 1);
    expect((await take(uptodate, 1))[0]?.number).toBe(last + 1);
  });

  it("keeps nothing of a client that has left, and answers HEAD without one", async () => {
    const response = await open({}, "HEAD");
    expect([response.statusCode, response.headers["content-type"]]).toEqual([200, "text/event-stream"]);
    expect(stream.clients).toBe(0);
    const client = await open();
    await until(() => stream.clients === 1);
    client.destroy();
    await until(() => stream.clients === 0);
  });

  it("cuts a client that does not read, and nobody waits for it", async () => {
    const silent = connect(server.port, "127.0.0.1");
    opened.push(silent);
    silent.on("error", () => undefined);
    silent.write("GET /v1/stream HTTP/1.1\r\nhost: x\r\n\r\n");
    silent.pause();
    const reader = await open();
    await until(() => stream.clients === 2);
    let told = 0;
    let read = 0;
    void (async () => {
      for await (const _ of eventsOf(reader)) read++;
    })().catch(() => undefined);
    while (stream.clients === 2) {
      serveNext(...Array.from({ length: 100 }, () => ++told));
      await until(() => read === told);
      expect(told).toBeLessThan(200_000);
    }
    expect(stream.clients).toBe(1);
    expect(await metrics.registry.metrics()).toMatch(/release_stream_cut_total\S* 1/);
  });

  it("gives one address its share of streams and no more", async () => {
    const clients = await Promise.all(Array.from({ length: MAX_STREAMS_PER_ADDRESS }, () => open()));
    expect(clients.every(({ statusCode }) => statusCode === 200)).toBe(true);
    const refused = await open();
    expect([refused.statusCode, refused.headers["retry-after"]]).toEqual([503, "5"]);
    clients[0]?.destroy();
    await until(() => stream.clients === MAX_STREAMS_PER_ADDRESS - 1);
    expect((await open()).statusCode).toBe(200);
  });

  it("ends when the service does", async () => {
    const own = createStream(() => [], createMetrics("other"));
    const app = createApp({
      service: "release",
      log: createHeardLog().log,
      metrics: createMetrics("third"),
      ready: async () => ({ ok: true, checks: {} }),
    });
    addStream(app, own);
    const response = await app.request("/v1/stream");
    own.end();
    expect(await response.text()).toBe("retry: 2000\n\n");
    expect(own.clients).toBe(0);
  });
});
