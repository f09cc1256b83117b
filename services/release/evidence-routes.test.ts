import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Sample, type SampleKey, sampleDefinition, sampleTally } from "../../shared/definition/sample.ts";
import type { Key } from "../../shared/definition/schema.ts";
import { firstAuthority } from "../../shared/ledger/authority.ts";
import { verifierKey } from "../../shared/ledger/checkpoint.ts";
import { type Evidence, verifyEvidence } from "../../shared/ledger/evidence.ts";
import { type Signer, signersOf, verifyKeyOf } from "../../shared/statement/authentic.ts";
import { type Harness, startHarness } from "../../test/harness.ts";
import { type OpenedWorld, openOpenedWorld } from "../../test/opened.ts";
import { receivedAt, type Written } from "../../test/written-log.ts";

/** Evidence as it comes and goes with the log, on a real database. */

let sample: Sample;
let harness: Harness;
let world: OpenedWorld;

beforeAll(async () => {
  sample = sampleDefinition();
  harness = await startHarness({ sample });
});
afterAll(() => harness.close());
beforeEach(async () => {
  world = await openOpenedWorld(harness);
});
afterEach(() => world.close());

/** A tally of a key under a number; `electors` tells payloads apart. */
function tally(sequence: number, electors = 812, kid = "AT-1", definition = sample.hash): Written {
  const common = { ...world.say.common("AT", kid, sequence), definition };
  return world.say.signed({ type: "tally", ...common, tallies: [sampleTally("AT-1", { electors })] }, kid);
}

function voided(sequence: number, voids: number): Written {
  return world.say.signed({ type: "void", ...world.say.common("AT", "AT-1", sequence), voids, reason: "lost" }, "AT-1");
}

interface List {
  size: number;
  complete: boolean;
  equivocations: { key: string; sequence: number; indexes: number[]; url: string }[];
  gaps: { key: string; from: number; to: number; url: string }[];
}

/** The list as it is after the service has looked; a second later, so that it is made anew. */
async function list(): Promise<List> {
  await world.look();
  world.now += 1_000;
  const answer = await world.ask("/v1/evidence");
  expect(answer.status).toBe(200);
  return (await answer.json()) as List;
}

const gapsOf = async () => (await list()).gaps.map(({ from, to }) => [from, to]);

async function fileOf(url: string): Promise<Evidence> {
  const answer = await world.ask(url);
  expect(answer.status).toBe(200);
  expect(answer.headers.get("content-type")).toBe("application/json");
  const file = (await answer.json()) as Evidence;
  const { definition, hash } = sample;
  const ledgerKey = verifierKey(definition.origin, firstAuthority(definition).key.raw);
  expect(verifyEvidence(file, { definition: hash, ledgerKey })).toEqual([]);
  return file;
}

/** The lift, a release of everything so far, and its keys. */
async function openAll(withheld: readonly string[] = []): Promise<void> {
  await world.lift();
  await world.giveKeys();
  await world.release(withheld);
}

const ELSEWHERE = "e".repeat(64);

async function tamper(sql: string, ...values: unknown[]): Promise<void> {
  await world.query("alter table ledger.entry disable trigger only_grows");
  await world.query(sql, values);
  await world.query("alter table ledger.entry enable always trigger only_grows");
}

describe("the list of evidence", () => {
  it("is empty and public before the lift, and says how far it has read", async () => {
    await world.log.append(tally(1), tally(2));
    expect(await list()).toEqual({
      election: "sample",
      mode: "exercise",
      definition: sample.hash,
      size: 3,
      complete: true,
      equivocations: [],
      gaps: [],
    });
  });

  it("names who signed twice under one number, and where numbers are missing", async () => {
    await world.log.append(tally(1), tally(1, 900), tally(4), tally(1, 901));
    expect(await list()).toMatchObject({
      equivocations: [{ key: "AT-1", sequence: 1, indexes: [1, 2, 4], url: "/v1/evidence/equivocation/AT-1/1" }],
      gaps: [{ key: "AT-1", from: 2, to: 3, url: "/v1/evidence/gap/AT-1/2-3" }],
    });
  });

  it("names no gap that is younger than a minute", async () => {
    await world.log.append(tally(2));
    world.now = Date.parse(receivedAt(1)) + 59_000;
    expect(await gapsOf()).toEqual([]);
    expect(await world.codeOf("/v1/evidence/gap/AT-1/1-1")).toEqual([404, "evidence.unknown"]);
    world.now += 1_000;
    expect(await gapsOf()).toEqual([[1, 1]]);
  });

  it("forgets a gap when the late statement comes, or a void", async () => {
    await world.log.append(tally(7));
    expect(await gapsOf()).toEqual([[1, 6]]);
    await world.log.append(tally(3));
    expect(await gapsOf()).toEqual([
      [1, 2],
      [4, 6],
    ]);
    await world.log.append(voided(8, 5), tally(1), tally(2));
    expect(await gapsOf()).toEqual([
      [4, 4],
      [6, 6],
    ]);
    expect(await world.codeOf("/v1/evidence/gap/AT-1/4-6")).toEqual([404, "evidence.unknown"]);
  });

  it("is read on where it stopped, over many bundles", async () => {
    for (let n = 0; n < 3; n++)
      await world.log.append(...Array.from({ length: 200 }, (_, i) => tally(n * 200 + i + 2, 812)));
    expect(await list()).toMatchObject({ size: 601, gaps: [{ from: 1, to: 1 }], equivocations: [] });
    await world.log.append(tally(600, 7));
    expect((await list()).equivocations).toMatchObject([{ sequence: 600, indexes: [599, 601] }]);
  });

  it("stops, with an incident, at an open statement that someone changed, and goes on when it is back", async () => {
    const closed = world.say.closed("AT");
    await world.log.append(closed, tally(9));
    await world.query("alter table ledger.statement disable trigger only_grows");
    await world.query("update ledger.statement set clear = $1 where index = 1", [world.say.closed("AT").jws]);
    expect((await list()).size).toBe(0);
    expect(world.incidents).toMatchObject([{ code: "log.broken", about: expect.stringMatching(/^entry 1: /) }]);
    await world.query("update ledger.statement set clear = $1 where index = 1", [closed.jws]);
    expect((await list()).size).toBe(3);
  });
});

describe("an evidence file", () => {
  it("of an equivocation opens with its last statement, and stands alone", async () => {
    await world.log.append(tally(1), tally(1, 900));
    const [{ url }] = (await list()).equivocations as [List["equivocations"][number]];
    expect(await world.codeOf(url)).toEqual([403, "embargo.in-force"]);
    await openAll();
    await world.log.append(tally(1, 901));
    await world.look();
    expect(await world.codeOf(url)).toEqual([403, "statement.not-released"]);
    await world.release();
    const file = await fileOf(url);
    expect(file).toMatchObject({ kind: "equivocation", about: { key: "AT-1", sequence: 1 } });
    expect(file.parts.map(({ index }) => index)).toEqual([1, 2, world.log.size() - 1]);
    expect(file.keys).toMatchObject([{ id: "AT-1", source: "definition" }]);
    expect(verifyEvidence(file, { keys: signersOf(sample.definition) })).toEqual([]);
  });

  it("is public at once when all its statements are", async () => {
    const polls = (reason: string) => {
      const common = { ...world.say.common("LU", "LU-1", 5), until: "2024-06-09T22:00:00Z", reason };
      return world.say.signed({ type: "polls", ...common, polls: "extended" }, "LU-1", "LU-2");
    };
    await world.log.append(polls("a queue"), polls("a flood"));
    const { equivocations, gaps } = await list();
    const file = await fileOf(equivocations[0]?.url ?? "");
    expect(file.keys.map(({ id }) => id)).toEqual(["LU-1", "LU-2"]);
    expect((await fileOf(gaps[0]?.url ?? "")).parts).toHaveLength(1);
  });

  it("holds the first few of many versions", async () => {
    await world.log.append(...Array.from({ length: 7 }, (_, n) => tally(1, 900 + n)));
    await openAll();
    const [found] = (await list()).equivocations;
    expect(found?.indexes).toEqual([1, 2, 3, 4]);
    expect((await fileOf(found?.url ?? "")).parts).toHaveLength(4);
  });

  it("of a gap has both sides; one may be a void", async () => {
    await world.log.append(tally(1), tally(4), tally(9), voided(10, 6));
    expect(await gapsOf()).toEqual([
      [2, 3],
      [5, 5],
      [7, 8],
    ]);
    expect(await world.codeOf("/v1/evidence/gap/AT-1/2-3")).toEqual([403, "embargo.in-force"]);
    await openAll();
    const indexes = async (range: string) =>
      (await fileOf(`/v1/evidence/gap/AT-1/${range}`)).parts.map(({ index }) => index);
    expect(await indexes("2-3")).toEqual([1, 2]);
    expect(await indexes("5-5")).toEqual([2, 4]);
    expect(await indexes("7-8")).toEqual([3, 4]);
  });

  it("names the keys that came by way of the log, with the entry that brought them", async () => {
    const raw = sampleDefinition({ seed: "new" }).keys.get("AT-1") as SampleKey;
    sample.keys.set("AT-9", { ...raw, id: "AT-9" });
    const key = { id: "AT-9", publicKey: Buffer.from(raw.publicRaw).toString("base64url") };
    const common = world.say.common("AT", "AT-1", 1);
    const rotate = { type: "key", ...common, change: "rotate", replaces: "AT-1", key } as const;
    const stranger = {
      ...rotate,
      sequence: 2,
      key: { id: "AT-9", publicKey: Buffer.alloc(32, 9).toString("base64url") },
    };
    await world.log.append(world.say.signed(rotate, "AT-1", "AT-9"));
    await world.log.append({ ...world.say.signed(stranger, "AT-1"), verdict: "quarantined" });
    await world.log.append(tally(1, 812, "AT-9"), tally(1, 813, "AT-9"), world.say.closed("LU"));
    await openAll();
    const [found] = (await list()).equivocations;
    const file = await fileOf(found?.url ?? "");
    expect(file.keys).toEqual([{ ...key, source: 1 }]);
    const signers = new Map<string, Signer>(signersOf(sample.definition));
    expect(verifyEvidence(file, { keys: signers })).toEqual(["AT-9 is another key than expected"]);
    const verify = verifyKeyOf(key.publicKey);
    if (verify !== undefined)
      signers.set("AT-9", { key: { ...key, role: "office", state: "AT", official: "x" } as Key, verify });
    expect(verifyEvidence(file, { keys: signers })).toEqual([]);
    sample.keys.delete("AT-9");
  });

  it("of a state on hold is withheld", async () => {
    await world.log.append(tally(1), tally(1, 900));
    await openAll(["AT"]);
    expect(await world.codeOf("/v1/evidence/equivocation/AT-1/1")).toEqual([403, "statement.withheld"]);
  });

  it("does not leave when a statement in it was changed", async () => {
    await world.log.append(tally(1), tally(1, 900));
    await openAll();
    await list();
    await world.query("alter table ledger.statement disable trigger only_grows");
    await world.query(
      "update ledger.statement set sealed = (select sealed from ledger.statement where index = 1) where index = 2",
    );
    expect(await world.codeOf("/v1/evidence/equivocation/AT-1/1")).toEqual([503, "service.unavailable"]);
    expect(world.incidents).toMatchObject([{ code: "log.broken" }]);
  });

  it.each([
    "equivocation/AT-1/2",
    "equivocation/AT-1/01",
    "equivocation/AT-1/1e0",
    "equivocation/LU-1/1",
    "equivocation/__proto__/1",
    "gap/AT-1/2-3",
    "gap/AT-1/3-2",
    "gap/AT-1/2",
    "gap/LU-1/1-1",
    "gap/AT-1/02-02",
  ])("is unknown: %s", async (path) => {
    await world.log.append(tally(1), tally(1, 900), tally(3));
    await list();
    expect(await world.codeOf(`/v1/evidence/${path}`)).toEqual([404, "evidence.unknown"]);
  });
});

describe("a statement for another definition", () => {
  it("counts by its entry until it is open, and then no more", async () => {
    await world.log.append(tally(1), tally(1, 812, "AT-1", ELSEWHERE), tally(5, 812, "AT-1", ELSEWHERE), tally(3));
    await tamper("update ledger.entry set takes_sequence = false where index in (2, 3)");
    expect(await list()).toMatchObject({
      equivocations: [{ indexes: [1, 2] }],
      gaps: [
        { from: 2, to: 2 },
        { from: 4, to: 4 },
      ],
    });
    await openAll(["AT"]);
    expect((await list()).equivocations).toHaveLength(1);
    await world.release();
    expect(await list()).toMatchObject({ equivocations: [], gaps: [{ from: 2, to: 2 }] });
  });

  it("counts no more when evidence is asked for, though the database hides it", async () => {
    await world.log.append(tally(1), tally(1, 812, "AT-1", ELSEWHERE), tally(5, 812, "AT-1", ELSEWHERE));
    await openAll();
    const { equivocations, gaps } = await list();
    for (const { url } of [...equivocations, ...gaps])
      expect(await world.codeOf(url)).toEqual([404, "evidence.unknown"]);
    // The closure of AT came under 6.
    expect(await list()).toMatchObject({ equivocations: [], gaps: [{ from: 2, to: 5 }] });
    expect((await fileOf("/v1/evidence/gap/AT-1/2-5")).parts.map(({ index }) => index)).toEqual([1, 4]);
  });

  it("without figures counts at once as what it is", async () => {
    const polls = {
      type: "polls",
      ...world.say.common("AT", "AT-1", 4),
      polls: "closed",
      definition: ELSEWHERE,
    } as const;
    await world.log.append(tally(1), world.say.signed(polls, "AT-1"), tally(2), tally(4));
    expect(await list()).toMatchObject({ equivocations: [], gaps: [{ from: 3, to: 3 }] });
    await openAll();
    expect((await fileOf("/v1/evidence/gap/AT-1/3-3")).parts.map(({ index }) => index)).toEqual([3, 4]);
  });

  it("which the database only says to be one, is none", async () => {
    await world.log.append(tally(1), tally(1, 900));
    await tamper("update ledger.entry set takes_sequence = false where index = 2");
    await openAll();
    const [found] = (await list()).equivocations;
    expect((await fileOf(found?.url ?? "")).parts).toHaveLength(2);
  });
});
