import { describe, expect, it } from "vitest";
import { sampleDefinition } from "../../shared/definition/sample.ts";
import { createMetrics } from "../../shared/platform/metrics.ts";
import { appOf, shelfOf } from "./app-fixture.ts";
import { makeChain } from "./fixture.ts";
import { READS } from "./limits.ts";
import { createStream } from "./stream.ts";
import { askedSeconds } from "./wait.ts";

const sample = sampleDefinition();

/** An app of a shelf on which a test lays releases one by one. */
async function growing() {
  const chain = await makeChain(sample, 3);
  const served: typeof chain = [];
  const shelf = await shelfOf(sample, served);
  const stream = createStream(shelf.list, createMetrics("stream"));
  const app = await appOf(sample, [], { shelf, stream });
  const serveNext = async () => {
    const next = chain[served.length];
    if (next !== undefined) served.push(next);
    await shelf.take((listed) => stream.tell([listed]));
  };
  return { app, serveNext };
}

const WAIT = { prefer: "wait=20" };

describe("Prefer: wait", () => {
  it("holds whoever comes before the lift until the first release", async () => {
    const { app, serveNext } = await growing();
    const asked = ["/v1/releases/latest", "/v1/releases", "/v1/releases/latest.csv"].map((path) =>
      app.request(path, { headers: WAIT }),
    );
    // Whoever does not wait is told at once.
    expect((await app.request("/v1/releases/latest")).status).toBe(403);
    await serveNext();
    expect((await Promise.all(asked)).map(({ status }) => status)).toEqual([200, 200, 200]);
  });

  it("answers the same refusal when the time is over", async () => {
    const { app } = await growing();
    const held = await app.request("/v1/releases/latest", { headers: { prefer: "wait=1" } });
    const now = await app.request("/v1/releases/latest");
    expect(held.status).toBe(403);
    expect(await held.text()).toBe(await now.text());
    expect([...held.headers]).toEqual([...now.headers]);
  });

  it.each(["/v1/releases/latest", "/v1/releases", "/v1/releases/latest.csv"])(
    "holds whoever has the newest of %s until there is a newer one",
    async (path) => {
      const { app, serveNext } = await growing();
      await serveNext();
      const first = await app.request(path, { headers: WAIT });
      expect([first.status, first.headers.get("preference-applied")]).toEqual([200, null]);
      const tag = first.headers.get("etag") ?? "";
      const asked = app.request(path, { headers: { ...WAIT, "if-none-match": tag } });
      await serveNext();
      const second = await asked;
      expect([second.status, second.headers.get("preference-applied")]).toEqual([200, "wait"]);
      expect(await second.text()).not.toBe(await first.text());
      const none = await app.request(path, {
        headers: { prefer: "wait=1", "if-none-match": second.headers.get("etag") ?? "" },
      });
      expect([none.status, none.headers.get("preference-applied")]).toEqual([304, "wait"]);
    },
  );

  it("holds nobody who asks for one release", async () => {
    const { app, serveNext } = await growing();
    await serveNext();
    const tag = (await app.request("/v1/releases/1")).headers.get("etag") ?? "";
    const answer = await app.request("/v1/releases/1", { headers: { ...WAIT, "if-none-match": tag } });
    expect([answer.status, answer.headers.get("preference-applied")]).toEqual([304, null]);
  });

  it("is read as RFC 7240 writes it, and is never longer than half a minute", () => {
    expect(["wait=5", "respond-async, wait=7", "wait=9; x", "WAIT=1", "wait=999999"].map(askedSeconds)).toEqual([
      5, 7, 9, 1, 30,
    ]);
    expect([undefined, "", "wait", "wait=x", "await=3", "wait=-1", "wait=1e3"].map(askedSeconds)).toEqual(
      Array.from({ length: 7 }, () => undefined),
    );
  });
});

describe("what one address may ask", () => {
  it("is a lot, and then 429 with the seconds until there is more; the log is not counted with it", async () => {
    let now = 0;
    const app = await appOf(sample, await makeChain(sample, 1), { now: () => now });
    for (let n = 0; n < READS.burst; n++) expect((await app.request("/v1/definition")).status).toBe(200);
    const refused = await app.request("/v1/releases/latest");
    expect(refused.status).toBe(429);
    expect(refused.headers.get("retry-after")).toBe("1");
    expect(refused.headers.get("ratelimit")).toBe('"address";r=0;t=1');
    expect(refused.headers.get("ratelimit-policy")).toBe('"address";q=1000;w=5');
    expect(await refused.json()).toMatchObject({ code: "rate.exceeded" });
    expect((await app.request("/log/checkpoint")).status).toBe(200);
    expect((await app.request("/healthz")).status).toBe(200);
    now += 1_000;
    expect((await app.request("/v1/releases/latest")).status).toBe(200);
  });
});
