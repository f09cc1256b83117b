import { randomInt } from "node:crypto";
import { witnessesOf } from "../../shared/ledger/cosignature.ts";
import { systemClock } from "../../shared/platform/clock.ts";
import {
  loadDefinition,
  readConfig,
  refuseConfig,
  SCRUTIN_AUTHORITY,
  SCRUTIN_DEFINITION,
  SCRUTIN_DEFINITION_SIGNATURES,
  SCRUTIN_KEY_FILE,
} from "../../shared/platform/config.ts";
import { DATABASE, LISTEN, NATS, readDatabase, readListen, readNats } from "../../shared/platform/credentials.ts";
import { follow } from "../../shared/platform/follow.ts";
import { serve } from "../../shared/platform/http.ts";
import { incidentsOf } from "../../shared/platform/incidents.ts";
import { announce, runService } from "../../shared/platform/lifecycle.ts";
import { type ReadAuthority, readAuthorities } from "../../shared/platform/log-authorities.ts";
import { openNats, SUBJECTS } from "../../shared/platform/nats.ts";
import { openPool, waitForPostgres } from "../../shared/platform/postgres.ts";
import { readPublicationKey } from "../../shared/platform/publication-key.ts";
import { createTokenReader } from "../../shared/platform/pull-token.ts";
import { buildApp } from "./app.ts";
import { BUNDLES, checkBundleCommand, createBundleWriter } from "./bundle/writer.ts";
import { createDelivery } from "./delivery.ts";
import { createReads } from "./limits.ts";
import { createPublicLog, storedLogIn } from "./log.ts";
import { trustOf } from "./opened.ts";
import { createOpening, storedIn } from "./opening.ts";
import { createPolls } from "./polls.ts";
import { createPublisher } from "./publish.ts";
import { releaseProof } from "./release-proofs.ts";
import { createSealedSource } from "./sealed.ts";
import { createShelf } from "./shelf.ts";
import {
  recordDelivery,
  selectAfter,
  selectDefinitionHash,
  selectNewestAnswer,
  selectOne,
  selectSealedPair,
} from "./store.ts";
import { createStream } from "./stream.ts";

/** Shares come one by one, and a release waits for the second. */
const SHARES_GAP_MS = 5;

runService("release", async ({ log, metrics, onStop, fail }) => {
  const config = readConfig("release", {
    ...LISTEN,
    ...DATABASE,
    ...NATS,
    SCRUTIN_DEFINITION,
    SCRUTIN_DEFINITION_SIGNATURES,
    SCRUTIN_AUTHORITY,
    SCRUTIN_KEY_FILE: SCRUTIN_KEY_FILE.optional(),
    ...BUNDLES,
  });
  await checkBundleCommand(config);
  const listen = await readListen(config);
  const database = await readDatabase(config);
  const bus = await readNats(config);
  const loaded = await loadDefinition(config);
  const { register, hash } = loaded;
  const signFile = await readPublicationKey(config, loaded.definition);
  const pool = openPool({ ...database, service: "release", log });
  onStop(() => pool.end());
  await waitForPostgres(pool, log);
  const known = await selectDefinitionHash(pool);
  if (known !== undefined && known !== hash)
    refuseConfig([`DATABASE_URL holds the log of definition ${known}, and this one is ${hash}. Give each its own.`]);
  const nc = await openNats({ ...bus, service: "release", log });
  onStop(() => nc.drain());
  void nc.closed().then((error) => error && fail(error));

  let signing: readonly ReadAuthority[] | undefined;
  const authorities = async () => {
    signing = await readAuthorities(pool, loaded, signing);
    return signing;
  };
  const shelf = createShelf({
    trust: trustOf(loaded.definition, hash, authorities),
    selectAfter: (number, limit) => selectAfter(pool, number, limit),
    selectOne: (number) => selectOne(pool, number),
  });
  const raise = incidentsOf("release", nc, log);
  const witnesses = witnessesOf(loaded.definition);
  const publicLog = createPublicLog({
    ...storedLogIn(pool),
    authorities,
    witnesses,
    raise,
    log,
  });
  const js = nc.jetstream();
  const stream = createStream(shelf.list, metrics);
  const publisher = createPublisher({
    shelf,
    served: stream.tell,
    // The id lets NATS drop what a replica, or this service before a restart, has said already.
    publish: ({ number, size, sha256 }) =>
      js.publish(SUBJECTS.published, JSON.stringify({ number, size, sha256 }), { msgID: `published-${sha256}` }),
    raise,
    log,
  });
  // Everything that was published before is on the shelf again, and hashed, before anyone can ask for it.
  await Promise.all([publisher.round(), publicLog.round()]);
  const sealedSource = createSealedSource({
    selectNewestAnswer: () => selectNewestAnswer(pool),
    selectSealedPair: (number, size) => selectSealedPair(pool, number, size),
    log,
  });
  const hasParliament = loaded.definition.publication !== undefined;
  if (hasParliament) await sealedSource.round();
  const readToken = createTokenReader(loaded.definition, hash);
  const delivery = createDelivery({
    record: (key, { number, sha256 }) => recordDelivery(pool, key, number, sha256),
    log,
  });
  const retrySeconds = () => randomInt(1, 6);
  const opening = createOpening({
    stored: storedIn(pool),
    register,
    publicLog,
    shelf,
    authorities,
    quorum: witnesses.quorum,
    retrySeconds,
    now: systemClock,
    log,
  });
  const takeRead = createReads(() => performance.now());
  const app = await buildApp({
    takeRead,
    probed: (address, ways) =>
      void raise({ code: "embargo.probed", about: `address ${address}`, evidence: { differentRequests: ways } }),
    log,
    metrics,
    register,
    bytes: loaded.bytes,
    signatures: loaded.signatures,
    shelf: { ...shelf, find: publisher.find },
    publicLog,
    findStatement: opening.findStatement,
    now: () => performance.now(),
    opening,
    stream,
    sealed: hasParliament ? { source: sealedSource, readToken, wallNow: systemClock } : undefined,
    delivery: { readToken, wallNow: systemClock, list: shelf.list, note: delivery.note },
    signFile,
    retrySeconds,
    status: publisher.status,
    pingNats: () => nc.flush(),
  });
  const polls = createPolls({
    app,
    shelf,
    mayAsk: (address) => takeRead(address) === undefined,
    retrySeconds,
    metrics,
  });
  const server = await serve(app, { ...listen, log, first: polls.answer });
  onStop(() => {
    stream.end();
    return server.close();
  });
  const follower = follow({ nc, subjects: [SUBJECTS.sealed], round: publisher.round, fail, gapMs: SHARES_GAP_MS });
  onStop(() => follower.stop());
  if (hasParliament) {
    const sealer = follow({ nc, subjects: [SUBJECTS.sealed], round: sealedSource.round, fail });
    onStop(() => sealer.stop());
  }
  const deliveries = follow({ nc, subjects: [], round: delivery.round, fail });
  onStop(() => deliveries.stop());
  if (config.SCRUTIN_BUNDLE_FOLDER !== undefined) {
    const { round } = createBundleWriter({
      ...loaded,
      signFile,
      folder: config.SCRUTIN_BUNDLE_FOLDER,
      command: config.SCRUTIN_BUNDLE_COMMAND,
      list: shelf.list,
      find: publisher.find,
      proofOf: (listed) => releaseProof(listed, opening),
      raise,
      log,
    });
    const bundles = follow({ nc, subjects: [SUBJECTS.sealed], round, fail });
    onStop(() => bundles.stop());
  }
  const grower = follow({ nc, subjects: [SUBJECTS.appended], round: publicLog.round, fail });
  onStop(() => grower.stop());
  const reader = follow({ nc, subjects: [SUBJECTS.appended], round: opening.facts.round, fail });
  onStop(() => reader.stop());
  announce(log, server.url);
});
