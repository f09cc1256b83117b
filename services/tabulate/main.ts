import { randomBytes } from "node:crypto";
import { z } from "zod";
import { systemClock } from "../../shared/platform/clock.ts";
import { createClockWatch, readClocks } from "../../shared/platform/clock-readings.ts";
import {
  loadDefinition,
  readConfig,
  refuseConfig,
  SCRUTIN_AUTHORITY,
  SCRUTIN_DEFINITION,
  SCRUTIN_DEFINITION_SIGNATURES,
  SCRUTIN_KEY_FILE,
  SCRUTIN_VAULT_KEY_COMMAND,
  SCRUTIN_VAULT_KEY_FILE,
} from "../../shared/platform/config.ts";
import { DATABASE, LISTEN, NATS, readDatabase, readListen, readNats } from "../../shared/platform/credentials.ts";
import { doorFetch, doorProblem } from "../../shared/platform/door.ts";
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
import { createPoster } from "./post.ts";
import { createRounds } from "./round.ts";

const SCRUTIN_INGEST_URL = z
  .url("is not a URL")
  .describe("Give the address of ingest: https:// by the definition's pins, or http://127.0.0.1:8080 on this machine.");

runService("tabulate", async ({ log, metrics, onStop, fail }) => {
  const config = readConfig("tabulate", {
    ...LISTEN,
    ...DATABASE,
    ...NATS,
    SCRUTIN_DEFINITION,
    SCRUTIN_DEFINITION_SIGNATURES,
    SCRUTIN_AUTHORITY,
    SCRUTIN_KEY_FILE,
    SCRUTIN_VAULT_KEY_FILE,
    SCRUTIN_VAULT_KEY_COMMAND,
    SCRUTIN_INGEST_URL,
  });
  const listen = await readListen(config);
  const database = await readDatabase(config);
  const bus = await readNats(config);
  const { definition, hash } = await loadDefinition(config);
  const ingest = { url: config.SCRUTIN_INGEST_URL, pins: definition.door?.pins };
  const problem = doorProblem(new URL(ingest.url), ingest.pins);
  if (problem !== undefined) refuseConfig([`SCRUTIN_INGEST_URL: ${problem}.`]);
  const keys = await readVaultKeys(config, { definition, hash }, "tabulate");
  const pool = openPool({ ...database, service: "tabulate", log });
  onStop(() => pool.end());
  await waitForPostgres(pool, log);
  await checkDurability(pool);
  const nc = await openNats({ ...bus, service: "tabulate", log });
  onStop(() => nc.drain());
  void nc.closed().then((error) => error && fail(error));

  const { vault } = keys;
  const { privateKey: vaultPrivateKey, recipient } = vault;
  const createReader = () => createLogReader({ pool, definitionHash: hash, vaultPrivateKey, recipient, definition });
  const raise = incidentsOf("tabulate", nc, log);
  const steadyMs = () => performance.now();
  const fetch = doorFetch(ingest.url, ingest.pins);
  const poster = createPoster({ url: ingest.url, fetch, log, steadyMs, answered: () => wake() });
  const clocks = createClockWatch(() => readClocks({ pool, nc, service: "tabulate" }), raise);
  onStop(clocks.keepLooking(fail));
  const common = {
    pool,
    keys,
    recountKeys: keysOfRole(definition, "recount"),
    lookAtClocks: clocks.look,
  };
  const hint = (id: ReleaseId) => nc.publish(SUBJECTS.sealed, JSON.stringify(id));
  const rounds = createRounds({
    fold: { pool, definition, hash, snapshotKey: vaultSecret(vault, "snapshot/tabulate"), createReader },
    releases: { ...common, definition, raise, hint },
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
  const server = await serve(app, { ...listen, log });
  onStop(() => server.close());
  announce(log, server.url);

  const stopping = new AbortController();
  onStop(() => stopping.abort());
  await waitForRecovery({ pool, definition, hash, vault, log, signal: stopping.signal });
  onStop(await becomeActive({ pool, service: "tabulate", log, signal: stopping.signal, lost: fail }));
  active = true;
  const follower = follow({ nc, subjects: [SUBJECTS.appended, SUBJECTS.sealed], round: rounds.round, fail });
  wake = follower.wake;
  onStop(async () => {
    await follower.stop();
    await rounds.close();
  });
});
