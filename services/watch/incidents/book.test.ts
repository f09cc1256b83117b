import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Pool } from "pg";
import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createHeardLog } from "../../../shared/platform/log-fixture.ts";
import { openPool } from "../../../shared/platform/postgres.ts";
import { type Harness, startHarness } from "../../../test/harness.ts";
import { eventually } from "../../../test/ledger.ts";
import { createIncidentBook } from "./book.ts";
import { ESCALATE_MS } from "./life.ts";
import { deliver, type Receiver } from "./webhooks.ts";

/** The book of incidents on a real Postgres: what is written, what a restart finds, what happens while it is away, and who is told. */

let harness: Harness;
let pool: Pool;
let now = Date.parse("2024-06-09T21:00:00Z");
const { log } = createHeardLog();
const bookOf = (own = pool) => createIncidentBook({ pool: own, log, now: () => now });
const missing = (about: string) => ({ code: "service.missing" as const, about, evidence: { since: "x" } });

beforeAll(async () => {
  harness = await startHarness();
  pool = openPool({ url: harness.databaseUrl("watch"), service: "watch", max: 4, log });
});
afterAll(async () => {
  await pool.end();
  await harness.close();
});

describe("the book of incidents", () => {
  it("raises what lasts once, ends it, and knows it when it comes back; a restart finds it all", async () => {
    const book = bookOf();
    await book.look();
    book.see([missing("ledger")]);
    book.see([missing("ledger")]);
    await book.look();
    expect(book.list()).toMatchObject([
      { code: "service.missing", about: "ledger", lasting: true, times: 1, state: "raised" },
    ]);
    book.see([]);
    await book.look();
    book.see([missing("ledger")]);
    await book.look();
    const [incident] = book.list();
    expect(incident?.events.map(({ kind }) => kind)).toEqual(["raised", "ended", "repeated"]);
    const again = bookOf();
    await again.look();
    expect(again.list()).toMatchObject([{ id: incident?.id, times: 2, lasting: true }]);
    again.see([missing("ledger")]);
    expect(again.list()).toHaveLength(1);
  });

  it("writes who did what, and refuses what cannot be done", async () => {
    const book = bookOf();
    await book.look();
    const id = book.list()[0]?.id ?? "";
    expect(await book.act(id, "closed", "Ada", null)).toBe("incident.unexplained");
    expect(await book.act(id, "acknowledged", "Ada", null)).toMatchObject({ state: "acknowledged", who: "Ada" });
    expect(await book.act(id, "acknowledged", "Ben", null)).toBe("incident.state");
    expect(await book.act(id, "explained", "Ben", "Its machine was restarted")).toMatchObject({ state: "explained" });
    expect(await book.act(id, "closed", "Ben", null)).toBe("incident.lasts");
    book.see([]);
    expect(await book.act(id, "closed", "Ben", null)).toMatchObject({ state: "closed", who: "Ben" });
    expect(await book.act("00000000-0000-4000-8000-000000000000", "closed", "Ben", null)).toBe("incident.unknown");
    const rows = await harness.query("select kind, who from watch.incident_event where incident = $1 order by id", [
      id,
    ]);
    expect(rows.slice(-4).map(({ kind, who }) => [kind, who])).toEqual([
      ["acknowledged", "Ada"],
      ["explained", "Ben"],
      ["ended", null],
      ["closed", "Ben"],
    ]);
    book.see([missing("ledger")]);
    expect(book.list().filter(({ state }) => state === "raised")).toHaveLength(1);
    book.see([]);
    await book.look();
  });

  it("shows what another watch has written", async () => {
    const [one, other] = [bookOf(), bookOf()];
    await Promise.all([one.look(), other.look()]);
    one.see([missing("release")]);
    await one.look();
    await other.look();
    const id = other.list().find(({ about }) => about === "release")?.id ?? "";
    await other.act(id, "acknowledged", "Ada", null);
    await one.look();
    expect(one.find(id)).toMatchObject({ state: "acknowledged", who: "Ada" });
  });

  it("takes the incidents of a service once, whatever restarts, and counts repeats together", async () => {
    const created = new Date("2024-06-09T20:00:00Z");
    const book = bookOf();
    expect(book.takenOf("ledger")).toBeUndefined();
    await book.look();
    expect(book.takenOf("ledger")).toBe("none");
    const gap = { code: "sequence.gap", about: "AT-1 3" };
    book.take("ledger", [gap, gap, { code: "made.up" }], { service: "ledger", created, seq: 9 });
    await book.look();
    expect(book.list().filter(({ service }) => service === "ledger")).toMatchObject([
      { code: "sequence.gap", times: 2 },
      { code: "made.up", severity: "minor" },
    ]);
    const again = bookOf();
    await again.look();
    expect(again.takenOf("ledger")).toEqual({ service: "ledger", created, seq: 9 });
  });

  it("keeps one incident for all others of a code of which somebody makes many", async () => {
    const book = bookOf();
    await book.look();
    const created = new Date();
    for (let n = 0; n < 100; n++)
      book.take("ingest", [{ code: "key.unknown", about: `address 10.0.0.${n}` }], {
        service: "ingest",
        created,
        seq: n,
      });
    const many = book.list().filter(({ code }) => code === "key.unknown");
    expect(many).toHaveLength(41);
    expect(many.find(({ about }) => about === "and more")?.times).toBe(60);
    await book.look();
  });

  it("escalates what nobody acknowledges", async () => {
    const book = bookOf();
    await book.look();
    book.see([missing("tabulate")]);
    now += ESCALATE_MS.major;
    await book.look();
    await book.look();
    expect(book.list().find(({ about }) => about === "tabulate")).toMatchObject({ escalations: 1 });
  });

  it("keeps in memory what happens while Postgres is away, promises no act, and writes it when it is back", async () => {
    const { log: heard, lines } = createHeardLog();
    const dead = openPool({
      url: "postgres://scrutin_watch:none@127.0.0.1:1/none",
      service: "watch",
      max: 1,
      log: heard,
    });
    const book = createIncidentBook({ pool: dead, log: heard, now: () => now });
    await book.look();
    book.see([{ code: "postgres.away", about: null, evidence: {} }]);
    await book.look();
    expect(book.list()).toMatchObject([{ code: "postgres.away", severity: "critical" }]);
    await expect(book.act(book.list()[0]?.id ?? "", "acknowledged", "Ada", null)).rejects.toThrow();
    expect(JSON.stringify(lines).match(/incidents are not written/g)).toHaveLength(1);
    await dead.end();

    const living = bookOf();
    await living.look();
    const back = await harness.away("Postgres");
    living.see([{ code: "postgres.away", about: null, evidence: {} }]);
    await living.look();
    await back();
    living.see([]);
    await eventually(async () => {
      await living.look();
      const rows = await harness.query("select from watch.incident_event where detail ->> 'code' = 'postgres.away'");
      return rows.length === 1;
    });
  });

  it("nothing of it is changed or taken away, not even by its own role", async () => {
    for (const sql of [
      "update watch.incident_event set who = 'Eva'",
      "delete from watch.incident_event",
      "truncate watch.incident_event",
      "insert into watch.incident_event (incident, kind, at) values (gen_random_uuid(), 'closed', now())",
    ])
      await expect(pool.query(sql), sql).rejects.toThrow(/permission denied/);
    await expect(harness.query("delete from watch.incident_event")).rejects.toThrow();
  });
});

describe("webhooks", () => {
  it("carry every event, in order, signed as the specification has it, though the receiver fails and we restart", async () => {
    const secret = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
    const heard: { id: string; type: string; data: { about: string | null } }[] = [];
    let failures = 2;
    const server = createServer((request, response) => {
      let body = "";
      request.setEncoding("utf8").on("data", (chunk: string) => {
        body += chunk;
      });
      request.on("end", () => {
        if (failures-- > 0) return response.writeHead(503).end();
        const message = new Webhook(secret).verify(body, request.headers as Record<string, string>);
        heard.push({
          id: String(request.headers["webhook-id"]),
          ...(message as { type: string; data: { about: string } }),
        });
        response.end();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
    const receiver: Receiver = { name: "csirt", url, secret, least: "major", escalatedOnly: false };
    const book = bookOf();
    await book.look();
    const [{ last = 0 } = {}] = await harness.query<{ last: number }>(
      "select max(id)::int as last from watch.incident_event",
    );
    const run = async (until: () => boolean) => {
      const ending = new AbortController();
      const done = deliver(receiver, { pool, book, log, now: () => Date.now(), signal: ending.signal });
      await eventually(async () => until());
      ending.abort();
      await done;
    };
    await run(() => heard.some(({ type }) => type === "incident.escalated"));
    const before = heard.length;
    book.see([missing("recount")]);
    await book.look();
    await run(() => heard.some(({ data }) => data.about === "recount"));
    expect(heard.slice(0, before).map(({ type }) => type)).toEqual(
      expect.arrayContaining([
        "incident.raised",
        "incident.acknowledged",
        "incident.explained",
        "incident.ended",
        "incident.closed",
        "incident.escalated",
      ]),
    );
    const ids = heard.map(({ id }) => Number(id.replace("incident-event-", "")));
    // One that was on its way when we were ended comes again, under the same id.
    expect(ids).toEqual([...ids].sort((a, b) => a - b));
    expect(ids.length - new Set(ids).size).toBeLessThanOrEqual(1);
    expect(ids.at(-1)).toBeGreaterThan(last);
    // A minor one is not for this receiver.
    expect(heard.some(({ data }) => data.about === "AT-1 3")).toBe(false);
    await new Promise((resolve) => server.close(resolve));
  });
});
