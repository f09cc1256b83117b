import { createHash } from "node:crypto";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { beforeAll, describe, expect, it } from "vitest";
import { sampleDefinition } from "../../shared/definition/sample.ts";
import type { App } from "../../shared/platform/http.ts";
import { joinShares } from "../../shared/platform/release-seal.ts";
import type { ReleaseDeps } from "./app.ts";
import { appOf, logOf } from "./app-fixture.ts";
import { type MadeRelease, makeChain } from "./fixture.ts";
import type { PublicLog } from "./log.ts";

const sample = sampleDefinition();
const sha256 = (bytes: Uint8Array | string) => createHash("sha256").update(bytes).digest("hex");

const HASH = "a".repeat(64);

const RESULTS = [
  "/v1/releases",
  "/v1/releases/",
  "/v1/releases?number=1",
  "/v1/releases.csv",
  "/v1/releases/1",
  "/v1/releases/1.csv",
  "/v1/releases/1/signatures",
  "/v1/releases/1/files",
  "/v1/releases/latest/files",
  "/v1/releases/1/states",
  "/v1/releases/1/states/AT",
  "/v1/releases/1/states/AT/constituencies/AT",
  "/v1/releases/2/changes?since=1",
  "/v1/releases/latest/changes",
  "/v1/releases/1/files/sheets/eu.json",
  "/v1/releases/1/files/sheets/eu.json.jws",
  "/v1/releases/1/files/no/such/thing",
  "/v1/releases/latest",
  "/v1/releases/latest.csv",
  "/v1/releases/latest/signatures",
  "/v1/releases/2",
  "/v1/releases/0",
  "/v1/releases/999999999999",
  "/v1/releases/no-such-thing",
  "/v1/releases/1/no/such/thing",
  "/v1/releasesfoo",
  "/v1/%72eleases/1",
  "/v1/releases%2F1",
  "/v1/releases/..%2f..",
  "/v1/releases/1/proof",
  "/v1/releases/1/statement",
  "/v1/releases/1/proof/",
  `/statements/${HASH}`,
  `/statements/${HASH}/`,
  `/statements/${HASH}.jws`,
  `/statements/${HASH}?open`,
  `/statements/${HASH.toUpperCase()}`,
  `/statements/%61${HASH.slice(1)}`,
  `/%73tatements/${HASH}`,
  `/statements%2F${HASH}`,
  "/statements",
  "/statements/",
  "/statements/latest",
  "/statements/..%2fv1%2fdefinition",
  "/log/judgements/0",
  "/log/judgements/000",
  "/log/judgements/0/",
  "/log/judgements",
  "/log/judgements/x001/234",
  "/log/%6audgements/0",
  "/log/judgements%2F0",
  "/log/judgementsfoo",
];

describe("before the first release", () => {
  it.each(RESULTS.flatMap((path) => ["GET", "HEAD", "POST", "OPTIONS", "PUT"].map((method) => [method, path])))(
    "%s %s is refused like every other",
    async (method, path) => {
      const drawn = [4, 1];
      const app = await appOf(sample, [], { retrySeconds: () => drawn.shift() as number });
      const headers = { accept: "text/csv", "accept-encoding": "br", "if-none-match": "*" };
      const answer = await app.request(path, { method, headers });
      const isRead = method !== "POST" && method !== "PUT";
      const plain = await app.request("/v1/releases/latest", { method: isRead ? "GET" : method });
      expect(answer.status).toBe(isRead ? 403 : 405);
      expect(await answer.text()).toBe(method === "HEAD" ? "" : await plain.text());
      const retry = [answer, plain].map((response) => {
        const after = response.headers.get("retry-after");
        response.headers.delete("retry-after");
        return after;
      });
      expect(retry).toEqual(isRead ? ["4", "1"] : [null, null]);
      expect([...answer.headers]).toEqual([...plain.headers]);
      expect(answer.headers.get("cache-control")).toBe("no-store");
      expect(answer.headers.get("scrutin-mode")).toBe("exercise");
      expect(answer.headers.get("content-type")).toBe("application/problem+json");
    },
  );

  it("says what to do, with the code", async () => {
    const answer = await (await appOf(sample, [])).request("/v1/releases/latest");
    expect(await answer.json()).toMatchObject({ code: "embargo.in-force", status: 403 });
  });

  it("serves the definition, its signatures and a page that gives no result", async () => {
    const app = await appOf(sample, []);
    const definition = await app.request("/v1/definition");
    expect(sha256(new Uint8Array(await definition.arrayBuffer()))).toBe(sample.hash);
    expect(definition.headers.get("etag")).toBe(`"${sample.hash}"`);
    expect(await (await app.request("/v1/definition/signatures")).json()).toEqual(sample.signatures);
    const page = await (await app.request("/")).text();
    expect(page).toContain("No result may be given yet");
    expect(page).toContain("EXERCISE");
    expect(page).not.toContain("Seats by political group");
  });
});

describe("after it", () => {
  let chain: MadeRelease[];
  let app: App;
  beforeAll(async () => {
    chain = await makeChain(sample, 3);
    app = await appOf(sample, chain);
  });

  it("serves each release byte for byte at an immutable address", async () => {
    for (const { number, bytes, sha256: hash } of chain) {
      const answer = await app.request(`/v1/releases/${number}`);
      expect(answer.status).toBe(200);
      expect(Buffer.from(await answer.arrayBuffer())).toEqual(Buffer.from(bytes));
      expect(answer.headers.get("content-type")).toBe("application/json");
      expect(answer.headers.get("etag")).toBe(`"${hash}"`);
      expect(answer.headers.get("cache-control")).toBe("public, max-age=31536000, immutable");
      expect(answer.headers.get("vary")).toBe("Accept, Accept-Encoding");
    }
  });

  it("lists them, the newest last", async () => {
    const answer = await app.request("/v1/releases");
    expect(answer.headers.get("cache-control")).toBe("public, max-age=1");
    expect(await answer.json()).toEqual({
      mode: "exercise",
      election: "sample",
      definition: sample.hash,
      releases: chain.map(({ number, size, sha256: hash, tabulateShare, recountShare }) => ({
        number,
        size,
        sha256: hash,
        asOf: "2024-06-09T21:00:01.000Z",
        status: "PROVISIONAL",
        key: Buffer.from(joinShares(tabulateShare, recountShare)).toString("hex"),
        url: `/v1/releases/${number}`,
      })),
    });
  });

  it.each([
    ["/v1/releases/latest", "/v1/releases/3"],
    ["/v1/releases/latest.csv", "/v1/releases/3.csv"],
    ["/v1/releases/latest/signatures", "/v1/releases/3/signatures"],
  ])("%s is %s, and says so", async (latest, numbered) => {
    const [answer, own] = [await app.request(latest), await app.request(numbered)];
    expect(answer.headers.get("content-location")).toBe(numbered);
    expect(answer.headers.get("cache-control")).toBe("public, max-age=1");
    expect(own.headers.get("content-location")).toBeNull();
    expect(answer.headers.get("etag")).toBe(own.headers.get("etag"));
    expect(await answer.text()).toBe(await own.text());
  });

  it("gives CSV by suffix or by Accept, and its own ETag with it", async () => {
    const bySuffix = await app.request("/v1/releases/1.csv");
    const byAccept = await app.request("/v1/releases/1", { headers: { accept: "text/csv" } });
    const csv = await bySuffix.text();
    expect(csv).toBe(await byAccept.text());
    expect(csv.split("\r\n")[1]).toMatch(/^EXERCISE,sample,1,/);
    expect(bySuffix.headers.get("content-type")).toBe("text/csv; charset=utf-8; header=present");
    expect(bySuffix.headers.get("etag")).toBe(`"${sha256(csv)}"`);
  });

  it("answers 304 to whoever has it in any coding, 200 to everyone else", async () => {
    const hash = chain[2]?.sha256;
    const ask = (tag: string) => app.request("/v1/releases/latest", { headers: { "if-none-match": tag } });
    for (const tag of [`"${hash}"`, `W/"${hash}"`, `"${hash}-br"`, `"${hash}-gzip"`, `"x", "${hash}"`, "*"]) {
      const answer = await ask(tag);
      expect([tag, answer.status, await answer.text()]).toEqual([tag, 304, ""]);
      expect(answer.headers.get("etag")).toBe(`"${hash}"`);
      expect(answer.headers.get("cache-control")).toBe("public, max-age=1");
    }
    for (const tag of [`"${chain[1]?.sha256}"`, `${hash}`, '""', `"${hash}-zstd"`])
      expect((await ask(tag)).status).toBe(200);
  });

  it("sends it compressed to whoever takes that, under a tag of its own", async () => {
    for (const [coding, open] of [
      ["br", brotliDecompressSync],
      ["gzip", gunzipSync],
    ] as const) {
      const answer = await app.request("/v1/releases/1", { headers: { "accept-encoding": coding } });
      const body = Buffer.from(await answer.arrayBuffer());
      expect(answer.headers.get("content-encoding")).toBe(coding);
      expect(answer.headers.get("content-length")).toBe(String(body.length));
      expect(answer.headers.get("etag")).toBe(`"${chain[0]?.sha256}-${coding}"`);
      expect(sha256(open(body))).toBe(chain[0]?.sha256);
    }
  });

  it("answers HEAD as GET, without the body", async () => {
    const head = await app.request("/v1/releases/1", { method: "HEAD" });
    expect(head.status).toBe(200);
    expect(await head.text()).toBe("");
    expect(head.headers.get("content-length")).toBe(String(chain[0]?.bytes.length));
  });

  it.each([
    "4",
    "0",
    "01",
    "-1",
    "1.json",
    "latest.xml",
    "1.csv/signatures",
    "999999999999",
    "no-such-thing",
    "__proto__",
  ])("answers 404 release.unknown for %s", async (name) => {
    const answer = await app.request(`/v1/releases/${name}`);
    expect(answer.status).toBe(404);
    expect(await answer.json()).toMatchObject({ code: "release.unknown" });
    expect(answer.headers.get("cache-control")).toBe("no-store");
  });

  it("refuses other methods with what it takes", async () => {
    const answer = await app.request("/v1/releases/1", { method: "DELETE" });
    expect([answer.status, answer.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
  });

  it("shows the last release on its page", async () => {
    const page = await (await app.request("/")).text();
    expect(page).toContain("Release 3");
    expect(page).toContain(chain[2]?.sha256);
  });
});

describe("the mode", () => {
  it.each(["exercise", "live"] as const)("%s stands in every answer, errors too", async (mode) => {
    const other = sampleDefinition({ edit: (definition) => Object.assign(definition, { mode }) });
    const app = await appOf(other, await makeChain(other, 1));
    const paths = ["/", "/v1/releases", "/v1/releases/1", "/v1/releases/1.csv", "/v1/releases/9", "/v1/definition"];
    for (const path of [...paths, "/healthz", "/readyz", "/metrics", "/v1/codes", "/nothing"])
      expect([path, (await app.request(path)).headers.get("scrutin-mode")]).toEqual([path, mode]);
    const page = await (await app.request("/")).text();
    const csv = await (await app.request("/v1/releases/1.csv")).text();
    expect([page.includes("EXERCISE"), csv.includes("EXERCISE")]).toEqual(Array(2).fill(mode === "exercise"));
  });
});

describe("/readyz", () => {
  const well = { database: true, nats: true, chain: true, log: true };
  const brokenLog = () => logOf(sample, ({ leaves }) => leaves.reverse());
  const unreachedLog = () => logOf(sample, (memory) => Object.assign(memory, { away: new Error("away") }));

  it.each<[string, Partial<ReleaseDeps>, Record<string, boolean>, (() => Promise<PublicLog>)?]>([
    ["all well", {}, well],
    ["a broken release", { status: () => ({ looked: true, broken: true }) }, { ...well, chain: false }],
    ["Postgres away", { status: () => ({ looked: false, broken: false }) }, { ...well, database: false }],
    ["NATS away", { pingNats: () => Promise.reject(new Error()) }, { ...well, nats: false }],
    ["NATS silent", { pingNats: () => new Promise(() => {}) }, { ...well, nats: false }],
    ["a broken log", {}, { ...well, log: false }, brokenLog],
    ["a log that cannot be read", {}, { ...well, database: false }, unreachedLog],
  ])("%s", async (_, more, checks, publicLog) => {
    const app = await appOf(sample, [], { ...more, ...(publicLog && { publicLog: await publicLog() }) });
    const answer = await app.request("/readyz");
    expect(await answer.json()).toMatchObject({ checks, latest: 0, log: publicLog ? 0 : 3 });
    expect(answer.status).toBe(Object.values(checks).every(Boolean) ? 200 : 503);
  });
});
