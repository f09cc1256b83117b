import { fileURLToPath } from "node:url";
import type { NatsConnection } from "nats";
import { z } from "zod";
import { createBell } from "../../shared/platform/bell.ts";
import { systemClock } from "../../shared/platform/clock.ts";
import {
  file,
  loadDefinition,
  readConfig,
  readSecretFile,
  refuseConfig,
  SCRUTIN_AUTHORITY,
  SCRUTIN_DEFINITION,
  SCRUTIN_DEFINITION_SIGNATURES,
} from "../../shared/platform/config.ts";
import { DATABASE, LISTEN, NATS, readDatabase, readListen, readNats } from "../../shared/platform/credentials.ts";
import { doorFetch, doorProblem } from "../../shared/platform/door.ts";
import { serve } from "../../shared/platform/http.ts";
import { announce, runService } from "../../shared/platform/lifecycle.ts";
import { lookAgain } from "../../shared/platform/look.ts";
import { openNats } from "../../shared/platform/nats.ts";
import { openPool } from "../../shared/platform/postgres.ts";
import { createProvider, readProvider, SCRUTIN_OIDC_FILE } from "./access/provider.ts";
import { createSessions } from "./access/sessions.ts";
import { buildApp } from "./app.ts";
import { createBusWatch } from "./bus.ts";
import { createCanary } from "./canary.ts";
import { readCurves, SCRUTIN_CURVES } from "./curves.ts";
import { createDeliveryWatch } from "./delivery.ts";
import { detect } from "./detectors/detect.ts";
import { createDiskWatch } from "./disks.ts";
import { createIncidentBook } from "./incidents/book.ts";
import { deliver, readReceivers, SCRUTIN_WEBHOOKS_FILE } from "./incidents/webhooks.ts";
import { createServiceProbes, ServiceAddresses } from "./probes.ts";
import { createRecordWatch } from "./record.ts";
import { readRunbook } from "./runbooks.ts";
import { readShell } from "./shell.ts";
import { statusOf } from "./status.ts";
import { selectNextSequence } from "./store.ts";

const SCRUTIN_SERVICES = ServiceAddresses.describe(
  'Give the addresses of the services: {"ingest": "http://127.0.0.1:8080", …}.',
);

const SCRUTIN_PUBLICATION_URL = z
  .url("holds what is no URL")
  .describe("Give the address at which the public reaches the releases, or leave it out: that of release is taken.")
  .optional();

const SCRUTIN_DISKS = z
  .string()
  .transform((text) => text.split(":"))
  .refine((paths) => paths.every((path) => path.startsWith("/")), "holds what is no absolute path")
  .describe("Give folders on the disks to watch, by absolute paths with colons between, or leave it out.")
  .optional();
const SCRUTIN_CANARY_FOLDER = file(
  "Name the folder in which the canary keeps what it fetches, or leave it out.",
).optional();
const SCRUTIN_LINK_FILE = file(
  "Name the file that holds the secret of a link that signs one operator in, once, or leave it out.",
).optional();
const SCRUTIN_WATCH_TOKEN_FILE = file(
  "Name the file that holds the token with which scripts read /v1/status, or leave it out.",
).optional();
const SCRUTIN_PAGE_FOLDER = file("Name the folder that holds the dashboard as it was built, or leave it out.").default(
  fileURLToPath(new URL("./page/dist", import.meta.url)),
);

runService("watch", async ({ log, metrics, onStop, fail }) => {
  const config = readConfig("watch", {
    ...LISTEN,
    ...DATABASE,
    ...NATS,
    SCRUTIN_DEFINITION,
    SCRUTIN_DEFINITION_SIGNATURES,
    SCRUTIN_AUTHORITY,
    SCRUTIN_SERVICES,
    SCRUTIN_PUBLICATION_URL,
    SCRUTIN_CURVES,
    SCRUTIN_DISKS,
    SCRUTIN_CANARY_FOLDER,
    SCRUTIN_WEBHOOKS_FILE,
    SCRUTIN_OIDC_FILE,
    SCRUTIN_LINK_FILE,
    SCRUTIN_WATCH_TOKEN_FILE,
    SCRUTIN_PAGE_FOLDER,
  });
  const listen = await readListen(config);
  const database = await readDatabase(config);
  const road = await readNats(config);
  const { definition, hash } = await loadDefinition(config);
  const curves = await readCurves(config.SCRUTIN_CURVES);
  const receivers = await readReceivers(config.SCRUTIN_WEBHOOKS_FILE);
  const settings = await readProvider(config.SCRUTIN_OIDC_FILE);
  const token = config.SCRUTIN_WATCH_TOKEN_FILE && (await readSecretFile(config.SCRUTIN_WATCH_TOKEN_FILE)).trim();
  const shell = await readShell(config.SCRUTIN_PAGE_FOLDER);
  if (shell === undefined)
    log.warn({ folder: config.SCRUTIN_PAGE_FOLDER }, "the dashboard is not built: npm run build");
  const pool = openPool({ ...database, service: "watch", max: 4, log });
  onStop(() => pool.end());
  let nc: NatsConnection | undefined;
  onStop(() => nc?.drain());

  const now = systemClock;
  const services = config.SCRUTIN_SERVICES;
  const pins = definition.door?.pins;
  const problem = services.ingest && doorProblem(new URL(services.ingest), pins);
  if (problem) refuseConfig([`SCRUTIN_SERVICES: ingest: ${problem}.`]);
  const askIngest = services.ingest === undefined ? fetch : doorFetch(services.ingest, pins);
  const fetchOf = (service: string) => (service === "ingest" ? askIngest : fetch);
  const url = config.SCRUTIN_PUBLICATION_URL ?? services.release;
  const book = createIncidentBook({ pool, log, now });
  const probes = createServiceProbes({ services, fetchOf, now });
  const record = createRecordWatch({ pool, definition, hash, curves, log, now });
  const bus = createBusWatch({ connection: () => nc, book, log, now });
  const delivery = createDeliveryWatch({ pool, url, now, log });
  const disks = createDiskWatch(config.SCRUTIN_DISKS ?? [], log);
  const announced = () => delivery.view().announced?.number ?? 0;
  const canary = createCanary({ url, folder: config.SCRUTIN_CANARY_FOLDER, definition, announced, now, log });
  onStop(() => canary.close());

  const views = () => ({
    services: probes.views(),
    record: record.view(),
    bus: bus.view(),
    delivery: delivery.view(),
    disks: disks.views(),
    canary: canary.view(),
    incidents: book.list(),
  });
  const status = () => statusOf({ definition, hash }, views(), now());
  const bell = createBell();
  for (const { look } of [probes, record, bus, delivery, disks, canary])
    onStop(
      lookAgain(async () => {
        await look();
        bell.ring();
      }, fail),
    );
  const judge = async () => {
    const seen = views();
    // What lasted before a restart has not ended because nobody has looked yet.
    const hasLooked = [seen.record.postgres.since, seen.bus.nats.since, ...seen.services.map(({ since }) => since)];
    if (!hasLooked.includes(null)) book.see(detect({ now: now(), ...seen }));
    await book.look();
    bell.ring();
  };
  onStop(lookAgain(judge, fail));
  const ending = new AbortController();
  const delivering = receivers.map((receiver) => deliver(receiver, { pool, book, log, now, signal: ending.signal }));
  onStop(async () => {
    ending.abort();
    await Promise.all(delivering);
  });

  const app = buildApp({
    log,
    metrics,
    definition,
    status,
    bell,
    history: (state) => record.history(state),
    book,
    runbook: readRunbook,
    shell,
    decisions: { ingest: services.ingest, fetch: askIngest, nextSequence: (kid) => selectNextSequence(pool, kid) },
    access: {
      sessions: createSessions(now),
      provider: settings && createProvider(settings),
      linkFile: config.SCRUTIN_LINK_FILE,
      token,
      secure: listen.tls !== undefined,
      now,
    },
  });
  const server = await serve(app, { ...listen, log });
  onStop(() => server.close());
  announce(log, server.url);
  // Last: whoever watches is there to say that Postgres or NATS is away, and must not wait for them.
  nc = await openNats({ ...road, service: "watch", log });
  void nc.closed().then((error) => error && fail(error));
});
