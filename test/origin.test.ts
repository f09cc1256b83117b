import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Child } from "../infra/stack/processes.ts";
import { readVisit } from "../services/audit/visit.ts";
import { newSampleKey, sampleDefinition, sampleTally } from "../shared/definition/sample.ts";
import { firstAuthority, type LogAuthority } from "../shared/ledger/authority.ts";
import { readProof, verifyProof } from "../shared/ledger/proof.ts";
import { auditRun } from "./audit-run.ts";
import { createSigning, outcomeOf, postAt } from "./door.ts";
import { type Harness, startHarness } from "./harness.ts";
import { eventually, ownKeyOf } from "./ledger.ts";

/** The log goes on under another origin and key: everyone who reads it follows two trustees, and nobody else. */

const SECOND = "results.example.eu/sample-2";
const { run, freshState } = auditRun();

describe("a log that goes on under another origin", () => {
  const sample = sampleDefinition();
  let harness: Harness;
  let ledger: Child;
  let ingest: Child;
  let release: Child;
  beforeAll(async () => {
    harness = await startHarness({ sample });
    newSampleKey(sample, "ledger-2");
    ingest = await harness.start("ingest");
    [ledger, release] = await Promise.all([
      harness.start("ledger"),
      harness.start("release"),
      harness.start("tabulate", { SCRUTIN_INGEST_URL: ingest.url }),
      harness.start("recount"),
    ]);
  });
  afterAll(() => harness.close());

  const signed = createSigning(sample);
  const tally = (unit: string) => signed({ type: "tally", tallies: [sampleTally(unit)] }, "AT", "AT-1");
  const post = async (bytes: Uint8Array) => {
    const answer = await postAt(ingest.url, bytes, 20);
    return { outcome: outcomeOf(answer), receipt: answer.receipt ?? "" };
  };
  const given = async (path: string) => (await fetch(`${release.url}${path}`)).text();
  const proofOf = (bytes: Uint8Array) => given(`/v1/proofs/${createHash("sha256").update(bytes).digest("hex")}`);
  /** The origin and the number of the last release, once it counts so many units. */
  const released = async (units: number): Promise<{ origin: string; size: number }> => {
    let last: { checkpoint: { origin: string; size: number }; union: object } | undefined;
    await eventually(async () => {
      const response = await fetch(`${release.url}/v1/releases/latest`);
      if (response.status !== 200) return false;
      last = (await response.json()) as NonNullable<typeof last>;
      return JSON.stringify(last.union).includes(`"counted":${units}`);
    });
    return last!.checkpoint;
  };
  const decision = async (by: [string, ...string[]], more: object = {}) => {
    const [head] = await harness.query<{ size: number; root: Buffer }>("select size::int, root from ledger.head");
    const key = { id: "ledger-2", publicKey: sample.keys.get("ledger-2")!.jwk.x };
    const opens = { origin: SECOND, key, size: head!.size, root: head!.root.toString("base64"), reason: "as agreed" };
    return signed({ type: "decision", decision: "origin", about: "EU", ...opens, ...more }, "EU", ...by);
  };
  const keyFile = () => join(harness.folder, "ledger-2.json");
  const startWith = async (jws: Uint8Array | undefined, name: string) => {
    const file = join(harness.folder, `${name}.jws`);
    if (jws !== undefined) await writeFile(file, jws);
    await writeFile(keyFile(), JSON.stringify(sample.keys.get("ledger-2")!.jwk), { mode: 0o600 });
    const more = { SCRUTIN_KEY_FILE: keyFile(), ...(jws !== undefined && { SCRUTIN_ORIGIN_DECISION: file }) };
    return harness.start("ledger", more, name);
  };

  it("is read, counted, released, proven and audited as one", async () => {
    const early = tally("AT-1");
    const first = await post(early);
    expect(first.outcome).toBe("accepted");
    for (const [state, ...kids] of [
      ["AT", "AT-1"],
      ["LU", "LU-1", "LU-2"],
    ] as [string, string, ...string[]][])
      expect((await post(signed({ type: "polls", polls: "closed" }, state, ...kids))).outcome).toBe("accepted");
    expect((await released(1)).origin).toBe(sample.definition.origin);
    const earlyProof = await proofOf(early);
    const stateFile = freshState();
    const url = new URL(release.url);
    const patience = { patienceMs: 10_000 };
    expect((await run({ url, stateFile }, patience)).failure).toBeNull();

    await ledger.stop();
    const good = await decision(["trustee-1", "trustee-2"]);
    expect((await post(good)).outcome).toBe("decision.origin-at-start");
    await expect(startWith(undefined, "no-decision")).rejects.toThrow(/78[\s\S]*ledger-2 is not the key of this log/);
    await expect(startWith(await decision(["trustee-1"]), "one-trustee")).rejects.toThrow(/78[\s\S]*two trustees/);
    // It ends as soon as it has read the log, perhaps after it has begun to listen.
    const other = await decision(["trustee-1", "trustee-2"], { root: Buffer.alloc(32).toString("base64") });
    const wrong = await startWith(other, "wrong-root").catch(() => undefined);
    await eventually(async () =>
      (await readFile(join(harness.folder, "logs", "wrong-root.log"), "utf8")).includes(
        "it does not fit this log (F.408)",
      ),
    );
    await wrong?.stop();
    ledger = await startWith(good, "second");
    const late = tally("AT-2");
    const second = await post(late);
    expect(second.outcome).toBe("accepted");
    const { origin, size } = await released(2);
    expect(origin).toBe(SECOND);
    await eventually(async () => (await given("/log/checkpoint")).startsWith(`${SECOND}\n`));

    const [before] = await harness.query<{ index: number }>("select index::int from ledger.origin");
    const opened: LogAuthority = {
      from: before!.index + 1,
      origin: SECOND,
      kid: "ledger-2",
      key: ownKeyOf(sample, "ledger-2").own,
    };
    const authorities = [firstAuthority(sample.definition), opened];
    const proofs = [earlyProof, await proofOf(early), await proofOf(late), await given("/v1/releases/1/proof")];
    const verdicts = proofs.map((text) => verifyProof(readProof(text)!, { authorities }));
    expect(verdicts.map((verdict) => verdict.kind === "holds" && verdict.origin)).toEqual([
      sample.definition.origin,
      SECOND,
      SECOND,
      sample.definition.origin,
    ]);
    const files = {
      receipts: [first, second, await post(early)].map(({ receipt }, n) => ({ file: `receipt ${n}`, text: receipt })),
      proofs: proofs.map((text, n) => ({ file: `proof ${n}`, text })),
      evidence: [],
    };
    const report = await run({ url, files, stateFile, visit: (await readVisit(stateFile))! }, patience);
    expect(report).toMatchObject({ failure: null, checkpoint: { origin: SECOND } });
    expect(report.lastVisit?.size).toBeLessThan(size);

    await ledger.stop();
    await expect(harness.start("ledger", {}, "first-again")).rejects.toThrow(
      /78[\s\S]*ledger-1 is not the key of this log/,
    );
    expect(await readFile(keyFile(), "utf8")).toContain("ledger-2");
  });
});
