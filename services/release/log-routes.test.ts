import { createHash } from "node:crypto";
import { gunzipSync } from "node:zlib";
import { beforeAll, describe, expect, it } from "vitest";
import { sampleDefinition } from "../../shared/definition/sample.ts";
import { firstAuthority } from "../../shared/ledger/authority.ts";
import { witnessesOf } from "../../shared/ledger/cosignature.ts";
import { type Proof, readProof, verifyProof } from "../../shared/ledger/proof.ts";
import { decodeBundle } from "../../shared/ledger/tiles.ts";
import { type App, createApp } from "../../shared/platform/http.ts";
import { createHeardLog } from "../../shared/platform/log-fixture.ts";
import { createMetrics } from "../../shared/platform/metrics.ts";
import { createPublicLog, type PublicLog } from "./log.ts";
import { type MemoryLog, memoryLog, statementHash } from "./log-fixture.ts";
import { addLog, MAX_ASKED_PER_ADDRESS, PROOFS_IN_ALL, PROOFS_PER_ADDRESS } from "./log-routes.ts";

const sample = sampleDefinition({ witnesses: 2 });
const FOR_EVER = "public, max-age=31536000, immutable";

interface World {
  memory: MemoryLog;
  publicLog: PublicLog;
  app: App;
  /** What the app takes for now, in ms. */
  clock: { ms: number };
}

async function worldOf(size?: number): Promise<World> {
  const memory = memoryLog(sample);
  if (size !== undefined) await memory.grow(size);
  const publicLog = createPublicLog(memory.sources);
  await publicLog.round();
  const app = createApp({
    service: "release",
    log: createHeardLog().log,
    metrics: createMetrics("release"),
    ready: async () => ({ ok: true, checks: {} }),
  });
  const findStatement = async (sha256: string) => {
    const index = memory.bodies.findIndex((_, n) => statementHash(n) === sha256);
    return index < 0 ? undefined : { index, body: memory.bodies[index] as Uint8Array };
  };
  const clock = { ms: 0 };
  addLog(app, { publicLog, findStatement, now: () => clock.ms });
  return { memory, publicLog, app, clock };
}

const bytesOf = async (answer: Response) => Buffer.from(await answer.arrayBuffer());
const codeOf = async (answer: Response) => [answer.status, ((await answer.json()) as { code: string }).code];

describe("/log", () => {
  let memory: MemoryLog;
  let app: App;
  beforeAll(async () => {
    ({ memory, app } = await worldOf(300));
    for (const size of [600, 700]) await memory.grow(size);
    await app.request("/log/tile/0/002.p/188");
  });

  it("has no checkpoint before the first entry", async () => {
    const { app: young } = await worldOf();
    expect(await codeOf(await young.request("/log/checkpoint"))).toEqual([404, "log.unknown"]);
    expect(await codeOf(await young.request("/log/tile/0/000.p/1"))).toEqual([404, "log.unknown"]);
  });

  it("serves the checkpoint as text that is kept for a second", async () => {
    const answer = await app.request("/log/checkpoint");
    const note = await answer.text();
    expect(note).toBe(memory.checkpoints.get(700)?.note);
    expect(answer.headers.get("content-type")).toBe("text/plain; charset=utf-8");
    expect(answer.headers.get("cache-control")).toBe("public, max-age=1");
    const etag = answer.headers.get("etag") ?? "";
    expect(etag).toBe(`"${createHash("sha256").update(note).digest("hex")}"`);
    const again = await app.request("/log/checkpoint", { headers: { "if-none-match": etag } });
    expect([again.status, await again.text()]).toEqual([304, ""]);
  });

  it.each([
    ["/log/tile/0/000", () => memory.leaves.slice(0, 256), FOR_EVER],
    ["/log/tile/0/002.p/188", () => memory.leaves.slice(512, 700), "public, max-age=3600, immutable"],
    ["/log/tile/0/001.p/44", () => memory.leaves.slice(256, 300), "public, max-age=3600, immutable"],
  ])("serves %s as octets that never change", async (path, hashes, caching) => {
    const answer = await app.request(path, { headers: { "accept-encoding": "gzip, br" } });
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toBe("application/octet-stream");
    expect(answer.headers.get("cache-control")).toBe(caching);
    expect(answer.headers.get("content-encoding")).toBeNull();
    const bytes = await bytesOf(answer);
    expect(bytes.equals(Buffer.concat(hashes()))).toBe(true);
    const etag = `"${createHash("sha256").update(bytes).digest("hex")}"`;
    expect(answer.headers.get("etag")).toBe(etag);
    const again = await app.request(path, { headers: { "if-none-match": etag } });
    expect([again.status, again.headers.get("cache-control")]).toEqual([304, caching]);
    const head = await app.request(path, { method: "HEAD" });
    expect([head.status, head.headers.get("content-length"), await head.text()]).toEqual([
      200,
      String(bytes.length),
      "",
    ]);
  });

  it.each([
    ["/log/tile/entries/000", 0, 256, FOR_EVER],
    ["/log/tile/entries/002.p/188", 512, 700, "public, max-age=3600, immutable"],
    ["/log/tile/entries/002.p/88", 512, 600, "public, max-age=3600, immutable"],
  ])("serves the bundle %s, a full one compressed to whoever takes that", async (path, from, to, caching) => {
    const answer = await app.request(path);
    expect(answer.headers.get("content-type")).toBe("application/octet-stream");
    expect(answer.headers.get("cache-control")).toBe(caching);
    const bytes = await bytesOf(answer);
    expect(decodeBundle(bytes)?.map((entry) => Buffer.from(entry).toString("utf8"))).toEqual(
      memory.bodies.slice(from, to).map((body) => Buffer.from(body).toString("utf8")),
    );
    const packed = await app.request(path, { headers: { "accept-encoding": "gzip" } });
    const coding = packed.headers.get("content-encoding");
    expect((coding === "gzip" ? gunzipSync(await bytesOf(packed)) : await bytesOf(packed)).equals(bytes)).toBe(true);
    expect(coding).toBe(to === 256 ? "gzip" : null);
  });

  it.each([
    "/log",
    "/log/",
    "/log/checkpoint/",
    "/log/checkpoints",
    "/log/tile",
    "/log/tile/",
    "/log/tile/0",
    "/log/tile/0/0",
    "/log/tile/0/000/",
    "/log/tile/0/002",
    "/log/tile/0/003",
    "/log/tile/0/002.p/189",
    "/log/tile/0/000.p/255",
    "/log/tile/0/000.p/0",
    "/log/tile/0/000.p/256",
    "/log/tile/0/x000/000",
    "/log/tile/00/000",
    "/log/tile/1/000",
    "/log/tile/1/000.p/3",
    "/log/tile/2/000.p/1",
    "/log/tile/64/000",
    "/log/tile/0/x999/x999/x999/x999/999",
    "/log/tile/entries/002",
    "/log/tile/entries/001.p/43",
    "/log/tile/entries/-01",
    "/log/tile/..%2f..%2fcheckpoint",
    "/log/tile/0/000%00",
    "/log/tile/0/%F0%9F",
  ])("has nothing at %s, and nobody keeps that", async (path) => {
    const answer = await app.request(path);
    expect([path, answer.status, answer.headers.get("cache-control")]).toEqual([path, 404, "no-store"]);
  });

  it("takes no other method", async () => {
    for (const path of ["/log/checkpoint", "/log/tile/0/000", `/v1/proofs/${statementHash(0)}`]) {
      const answer = await app.request(path, { method: "POST" });
      expect([answer.status, answer.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
    }
  });

  it("answers 503 and raises an incident for what is not what was signed", async () => {
    const { memory: changed, app: over } = await worldOf(300);
    changed.bodies.splice(5, 1, Buffer.from("{}"));
    expect(await codeOf(await over.request("/log/tile/entries/000"))).toEqual([503, "service.unavailable"]);
    expect(await codeOf(await over.request(`/v1/proofs/${statementHash(5)}`))).toEqual([503, "service.unavailable"]);
    expect(changed.incidents.map(({ about }) => about)).toEqual([
      "what lies in the database for tile/entries/000 is not what the log's checkpoint holds",
      "entry 5 is not the one that the log's checkpoint holds",
    ]);
    expect((await over.request("/log/tile/entries/001.p/44")).status).toBe(200);
  });

  it("refuses a flood from one address while it waits for the database, and nobody else", async () => {
    const { memory: slow, publicLog, app: busy } = await worldOf((MAX_ASKED_PER_ADDRESS + 2) * 256);
    let goOn = () => {};
    const held = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const { selectLeaves } = slow.sources;
    slow.sources.selectLeaves = (from, to) => held.then(() => selectLeaves(from, to));
    const from = (remote: string) => ({ incoming: { socket: { remoteAddress: remote } } });
    const path = (n: number) => `/log/tile/0/${String(n).padStart(3, "0")}`;
    const asked = Array.from({ length: MAX_ASKED_PER_ADDRESS }, (_, n) =>
      busy.request(path(n), {}, from("2001:db8::1")),
    );
    const refused = await busy.request(path(MAX_ASKED_PER_ADDRESS), {}, from("2001:db8::2"));
    expect([refused.headers.get("retry-after"), ...(await codeOf(refused))]).toEqual(["1", 503, "service.busy"]);
    expect((await busy.request("/log/checkpoint", {}, from("2001:db8::1"))).status).toBe(200);
    expect((await busy.request("/log/tile/1/000.p/34", {}, from("192.0.2.7"))).status).toBe(200);
    goOn();
    expect((await Promise.all(asked)).map(({ status }) => status)).toEqual(asked.map(() => 200));
    expect((await busy.request(path(MAX_ASKED_PER_ADDRESS), {}, from("2001:db8::1"))).status).toBe(200);
    expect(publicLog.status().broken).toBe(false);
  });
});

describe("/v1/proofs", () => {
  const authorities = [firstAuthority(sample.definition)];
  const { keys, quorum } = witnessesOf(sample.definition);

  const proofOf = async (app: App, index: number) => {
    const answer = await app.request(`/v1/proofs/${statementHash(index)}`);
    expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "text/plain; charset=utf-8"]);
    expect(answer.headers.get("cache-control")).toBe("public, max-age=1");
    return readProof(await answer.text()) as Proof;
  };

  it("gives files that verify offline, with the entry in them", async () => {
    const { memory, app } = await worldOf(700);
    for (const index of [0, 1, 255, 256, 511, 699]) {
      const proof = await proofOf(app, index);
      expect(proof.checkpoint).toBe(memory.checkpoints.get(700)?.note);
      expect(Buffer.from(proof.extra as Uint8Array)).toEqual(memory.bodies[index]);
      const leaf = memory.leaves[index] as Uint8Array;
      expect(verifyProof(proof, { authorities, leaf })).toMatchObject({ kind: "holds", index, size: 700 });
    }
  });

  it("proves against the newest checkpoint with a quorum that holds the entry, else against the head", async () => {
    const { memory, publicLog, app } = await worldOf(300);
    await memory.cosign(300, "witness-1", "witness-2");
    await memory.grow(400, 60);
    await memory.cosign(400, "witness-1");
    await publicLog.round();
    const terms = { authorities, witnesses: keys };
    expect(quorum).toBe(2);
    expect(verifyProof(await proofOf(app, 299), { ...terms, quorum })).toMatchObject({ kind: "holds", size: 300 });
    expect(verifyProof(await proofOf(app, 300), terms)).toMatchObject({
      kind: "holds",
      size: 400,
      cosigned: ["witness-1"],
    });
  });

  it("knows an entry as soon as it is committed", async () => {
    const { memory, app } = await worldOf(300);
    await memory.grow(301);
    expect((await proofOf(app, 300)).index).toBe(300);
  });

  it("knows no entry that no checkpoint holds, and no other hash", async () => {
    const { memory, app } = await worldOf(300);
    memory.bodies.push(Buffer.from(`{"index":300,"statement":"${statementHash(300)}"}`));
    const hash = statementHash(0);
    for (const name of [statementHash(300), "f".repeat(64), hash.toUpperCase(), hash.slice(1), `${hash}0`, "a b"])
      expect(await codeOf(await app.request(`/v1/proofs/${name}`))).toEqual([404, "statement.unknown"]);
    expect((await app.request("/v1/proofs")).status).toBe(404);
  });

  it("gives none for a statement that lies beside another's entry", async () => {
    const { memory, publicLog } = await worldOf(300);
    const app = createApp({
      service: "release",
      log: createHeardLog().log,
      metrics: createMetrics("release"),
      ready: async () => ({ ok: true, checks: {} }),
    });
    const findStatement = async () => ({ index: 7, body: memory.bodies[7] as Uint8Array });
    addLog(app, { publicLog, findStatement, now: () => 0 });
    expect((await app.request(`/v1/proofs/${statementHash(8)}`)).status).toBe(503);
    expect(memory.incidents.map(({ about }) => about)).toEqual([
      "entry 7 is not about the statement that lies beside it",
    ]);
  });

  it("gives one address, and all of them, no more than the thread has time for", async () => {
    const { app, clock } = await worldOf(3);
    const ask = async (remoteAddress: string) => {
      const answer = await app.request(
        `/v1/proofs/${statementHash(1)}`,
        {},
        { incoming: { socket: { remoteAddress } } },
      );
      return answer.status === 429 ? answer.headers.get("retry-after") : answer.status;
    };
    const countOf = async (times: number, address: (n: number) => string) => {
      let given = 0;
      for (let n = 0; n < times; n++) if ((await ask(address(n))) === 200) given += 1;
      return given;
    };
    expect(await countOf(PROOFS_PER_ADDRESS.burst + 5, () => "192.0.2.1")).toBe(PROOFS_PER_ADDRESS.burst);
    expect([await ask("192.0.2.1"), await ask("192.0.2.2")]).toEqual(["1", 200]);
    const left = PROOFS_IN_ALL.burst - PROOFS_PER_ADDRESS.burst - 1;
    expect(await countOf(left + 5, (n) => `198.51.100.${n}`)).toBe(left);
    clock.ms += 1000;
    expect(await countOf(PROOFS_PER_ADDRESS.perSecond + 5, () => "192.0.2.1")).toBe(PROOFS_PER_ADDRESS.perSecond);
  });
});
