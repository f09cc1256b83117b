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
  readPrivateJwk,
  refuseConfig,
  SCRUTIN_AUTHORITY,
  SCRUTIN_DEFINITION,
  SCRUTIN_DEFINITION_SIGNATURES,
  SCRUTIN_KEY_FILE,
  SCRUTIN_VAULT_KEY_FILE,
} from "../../shared/platform/config.ts";
import { serve } from "../../shared/platform/http.ts";
import { incidentsOf } from "../../shared/platform/incidents.ts";
import { announce, runService } from "../../shared/platform/lifecycle.ts";
import { openNats } from "../../shared/platform/nats.ts";
import { checkDurability, openPool, waitForPostgres } from "../../shared/platform/postgres.ts";
import { createKeyring } from "../../shared/platform/seal.ts";
import { readVaultKeys } from "../../shared/platform/vault-keys.ts";
import { signersOf } from "../../shared/statement/authentic.ts";
import { buildApp } from "./app.ts";
import { natsAnswers, postgresAnswers } from "./health.ts";
import { ledgerMetrics } from "./metrics.ts";
import { answerQuestions } from "./questions.ts";
import { createReceipts, signInPool } from "./receipts.ts";
import type { Sequencer } from "./sequencer.ts";
import { readDefinitionHash } from "./store.ts";
import { createWriter } from "./writer.ts";

runService("ledger", async ({ log, metrics, onStop, fail }) => {
  const config = readConfig("ledger", {
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
  const { definition, hash, register, bytes, signatures } = await loadDefinition(config);
  const keys = await readVaultKeys(config, definition, "ledger");
  const { privateKey } = await readPrivateJwk(config.SCRUTIN_KEY_FILE, "Ed25519");
  const key = { kid: keys.kid, own: keys.own, sign: (text: Uint8Array) => signInPool(privateKey, text) };
  const pool = openPool({ url: config.DATABASE_URL, service: "ledger", log });
  onStop(() => pool.end());
  await waitForPostgres(pool, log);
  await checkDurability(pool);
  const known = await readDefinitionHash(pool);
  if (known !== undefined && known !== hash)
    refuseConfig([`DATABASE_URL holds the log of definition ${known}, and this one is ${hash}. Give each its own.`]);
  const nc = await openNats({ url: config.NATS_URL, nkeyFile: config.NATS_NKEY_FILE, service: "ledger", log });
  onStop(() => nc.drain());
  void nc.closed().then((error) => error && fail(error));

  const keyring = createKeyring({ definition: hash, vaultPrivateKey: keys.vaultPrivateKey });
  const opener = { signers: signersOf(definition), keyring };
  const receipts = createReceipts({ definition, hash, keyring, key });
  onStop(answerQuestions({ nc, pool, opener, receipts, log }));
  const seq: Sequencer = {
    identity: { register, bytes, signatures, key, keyring },
    opener,
    receipts,
    nc,
    pool,
    now: systemClock,
    readClocks: () => readClocks({ pool, nc }),
    raise: incidentsOf("ledger", nc, log),
    metrics: ledgerMetrics(metrics),
    log,
  };
  const session = openPool({ url: config.DATABASE_URL, service: "ledger-writer", max: 1, log });
  onStop(() => session.end());
  const writer = createWriter(seq, session);
  const stop = new AbortController();
  const running = writer.run(stop.signal).catch(fail);
  onStop(async () => {
    stop.abort();
    await running;
  });
  const app = buildApp({
    log,
    metrics,
    role: writer.role,
    size: writer.size,
    postgres: () => postgresAnswers(pool),
    nats: () => natsAnswers(nc),
  });
  const server = await serve(app, { host: config.HOST, port: config.PORT, log });
  onStop(() => server.close());
  announce(log, server.url);
});
