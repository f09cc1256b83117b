import { createHash } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { sampleDefinition } from "../../shared/definition/sample.ts";
import { firstAuthority } from "../../shared/ledger/authority.ts";
import { witnessesOf } from "../../shared/ledger/cosignature.ts";
import { readProof, verifyProof } from "../../shared/ledger/proof.ts";
import { type Harness, startHarness } from "../../test/harness.ts";
import { type OpenedWorld, openOpenedWorld } from "../../test/opened.ts";
import { lineOf } from "./log-fixture.ts";

/** Where releases stand in the log, on a real database, with three witnesses of which two are a quorum. */

const sample = sampleDefinition({ witnesses: 3 });
const FOR_EVER = "public, max-age=31536000, immutable";

let harness: Harness;
let world: OpenedWorld;

beforeAll(async () => {
  harness = await startHarness({ sample });
});
afterAll(() => harness.close());
beforeEach(async () => {
  world = await openOpenedWorld(harness);
});
afterEach(() => world.close());

async function cosign(size: number, ...names: string[]): Promise<void> {
  const { rows } = await world.query<{ root: Buffer }>("select root from ledger.checkpoint where size = $1", [size]);
  for (const name of names) {
    const line = await lineOf(sample, name, size, rows[0]?.root as Buffer);
    await world.query("insert into ledger.cosignature (size, witness, line) values ($1, $2, $3)", [size, name, line]);
  }
}

async function proofOf(number: number) {
  const answer = await world.ask(`/v1/releases/${number}/proof`);
  expect(answer.status).toBe(200);
  expect(answer.headers.get("content-type")).toBe("text/plain; charset=utf-8");
  const proof = readProof(await answer.text());
  if (proof === undefined) throw new Error("it is no proof");
  const { keys, quorum } = witnessesOf(sample.definition);
  const verdict = verifyProof(proof, { authorities: [firstAuthority(sample.definition)], witnesses: keys });
  if (verdict.kind === "refused") throw new Error(`refused: ${verdict.reason}`);
  const { index, size, cosigned } = verdict;
  return { index, size, cosigned, quorum, extra: proof.extra, caching: answer.headers.get("cache-control") };
}

/** The first release, announced; then the log goes on. Answers the entry that announces it. */
async function announced(): Promise<number> {
  await world.log.append(world.say.tally());
  await world.lift();
  const index = await world.announce(await world.release());
  await world.log.append(world.say.tally("AT-2"));
  await world.log.append(world.say.tally("AT-3"));
  await world.look();
  return index;
}

describe("the proof of a release", () => {
  it("is of the entry that announces it, against the smallest checkpoint that holds it while nobody cosigned", async () => {
    const index = await announced();
    const proof = await proofOf(1);
    expect(proof).toMatchObject({ index, size: index + 1, cosigned: [], caching: "public, max-age=1" });
    expect(JSON.parse(Buffer.from(proof.extra ?? []).toString("utf8"))).toMatchObject({ index, type: "release" });
  });

  it("is against the newest with most cosignatures while there is no quorum", async () => {
    const index = await announced();
    await cosign(index + 1, "witness-1");
    await cosign(index + 2, "witness-2");
    expect(await proofOf(1)).toMatchObject({ size: index + 2, cosigned: ["witness-2"], caching: "public, max-age=1" });
  });

  it("is against the smallest that reached the quorum, and stays so", async () => {
    const index = await announced();
    await cosign(index, "witness-1", "witness-2", "witness-3");
    await cosign(index + 1, "witness-1");
    await cosign(index + 2, "witness-1", "witness-3");
    await cosign(index + 3, "witness-1", "witness-2", "witness-3");
    expect(await proofOf(1)).toMatchObject({
      size: index + 2,
      cosigned: ["witness-1", "witness-3"],
      quorum: 2,
      caching: FOR_EVER,
    });
  });

  it("does not count lines that are no cosignatures", async () => {
    const index = await announced();
    const line = await lineOf(sample, "witness-1", index + 1, createHash("sha256").digest());
    for (const name of ["witness-1", "witness-2", "witness-3"])
      await world.query("insert into ledger.cosignature (size, witness, line) values ($1, $2, $3)", [
        index + 1,
        name,
        line,
      ]);
    await cosign(index + 2, "witness-1", "witness-2");
    expect(await proofOf(1)).toMatchObject({ size: index + 2, cosigned: ["witness-1", "witness-2"] });
  });

  it("is of the accepted one when several name it", async () => {
    await world.log.append(world.say.tally());
    await world.lift();
    const first = await world.release();
    const refused = await world.announce(first, "quarantined");
    const accepted = await world.announce(first);
    // Not open yet: the first that names it.
    expect((await proofOf(1)).index).toBe(refused);
    await world.giveKeys();
    await world.release();
    expect((await proofOf(1)).index).toBe(accepted);
  });

  it("is not of a statement that names another document", async () => {
    await world.log.append(world.say.tally());
    await world.lift();
    const made = await world.release();
    await world.announce({ ...made, sha256: "0".repeat(64) });
    expect(await world.codeOf("/v1/releases/1/proof")).toEqual([503, "service.unavailable"]);
    const index = await world.announce(made);
    expect((await proofOf(1)).index).toBe(index);
  });

  it("leads to the statement, which is open", async () => {
    const index = await announced();
    const answer = await world.ask("/v1/releases/1/statement");
    expect(answer.status).toBe(303);
    const { rows } = await world.query<{ body: Buffer }>("select body from ledger.entry where index = $1", [index]);
    const { statement } = JSON.parse(rows[0]?.body.toString("utf8") ?? "") as { statement: string };
    expect(answer.headers.get("location")).toBe(`/statements/${statement}`);
    expect((await world.ask(answer.headers.get("location") ?? "")).status).toBe(200);
  });

  it("is unknown for what is no release that is served", async () => {
    await announced();
    for (const name of ["2", "0", "01", "latest", "1.csv", "x"])
      for (const what of ["proof", "statement"])
        expect(await world.codeOf(`/v1/releases/${name}/${what}`)).toEqual([404, "release.unknown"]);
  });

  it("does not leave when the entry was changed", async () => {
    const index = await announced();
    await world.query("alter table ledger.entry disable trigger only_grows");
    await world.query("update ledger.entry set body = body || ' ' where index = $1", [index]);
    expect(await world.codeOf("/v1/releases/1/proof")).toEqual([503, "service.unavailable"]);
    expect(world.incidents).toEqual([{ code: "log.broken", about: `entry ${index}: the log holds another one` }]);
  });
});
