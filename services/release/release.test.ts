import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Child } from "../../infra/stack/processes.ts";
import { SUBJECTS } from "../../shared/platform/nats.ts";
import { type Harness, startHarness } from "../../test/harness.ts";
import { eventually } from "../../test/ledger.ts";
import { openWrittenLog, speakers, type WrittenLog } from "../../test/written-log.ts";
import { type MadeRelease, makeRelease, type Twist } from "./fixture.ts";

/** The service as it runs, on real servers: what it finds in the database is all that it knows. */

let harness: Harness;
let log: WrittenLog;
let say: ReturnType<typeof speakers>;
let service: Child;

const ask = (path: string, init?: RequestInit) => fetch(`${service.url}${path}`, init);
const statusOf = async (path: string) => {
  const response = await ask(path);
  await response.arrayBuffer();
  return response.status;
};

/** Stores what both counts would have stored; with `shares`, gives the key as well. */
async function store(made: MadeRelease, shares: boolean): Promise<void> {
  const { number, size, candidate, answer, tabulateShare, recountShare } = made;
  await harness.query("insert into tabulate.candidate (number, size, sealed) values ($1, $2, $3)", [
    number,
    size,
    candidate,
  ]);
  await harness.query("insert into recount.answer (number, size, sealed) values ($1, $2, $3)", [number, size, answer]);
  if (!shares) return;
  await give(made, "tabulate", tabulateShare);
  await give(made, "recount", recountShare);
}

async function give({ number, size }: MadeRelease, by: "tabulate" | "recount", share: Uint8Array): Promise<void> {
  const sql = "insert into release.key_share (number, size, given_by, share) values ($1, $2, $3, $4)";
  await harness.query(sql, [number, size, by, share]);
}

/** A release of the log as it stands. */
async function nextRelease(number: number, previous: string | null, twist: Twist = {}): Promise<MadeRelease> {
  const size = log.size();
  const [checkpoint] = await harness.query<{ root: Buffer }>("select root from ledger.checkpoint where size = $1", [
    size,
  ]);
  const root = checkpoint?.root.toString("base64") ?? "";
  return makeRelease(harness.sample, { number, size }, previous, { checkpoint: { root }, ...twist });
}

function lift() {
  const { sample } = harness;
  const at = "2024-06-09T21:31:00.000Z";
  const clocks = { process: at, postgres: at, nats: at };
  return say.signed(
    { type: "lift", ...say.common("EU", "tabulate-1"), clocks, definition: sample.hash },
    "tabulate-1",
    "recount-1",
  );
}

beforeAll(async () => {
  harness = await startHarness();
  log = await openWrittenLog(harness.databaseUrl("ledger"), harness.sample);
  say = speakers(harness.sample);
  service = await harness.start("release");
});

afterAll(async () => {
  await log.close();
  await harness.close();
});

describe("the release service", () => {
  let first: MadeRelease;
  let second: MadeRelease;

  it("refuses every result while there is no key, whatever lies in the database", async () => {
    await log.append(say.tally());
    first = await nextRelease(1, null);
    await store(first, false);
    expect(await statusOf("/v1/releases/latest")).toBe(403);
    expect(await statusOf("/v1/releases/1.csv")).toBe(403);
    expect(await statusOf("/v1/definition")).toBe(200);
    expect(await statusOf("/readyz")).toBe(200);
  });

  it("cannot be given a key before the lift: Postgres refuses", async () => {
    await expect(give(first, "tabulate", first.tabulateShare)).rejects.toMatchObject({ code: "SC002" });
  });

  it("refuses while it has one share of two", async () => {
    await log.append(say.closed("AT"), say.closed("LU"));
    await log.append(lift());
    await give(first, "tabulate", first.tabulateShare);
    const asked = await Promise.all(Array.from({ length: 20 }, () => statusOf("/v1/releases/latest")));
    expect(new Set(asked)).toEqual(new Set([403]));
  });

  it("draws Retry-After anew, from 1 to 5 seconds", async () => {
    const seen = new Set<string | null>();
    for (let i = 0; i < 60; i++) seen.add((await ask("/v1/releases", { method: "HEAD" })).headers.get("retry-after"));
    expect([...seen].sort()).toEqual(["1", "2", "3", "4", "5"]);
  });

  it("serves the release when it has both, and then tells", async () => {
    const nc = await harness.nats("services");
    const published: unknown[] = [];
    nc.subscribe(SUBJECTS.published, { callback: (_, msg) => published.push(msg.json()) });
    await nc.flush();
    await give(first, "recount", first.recountShare);
    await eventually(async () => (await statusOf("/v1/releases/latest")) === 200);
    const answer = await ask("/v1/releases/1", { headers: { "accept-encoding": "identity" } });
    expect(Buffer.from(await answer.arrayBuffer())).toEqual(Buffer.from(first.bytes));
    await eventually(() => published.length > 0);
    expect(published).toEqual([{ number: 1, size: first.size, sha256: first.sha256 }]);
    expect(await statusOf("/v1/releases/2")).toBe(404);
  });

  it("serves the same after kill -9, from its first answer on", async () => {
    await log.append(say.tally("AT-2"));
    second = await nextRelease(2, first.sha256);
    await store(second, true);
    await eventually(async () => (await statusOf("/v1/releases/2")) === 200);
    service.kill("SIGKILL");
    const answers: number[] = [];
    await eventually(async () => {
      const status = await statusOf("/v1/releases/2").catch(() => undefined);
      if (status !== undefined) answers.push(status);
      return status !== undefined && service.restarts() === 1;
    });
    expect(new Set(answers)).toEqual(new Set([200]));
    const answer = await ask("/v1/releases/latest");
    expect(answer.headers.get("content-location")).toBe("/v1/releases/2");
    expect(Buffer.from(await answer.arrayBuffer())).toEqual(Buffer.from(second.bytes));
  });

  it("does not serve a release that breaks the chain; it says so, and keeps serving the others", async () => {
    const nc = await harness.nats("services");
    const incidents: unknown[] = [];
    nc.subscribe(SUBJECTS.incident("release"), { callback: (_, msg) => incidents.push(msg.json()) });
    await nc.flush();
    await log.append(say.tally("AT-3"));
    const third = await nextRelease(3, first.sha256);
    await store(third, true);
    await eventually(() => incidents.length > 0);
    expect(incidents).toMatchObject([{ code: "release.broken", about: "3: its previous is not the expected one" }]);
    expect(await statusOf("/v1/releases/3")).toBe(404);
    expect(await (await ask("/readyz")).json()).toMatchObject({
      status: "unready",
      checks: { chain: false },
      latest: 2,
    });
    expect(await statusOf("/v1/releases/2")).toBe(200);
  });

  it("stops cleanly", async () => {
    await service.stop();
    const lines = (await readFile(join(harness.folder, "logs", "release.log"), "utf8")).trim().split("\n");
    expect(JSON.parse(lines.at(-1) ?? "")).toMatchObject({ service: "release", msg: "stopped" });
  });
});

describe("a log of another definition", () => {
  it("is refused at the start", async () => {
    const other = await startHarness();
    await (await openWrittenLog(other.databaseUrl("ledger"), other.sample)).close();
    await other.query("alter table ledger.definition disable trigger only_grows");
    await other.query("update ledger.definition set sha256 = sha256(sha256)");
    await expect(other.start("release")).rejects.toThrow("DATABASE_URL holds the log of definition");
    await other.close();
  });
});
