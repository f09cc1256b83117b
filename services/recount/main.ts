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
import { vaultSecret } from "../../shared/platform/seal.ts";
import { keysOfRole, readVaultKeys } from "../../shared/platform/vault-keys.ts";
import { buildApp } from "./app.ts";
import { createRounds } from "./round.ts";

runService("recount", async ({ log, metrics, onStop, fail }) => {
  const config = readConfig("recount", {
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
  });
  const { definition, hash } = await loadDefinition(config);
  const keys = await readVaultKeys(config, definition, "recount");
  const pool = openPool({ url: config.DATABASE_URL, service: "recount", log });
  onStop(() => pool.end());
  await waitForPostgres(pool, log);
  await checkDurability(pool);
  const nc = await openNats({ url: config.NATS_URL, nkeyFile: config.NATS_NKEY_FILE, service: "recount", log });
  onStop(() => nc.drain());
  void nc.closed().then((error) => error && fail(error));

  const { vaultPrivateKey } = keys;
  const createReader = () => createLogReader({ pool, definitionHash: hash, vaultPrivateKey, definition });
  const raise = incidentsOf("recount", nc, log);
  const common = {
    pool,
    keys,
    tabulateKeys: keysOfRole(definition, "tabulate"),
    readClocks: () => readClocks({ pool, nc }),
  };
  const rounds = createRounds({
    fold: { pool, definition, hash, snapshotKey: vaultSecret(vaultPrivateKey, "snapshot/recount"), createReader },
    answers: {
      ...common,
      definition,
      raise,
      hint: (id) => nc.publish(SUBJECTS.sealed, JSON.stringify(id)),
    },
    cosign: { ...common, hash, now: systemClock },
    log,
    raise,
    now: systemClock,
    steadyMs: () => performance.now(),
  });
  let active = false;
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
  onStop(await becomeActive({ pool, service: "recount", log, signal: stopping.signal, lost: fail }));
  active = true;
  const follower = follow({ nc, subjects: [SUBJECTS.appended, "release.>"], round: rounds.round, fail });
  onStop(async () => {
    await follower.stop();
    await rounds.close();
  });
});
