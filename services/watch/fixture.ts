import { SAMPLE_CLOSE, sampleDefinition } from "../../shared/definition/sample.ts";
import { NO_FLOOR } from "../../shared/embargo/gate.ts";
import { createBell } from "../../shared/platform/bell.ts";
import { createHeardLog } from "../../shared/platform/log-fixture.ts";
import { createMetrics } from "../../shared/platform/metrics.ts";
import { createSessions, type Role } from "./access/sessions.ts";
import { buildApp, type WatchDeps } from "./app.ts";
import type { BusView } from "./bus.ts";
import type { CanaryView } from "./canary.ts";
import type { DeliveryView } from "./delivery.ts";
import type { Observation } from "./detectors/detect.ts";
import { createFeeds, feedViews } from "./feeds.ts";
import { factsOf, gateView } from "./gate.ts";
import type { IncidentBook } from "./incidents/book.ts";
import type { Incident } from "./incidents/life.ts";
import type { ServiceView } from "./probes.ts";
import type { RecordView } from "./record.ts";
import { statusOf } from "./status.ts";

/** For tests: what watch would see on a quiet evening, and its app on top of it, without servers. */

export const NOW = SAMPLE_CLOSE - 1_000;
const ISO = new Date(NOW).toISOString();

export interface Scene {
  services?: readonly ServiceView[];
  record?: Partial<RecordView>;
  bus?: Partial<BusView>;
  delivery?: Partial<DeliveryView>;
  canary?: Partial<CanaryView>;
  disks?: Observation["disks"];
  mode?: "live" | "exercise";
  now?: number;
}

export const serviceView = (name: string, more: Partial<ServiceView> = {}): ServiceView => ({
  name,
  up: true,
  ready: true,
  since: ISO,
  checks: { database: true },
  answersAs: name,
  position: null,
  head: null,
  behindSince: null,
  ...more,
});

/** One look at it. */
export function observationOf({
  services = [],
  record,
  bus,
  delivery,
  canary,
  disks = [],
  now = NOW,
}: Scene): Observation {
  const { definition } = sampleDefinition();
  const facts = factsOf(definition, []);
  return {
    now,
    services,
    record: {
      postgres: { well: true, since: ISO },
      ownLog: true,
      log: { size: 7, signedAt: ISO, ageMs: 120 },
      gate: gateView(facts, { process: now, postgres: now }, NO_FLOOR, undefined),
      feeds: feedViews(definition, createFeeds(), facts, new Map(), now),
      witnesses: { quorum: 0, size: 0, shortSince: null, each: [] },
      given: null,
      ...record,
    },
    bus: {
      nats: { well: true, since: ISO, streams: [] },
      inbox: { messages: 0, oldest: null },
      published: null,
      ...bus,
    },
    delivery: { url: null, state: "nothing-yet", since: ISO, announced: null, shown: null, fetched: [], ...delivery },
    disks,
    canary: { state: "nothing-yet", release: null, at: null, tookMs: null, says: null, ...canary },
  };
}

/** No incident, and none that could be. */
export const NO_INCIDENTS: IncidentBook = {
  look: async () => undefined,
  see: () => undefined,
  take: () => undefined,
  takenOf: () => undefined,
  act: async () => "incident.unknown",
  list: () => [],
  find: () => undefined,
};

/** The app as main.ts builds it. `signIn` answers the headers of somebody who is signed in, with the token against foreign pages. */
export function watchOf(
  scene: Scene,
  more: Partial<Omit<WatchDeps, "access">> & {
    access?: Partial<WatchDeps["access"]>;
    incidents?: Incident[];
    /** Looks anew at the scene whenever it is asked. */
    live?: boolean;
  } = {},
) {
  const { definition, hash } = sampleDefinition({
    edit: (changed) => Object.assign(changed, { mode: scene.mode ?? "exercise" }),
  });
  const { incidents = [], access = {}, live = false, ...deps } = more;
  const seen = observationOf(scene);
  let now = seen.now;
  const sessions = createSessions(() => now);
  const bell = createBell();
  const token = "the-token-of-the-fixture";
  const app = buildApp({
    log: createHeardLog().log,
    metrics: createMetrics("watch"),
    definition,
    status: () => {
      const { services, disks, ...looked } = live ? observationOf(scene) : seen;
      const views = { ...looked, services: [...services], disks: [...disks], incidents };
      return statusOf({ definition, hash }, views, looked.now);
    },
    bell,
    history: (state) => (state === "AT" ? { slice: 5, points: [], expected: [] } : undefined),
    book: { ...NO_INCIDENTS, list: () => incidents },
    runbook: async () => undefined,
    shell: { document: "<!doctype html><title>Watch</title>", files: new Map() },
    decisions: { ingest: undefined, fetch, nextSequence: async () => 1 },
    ...deps,
    access: { sessions, provider: undefined, linkFile: undefined, token, secure: false, now: () => now, ...access },
  });
  const signIn = (...roles: Role[]): Record<string, string> => {
    const secret = sessions.begin("Ada", roles);
    const found = sessions.find(secret);
    return { cookie: `scrutin-watch=${secret}`, "scrutin-csrf": typeof found === "object" ? found.csrf : "" };
  };
  return {
    app,
    signIn,
    ring: () => bell.ring(),
    script: { authorization: `Bearer ${token}` },
    pass: (ms: number) => {
      now += ms;
    },
  };
}
