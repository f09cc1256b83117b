import { createHash } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { sampleTally, signSample } from "../../shared/definition/sample.ts";
import { joinShares } from "../../shared/platform/release-seal.ts";
import { seal } from "../../shared/platform/seal.ts";
import { type Harness, startHarness } from "../../test/harness.ts";
import { type OpenedWorld, openOpenedWorld } from "../../test/opened.ts";
import type { Written } from "../../test/written-log.ts";
import { OPENING_RATE } from "./bounds.ts";

/** What opens, and what does not, on a real database into which anyone may have written. */

let harness: Harness;
let world: OpenedWorld;

beforeAll(async () => {
  harness = await startHarness();
});
afterAll(() => harness.close());
beforeEach(async () => {
  world = await openOpenedWorld(harness);
});
afterEach(() => world.close());

const hashOf = ({ jws }: Written) => createHash("sha256").update(jws).digest("hex");
const pathOf = (written: Written) => `/statements/${hashOf(written)}`;
const bytesOf = async (answer: Response) => Buffer.from(await answer.arrayBuffer());
const FOR_EVER = "public, max-age=31536000, immutable";

/** A tally on both sides of the closures; the first release counts all of it. */
async function afterTheLift(...more: Written[]): Promise<Written> {
  const tally = world.say.tally();
  await world.log.append(tally, ...more);
  await world.lift();
  await world.release();
  return tally;
}

/** As whoever owns the database could. */
async function tamper(sql: string, ...values: unknown[]): Promise<void> {
  const table = /update ([a-z_.]+)/.exec(sql)?.[1];
  await world.query(`alter table ${table} disable trigger only_grows`);
  await world.query(sql, values);
  await world.query(`alter table ${table} enable always trigger only_grows`);
}

describe("before the lift", () => {
  it("a statement without figures is open at once, byte for byte", async () => {
    const [closed, hold] = [world.say.closed("LU"), world.say.hold("AT")];
    await world.log.append(closed, hold, { ...world.say.closed("AT"), verdict: "quarantined" });
    for (const written of [closed, hold]) {
      const answer = await world.ask(pathOf(written));
      expect(answer.status).toBe(200);
      expect(await bytesOf(answer)).toEqual(Buffer.from(written.jws));
      expect(answer.headers.get("content-type")).toBe("application/jose+json");
      expect(answer.headers.get("cache-control")).toBe(FOR_EVER);
      expect(answer.headers.get("etag")).toBe(`"${hashOf(written)}"`);
    }
  });

  it("a tally is refused like a hash that nobody knows, even when its key lies there", async () => {
    const tally = world.say.tally();
    await world.log.append(tally);
    await world.query("alter table release.data_key_share disable trigger wall");
    await world.giveKeys();
    for (const method of ["GET", "HEAD"])
      for (const headers of [
        { accept: "*/*" },
        { "if-none-match": `"${hashOf(tally)}"` },
        { "if-none-match": "*" },
      ] as Record<string, string>[]) {
        const [known, unknown] = [pathOf(tally), `/statements/${"0".repeat(64)}`];
        const answers = await Promise.all([known, unknown].map((path) => world.ask(path, { method, headers })));
        expect(answers.map(({ status }) => status)).toEqual([403, 403]);
        expect(await answers[0]?.text()).toBe(await answers[1]?.text());
        expect([...(answers[0]?.headers ?? [])]).toEqual([...(answers[1]?.headers ?? [])]);
      }
    expect(await world.codeOf(pathOf(tally))).toEqual([403, "embargo.in-force"]);
  });

  it("a tally that someone files as a statement without figures stays closed", async () => {
    const tally = world.say.tally();
    await world.log.append(tally, world.say.closed("AT"));
    await tamper("update ledger.statement set clear = $1 where index = 1", tally.jws);
    await tamper("update ledger.entry set type = 'polls' where index = 1");
    expect(await world.codeOf(pathOf(tally))).toEqual([403, "embargo.in-force"]);
    // Filed under the entry of an open one, it is not what that entry names.
    await tamper("update ledger.statement set sha256 = sha256(sha256) where index = 1");
    await tamper(
      "update ledger.statement set sha256 = $1, clear = $2 where index = 2",
      Buffer.from(hashOf(tally), "hex"),
      tally.jws,
    );
    expect(await world.codeOf(pathOf(tally))).toEqual([503, "service.unavailable"]);
    expect(world.incidents).toEqual([
      { code: "log.broken", about: "entry 2 is not about the statement that lies beside it" },
    ]);
  });

  it("does not open with the lift in the log, but with the first release that is served", async () => {
    const tally = world.say.tally();
    await world.log.append(tally);
    await world.lift();
    await world.giveKeys();
    expect(await world.codeOf(pathOf(tally))).toEqual([403, "embargo.in-force"]);
    expect(await world.codeOf("/log/judgements/0")).toEqual([403, "embargo.in-force"]);
    await world.release();
    expect((await world.ask(pathOf(tally))).status).toBe(200);
    expect((await world.ask("/log/judgements/0")).status).toBe(200);
  });
});

describe("a statement after it", () => {
  it("is what was received, quarantined or not", async () => {
    const bad: Written = { ...world.say.tally("AT-2"), verdict: "quarantined" };
    const tally = await afterTheLift(bad);
    await world.giveKeys();
    for (const written of [tally, bad]) {
      const answer = await world.ask(pathOf(written));
      expect(answer.status).toBe(200);
      expect(await bytesOf(answer)).toEqual(Buffer.from(written.jws));
      expect(answer.headers.get("content-type")).toBe("application/jose");
      expect(answer.headers.get("cache-control")).toBe(FOR_EVER);
    }
    const head = await world.ask(pathOf(tally), { method: "HEAD" });
    expect([head.status, head.headers.get("content-length"), await head.text()]).toEqual([
      200,
      String(tally.jws.length),
      "",
    ]);
    const held = await world.ask(pathOf(tally), { headers: { "if-none-match": `"${hashOf(tally)}"` } });
    expect([held.status, await held.text()]).toEqual([304, ""]);
    expect(world.incidents).toEqual([]);
  });

  it("is opened whatever its size", async () => {
    const units = Array.from({ length: 1_000 }, (_, n) => sampleTally("AT-1", { version: n + 1 }));
    const big = world.say.signed({ type: "tally", ...world.say.common("AT", "AT-1"), tallies: units }, "AT-1");
    const padded = {
      ...world.say.closed("AT"),
      jws: signSample(harness.sample, Buffer.from(" ".repeat(700_000)), "AT-1"),
    };
    expect(big.jws.length).toBeGreaterThan(150_000);
    await afterTheLift(big, padded);
    await world.giveKeys();
    for (const written of [big, padded])
      expect(await bytesOf(await world.ask(pathOf(written)))).toEqual(Buffer.from(written.jws));
  });

  it("is unknown, or not released, whatever keys lie there", async () => {
    await afterTheLift();
    const later = world.say.tally("AT-2");
    await world.log.append(later);
    await world.giveKeys();
    await world.look();
    expect(await world.codeOf(pathOf(later))).toEqual([403, "statement.not-released"]);
    for (const name of ["0".repeat(64), hashOf(later).toUpperCase(), `${hashOf(later)}.jws`, "x"])
      expect(await world.codeOf(`/statements/${name}`)).toEqual([404, "statement.unknown"]);
    await world.release();
    expect((await world.ask(pathOf(later))).status).toBe(200);
  });

  it("of a state on hold is withheld, until a release is without the hold; what holds no figures is not", async () => {
    const tally = world.say.tally();
    const closed = world.say.closed("AT");
    await world.log.append(tally, closed);
    await world.lift();
    await world.giveKeys();
    await world.release(["AT"]);
    expect(await world.codeOf(pathOf(tally))).toEqual([403, "statement.withheld"]);
    expect((await world.ask(pathOf(closed))).status).toBe(200);
    const lines = (await (await world.ask("/log/judgements/0")).text()).trimEnd().split("\n");
    expect(lines.map((line) => line === "null")).toEqual([true, true, false, false, false, false]);
    await world.release(["LU"]);
    expect((await world.ask(pathOf(tally))).status).toBe(200);
    await world.release(["AT"]);
    expect(await world.codeOf(pathOf(tally))).toEqual([403, "statement.withheld"]);
  });

  it("waits for the second share of its key", async () => {
    const tally = await afterTheLift();
    for (const by of [[], ["tabulate"]] as const) {
      await world.giveKeys(by);
      for (const path of [pathOf(tally), "/log/judgements/0"]) {
        const answer = await world.ask(path);
        expect([answer.status, answer.headers.get("retry-after")]).toEqual([503, "1"]);
      }
    }
    expect(world.incidents).toEqual([]);
    await world.giveKeys();
    expect(await bytesOf(await world.ask(pathOf(tally)))).toEqual(Buffer.from(tally.jws));
  });

  it("does not open with a wrong share, and says so once", async () => {
    const tally = await afterTheLift();
    await world.giveKeys(["tabulate"]);
    await world.giveKeys(["recount"], (share) => share.map((byte, n) => (n === 31 ? byte ^ 1 : byte)));
    for (let i = 0; i < 3; i++) expect(await world.codeOf(pathOf(tally))).toEqual([503, "service.unavailable"]);
    const about = "entry 1: its statement does not open with its shares";
    expect(world.incidents).toEqual([{ code: "log.broken", about }]);
    // Whoever repairs it need not restart anything.
    await world.query("alter table release.data_key_share disable trigger only_grows");
    await world.query("delete from release.data_key_share where given_by = 'recount'");
    await world.giveKeys();
    expect(await bytesOf(await world.ask(pathOf(tally)))).toEqual(Buffer.from(tally.jws));
  });
});

describe("what someone changed in the database does not leave", () => {
  const flip = "set_byte(sealed, length(sealed) / 2, get_byte(sealed, length(sealed) / 2) # 1)";
  it.each([
    ["a byte of the ciphertext", `update ledger.statement set sealed = ${flip} where index = 1`],
    [
      "another sealed statement in its place",
      "update ledger.statement s set sealed = o.sealed from ledger.statement o where s.index = 1 and o.index = 2",
    ],
    [
      "the index of another entry",
      "update ledger.statement s set sha256 = case s.index when 1 then sha256(s.sha256) else o.sha256 end from ledger.statement o where s.index in (1, 2) and o.index = 1",
    ],
    ["the entry's bytes", "update ledger.entry set body = body || ' ' where index = 1"],
    [
      "the entry of another",
      "update ledger.entry e set body = o.body from ledger.entry o where e.index = 1 and o.index = 2",
    ],
  ])("%s", async (_, sql) => {
    const tally = await afterTheLift(world.say.tally("AT-2"));
    await world.giveKeys();
    await tamper(sql);
    expect(await world.codeOf(pathOf(tally))).toEqual([503, "service.unavailable"]);
    expect(world.incidents).toMatchObject([{ code: "log.broken" }]);
  });

  it("a statement beyond the released size, filed as one below it", async () => {
    await afterTheLift();
    const later = world.say.tally("AT-2");
    const index = await world.log.append(later);
    await world.giveKeys();
    await world.look();
    await tamper(
      "update ledger.statement set sha256 = sha256(sha256), sealed = (select sealed from ledger.statement where index = $1) where index = 1",
      index,
    );
    await tamper("update ledger.statement set sha256 = sha256(sha256) where index = $1", index);
    await tamper("update ledger.statement set sha256 = $1 where index = 1", Buffer.from(hashOf(later), "hex"));
    expect(await world.codeOf(pathOf(later))).toEqual([503, "service.unavailable"]);
  });

  it("another statement or judgement, sealed with the true key, which is no secret any more", async () => {
    const tally = await afterTheLift();
    await world.giveKeys();
    const { rows } = await world.query<{ share: Buffer }>("select share from release.data_key_share");
    const key = joinShares(rows[0]?.share ?? Buffer.of(), rows[1]?.share ?? Buffer.of());
    const other = JSON.stringify({ findings: [], salt: "0".repeat(64), verdict: "accepted" });
    const judgement = seal(key, "judgement", hashOf(tally), Buffer.from(other, "utf8"));
    await tamper("update ledger.statement set judgement = $1 where index = 1", judgement);
    expect(await world.codeOf("/log/judgements/0")).toEqual([503, "service.unavailable"]);
    const sealed = seal(key, "statement", hashOf(tally), world.say.tally("AT-2").jws);
    await tamper("update ledger.statement set sealed = $1 where index = 1", sealed);
    expect(await world.codeOf(pathOf(tally))).toEqual([503, "service.unavailable"]);
    expect(world.incidents.map(({ about }) => about)).toEqual([
      "entry 1: the judgement is another one than was committed to",
      "entry 1: the statement is another one than was committed to",
    ]);
  });

  it("an open statement's bytes", async () => {
    const closed = world.say.closed("AT");
    await world.log.append(closed);
    await tamper("update ledger.statement set clear = clear || ' ' where index = 1");
    expect(await world.codeOf(pathOf(closed))).toEqual([503, "service.unavailable"]);
    await tamper("update ledger.statement set clear = null where index = 1");
    expect(await world.codeOf(pathOf(closed))).toEqual([503, "service.unavailable"]);
    expect(world.incidents).toHaveLength(2);
  });
});

describe("bounds", () => {
  it("one address may ask so often, and is told when to come back", async () => {
    const { addresses } = world.opening.bounds;
    const unknown = `/statements/${"0".repeat(64)}`;
    for (let n = 1; n < OPENING_RATE.burst; n++) expect(addresses.take("unknown", world.now)).toBeUndefined();
    expect((await world.ask(unknown)).status).toBe(403);
    for (const path of [unknown, "/v1/evidence", "/v1/evidence/gap/AT-1/1-2", "/v1/evidence/equivocation/AT-1/1"]) {
      const answer = await world.ask(path);
      expect([answer.status, answer.headers.get("retry-after")]).toEqual([429, "1"]);
    }
    world.now += 1_000;
    expect(await world.codeOf(unknown)).toEqual([403, "embargo.in-force"]);
  });

  it("no more is opened than there is room for, and the room comes back, also when it fails", async () => {
    const tally = await afterTheLift();
    await world.giveKeys();
    const { room } = world.opening.bounds;
    const giveBack = room.take("unknown", 32 * 1024 * 1024);
    expect(await world.codeOf(pathOf(tally))).toEqual([503, "service.busy"]);
    expect(await world.codeOf("/log/judgements/0")).toEqual([503, "service.busy"]);
    giveBack?.();
    await (await world.ask(pathOf(tally))).arrayBuffer();
    await tamper("update ledger.statement set sealed = 'x' where index = 1");
    expect(await world.codeOf(pathOf(tally))).toEqual([503, "service.unavailable"]);
    expect(room.taken).toBe(0);
  });
});
