import { systemClock } from "../../shared/platform/clock.ts";
import { createClockWatch, readClocks } from "../../shared/platform/clock-readings.ts";
import {
  loadDefinition,
  readConfig,
  SCRUTIN_AUTHORITY,
  SCRUTIN_DEFINITION,
  SCRUTIN_DEFINITION_SIGNATURES,
  SCRUTIN_KEY_FILE,
  SCRUTIN_VAULT_KEY_COMMAND,
  SCRUTIN_VAULT_KEY_FILE,
} from "../../shared/platform/config.ts";
import { DATABASE, LISTEN, NATS, readDatabase, readListen, readNats } from "../../shared/platform/credentials.ts";
import { follow } from "../../shared/platform/follow.ts";
import { serve } from "../../shared/platform/http.ts";
import { incidentsOf } from "../../shared/platform/incidents.ts";
import { announce, runService } from "../../shared/platform/lifecycle.ts";
import { createLogReader } from "../../shared/platform/log-reader.ts";
import { openNats, SUBJECTS } from "../../shared/platform/nats.ts";
import { becomeActive } from "../../shared/platform/one-active.ts";
import { checkDurability, openPool, waitForPostgres } from "../../shared/platform/postgres.ts";
import { waitForRecovery } from "../../shared/platform/recovery-decision.ts";
import type { ReleaseId } from "../../shared/platform/release-seal.ts";
import { vaultSecret } from "../../shared/platform/seal.ts";
import { keysOfRole, readVaultKeys } from "../../shared/platform/vault-keys.ts";
import { buildApp } from "./app.ts";
import { createRounds } from "./round.ts";

runService("recount", async ({ log, metrics, onStop, fail }) => {
  const config = readConfig("recount", {
    ...LISTEN,
    ...DATABASE,
    ...NATS,
    SCRUTIN_DEFINITION,
    SCRUTIN_DEFINITION_SIGNATURES,
    SCRUTIN_AUTHORITY,
    SCRUTIN_KEY_FILE,
    SCRUTIN_VAULT_KEY_FILE,
    SCRUTIN_VAULT_KEY_COMMAND,
  });
  const listen = await readListen(config);
  const database = await readDatabase(config);
  const bus = await readNats(config);
  const { definition, hash } = await loadDefinition(config);
  const keys = await readVaultKeys(config, { definition, hash }, "recount");
  const pool = openPool({ ...database, service: "recount", log });
  onStop(() => pool.end());
  await waitForPostgres(pool, log);
  await checkDurability(pool);
  const nc = await openNats({ ...bus, service: "recount", log });
  onStop(() => nc.drain());
  void nc.closed().then((error) => error && fail(error));

  const { vault } = keys;
  const { privateKey: vaultPrivateKey, recipient } = vault;
  const createReader = () => createLogReader({ pool, definitionHash: hash, vaultPrivateKey, recipient, definition });
  const raise = incidentsOf("recount", nc, log);
  const clocks = createClockWatch(() => readClocks({ pool, nc, service: "recount" }), raise);
  onStop(clocks.keepLooking(fail));
  const common = {
    pool,
    keys,
    tabulateKeys: keysOfRole(definition, "tabulate"),
    lookAtClocks: clocks.look,
  };
  const hint = (id: ReleaseId) => nc.publish(SUBJECTS.sealed, JSON.stringify(id));
  const rounds = createRounds({
    fold: { pool, definition, hash, snapshotKey: vaultSecret(vault, "snapshot/recount"), createReader },
    answers: {
      ...common,
      definition,
      raise,
      hint,
    },
    cosign: { ...common, hash, now: systemClock, hint },
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
  const server = await serve(app, { ...listen, log });
  onStop(() => server.close());
  announce(log, server.url);

  const stopping = new AbortController();
  onStop(() => stopping.abort());
  await waitForRecovery({ pool, definition, hash, vault, log, signal: stopping.signal });
  onStop(await becomeActive({ pool, service: "recount", log, signal: stopping.signal, lost: fail }));
  active = true;
  const follower = follow({ nc, subjects: [SUBJECTS.appended, SUBJECTS.sealed], round: rounds.round, fail });
  onStop(async () => {
    await follower.stop();
    await rounds.close();
  });
});
