import { describe, expect, it } from "vitest";
import { SAMPLE_CLOSE, sampleDefinition } from "../../shared/definition/sample.ts";
import { NO_FLOOR } from "../../shared/embargo/gate.ts";
import { createHeardLog } from "../../shared/platform/log-fixture.ts";
import { createMetrics } from "../../shared/platform/metrics.ts";
import { buildApp } from "./app.ts";
import type { BusView } from "./bus.ts";
import type { DeliveryView } from "./delivery.ts";
import { createFeeds, feedViews } from "./feeds.ts";
import { factsOf, gateView } from "./gate.ts";
import type { ServiceView } from "./probes.ts";
import type { RecordView } from "./record.ts";
import { statusOf } from "./status.ts";

const NOW = SAMPLE_CLOSE - 1_000;
const ISO = new Date(NOW).toISOString();
const sample = sampleDefinition();

interface Views {
  services?: ServiceView[];
  record?: Partial<RecordView>;
  bus?: Partial<BusView>;
  delivered?: Partial<DeliveryView>;
  mode?: "live" | "exercise";
  now?: number;
}

function appOf({ services = [], record = {}, bus = {}, delivered = {}, mode = "exercise", now = NOW }: Views) {
  const { definition, hash } = sampleDefinition({ edit: (changed) => Object.assign(changed, { mode }) });
  const facts = factsOf(definition, []);
  const recorded: RecordView = {
    postgres: { well: true, since: ISO },
    ownLog: true,
    log: { size: 7, signedAt: ISO, ageMs: 120 },
    gate: gateView(facts, { process: now, postgres: now }, NO_FLOOR, undefined),
    feeds: feedViews(definition, createFeeds(), facts, now),
    given: null,
    ...record,
  };
  const heard: BusView = { nats: { well: true, since: ISO, streams: [] }, published: null, incidents: [], ...bus };
  const delivery: DeliveryView = {
    url: null,
    state: "nothing-yet",
    since: ISO,
    announced: null,
    shown: null,
    fetched: [],
    ...delivered,
  };
  return buildApp({
    log: createHeardLog().log,
    metrics: createMetrics("watch"),
    definition,
    status: () => statusOf({ definition, hash }, { services, record: recorded, bus: heard, delivery }, now),
  });
}

const service = (name: string, more: Partial<ServiceView> = {}): ServiceView => ({
  name,
  up: true,
  ready: true,
  since: ISO,
  checks: { database: true },
  ...more,
});
const read = async (views: Views) => {
  const app = appOf(views);
  const document = await (await app.request("/v1/status")).json();
  return { document: document as Record<string, unknown>, page: await (await app.request("/")).text() };
};

describe("watch", () => {
  it("says in one document and on one page that all is well", async () => {
    const { document, page } = await read({ services: [service("ledger")] });
    expect(document).toMatchObject({ well: true, ill: [], mode: "exercise", definition: sample.hash, at: ISO });
    expect(page).toContain("All is well.");
    expect(page).toContain("closure.missing");
  });

  it.each<[string, Views, string]>([
    ["a service is down", { services: [service("ledger", { up: false, ready: false })] }, "service ledger: down"],
    ["a service is not ready", { services: [service("ledger", { ready: false })] }, "service ledger: not ready"],
    ["Postgres is away", { record: { postgres: { well: false, since: ISO } } }, "Postgres does not answer"],
    ["the log is not ours", { record: { ownLog: false } }, "the log in Postgres is about another definition"],
    ["NATS is away", { bus: { nats: { well: false, since: null, streams: [] } } }, "NATS does not answer"],
    ["a feed is overdue", { now: SAMPLE_CLOSE + 120_000 }, "overdue: no word that the polls are closed from AT, LU"],
  ])("says so in words when %s", async (_, views, says) => {
    const { document, page } = await read(views);
    expect(document.well).toBe(false);
    expect(document.ill).toContain(says);
    expect(page).toContain("Not well:");
    expect(page).toContain(says);
  });

  it("is ready when Postgres and NATS answer, and shows its page when they do not", async () => {
    expect((await appOf({}).request("/readyz")).status).toBe(200);
    const app = appOf({ record: { postgres: { well: false, since: null } } });
    expect((await app.request("/readyz")).status).toBe(503);
    expect((await app.request("/")).status).toBe(200);
  });

  it("writes what others say as text, never as markup", async () => {
    const about = '<script>alert("x")</script>';
    const { page } = await read({
      bus: { incidents: [{ code: "key.equivocation", service: "ledger", about, at: ISO }] },
    });
    expect(page).not.toContain("<script");
    expect(page).toContain("&lt;script&gt;");
  });

  it.each(["exercise", "live"] as const)("carries the mode %s in every answer", async (mode) => {
    const app = appOf({ mode });
    for (const path of ["/", "/v1/status", "/healthz", "/readyz", "/metrics", "/v1/codes", "/nothing"])
      expect([path, (await app.request(path)).headers.get("scrutin-mode")]).toEqual([path, mode]);
    expect((await (await app.request("/")).text()).includes("EXERCISE")).toBe(mode === "exercise");
    expect(await (await app.request("/v1/status")).json()).toMatchObject({ mode });
  });

  it("lets no page load anything but its own style", async () => {
    const policy = (await appOf({}).request("/")).headers.get("content-security-policy");
    expect(policy).toMatch(/^default-src 'none'; style-src 'sha256-[A-Za-z0-9+/=]{44}'; base-uri 'none'/);
  });
});
