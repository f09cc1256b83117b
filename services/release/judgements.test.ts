import { createHash } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { commitJudgement, type Entry, type Judgement } from "../../shared/ledger/entry.ts";
import { type Harness, startHarness } from "../../test/harness.ts";
import { type OpenedWorld, openOpenedWorld } from "../../test/opened.ts";
import type { Written } from "../../test/written-log.ts";

/** Judgements as they open, on a real database into which anyone may have written. */

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

const FOR_EVER = "public, max-age=31536000, immutable";

/** A tally and these; the first release counts all of them. */
async function afterTheLift(...more: Written[]): Promise<void> {
  await world.log.append(world.say.tally(), ...more);
  await world.lift();
  await world.release();
}

async function entryOf(index: number): Promise<Entry> {
  const { rows } = await world.query<{ body: Buffer }>("select body from ledger.entry where index = $1", [index]);
  return JSON.parse(rows[0]?.body.toString("utf8") ?? "") as Entry;
}

/** As whoever owns the database could. */
async function tamper(sql: string): Promise<void> {
  await world.query("alter table ledger.statement disable trigger only_grows");
  await world.query(sql);
}

describe("judgements", () => {
  it("are a line for each entry, which hashes to what the entry committed to", async () => {
    await afterTheLift({ ...world.say.tally("AT-2"), verdict: "quarantined" });
    await world.giveKeys();
    const answer = await world.ask("/log/judgements/0");
    expect(answer.headers.get("content-type")).toBe("application/x-ndjson");
    expect(answer.headers.get("cache-control")).toBe("public, max-age=1");
    const text = await answer.text();
    expect(text.endsWith("\n")).toBe(true);
    const lines = text.trimEnd().split("\n");
    expect(lines).toHaveLength(world.log.size());
    expect(lines[0]).toBe("null");
    for (const [index, line] of lines.entries()) {
      if (index === 0) continue;
      const { judgement } = await entryOf(index);
      expect(createHash("sha256").update(line).digest("hex")).toBe(judgement);
      expect(commitJudgement(JSON.parse(line) as Judgement)).toBe(judgement);
    }
    expect(lines.filter((line) => line.includes("quarantined"))).toHaveLength(1);
  });

  it("end where the release ends", async () => {
    await afterTheLift();
    const size = world.log.size();
    await world.log.append(world.say.tally("AT-2"));
    await world.giveKeys();
    await world.look();
    const answer = await world.ask("/log/judgements/0");
    expect((await answer.text()).trimEnd().split("\n")).toHaveLength(size);
    for (const name of ["1", "2", "00", "-1", "0.p", "x", "1e1", "999999999999999999"])
      expect(await world.codeOf(`/log/judgements/${name}`)).toEqual([404, "log.unknown"]);
    expect(await world.codeOf("/log/judgements")).toEqual([404, "request.not-found"]);
  });

  it("are there for ever once a bundle is full, and change their tag when one is withheld", async () => {
    await world.log.append(...Array.from({ length: 300 }, () => world.say.tally()));
    await world.lift();
    await world.giveKeys();
    await world.release(["AT"]);
    const held = await world.ask("/log/judgements/0");
    expect(held.headers.get("cache-control")).toBe("public, max-age=1");
    expect(await held.text()).toBe("null\n".repeat(256));
    await world.release();
    const [whole, part] = await Promise.all(["0", "1"].map((n) => world.ask(`/log/judgements/${n}`)));
    expect([whole, part].map((answer) => answer?.headers.get("cache-control"))).toEqual([
      FOR_EVER,
      "public, max-age=1",
    ]);
    const tag = whole?.headers.get("etag") ?? "";
    expect(tag).not.toBe(held.headers.get("etag"));
    expect((await whole?.text())?.trimEnd().split("\n")).toHaveLength(256);
    const again = await world.ask("/log/judgements/0", { headers: { "if-none-match": tag } });
    expect([again.status, await again.text(), again.headers.get("etag")]).toEqual([304, "", tag]);
    const head = await world.ask("/log/judgements/0", { method: "HEAD" });
    expect([head.status, await head.text(), head.headers.get("etag")]).toEqual([200, "", tag]);
  });

  it("come in pieces when they are large, the same", async () => {
    await afterTheLift(...Array.from({ length: 20 }, () => world.say.tally("AT-2")));
    await world.giveKeys();
    const whole = await (await world.ask("/log/judgements/0")).text();
    const { selectJudgements } = world.stored;
    let asked = 0;
    world.stored = {
      ...world.stored,
      selectJudgements: (from, to) => {
        asked++;
        return selectJudgements(from, to, 1);
      },
    };
    expect(await (await world.ask("/log/judgements/0")).text()).toBe(whole);
    expect(asked).toBe(world.log.size() - 1);
  });

  it.each([
    ["a byte", "set_byte(judgement, 40, get_byte(judgement, 40) # 1)"],
    ["another judgement", "(select judgement from ledger.statement where index = 1)"],
  ])("with %s changed are not given; what was said before it is cut off", async (_, changed) => {
    await afterTheLift(world.say.tally("AT-2"), world.say.tally("AT-3"));
    await world.giveKeys();
    await tamper(`update ledger.statement set judgement = ${changed} where index = 3`);
    expect(await world.codeOf("/log/judgements/0")).toEqual([503, "service.unavailable"]);
    const { selectJudgements } = world.stored;
    world.stored = { ...world.stored, selectJudgements: (from, to) => selectJudgements(from, to, 1) };
    await expect((await world.ask("/log/judgements/0")).text()).rejects.toThrow();
    expect(world.incidents).toMatchObject([{ code: "log.broken", about: expect.stringMatching(/^entry 3: /) }]);
  });

  it("of which one is missing are not given", async () => {
    await afterTheLift(world.say.tally("AT-2"));
    await world.giveKeys();
    await world.query("alter table ledger.statement disable trigger only_grows");
    await world.query("delete from ledger.statement where index = 2");
    expect(await world.codeOf("/log/judgements/0")).toEqual([503, "service.unavailable"]);
    expect(world.incidents).toEqual([{ code: "log.broken", about: "entry 2: its judgement is missing" }]);
  });
});
