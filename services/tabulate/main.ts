import { randomBytes } from "node:crypto";
import { z } from "zod";
import { systemClock } from "../../shared/platform/clock.ts";
import { readClocks } from "../../shared/platform/clock-readings.ts";
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
  SCRUTIN_KEY_FILE,
  SCRUTIN_VAULT_KEY_FILE,
} from "../../shared/platform/config.ts";
import { follow } from "../../shared/platform/follow.ts";
import { serve } from "../../shared/platform/http.ts";
import { incidentsOf } from "../../shared/platform/incidents.ts";
import { announce, runService } from "../../shared/platform/lifecycle.ts";
import { createLogReader } from "../../shared/platform/log-reader.ts";
import { openNats, SUBJECTS } from "../../shared/platform/nats.ts";
import { becomeActive } from "../../shared/platform/one-active.ts";
import { checkDurability, openPool, waitForPostgres } from "../../shared/platform/postgres.ts";
import type { ReleaseId } from "../../shared/platform/release-seal.ts";
import { vaultSecret } from "../../shared/platform/seal.ts";
import { keysOfRole, readVaultKeys } from "../../shared/platform/vault-keys.ts";
import { buildApp } from "./app.ts";
import { createPoster } from "./post.ts";
import { createRounds } from "./round.ts";

const SCRUTIN_INGEST_URL = z.url("is not a URL").describe("Give the address of ingest, such as http://127.0.0.1:8080.");

runService("tabulate", async ({ log, metrics, onStop, fail }) => {
  const config = readConfig("tabulate", {
    HOST,
    PORT,
    DATABASE_URL,
    NATS_URL,
    NATS_NKEY_FILE,
    SCRUTIN_DEFINITION,
    SCRUTIN_DEFINITION_SIGNATURES,
    SCRUTIN_AUTHORITY,
    SCRUTIN_KEY_FILE,
    SCRUTIN_VAULT_KEY_FILE,
    SCRUTIN_INGEST_URL,
  });
  const { definition, hash } = await loadDefinition(config);
  const keys = await readVaultKeys(config, definition, "tabulate");
  const pool = openPool({ url: config.DATABASE_URL, service: "tabulate", log });
  onStop(() => pool.end());
  await waitForPostgres(pool, log);
  await checkDurability(pool);
  const nc = await openNats({ url: config.NATS_URL, nkeyFile: config.NATS_NKEY_FILE, service: "tabulate", log });
  onStop(() => nc.drain());
  void nc.closed().then((error) => error && fail(error));

  const { vaultPrivateKey } = keys;
  const createReader = () => createLogReader({ pool, definitionHash: hash, vaultPrivateKey, definition });
  const raise = incidentsOf("tabulate", nc, log);
  const steadyMs = () => performance.now();
  const poster = createPoster({ url: config.SCRUTIN_INGEST_URL, fetch, log, steadyMs, answered: () => wake() });
  const common = {
    pool,
    keys,
    recountKeys: keysOfRole(definition, "recount"),
    readClocks: () => readClocks({ pool, nc }),
  };
  const hint = (id: ReleaseId) => nc.publish(SUBJECTS.sealed, JSON.stringify(id));
  const rounds = createRounds({
    fold: { pool, definition, hash, snapshotKey: vaultSecret(vaultPrivateKey, "snapshot/tabulate"), createReader },
    releases: { ...common, definition, hint },
    proposals: {
      ...common,
      hash,
      now: systemClock,
      nonce: () => randomBytes(16),
      post: poster.post,
      raise,
      hint,
    },
    log,
    raise,
    now: systemClock,
    steadyMs,
  });
  let active = false;
  let wake: () => void = () => undefined;
  const app = buildApp({
    log,
    metrics,
    headSize: async () => (await createReader().head())?.size,
    pingNats: () => nc.rtt(),
    status: rounds.status,
    active: () => active,
  });
  const server = await serve(app, { host: config.HOST, port: config.PORT, log });
  onStop(() => server.close());
  announce(log, server.url);

  const stopping = new AbortController();
  onStop(() => stopping.abort());
  onStop(await becomeActive({ pool, service: "tabulate", log, signal: stopping.signal, lost: fail }));
  active = true;
  const follower = follow({ nc, subjects: [SUBJECTS.appended, "release.>"], round: rounds.round, fail });
  wake = follower.wake;
  onStop(async () => {
    await follower.stop();
    await rounds.close();
  });
});
