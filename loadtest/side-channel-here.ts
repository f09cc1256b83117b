import { Agent, request } from "node:http";
import type { NatsConnection } from "nats";
import { pino } from "pino";
import { createAlarms } from "../services/ingest/alarms.ts";
import { buildApp as buildIngest } from "../services/ingest/app.ts";
import { createBus } from "../services/ingest/bus.ts";
import { createRecent } from "../services/ingest/limits.ts";
import { buildApp as buildRelease } from "../services/release/app.ts";
import { createPublicLog, storedLogIn } from "../services/release/log.ts";
import { trustOf } from "../services/release/opened.ts";
import { createOpening, storedIn } from "../services/release/opening.ts";
import { createShelf } from "../services/release/shelf.ts";
import { selectAfter, selectOne } from "../services/release/store.ts";
import { createStream } from "../services/release/stream.ts";
import { createSessions } from "../services/watch/access/sessions.ts";
import { buildApp as buildWatch } from "../services/watch/app.ts";
import { createBusWatch } from "../services/watch/bus.ts";
import { createDeliveryWatch } from "../services/watch/delivery.ts";
import { createIncidentBook } from "../services/watch/incidents/book.ts";
import { createRecordWatch } from "../services/watch/record.ts";
import { statusOf } from "../services/watch/status.ts";
import { createKeyBook } from "../shared/ledger/keys.ts";
import { createBell } from "../shared/platform/bell.ts";
import { createBuckets, createRoom } from "../shared/platform/bounds.ts";
import { type App, serve } from "../shared/platform/http.ts";
import { readAuthorities } from "../shared/platform/log-authorities.ts";
import { createMetrics } from "../shared/platform/metrics.ts";
import { openPool } from "../shared/platform/postgres.ts";
import { createSealer } from "../shared/platform/seal.ts";
import type { Harness } from "../test/harness.ts";

/**
 * What answers an outsider or an operator, for both nights within one process: two processes differ in how they were compiled, placed
 * and collected, and that is no difference of the nights. Everything else is as services/…/main.ts wires it.
 */
export interface Here {
  /** Address of release, watch and ingest. */
  urls: Record<"release" | "watch" | "ingest" | "delayed", string>;
  close(): Promise<void>;
}

/** Lines are written, as a service writes them, and go nowhere. */
const log = pino({ level: "info" }, { write: () => undefined });
const now = Date.now;
const PLENTY = { perSecond: 1_000_000, burst: 1_000_000 };

/** `delayMs`: at `delayed` the same release answers, so much later. */
export async function answerHere(harness: Harness, delayMs: number): Promise<Here> {
  const pools = (["release", "watch"] as const).map((service) =>
    openPool({ url: harness.databaseUrl(service), service, max: 1, log }),
  );
  const [ofRelease, ofWatch] = pools as [(typeof pools)[0], (typeof pools)[0]];
  const release = await releaseApp(harness, ofRelease);
  const later: App["fetch"] = (...args) => {
    spin(delayMs);
    return release.fetch(...args);
  };
  const buses = [await harness.nats("watch"), await harness.nats("ingest")] as const;
  const apps = {
    release,
    watch: await watchApp(harness, ofWatch, buses[0]),
    ingest: await ingestApp(harness, buses[1]),
    delayed: { fetch: later } as App,
  };
  const served = await Promise.all(Object.values(apps).map((app) => serve(app, { host: "127.0.0.1", port: 0, log })));
  const urls = Object.fromEntries(Object.keys(apps).map((name, n) => [name, served[n]?.url])) as Here["urls"];
  return {
    urls,
    async close() {
      for (const server of served) await server.close();
      for (const nc of buses) await nc.close();
      for (const pool of pools) await pool.end();
    },
  };
}

function spin(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

async function releaseApp({ sample }: Harness, pool: ReturnType<typeof openPool>): Promise<App> {
  const { definition, hash, register, bytes, signatures } = sample;
  const authorities = () => readAuthorities(pool, sample, undefined);
  const shelf = createShelf({
    trust: trustOf(definition, hash, authorities),
    selectAfter: (number, limit) => selectAfter(pool, number, limit),
    selectOne: (number) => selectOne(pool, number),
  });
  const raise = async () => undefined;
  const publicLog = createPublicLog({
    ...storedLogIn(pool),
    authorities,
    witnesses: { quorum: 0, keys: [] },
    raise,
    log,
  });
  await publicLog.round();
  const retrySeconds = () => 3;
  const opening = createOpening({
    stored: storedIn(pool),
    register,
    publicLog,
    shelf,
    authorities,
    quorum: 0,
    retrySeconds,
    now,
    log,
  });
  opening.bounds.addresses = createBuckets(PLENTY);
  await opening.facts.round();
  const metrics = createMetrics("release");
  return buildRelease({
    log,
    metrics,
    stream: createStream(shelf.list, metrics),
    register,
    bytes,
    signatures,
    shelf: { ...shelf, find: async () => undefined },
    publicLog,
    findStatement: opening.findStatement,
    now: () => performance.now(),
    opening,
    retrySeconds,
    status: () => ({ looked: true, broken: false }),
    pingNats: async () => undefined,
  });
}

async function watchApp(harness: Harness, pool: ReturnType<typeof openPool>, nc: NatsConnection): Promise<App> {
  const { definition, hash } = harness.sample;
  const book = createIncidentBook({ pool, log, now });
  const record = createRecordWatch({ pool, definition, hash, curves: new Map(), log, now });
  await book.look();
  const bus = createBusWatch({ connection: () => nc, book, log, now });
  const delivery = createDeliveryWatch({ pool, url: undefined, log, now });
  await Promise.all([record.look(), bus.look(), delivery.look()]);
  await book.look();
  const views = () => ({
    services: [],
    record: record.view(),
    bus: bus.view(),
    delivery: delivery.view(),
    disks: [],
    canary: { state: "off" as const, release: null, at: null, tookMs: null, says: null },
    incidents: book.list(),
  });
  const status = () => statusOf({ definition, hash }, views(), now());
  return buildWatch({
    log,
    metrics: createMetrics("watch"),
    definition,
    status,
    bell: createBell(),
    history: (state) => record.history(state),
    book,
    runbook: async () => undefined,
    shell: undefined,
    decisions: { ingest: undefined, fetch, nextSequence: async () => 1 },
    access: {
      sessions: createSessions(now),
      provider: undefined,
      linkFile: undefined,
      token: TOKEN,
      secure: false,
      now,
    },
  });
}

async function ingestApp(harness: Harness, nc: NatsConnection): Promise<App> {
  const { definition, hash, register } = harness.sample;
  const { publicKey: vaultPublicKey, recoveryKey: recoveryPublicKey } = definition.vault;
  const sealer = createSealer({ definition: hash, vaultPublicKey, recoveryPublicKey });
  const room = () => createRoom(1_000_000_000, 1_000_000_000);
  return buildIngest({
    log,
    metrics: createMetrics("ingest"),
    definition,
    door: {
      signers: createKeyBook(definition),
      signaturesRequired: (state) => register.state(state)?.signaturesRequired ?? 1,
      claims: createBuckets(PLENTY),
      keys: createBuckets(PLENTY),
      charged: createRecent(),
      verifying: room(),
      now,
      alarms: createAlarms(() => undefined, now),
    },
    addresses: createBuckets(PLENTY),
    room: room(),
    bus: createBus({ nc, definition, sealer, now, log }),
  });
}

/** With which a script reads watch; nobody else looks at it. */
const TOKEN = "the-token-of-the-measurement";

export interface Asked {
  url: string;
  method: "GET" | "POST";
  path: string;
  body?: string | undefined;
}

const agent = new Agent({ keepAlive: true });

/** Milliseconds from sending a request, on a connection that stands, to the end of its answer. */
export function timeOf({ url, method, path, body }: Asked): Promise<number> {
  const headers = body === undefined ? { authorization: `Bearer ${TOKEN}` } : { "content-type": "application/jose" };
  return new Promise((resolve, reject) => {
    const started = performance.now();
    const sent = request(new URL(path, url), { method, headers, agent }, (answer) => {
      answer.on("data", () => undefined);
      answer.on("end", () => resolve(performance.now() - started));
      answer.on("error", reject);
    });
    sent.on("error", reject);
    sent.end(body);
  });
}
