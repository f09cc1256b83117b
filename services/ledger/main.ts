import { systemClock } from "../../shared/platform/clock.ts";
import { createClockWatch, readClocks } from "../../shared/platform/clock-readings.ts";
import {
  loadDefinition,
  readConfig,
  readPrivateJwk,
  refuseConfig,
  SCRUTIN_AUTHORITY,
  SCRUTIN_DEFINITION,
  SCRUTIN_DEFINITION_SIGNATURES,
  SCRUTIN_KEY_FILE,
  SCRUTIN_VAULT_KEY_COMMAND,
  SCRUTIN_VAULT_KEY_FILE,
} from "../../shared/platform/config.ts";
import { DATABASE, LISTEN, NATS, readDatabase, readListen, readNats } from "../../shared/platform/credentials.ts";
import { serve } from "../../shared/platform/http.ts";
import { incidentsOf } from "../../shared/platform/incidents.ts";
import { announce, runService } from "../../shared/platform/lifecycle.ts";
import { readAuthorities } from "../../shared/platform/log-authorities.ts";
import { openNats } from "../../shared/platform/nats.ts";
import { checkDurability, openPool, waitForPostgres } from "../../shared/platform/postgres.ts";
import { waitForRecovery, watchForRecovery } from "../../shared/platform/recovery-decision.ts";
import { createKeyring } from "../../shared/platform/seal.ts";
import { readVaultKey } from "../../shared/platform/vault-keys.ts";
import { importVerifyKey } from "../../shared/statement/ed25519.ts";
import { buildApp } from "./app.ts";
import { LogContradicted } from "./contradiction.ts";
import { createCosigner } from "./cosigner.ts";
import { StartRefused } from "./given.ts";
import { natsAnswers, postgresAnswers } from "./health.ts";
import { createLiveKeys } from "./keys.ts";
import { ledgerMetrics } from "./metrics.ts";
import { readGivenOrigin, requireLogKey, SCRUTIN_ORIGIN_DECISION } from "./origin.ts";
import { answerQuestions } from "./questions.ts";
import { createReceipts, signInPool } from "./receipts.ts";
import { beginWhen, readGivenRecovery, requireRecovery, SCRUTIN_RECOVERY_DECISION } from "./recovery.ts";
import type { Sequencer } from "./sequencer.ts";
import { readDefinitionHash } from "./store.ts";
import { readWitnesses, SCRUTIN_WITNESSES } from "./witnesses.ts";
import { createWriter } from "./writer.ts";

runService("ledger", async ({ log, metrics, onStop, fail }) => {
  const config = readConfig("ledger", {
    ...LISTEN,
    ...DATABASE,
    ...NATS,
    SCRUTIN_DEFINITION,
    SCRUTIN_DEFINITION_SIGNATURES,
    SCRUTIN_AUTHORITY,
    SCRUTIN_KEY_FILE,
    SCRUTIN_VAULT_KEY_FILE,
    SCRUTIN_VAULT_KEY_COMMAND,
    SCRUTIN_WITNESSES,
    SCRUTIN_ORIGIN_DECISION,
    SCRUTIN_RECOVERY_DECISION,
  });
  const listen = await readListen(config);
  const database = await readDatabase(config);
  const bus = await readNats(config);
  const { definition, hash, register, bytes, signatures } = await loadDefinition(config);
  const vault = await readVaultKey(config, { definition, hash });
  const { kid, publicRaw, privateKey } = await readPrivateJwk(config.SCRUTIN_KEY_FILE, "Ed25519");
  const publicKey = importVerifyKey(publicRaw);
  if (publicKey === undefined)
    refuseConfig([`SCRUTIN_KEY_FILE: ${kid} is no key under the strict rule. Make another.`]);
  const key = { kid, own: publicKey, sign: (text: Uint8Array) => signInPool(privateKey, text) };
  const origin = await readGivenOrigin(config.SCRUTIN_ORIGIN_DECISION, { definition, hash }, key).catch(refuseStart);
  const recovery = await readGivenRecovery(config.SCRUTIN_RECOVERY_DECISION, { definition, hash }, vault).catch(
    refuseStart,
  );
  const recovering = vault.recipient === "recovery" ? { given: recovery } : undefined;
  const witnesses = await readWitnesses(config.SCRUTIN_WITNESSES, definition.witnesses, log);
  const pool = openPool({ ...database, service: "ledger", log });
  onStop(() => pool.end());
  await waitForPostgres(pool, log);
  await checkDurability(pool);
  const known = await readDefinitionHash(pool);
  if (known !== undefined && known !== hash)
    refuseConfig([`DATABASE_URL holds the log of definition ${known}, and this one is ${hash}. Give each its own.`]);
  const authorities = await readAuthorities(pool, { definition, hash });
  try {
    requireLogKey(authorities, key, origin);
    if (recovering !== undefined)
      requireRecovery(await watchForRecovery({ pool, definition, hash, vault })(), recovering.given);
  } catch (error) {
    refuseStart(error);
  }
  const nc = await openNats({ ...bus, service: "ledger", log });
  onStop(() => nc.drain());
  void nc.closed().then((error) => error && fail(error));

  const { privateKey: vaultPrivateKey, recipient } = vault;
  const keyring = createKeyring({ definition: hash, vaultPrivateKey, recipient });
  const liveKeys = createLiveKeys({ pool, definition, hash, keyring });
  await liveKeys.refresh();
  const opener = { signers: liveKeys.book, keyring };
  const receipts = createReceipts({ definition, hash, keyring, key });
  const mayUse = (signal: AbortSignal) => waitForRecovery({ pool, definition, hash, vault, log, signal });
  onStop(beginWhen(mayUse, () => answerQuestions({ nc, pool, opener, keys: liveKeys, receipts, log, fail }), fail));
  const raise = incidentsOf("ledger", nc, log);
  const measured = ledgerMetrics(metrics);
  const { cosigned } = measured;
  const cosigner = createCosigner({ witnesses, db: pool, raise, logger: log, cosigned });
  onStop(() => cosigner.stop());
  const clocks = createClockWatch(() => readClocks({ pool, nc, service: "ledger" }), raise);
  onStop(clocks.keepLooking(fail));
  const seq: Sequencer = {
    identity: { register, bytes, signatures, key, keyring },
    origin,
    recovering,
    opener,
    keys: liveKeys,
    receipts,
    nc,
    pool,
    now: systemClock,
    clocks,
    raise,
    cosigner,
    metrics: measured,
    log,
  };
  const session = openPool({ ...database, service: "ledger-writer", max: 1, log });
  onStop(() => session.end());
  const writer = createWriter(seq, session);
  const stop = new AbortController();
  const running = writer.run(stop.signal).catch((error: unknown) => {
    if (error instanceof StartRefused) refuseStart(error);
    // A restart would not help, and would hide why: it stays, says so on /readyz, and writes nothing.
    if (!(error instanceof LogContradicted)) fail(error);
  });
  onStop(async () => {
    stop.abort();
    await running;
  });
  const app = buildApp({
    log,
    metrics,
    role: writer.role,
    size: writer.size,
    stopped: writer.stopped,
    postgres: () => postgresAnswers(pool),
    nats: () => natsAnswers(nc),
  });
  const server = await serve(app, { ...listen, log });
  onStop(() => server.close());
  announce(log, server.url);
});

/** What a person must change; anything else is thrown on. */
function refuseStart(error: unknown): never {
  if (error instanceof StartRefused) refuseConfig([error.message]);
  throw error;
}
