import { createHash } from "node:crypto";
import { gunzipSync } from "node:zlib";
import { beforeAll, describe, expect, it } from "vitest";
import { type Sample, sampleDefinition } from "../../shared/definition/sample.ts";
import { releaseFiles } from "../../shared/formats/files.ts";
import type { Release } from "../../shared/formats/release.ts";
import { type App, createApp } from "../../shared/platform/http.ts";
import { createHeardLog } from "../../shared/platform/log-fixture.ts";
import { createMetrics } from "../../shared/platform/metrics.ts";
import type { SignFile } from "../../shared/platform/publication-key.ts";
import { detachedHolds, FILE_TYP, signDetached } from "../../shared/statement/detached.ts";
import { importVerifyKey } from "../../shared/statement/ed25519.ts";
import { addFiles, FileList } from "./files.ts";
import { type MadeRelease, makeChain, signer } from "./fixture.ts";
import { trustOf } from "./opened.ts";
import { createShelf } from "./shelf.ts";

const sample: Sample = sampleDefinition();
const signs: SignFile = (bytes) => signDetached("release-1", FILE_TYP, bytes, signer(sample, "release-1"));

async function appOf(chain: MadeRelease[], signFile?: SignFile): Promise<App> {
  const shelf = createShelf({
    trust: trustOf(sample.definition, sample.hash),
    selectAfter: async (number, limit) => chain.slice(number, number + limit),
    selectOne: async (number) => chain[number - 1],
  });
  await shelf.take(() => undefined);
  const app = createApp({
    service: "release",
    log: createHeardLog().log,
    metrics: createMetrics("release"),
    ready: async () => ({ ok: true, checks: {} }),
  });
  addFiles(app, { definition: sample.definition, shelf, signFile });
  return app;
}

describe("the files of a release", () => {
  let chain: MadeRelease[];
  let app: App;
  beforeAll(async () => {
    chain = await makeChain(sample, 2);
    app = await appOf(chain, signs);
  });
  const get = (path: string, headers: Record<string, string> = {}) => app.request(path, { headers });
  const bytesOf = async (response: Response) => Buffer.from(await response.arrayBuffer());

  it("are listed with their hashes, and are what the release makes", async () => {
    const response = await get("/v1/releases/2/files");
    expect(response.headers.get("cache-control")).toContain("immutable");
    const list = FileList.parse(await response.json());
    expect(list).toMatchObject({ number: 2, release: chain[1]?.sha256, mode: "exercise" });
    const release = JSON.parse(Buffer.from(chain[1]!.bytes).toString("utf8")) as Release;
    const made = releaseFiles(release, sample.definition);
    expect(list.files.map(({ name }) => name)).toEqual(made.map(({ name }) => name));
    for (const [n, { url, sha256, bytes, mediaType }] of list.files.entries()) {
      const file = await get(url);
      expect([file.status, file.headers.get("content-type")], url).toEqual([200, mediaType]);
      const body = await bytesOf(file);
      expect(body.toString("utf8")).toBe(made[n]?.text());
      expect([createHash("sha256").update(body).digest("hex"), body.length]).toEqual([sha256, bytes]);
    }
  });

  it("are each signed by the definition's key, and by no other", async () => {
    const { files } = FileList.parse(await (await get("/v1/releases/1/files")).json());
    const key = importVerifyKey(sample.keys.get("release-1")!.publicRaw)!;
    for (const { url, signature } of files) {
      const [bytes, jws] = [await bytesOf(await get(url)), await (await get(signature ?? "")).text()];
      expect(detachedHolds("release-1", key, FILE_TYP, bytes, jws), url).toBe(true);
      expect(detachedHolds("release-1", key, FILE_TYP, Buffer.concat([bytes, bytes]), jws)).toBe(false);
    }
  });

  it("are cached by clients, packed, and answered with 304", async () => {
    const path = "/v1/releases/1/files/sheets/at.json";
    const plain = await get(path);
    const packed = await get(path, { "accept-encoding": "gzip" });
    expect(packed.headers.get("content-encoding")).toBe("gzip");
    expect(gunzipSync(await bytesOf(packed))).toEqual(await bytesOf(plain));
    const again = await get(path, { "if-none-match": packed.headers.get("etag") ?? "" });
    expect(again.status).toBe(304);
    expect((await app.request(path, { method: "HEAD" })).status).toBe(200);
  });

  it("are those of the newest release under latest, for a second", async () => {
    const response = await get("/v1/releases/latest/files/sheets/eu.json");
    expect(response.headers.get("cache-control")).toBe("public, max-age=1");
    expect(response.headers.get("content-location")).toBe("/v1/releases/2/files/sheets/eu.json");
    expect(await response.text()).toBe(await (await get("/v1/releases/2/files/sheets/eu.json")).text());
  });

  it.each([
    "3/files",
    "0/files",
    "x/files",
    "1/files/no.json",
    "1/files/no.json.jws",
    "1/files/sheets/at.json.jws.jws",
  ])("are not there at %s", async (path) => {
    const response = await get(`/v1/releases/${path}`);
    expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([404, "release.unknown"]);
  });

  it("have no signature beside them where the definition names no key", async () => {
    const unsigned = await appOf(chain);
    const list = FileList.parse(await (await unsigned.request("/v1/releases/1/files")).json());
    expect(new Set(list.files.map(({ signature }) => signature))).toEqual(new Set([null]));
    expect((await unsigned.request("/v1/releases/1/files/release.csv")).status).toBe(200);
    expect((await unsigned.request("/v1/releases/1/files/release.csv.jws")).status).toBe(404);
  });

  it("are signed again by whoever asks first after a signature failed", async () => {
    let fails = true;
    const flaky = await appOf(chain, (bytes) => {
      if (fails) throw new Error("the key is away");
      return signs(bytes);
    });
    const path = "/v1/releases/1/files/release.csv.jws";
    expect((await flaky.request(path)).status).toBe(500);
    fails = false;
    expect((await flaky.request(path)).status).toBe(200);
  });
});
