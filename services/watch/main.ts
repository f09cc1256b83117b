import type { NatsConnection } from "nats";
import { z } from "zod";
import { systemClock } from "../../shared/platform/clock.ts";
import {
  loadDefinition,
  readConfig,
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
import { buildApp } from "./app.ts";
import { createBusWatch } from "./bus.ts";
import { createDeliveryWatch } from "./delivery.ts";
import { createServiceProbes, ServiceAddresses } from "./probes.ts";
import { createRecordWatch } from "./record.ts";
import { statusOf } from "./status.ts";

const SCRUTIN_SERVICES = ServiceAddresses.describe(
  'Give the addresses of the services: {"ingest": "http://127.0.0.1:8080", …}.',
);

const SCRUTIN_PUBLICATION_URL = z
  .url("holds what is no URL")
  .describe("Give the address at which the public reaches the releases, or leave it out: that of release is taken.")
  .optional();

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
  });
  const listen = await readListen(config);
  const database = await readDatabase(config);
  const road = await readNats(config);
  const { definition, hash } = await loadDefinition(config);
  const pool = openPool({ ...database, service: "watch", max: 2, log });
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
  const probes = createServiceProbes({ services, fetchOf, now });
  const record = createRecordWatch({ pool, definition, hash, log, now });
  const bus = createBusWatch({ connection: () => nc, log, now });
  const url = config.SCRUTIN_PUBLICATION_URL ?? services.release;
  const delivery = createDeliveryWatch({ pool, url, now, log });
  for (const { look } of [probes, record, bus, delivery]) onStop(lookAgain(look, fail));
  const status = () =>
    statusOf(
      { definition, hash },
      { services: probes.views(), record: record.view(), bus: bus.view(), delivery: delivery.view() },
      now(),
    );
  const server = await serve(buildApp({ log, metrics, definition, status }), {
    ...listen,
    log,
  });
  onStop(() => server.close());
  announce(log, server.url);
  // Last: whoever watches is there to say that Postgres or NATS is away, and must not wait for them.
  nc = await openNats({ ...road, service: "watch", log });
  void nc.closed().then((error) => error && fail(error));
});
