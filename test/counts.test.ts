import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Child } from "../infra/stack/processes.ts";
import { sampleCommon, sampleDefinition, sampleTally, signSample } from "../shared/definition/sample.ts";
import type { Release } from "../shared/formats/release.ts";
import { systemClock } from "../shared/platform/clock.ts";
import { openAnswer, openCandidate } from "../shared/platform/release-seal.ts";
import { vaultOf } from "../shared/platform/vault-fixture.ts";
import type { Statement } from "../shared/statement/types.ts";
import { type Harness, startHarness } from "./harness.ts";
import { eventually } from "./ledger.ts";

/** The road from the office to the keys of a release, with every service of the vault a process of its own. */

const CLOSES_IN_MS = 4_000;

describe("both counts, as processes", () => {
  let harness: Harness;
  let ingest: string;
  let tabulate: Child;
  let recount: Child;

  beforeAll(async () => {
    const closesAt = Math.ceil((systemClock() + CLOSES_IN_MS) / 1000) * 1000;
    harness = await startHarness({ sample: sampleDefinition({ closesAt }) });
    const [, door] = await Promise.all([harness.start("ledger"), harness.start("ingest")]);
    ingest = door.url;
    [tabulate, recount] = await Promise.all([
      harness.start("tabulate", { SCRUTIN_INGEST_URL: ingest }),
      harness.start("recount"),
    ]);
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
    expect(await response.json()).toMatchObject({ verdict: "accepted" });
  };
  const austria = (sequence: number) => sampleCommon(harness.sample, "AT", sequence);
  const tally = (sequence: number, unit: string) =>
    send({ type: "tally", ...austria(sequence), tallies: [sampleTally(unit)] }, "AT-1");
  const ready = async (url: string) => {
    const response = await fetch(`${url}/readyz`).catch(() => undefined);
    return response?.status === 200;
  };

  /** The releases whose both shares were given, opened with the vault's key; each twice signed. */
  const released = async (): Promise<{ text: string; release: Release }[]> => {
    const rows = await harness.query<{ number: string; size: string; sealed: Buffer; answer: Buffer }>(
      `select number, size, c.sealed, a.sealed as answer
         from tabulate.candidate c join recount.answer a using (number, size)
        where 2 = (select count(*) from release.key_share s where s.number = c.number and s.size = c.size)
        order by number::int`,
    );
    const vault = vaultOf(harness.sample);
    return rows.map((row) => {
      const id = { number: Number(row.number), size: Number(row.size) };
      expect(openAnswer(vault, id, row.answer).agrees).toBe(true);
      const { release } = openCandidate(vault, id, row.sealed);
      return { text: release, release: JSON.parse(release) as Release };
    });
  };
  const counted = async () => (await released()).at(-1)?.release.union.units.counted;

  it("give no key before the last closure, and both at once after it", async () => {
    await tally(1, "AT-1");
    await send({ type: "polls", ...austria(2), polls: "closed" }, "AT-1");
    await eventually(async () => (await harness.query("select from recount.answer")).length > 0);
    expect(await harness.query("select from release.key_share")).toEqual([]);
    expect(await harness.query("select from tabulate.proposal")).toEqual([]);
    const luxembourg = { ...sampleCommon(harness.sample, "LU", 1), polls: "closed" };
    await send({ type: "polls", ...luxembourg }, "LU-1", "LU-2");
    await eventually(async () => (await released()).length === 1, 5_000);
  });

  it("follow with the next release, chained", async () => {
    await tally(3, "AT-2");
    await eventually(async () => (await counted()) === 2);
    const [first, second] = await released();
    expect(second?.release.previous).toBe(createHash("sha256").update(first!.text).digest("hex"));
  });

  it.each(["tabulate", "recount"] as const)("go on after %s was killed", async (name) => {
    const child = name === "tabulate" ? tabulate : recount;
    const [pid, restarts] = [child.pid(), child.restarts()];
    process.kill(pid, "SIGKILL");
    await tally(name === "tabulate" ? 4 : 5, name === "tabulate" ? "AT-3" : "AT-4");
    await eventually(async () => (await counted()) === (name === "tabulate" ? 3 : 4));
    expect(child.restarts()).toBe(restarts + 1);
    const numbers = (await released()).map(({ release }) => release.number);
    expect(numbers).toEqual(numbers.map((_, n) => n + 1));
    const own = await harness.query<{ sequence: string }>(
      "select sequence from ledger.entry where key = 'tabulate-1' order by index",
    );
    expect(own.map(({ sequence }) => Number(sequence))).toEqual(own.map((_, n) => n + 1));
  });

  it("say that they are ready, and nothing of figures or verdicts", async () => {
    for (const { url } of [tabulate, recount]) {
      await eventually(() => ready(url));
      const state = (await (await fetch(`${url}/readyz`)).json()) as object;
      expect(Object.keys(state).sort()).toEqual(["active", "checks", "head", "position", "status"]);
      const metrics = await (await fetch(`${url}/metrics`)).text();
      expect(metrics).not.toMatch(/accepted|quarantined|votes|seats|ballots/);
    }
  });

  it("stand by while another one is active, and take over when it ends", async () => {
    const second = await harness.start("tabulate", { SCRUTIN_INGEST_URL: ingest }, "tabulate-standby");
    const active = async (url: string) => ((await (await fetch(`${url}/readyz`)).json()) as { active: boolean }).active;
    expect(await active(second.url)).toBe(false);
    await tabulate.stop();
    await eventually(() => active(second.url));
    await tally(6, "AT-P");
    await eventually(async () => (await counted()) === 5);
  });
});
