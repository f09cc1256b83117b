import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sampleCommon, sampleDefinition, sampleTally, signSample } from "../shared/definition/sample.ts";
import type { Release } from "../shared/formats/release.ts";
import { systemClock } from "../shared/platform/clock.ts";
import { openAnswer, openCandidate } from "../shared/platform/release-seal.ts";
import type { Statement } from "../shared/statement/types.ts";
import { type Harness, startHarness } from "./harness.ts";
import { eventually } from "./ledger.ts";

/** The road from the office to the keys of a release, with every service of the vault a process of its own. */

const CLOSES_IN_MS = 4_000;

describe("both counts, as processes", () => {
  let harness: Harness;
  let ingest: string;

  beforeAll(async () => {
    const closesAt = Math.ceil((systemClock() + CLOSES_IN_MS) / 1000) * 1000;
    harness = await startHarness({ sample: sampleDefinition({ closesAt }) });
    const [ledger, door] = await Promise.all([harness.start("ledger"), harness.start("ingest")]);
    expect(ledger.url).toMatch(/^http/);
    ingest = door.url;
    await Promise.all([harness.start("tabulate", { SCRUTIN_INGEST_URL: ingest }), harness.start("recount")]);
    await eventually(() => systemClock() >= closesAt);
  });
  afterAll(() => harness.close());

  const send = async (statement: object, ...kids: string[]) => {
    const body = signSample(harness.sample, statement as Statement, ...kids);
    const response = await fetch(`${ingest}/v1/statements`, {
      method: "POST",
      headers: { "content-type": kids.length > 1 ? "application/jose+json" : "application/jose" },
      body: Buffer.from(body),
    });
    return (await response.json()) as { verdict?: string; code?: string };
  };
  const shares = () => harness.query<{ number: number }>("select number::int from release.key_share order by 1");

  it("opens the first release only after the last closure, and follows with the next", async () => {
    const at = (sequence: number) => sampleCommon(harness.sample, "AT", sequence);
    const lu = (sequence: number) => sampleCommon(harness.sample, "LU", sequence);
    expect(await send({ type: "tally", ...at(1), tallies: [sampleTally("AT-1")] }, "AT-1")).toMatchObject({
      verdict: "accepted",
    });
    expect(await send({ type: "polls", ...at(2), polls: "closed" }, "AT-1")).toMatchObject({ verdict: "accepted" });
    await eventually(async () => (await harness.query("select from recount.answer")).length > 0);
    expect(await shares()).toEqual([]);
    const closed = await send({ type: "polls", ...lu(1), polls: "closed" }, "LU-1", "LU-2");
    expect(closed).toMatchObject({ verdict: "accepted" });
    const started = performance.now();
    await eventually(async () => (await shares()).length === 2);
    console.log("closure to shares", Math.round(performance.now() - started), "ms");
    await send({ type: "tally", ...at(3), tallies: [sampleTally("AT-2")] }, "AT-1");
    await eventually(async () => (await shares()).length === 4);
    const [row] = await harness.query<{ size: number; sealed: Buffer; answer: Buffer }>(
      `select c.size::int, c.sealed, a.sealed as answer from release.key_share s
        join tabulate.candidate c using (number, size) join recount.answer a using (number, size)
        where number = 2 and given_by = 'recount'`,
    );
    const id = { number: 2, size: row?.size ?? 0 };
    const { release } = openCandidate(harness.sample.vault.privateKey, id, row?.sealed ?? Buffer.alloc(0));
    expect(openAnswer(harness.sample.vault.privateKey, id, row?.answer ?? Buffer.alloc(0)).agrees).toBe(true);
    const read = JSON.parse(release) as Release;
    expect(read.union.units.counted).toBe(2);
    const [first] = await harness.query<{ size: number; sealed: Buffer }>(
      `select c.size::int, c.sealed from release.key_share join tabulate.candidate c using (number, size)
        where number = 1 and given_by = 'tabulate'`,
    );
    const before = openCandidate(harness.sample.vault.privateKey, { number: 1, size: first?.size ?? 0 }, first!.sealed);
    expect(read.previous).toBe(createHash("sha256").update(before.release).digest("hex"));
  });
});
