import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sampleCommon, sampleDefinition, sampleTally, signSample } from "../shared/definition/sample.ts";
import { firstAuthority } from "../shared/ledger/authority.ts";
import { commitJudgement, type Judgement } from "../shared/ledger/entry.ts";
import { verifyEvidence } from "../shared/ledger/evidence.ts";
import { readProof, verifyProof } from "../shared/ledger/proof.ts";
import { readEntry } from "../shared/ledger/read-entry.ts";
import { decodeBundle, entriesPath } from "../shared/ledger/tiles.ts";
import { systemClock } from "../shared/platform/clock.ts";
import { signersOf } from "../shared/statement/authentic.ts";
import type { Statement } from "../shared/statement/types.ts";
import { type Harness, startHarness } from "./harness.ts";
import { eventually } from "./ledger.ts";

/** From the office to the opened statement, every service a process of its own: nothing here is given by hand. */

const CLOSES_IN_MS = 4_000;

describe("what offices sent, opened", () => {
  let harness: Harness;
  let ingest: string;
  let release: string;
  const sent: { jws: Uint8Array; index: number }[] = [];

  beforeAll(async () => {
    const closesAt = Math.ceil((systemClock() + CLOSES_IN_MS) / 1000) * 1000;
    harness = await startHarness({ sample: sampleDefinition({ closesAt }) });
    const [, door] = await Promise.all([harness.start("ledger"), harness.start("ingest")]);
    ingest = door.url;
    const [served] = await Promise.all([
      harness.start("release"),
      harness.start("tabulate", { SCRUTIN_INGEST_URL: ingest }),
      harness.start("recount"),
    ]);
    release = served.url;
    await eventually(() => systemClock() >= closesAt);
  });
  afterAll(() => harness.close());

  const send = async (statement: object, ...kids: string[]) => {
    const jws = signSample(harness.sample, statement as Statement, ...kids);
    const type = kids.length > 1 ? "application/jose+json" : "application/jose";
    const headers = { "content-type": type };
    const answer = await fetch(`${ingest}/v1/statements`, { method: "POST", headers, body: Buffer.from(jws) });
    expect(answer.status).toBe(201);
    const { index } = (await answer.json()) as { index: number };
    sent.push({ jws, index });
  };
  const tally = (sequence: number, unit: string) => {
    const common = sampleCommon(harness.sample, "AT", sequence);
    return send({ type: "tally", ...common, tallies: [sampleTally(unit)] }, "AT-1");
  };
  const closed = (state: string, sequence: number, ...kids: string[]) =>
    send({ type: "polls", ...sampleCommon(harness.sample, state, sequence), polls: "closed" }, ...kids);
  const pathOf = (jws: Uint8Array) => `/statements/${createHash("sha256").update(jws).digest("hex")}`;
  const ask = (path: string) => fetch(`${release}${path}`);
  const statusOf = async (path: string) => (await ask(path)).status;

  it("is closed before the lift but for what holds no figures, and evidence is listed", async () => {
    await tally(1, "AT-1");
    await tally(1, "AT-2");
    await closed("AT", 2, "AT-1");
    const [first, , polls] = sent;
    await eventually(async () => (await statusOf(pathOf(polls?.jws ?? Buffer.of()))) === 200);
    expect(await statusOf(pathOf(first?.jws ?? Buffer.of()))).toBe(403);
    expect(await statusOf("/log/judgements/0")).toBe(403);
    await eventually(async () => {
      const { equivocations } = (await (await ask("/v1/evidence")).json()) as { equivocations: unknown[] };
      return equivocations.length === 1;
    });
    expect(await statusOf("/v1/evidence/equivocation/AT-1/1")).toBe(403);
  });

  it("is open with the first release, byte for byte, with its judgements", async () => {
    await closed("LU", 1, "LU-1", "LU-2");
    const released = async () => {
      const answer = await ask("/v1/releases/latest");
      return answer.status === 200 ? ((await answer.json()) as { checkpoint: { size: number } }).checkpoint.size : 0;
    };
    // The first release may have been written before the second tally came.
    await eventually(async () => (await released()) > (sent[1]?.index ?? Number.NaN));
    const size = await released();
    for (const { jws } of sent) {
      await eventually(async () => (await statusOf(pathOf(jws))) === 200);
      expect(Buffer.from(await (await ask(pathOf(jws))).arrayBuffer())).toEqual(Buffer.from(jws));
    }
    const lines = (await (await ask("/log/judgements/0")).text()).trimEnd().split("\n");
    expect(lines.length).toBeGreaterThanOrEqual(size);
    const bundle = await ask(`/log/${entriesPath(0, size)}`);
    const bodies = decodeBundle(new Uint8Array(await bundle.arrayBuffer())) ?? [];
    for (const [index, body] of bodies.entries()) {
      const entry = readEntry(body);
      if (entry === undefined || entry.type === "definition") continue;
      expect(commitJudgement(JSON.parse(lines[index] ?? "") as Judgement)).toBe(entry.judgement);
    }
    expect(bodies).toHaveLength(size);
    const verdicts = sent.slice(0, 2).map(({ index }) => (JSON.parse(lines[index] ?? "") as Judgement).verdict);
    expect(verdicts).toEqual(["accepted", "quarantined"]);
  });

  it("is proven: the release's place in the log, and who signed twice", async () => {
    const { definition, hash } = harness.sample;
    await eventually(async () => (await statusOf("/v1/releases/1/proof")) === 200);
    const proof = readProof(await (await ask("/v1/releases/1/proof")).text());
    const authorities = [firstAuthority(definition)];
    expect(proof && verifyProof(proof, { authorities }).kind).toBe("holds");
    expect(readEntry(proof?.extra ?? Buffer.of())?.type).toBe("release");
    const statement = await ask("/v1/releases/1/statement");
    expect(statement.redirected && statement.status).toBe(200);
    await eventually(async () => (await statusOf("/v1/evidence/equivocation/AT-1/1")) === 200);
    const file = await (await ask("/v1/evidence/equivocation/AT-1/1")).json();
    expect(verifyEvidence(file, { definition: hash, keys: signersOf(definition) })).toEqual([]);
  });
});
