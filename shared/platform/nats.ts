import { setTimeout as sleep } from "node:timers/promises";
import {
  AckPolicy,
  type ConsumerConfig,
  connect,
  DeliverPolicy,
  DiscardPolicy,
  Events,
  type JetStreamManager,
  type NatsConnection,
  NatsError,
  nanos,
  nkeyAuthenticator,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from "nats";
import type { Logger } from "pino";
import { readSecretFile } from "./config.ts";
import type { ClientTls } from "./credentials.ts";

export const STREAMS = { statements: "STATEMENTS", events: "EVENTS", clock: "CLOCK" } as const;

/** The durable consumer through which the ledger takes statements. */
export const LEDGER_CONSUMER = "ledger";

export const SUBJECTS = {
  /** A sealed statement of a state (`IT`, or `EU`). */
  statement: (state: string) => `statement.${state}`,
  appended: "ledger.appended",
  sealed: "release.sealed",
  published: "release.published",
  /** An incident that this service raises: nobody else may say anything here. */
  incident: (service: string) => `incident.raised.${service}`,
  /** A service's own heartbeats. */
  beat: (service: string) => `clock.beat.${service}`,
  /** Sealed receipts on their way back to the `ingest` of that id: core NATS, kept nowhere. */
  receipt: (ingestId: string) => `receipt.${ingestId}`,
  /** Questions to the ledger: core NATS, request and reply. */
  ask: "ledger.ask",
  /** The index of a statement in the log, by its hash. */
  find: "ledger.find",
  /** Accepted `key` statements of the log. */
  keys: "ledger.keys",
  /** A hint that such a statement is committed. Core NATS; lost or forged, it changes nothing. */
  key: "ledger.key",
} as const;

/** A statement of 1 MiB with its envelope and seal does not fit into NATS' default of 1 MiB. */
export const MAX_PAYLOAD_BYTES = 2 * 1024 * 1024;
/** A full inbox answers 503 to the offices: about 400,000 statements of a common size. */
const STATEMENTS_MAX_BYTES = 1024 * 1024 * 1024;
/** The ledger takes batches of a few hundred; more in flight only grows what is redelivered after a crash. */
const MAX_ACK_PENDING = 4096;
/** What a killed ledger had in hand comes again after so long; a batch takes milliseconds, and one redelivered is only a retry. */
const ACK_WAIT_MS = 3_000;
const DUPLICATE_WINDOW_MS = 120_000;
const EVENTS_MAX_AGE_MS = 24 * 60 * 60 * 1000;
const EVENTS_PER_SUBJECT = 2_000;
/** An event is a hint: an incident's `about` has at most 512 characters. Nobody fills the disk with them, on which the inbox lies as well. */
const EVENT_MAX_BYTES = 4_096;
/** More than all seven subjects can hold, so that a flood under one pushes away none of another. */
const EVENTS_MAX_BYTES = 64 * 1024 * 1024;
/** A heartbeat is read back at once. More than a few of a service are there only if it asks without end, and then only its own are lost. */
const BEATS_PER_SERVICE = 64;
const BEAT_MAX_BYTES = 256;
const CLOCK_MAX_BYTES = 1024 * 1024;

const CONNECT_MS = 5_000;
const WAIT_MS = 120_000;
const RETRY_MS = 250;
const PING_MS = 10_000;
/** The gate asks for the time: an answer that takes longer says nothing about now. */
const CLOCK_MS = 2_000;
/** nats-server: the stream exists with another configuration. */
const STREAM_NAME_IN_USE = 10058;

/**
 * Connects to NATS (`url`: one or several, separated by commas), as the NKEY user whose seed is in `nkeyFile`; with `tls` by TLS
 * 1.3 on which both sides prove who they are, and never without. Answers come under a prefix of the service's own. Waits up to two minutes for the first connection, then reconnects for ever; changes of status are logged.
 * Rejects when the server refuses us, and when its `max_payload` is below 2 MiB. `nc.closed()` tells of an end that no
 * reconnection cures.
 */
export async function openNats(opts: {
  url: string;
  nkeyFile?: string | undefined;
  tls?: ClientTls | undefined;
  service: string;
  log: Logger;
}): Promise<NatsConnection> {
  const seed = opts.nkeyFile === undefined ? undefined : (await readSecretFile(opts.nkeyFile)).trim();
  const nc = await firstConnection(opts, seed);
  const maxPayload = nc.info?.max_payload ?? 0;
  if (maxPayload < MAX_PAYLOAD_BYTES) {
    await nc.close();
    throw new Error(`the nats-server takes messages of at most ${maxPayload} bytes: set max_payload to 2 MiB`);
  }
  void logStatus(nc, opts.log);
  return nc;
}

async function firstConnection(
  opts: { url: string; tls?: ClientTls | undefined; service: string; log: Logger },
  seed: string | undefined,
): Promise<NatsConnection> {
  const deadline = performance.now() + WAIT_MS;
  const servers = opts.url.split(",").map((url) => url.trim());
  for (let attempt = 1; ; attempt++) {
    try {
      return await connect({
        servers,
        name: `scrutin-${opts.service}`,
        timeout: CONNECT_MS,
        maxReconnectAttempts: -1,
        noAsyncTraces: true, // a stack taken for every request costs more than sending it
        reconnectTimeWait: RETRY_MS,
        pingInterval: PING_MS,
        ...(seed === undefined ? {} : { authenticator: nkeyAuthenticator(new TextEncoder().encode(seed)) }),
        inboxPrefix: inboxOf(opts.service),
        ...(opts.tls === undefined ? {} : { tls: natsTls(opts.tls) }),
      });
    } catch (error) {
      if (isRefusal(error)) throw new Error("the nats-server refuses this service's key", { cause: error });
      if (performance.now() > deadline) throw new Error("NATS did not answer in two minutes", { cause: error });
      if (attempt === 1) opts.log.warn({ err: error }, "waiting for nats");
      await sleep(RETRY_MS);
    }
  }
}

/** Under which a service is answered: another service may not listen there. */
export function inboxOf(service: string): string {
  return `_INBOX.${service}`;
}

/** What `connect` of the nats library takes for `tls`: beyond what it names, it passes everything on to Node's. */
export function natsTls(tls: ClientTls): ClientTls & { minVersion: "TLSv1.3" } {
  return { ...tls, minVersion: "TLSv1.3" };
}

function isRefusal(error: unknown): boolean {
  return error instanceof NatsError && (error.isAuthError() || error.isPermissionError());
}

async function logStatus(nc: NatsConnection, log: Logger): Promise<void> {
  for await (const { type, data } of nc.status()) {
    if (type === Events.Disconnect || type === Events.Error || type === Events.LDM)
      log.warn({ status: type, data: String(data) }, "nats");
    else if (type === Events.Reconnect) log.info({ status: type }, "nats");
  }
}

type Config = Partial<StreamConfig>;

/** The streams, as the stack creates them and as an operator can compare them with. `replicas` is 3 in production. */
export function streamConfigs(replicas = 1): [statements: Config, events: Config, clock: Config] {
  const common = { storage: StorageType.File, num_replicas: replicas, deny_delete: true, deny_purge: true };
  return [
    {
      ...common,
      name: STREAMS.statements,
      subjects: ["statement.*"],
      retention: RetentionPolicy.Workqueue,
      discard: DiscardPolicy.New, // a full inbox refuses, it drops nothing
      max_bytes: STATEMENTS_MAX_BYTES,
      max_msg_size: MAX_PAYLOAD_BYTES,
      duplicate_window: nanos(DUPLICATE_WINDOW_MS),
    },
    {
      ...common,
      name: STREAMS.events,
      subjects: [SUBJECTS.appended, "release.*", SUBJECTS.incident("*")],
      retention: RetentionPolicy.Limits,
      discard: DiscardPolicy.Old, // hints: the log they hint at is in Postgres
      max_age: nanos(EVENTS_MAX_AGE_MS),
      max_msgs_per_subject: EVENTS_PER_SUBJECT,
      max_bytes: EVENTS_MAX_BYTES,
      max_msg_size: EVENT_MAX_BYTES,
      duplicate_window: nanos(DUPLICATE_WINDOW_MS),
    },
    {
      ...common,
      name: STREAMS.clock,
      subjects: [SUBJECTS.beat("*")],
      retention: RetentionPolicy.Limits,
      discard: DiscardPolicy.Old,
      max_msgs_per_subject: BEATS_PER_SERVICE,
      max_bytes: CLOCK_MAX_BYTES,
      max_msg_size: BEAT_MAX_BYTES,
    },
  ];
}

/** Creates the streams and the ledger's consumer, or brings them to this configuration. For the stack's admin user. */
export async function createStreams(nc: NatsConnection, replicas = 1): Promise<void> {
  const jsm = await nc.jetstreamManager();
  for (const config of streamConfigs(replicas)) await createStream(jsm, config);
  const consumer: Partial<ConsumerConfig> = {
    durable_name: LEDGER_CONSUMER,
    ack_policy: AckPolicy.Explicit,
    deliver_policy: DeliverPolicy.All,
    max_ack_pending: MAX_ACK_PENDING,
    ack_wait: nanos(ACK_WAIT_MS),
    max_deliver: -1,
  };
  await jsm.consumers.add(STREAMS.statements, consumer);
}

async function createStream(jsm: JetStreamManager, config: Partial<StreamConfig>): Promise<void> {
  try {
    await jsm.streams.add(config);
  } catch (error) {
    if (!(error instanceof NatsError) || error.jsError()?.err_code !== STREAM_NAME_IN_USE) throw error;
    await jsm.streams.update(String(config.name), config);
  }
}

/**
 * The clock of NATS: stores a heartbeat of this service and reads back the time at which the server says that it stored it. Rejects
 * when NATS does not answer within two seconds.
 */
export async function natsTime(nc: NatsConnection, service: string): Promise<Date> {
  const { stream, seq } = await nc.jetstream({ timeout: CLOCK_MS }).publish(SUBJECTS.beat(service));
  if (stream !== STREAMS.clock) throw new Error(`a heartbeat was stored in ${stream}, not in ${STREAMS.clock}`);
  // No look at the account first: services may not ask for it.
  const jsm = await nc.jetstreamManager({ timeout: CLOCK_MS, checkAPI: false });
  const { time } = await jsm.streams.getMessage(STREAMS.clock, { seq });
  if (Number.isNaN(time.getTime())) throw new Error("NATS gave no time for a stored message");
  return time;
}
