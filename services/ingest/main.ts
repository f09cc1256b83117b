import { z } from "zod";
import { createBuckets, createRoom, type Rate } from "../../shared/platform/bounds.ts";
import { systemClock } from "../../shared/platform/clock.ts";
import {
  loadDefinition,
  readConfig,
  refuseConfig,
  SCRUTIN_AUTHORITY,
  SCRUTIN_DEFINITION,
  SCRUTIN_DEFINITION_SIGNATURES,
} from "../../shared/platform/config.ts";
import { LISTEN, NATS, readListen, readNats } from "../../shared/platform/credentials.ts";
import { pinProblem } from "../../shared/platform/door.ts";
import { serve } from "../../shared/platform/http.ts";
import { incidentsOf } from "../../shared/platform/incidents.ts";
import { announce, runService } from "../../shared/platform/lifecycle.ts";
import { openNats } from "../../shared/platform/nats.ts";
import { createSealer } from "../../shared/platform/seal.ts";
import { createAlarms } from "./alarms.ts";
import { buildApp } from "./app.ts";
import { createBus } from "./bus.ts";
import { followKeys } from "./keys.ts";
import {
  ADDRESS_RATE,
  CLAIM_RATE,
  createRecent,
  KEY_RATE,
  MAX_BYTES_IN_HAND,
  MAX_BYTES_PER_ADDRESS,
  MAX_VERIFYING,
} from "./limits.ts";

const rate = (fallback: Rate) =>
  z
    .string()
    .regex(/^\d{1,7}\/\d{1,7}$/, "is not a rate")
    .transform((text) => text.split("/").map(Number) as [number, number])
    .refine(([perSecond, burst]) => perSecond > 0 && burst > 0, "is not a rate")
    .transform(([perSecond, burst]): Rate => ({ perSecond, burst }))
    .default(fallback)
    .describe(`Give statements a second and the burst, such as ${fallback.perSecond}/${fallback.burst}.`);

runService("ingest", async ({ log, metrics, onStop, fail }) => {
  const config = readConfig("ingest", {
    ...LISTEN,
    ...NATS,
    SCRUTIN_DEFINITION,
    SCRUTIN_DEFINITION_SIGNATURES,
    SCRUTIN_AUTHORITY,
    INGEST_RATE_ADDRESS: rate(ADDRESS_RATE),
    INGEST_RATE_CLAIM: rate(CLAIM_RATE),
    INGEST_RATE_KEY: rate(KEY_RATE),
  });
  const listen = await readListen(config);
  const bus = await readNats(config);
  const { definition, hash, register } = await loadDefinition(config);
  const problem = listen.tls && pinProblem(listen.tls, definition.door?.pins);
  if (problem !== undefined) refuseConfig([`SCRUTIN_TLS_CERT_FILE: ${problem}`]);
  const nc = await openNats({ ...bus, service: "ingest", log });
  onStop(() => nc.drain());
  void nc.closed().then((error) => error && fail(error));

  const { publicKey: vaultPublicKey, recoveryKey: recoveryPublicKey } = definition.vault;
  const sealer = createSealer({ definition: hash, vaultPublicKey, recoveryPublicKey });
  const keys = await followKeys({ nc, register, log, fail });
  onStop(keys.stop);
  const app = buildApp({
    log,
    metrics,
    definition,
    door: {
      signers: keys.book,
      signaturesRequired: (state) => register.state(state)?.signaturesRequired ?? 1,
      claims: createBuckets(config.INGEST_RATE_CLAIM),
      keys: createBuckets(config.INGEST_RATE_KEY),
      charged: createRecent(),
      verifying: createRoom(MAX_VERIFYING, MAX_VERIFYING),
      now: systemClock,
      alarms: createAlarms(incidentsOf("ingest", nc, log), systemClock),
    },
    addresses: createBuckets(config.INGEST_RATE_ADDRESS),
    room: createRoom(MAX_BYTES_IN_HAND, MAX_BYTES_PER_ADDRESS),
    bus: createBus({ nc, definition, sealer, now: systemClock, log }),
  });
  const server = await serve(app, { ...listen, log });
  onStop(() => server.close());
  announce(log, server.url);
});
