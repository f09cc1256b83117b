import type { NatsConnection } from "nats";
import { systemClock } from "../../shared/platform/clock.ts";
import {
  DATABASE_URL,
  HOST,
  loadDefinition,
  NATS_NKEY_FILE,
  NATS_URL,
  PORT,
  readConfig,
  SCRUTIN_AUTHORITY,
  SCRUTIN_DEFINITION,
  SCRUTIN_DEFINITION_SIGNATURES,
} from "../../shared/platform/config.ts";
import { serve } from "../../shared/platform/http.ts";
import { announce, runService } from "../../shared/platform/lifecycle.ts";
import { openNats } from "../../shared/platform/nats.ts";
import { openPool } from "../../shared/platform/postgres.ts";
import { buildApp } from "./app.ts";
import { createBusWatch } from "./bus.ts";
import { lookAgain } from "./look.ts";
import { createServiceProbes, ServiceAddresses } from "./probes.ts";
import { createRecordWatch } from "./record.ts";
import { statusOf } from "./status.ts";

const SCRUTIN_SERVICES = ServiceAddresses.describe(
  'Give the addresses of the services: {"ingest": "http://127.0.0.1:8080", …}.',
);

runService("watch", async ({ log, metrics, onStop, fail }) => {
  const config = readConfig("watch", {
    HOST,
    PORT,
    DATABASE_URL,
    NATS_URL,
    NATS_NKEY_FILE,
    SCRUTIN_DEFINITION,
    SCRUTIN_DEFINITION_SIGNATURES,
    SCRUTIN_AUTHORITY,
    SCRUTIN_SERVICES,
  });
  const { definition, hash } = await loadDefinition(config);
  const pool = openPool({ url: config.DATABASE_URL, service: "watch", max: 2, log });
  onStop(() => pool.end());
  let nc: NatsConnection | undefined;
  onStop(() => nc?.drain());

  const now = systemClock;
  const probes = createServiceProbes({ services: config.SCRUTIN_SERVICES, fetch, now });
  const record = createRecordWatch({ pool, definition, hash, log, now });
  const bus = createBusWatch({ connection: () => nc, log, now });
  for (const { look } of [probes, record, bus]) onStop(lookAgain(look, fail));
  const status = () => statusOf({ definition, hash }, probes.views(), record.view(), bus.view(), now());
  const server = await serve(buildApp({ log, metrics, definition, status }), {
    host: config.HOST,
    port: config.PORT,
    log,
  });
  onStop(() => server.close());
  announce(log, server.url);
  // Last: whoever watches is there to say that Postgres or NATS is away, and must not wait for them.
  nc = await openNats({ url: config.NATS_URL, nkeyFile: config.NATS_NKEY_FILE, service: "watch", log });
  void nc.closed().then((error) => error && fail(error));
});
