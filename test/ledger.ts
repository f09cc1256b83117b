import type { KeyObject } from "node:crypto";
import { type AddressInfo, createServer, connect as dial, type Socket } from "node:net";
import { Writable } from "node:stream";
import { headers, type NatsConnection } from "nats";
import { pino } from "pino";
import { createCosigner } from "../services/ledger/cosigner.ts";
import { createLiveKeys } from "../services/ledger/keys.ts";
import { ledgerMetrics } from "../services/ledger/metrics.ts";
import type { GivenOrigin } from "../services/ledger/origin.ts";
import { answerQuestions } from "../services/ledger/questions.ts";
import { createReceipts, type LedgerKey, signInPool } from "../services/ledger/receipts.ts";
import type { Sequencer } from "../services/ledger/sequencer.ts";
import type { RemoteWitness } from "../services/ledger/witnesses.ts";
import { createWriter, type Writer } from "../services/ledger/writer.ts";
import type { Sample } from "../shared/definition/sample.ts";
import type { ClockReadings } from "../shared/embargo/gate.ts";
import { systemClock } from "../shared/platform/clock.ts";
import { createClockWatch, readClocks } from "../shared/platform/clock-readings.ts";
import { incidentsOf } from "../shared/platform/incidents.ts";
import { createMetrics } from "../shared/platform/metrics.ts";
import { openPool } from "../shared/platform/postgres.ts";
import { createDataKey, createKeyring, type DataKey, open, seal } from "../shared/platform/seal.ts";
import { vaultOf } from "../shared/platform/vault-fixture.ts";
import { importVerifyKey, type VerifyKey } from "../shared/statement/ed25519.ts";
import type { Harness } from "./harness.ts";

/** The ledger of services/ledger within the test's process, on a harness' real servers, so that a test can get in between. */
export interface LedgerHere {
  seq: Sequencer;
  writer: Writer;
  /** Everything that it logged, a line each. */
  logged: Record<string, unknown>[];
  /** Settles when the writer ends: rejects when it must not write any more. */
  ended: Promise<void>;
  /** Why the process would have ended, because of a question. */
  failed(): unknown;
  stop(): Promise<void>;
}

export interface LedgerOptions {
  /** Instead of the harness' own: through a `cuttingProxy`. */
  databaseUrl?: string;
  now?(): number;
  readClocks?(): Promise<ClockReadings>;
  /** Asked to cosign; none unless said. */
  witnesses?: readonly RemoteWitness[];
  /** The least time between two heads that witnesses are asked about. */
  headMs?: number;
  /** Id of the key in the sample that signs the log; "ledger-1" unless said. */
  kid?: string;
  /** Given at the start. */
  origin?: GivenOrigin;
  /** It works with the recovery key. */
  recovering?: Sequencer["recovering"];
}

/** Resolves when `probe` is true; rejects when it is not within `limit_ms`. */
export async function eventually(probe: () => boolean | Promise<boolean>, limit_ms = 20_000): Promise<void> {
  const end = performance.now() + limit_ms;
  while (!(await probe())) {
    if (performance.now() > end) throw new Error(`not within ${limit_ms} ms: ${probe.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export function ledgerKeyOf(sample: Sample): VerifyKey {
  const key = importVerifyKey(sample.keys.get("ledger-1")?.publicRaw ?? new Uint8Array());
  if (key === undefined) throw new Error("the sample has no ledger key");
  return key;
}

/** A key of the sample as the ledger's own. */
export function ownKeyOf(sample: Sample, kid = "ledger-1"): LedgerKey {
  const { privateKey, publicRaw } = sample.keys.get(kid) as { privateKey: KeyObject; publicRaw: Uint8Array };
  return { kid, own: importVerifyKey(publicRaw) as VerifyKey, sign: (text) => signInPool(privateKey, text) };
}

export function buildSequencer(harness: Harness, nc: NatsConnection, options: LedgerOptions = {}) {
  const { sample } = harness;
  const { definition, hash, register, bytes, signatures } = sample;
  const logged: Record<string, unknown>[] = [];
  const sink = new Writable({
    write: (line, _, done) => {
      logged.push(JSON.parse(String(line)));
      done();
    },
  });
  const log = pino({ level: "info" }, sink);
  const url = options.databaseUrl ?? harness.databaseUrl("ledger");
  const pool = openPool({ url: harness.databaseUrl("ledger"), service: "ledger", log });
  const { privateKey: vaultPrivateKey, recipient } = vaultOf(sample, options.recovering ? "recovery" : "vault");
  const keyring = createKeyring({ definition: hash, vaultPrivateKey, recipient });
  const key = ownKeyOf(sample, options.kid);
  const keys = createLiveKeys({ pool, definition, hash, keyring });
  const opener = { signers: keys.book, keyring };
  const receipts = createReceipts({ definition, hash, keyring, key });
  const raise = incidentsOf("ledger", nc, log);
  const { witnesses = [], headMs } = options;
  const timing = headMs === undefined ? {} : { headMs };
  const seq: Sequencer = {
    identity: { register, bytes, signatures, key, keyring },
    origin: options.origin,
    recovering: options.recovering,
    opener,
    keys,
    receipts,
    nc,
    pool,
    now: options.now ?? systemClock,
    clocks: createClockWatch(options.readClocks ?? (() => readClocks({ pool, nc, service: "ledger" }))),
    raise,
    cosigner: createCosigner({ witnesses, db: pool, raise, logger: log, cosigned: () => undefined, timing }),
    metrics: ledgerMetrics(createMetrics("ledger")),
    log,
  };
  return { seq, logged, pool, sessions: openPool({ url, service: "ledger-writer", max: 1, log }) };
}

/** Starts it; resolves at once, as a service does. */
export async function runLedger(harness: Harness, options: LedgerOptions = {}): Promise<LedgerHere> {
  const nc = await harness.nats("ledger");
  const { seq, logged, pool, sessions } = buildSequencer(harness, nc, options);
  const { opener, keys, receipts, log } = seq;
  let failure: unknown;
  const fail = (error: unknown) => {
    failure ??= error;
  };
  const stopQuestions = answerQuestions({ nc, pool, opener, keys, receipts, log, fail });
  const writer = createWriter(seq, sessions);
  const stop = new AbortController();
  const running = writer.run(stop.signal);
  running.catch(() => undefined); // told by `ended`
  return {
    seq,
    writer,
    logged,
    ended: running,
    failed: () => failure,
    async stop() {
      stop.abort();
      await running.catch(() => undefined);
      await seq.cosigner.stop();
      await stopQuestions();
      await sessions.end();
      await pool.end();
    },
  };
}

/** Waits until it writes; rejects with why it does not. */
export async function writes(here: LedgerHere): Promise<LedgerHere> {
  const failed = here.ended.catch((error: unknown) => error);
  await Promise.race([eventually(() => here.writer.role() === "writer"), failed]);
  if (here.writer.role() !== "writer") throw await failed;
  return here;
}

/** A statement as `ingest` puts it on the bus. */
export function sealedFor(key: DataKey, sha256: string, bytes: Uint8Array, reply: string) {
  const head = headers();
  head.set("Nats-Msg-Id", sha256);
  head.set("Scrutin-Key", key.id);
  head.set("Scrutin-Wrapped", Buffer.from(key.wrapped).toString("base64url"));
  head.set("Scrutin-Reply", reply);
  return { headers: head, data: seal(key.key, "statement", sha256, bytes) };
}

export function dataKeyFor(sample: Sample): Promise<DataKey> {
  const { publicKey, recoveryKey } = sample.definition.vault;
  return createDataKey({ definition: sample.hash, vaultPublicKey: publicKey, recoveryPublicKey: recoveryKey });
}

/** The receipts that come to `subject`, opened, by the SHA-256 of the bytes that they answer; every one of them. */
export function collectReceipts(nc: NatsConnection, subject: string, key: DataKey): Map<string, string[]> {
  const received = new Map<string, string[]>();
  nc.subscribe(subject, {
    callback: (error, msg) => {
      if (error !== null) throw error;
      const sha256 = msg.headers?.get("Scrutin-Statement") ?? "";
      const receipt = Buffer.from(open(key.key, "receipt", sha256, msg.data)).toString("ascii");
      received.set(sha256, [...(received.get(sha256) ?? []), receipt]);
    },
  });
  return received;
}

/** Where a connection is cut: when the client says COMMIT, or when the server has said that it is done. */
export type Cut = "none" | "before-commit" | "after-commit";

/**
 * Stands between the writer and Postgres and cuts the connection around a COMMIT: before it reaches the server (it never
 * happened), or after the server did it and before its answer reaches the client (it happened, and nobody was told).
 */
export async function cuttingProxy(url: string) {
  let cut: Cut = "none";
  let cuts = 0;
  const sockets = new Set<Socket>();
  const target = new URL(url);
  const server = createServer((client) => {
    const upstream = dial(Number(target.port), target.hostname);
    let committing = false;
    const end = () => {
      cuts++;
      cut = "none";
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", () => undefined); // the other side was cut, as the test wants it
      socket.on("close", () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.on("data", (chunk) => {
      // A simple query of the protocol: 'Q', length, text, zero.
      committing = chunk[0] === 0x51 && chunk.toString("latin1").slice(5, -1) === "commit";
      if (committing && cut === "before-commit") end();
      else upstream.write(chunk);
    });
    upstream.on("data", (chunk) => {
      if (committing && cut === "after-commit" && chunk.toString("latin1").includes("COMMIT\0")) end();
      else client.write(chunk);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const through = new URL(url);
  through.port = String((server.address() as AddressInfo).port);
  return {
    url: through.href,
    cutNext: (where: Cut) => {
      cut = where;
    },
    cuts: () => cuts,
    close: () =>
      new Promise<void>((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}
