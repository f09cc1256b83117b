import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { sampleDefinition } from "../../shared/definition/sample.ts";
import type { App } from "../../shared/platform/http.ts";
import { type Served, serve } from "../../shared/platform/http.ts";
import { createHeardLog } from "../../shared/platform/log-fixture.ts";
import { createMetrics } from "../../shared/platform/metrics.ts";
import { appOf, shelfOf } from "./app-fixture.ts";
import { type MadeRelease, makeChain } from "./fixture.ts";
import { createPolls } from "./polls.ts";

/** What answers without the app answers as the app does, and only what it may. */

const sample = sampleDefinition();
let chain: MadeRelease[];
const onShelf: MadeRelease[] = [];
let app: App;
let server: Served;
/** The same app, which answers everything itself. */
let slow: Served;
let serveNext: () => Promise<void>;
let fromMemory = 0;
let mayAsk = true;

beforeAll(async () => {
  chain = await makeChain(sample, 3);
  const shelf = await shelfOf(sample, onShelf);
  serveNext = async () => {
    const next = chain[onShelf.length];
    if (next !== undefined) onShelf.push(next);
    await shelf.take(() => undefined);
  };
  // Nobody is told 429: that is limits' matter.
  app = await appOf(sample, [], { shelf, now: () => performance.now() * 1_000 });
  const polls = createPolls({
    app,
    shelf,
    mayAsk: () => mayAsk,
    retrySeconds: () => 3,
    metrics: createMetrics("polls"),
  });
  const first: typeof polls.answer = (incoming, outgoing) => {
    const answered = polls.answer(incoming, outgoing);
    if (answered) fromMemory++;
    return answered;
  };
  server = await serve(app, { host: "127.0.0.1", port: 0, log: createHeardLog().log, first });
  slow = await serve(app, { host: "127.0.0.1", port: 0, log: createHeardLog().log });
});
afterAll(async () => {
  await server.close();
  await slow.close();
});

interface Seen {
  status: number;
  headers: [string, string][];
  body: string;
}

/** Without what Node adds to every answer. */
const OWN = new Set(["date", "connection", "keep-alive", "transfer-encoding"]);

async function ask(path: string, headers: Record<string, string>, method = "GET", of = server): Promise<Seen> {
  const sent = request(of.url + path, { headers, method }).end();
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  const own = Object.entries(response.headers).filter(([name]) => !OWN.has(name));
  return {
    status: response.statusCode ?? 0,
    headers: own.map(([name, value]) => [name, String(value)]),
    body: Buffer.concat(chunks).toString("base64"),
  };
}

const byApp = (path: string, headers: Record<string, string>, method?: string) => ask(path, headers, method, slow);

const paths = [
  "/v1/releases/latest",
  "/v1/releases",
  "/v1/releases/latest.csv",
  "/v1/releases/1",
  "/v1/definition",
  "/v1/releases/latest?x",
];
const tags = () => chain.flatMap(({ sha256 }) => [`"${sha256}"`, `W/"${sha256}-br"`, `"x", "${sha256}-gzip"`]);
const arbitraryAsked = () =>
  fc.record(
    {
      path: fc.constantFrom(...paths),
      method: fc.constantFrom("GET", "GET", "GET", "HEAD", "POST"),
      accept: fc.constantFrom(
        "*/*",
        "text/csv",
        "application/json",
        "text/csv;q=0.5, application/json;q=0.4",
        "image/png",
      ),
      "accept-encoding": fc.constantFrom(
        "br",
        "gzip",
        "gzip, deflate, br",
        "identity",
        "br;q=0, gzip;q=0.1",
        "zstd",
        "*",
      ),
      "if-none-match": fc.constantFrom("*", '"none"', ...tags()),
      "user-agent": fc.constantFrom("one", "another"),
      // Seldom, for they are the app's alone.
      wish: fc.option(fc.constantFrom<[string, string]>(["range", "bytes=0-9"], ["range", "bytes=-5"], ["te", "x"]), {
        freq: 2,
      }),
    },
    { requiredKeys: ["path", "method", "wish"] },
  );

it("property: before the lift, refuses as the app does", async () => {
  await fc.assert(
    fc.asyncProperty(arbitraryAsked(), async ({ path, method, wish, ...headers }) => {
      const asked = { ...(headers as Record<string, string>), ...(wish && { [wish[0]]: wish[1] }) };
      const expected = await byApp(path, asked, method);
      for (let times = 0; times < 3; times++) expect(await ask(path, asked, method)).toEqual(expected);
    }),
    { numRuns: 100 },
  );
  expect(fromMemory).toBeGreaterThan(10);
});

it("property: answers as the app does, release after release", async () => {
  for (let number = 1; number <= 3; number++) {
    await serveNext();
    await fc.assert(
      fc.asyncProperty(arbitraryAsked(), async ({ path, method, wish, ...headers }) => {
        const asked = { ...(headers as Record<string, string>), ...(wish && { [wish[0]]: wish[1] }) };
        const expected = await byApp(path, asked, method);
        for (let times = 0; times < 3; times++) expect(await ask(path, asked, method)).toEqual(expected);
      }),
      { numRuns: 200 },
    );
  }
  expect(fromMemory).toBeGreaterThan(10);
});

it("leaves to the app whoever has asked too much, is noted or waits", async () => {
  await ask("/v1/releases/latest", {});
  const before = fromMemory;
  expect((await ask("/v1/releases/latest", {})).status).toBe(200);
  expect(fromMemory).toBe(before + 1);
  mayAsk = false;
  await ask("/v1/releases/latest", {});
  mayAsk = true;
  await ask("/v1/releases/latest", { authorization: "Bearer x" });
  await ask("/v1/releases/latest", { prefer: "wait=1" });
  expect(fromMemory).toBe(before + 1);
});
