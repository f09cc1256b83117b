import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { headers, type JetStreamClient, type Msg, type MsgHdrs, type NatsConnection, NatsError } from "nats";
import type { Logger } from "pino";
import { z } from "zod";
import type { Definition } from "../../shared/definition/schema.ts";
import { Problem } from "../../shared/platform/http.ts";
import { SUBJECTS } from "../../shared/platform/nats.ts";
import { type DataKey, open, SealBroken, type Sealer, seal } from "../../shared/platform/seal.ts";
import { leastStatementBytes } from "../../shared/statement/least-bytes.ts";
import type { Authentic } from "./door.ts";

/**
 * The way from the door to the ledger and back: a statement is sealed and stored in the stream; its receipt, sealed with the
 * same data key, comes back to this process by core NATS. A lost receipt is asked for.
 */
export interface Bus {
  /**
   * Resolves with the receipt (a compact JWS), or undefined when `wait_ms` are over; the stream holds the statement either
   * way. Throws a Problem when the stream did not take it.
   */
  carry(authentic: Authentic, wait_ms: number): Promise<string | undefined>;
  /** The receipt of a statement that is in the log; undefined if it is not. Throws a Problem when nobody answers. */
  recall(authentic: Authentic): Promise<string | undefined>;
  /** The index of a statement in the log, by the SHA-256 of its bytes; undefined if it is not there. Public knowledge. */
  find(sha256: string): Promise<number | undefined>;
  /** True if NATS answers. */
  well(): Promise<boolean>;
  waiting(): number;
}

/** An acknowledgement that takes longer means that the stream has no leader or its disk hangs. */
const PUBLISH_MS = 5_000;
const RETRY_AFTER_S = 2;
/** A question to the ledger: one look into an index. */
const ASK_MS = 2_000;
/** When to ask first: at once when the stream has the statement already, else when the receipt is clearly overdue. */
const ASK_DUPLICATE_MS = 100;
const ASK_OVERDUE_MS = 2_000;
const FLUSH_MS = 1_000;

/** What the ledger answers to `ledger.find`: nothing for a statement that is not in the log. */
const Found = z.object({ index: z.int().nonnegative().optional() });

type Waiter = (receipt: string) => void;

export function createBus(opts: {
  nc: NatsConnection;
  definition: Definition;
  sealer: Sealer;
  now(): number;
  log: Logger;
}): Bus {
  const { nc, definition, sealer, now, log } = opts;
  const stream = nc.jetstream({ timeout: PUBLISH_MS });
  const reply = SUBJECTS.receipt(randomBytes(16).toString("hex"));
  const waiters = new Map<string, Set<Waiter>>();
  nc.subscribe(reply, {
    callback: (error, msg) => {
      if (error !== null) log.error({ err: error }, "receipts cannot be received");
      else deliver(msg, { sealer, waiters, log });
    },
  });
  const wrap = async ({ sha256, bytes, statement, signatures }: Authentic): Promise<Sealed> => {
    const key = await sealer.current(now());
    const atLeast = leastStatementBytes(definition, statement, signatures);
    const sealed = seal(key.key, "statement", sha256, bytes, { atLeast });
    return { key, sha256, sealed, head: headersOf(key, sha256, reply) };
  };
  return {
    async carry(authentic, wait_ms) {
      const sealed = await wrap(authentic);
      const deadline = performance.now() + wait_ms;
      // Before the statement is sent: its receipt may be faster than the acknowledgement.
      const waiter = expect(waiters, authentic.sha256);
      try {
        const duplicate = await publish(stream, authentic, sealed, log);
        const ask = async () => (await askReceipt(nc, sealed, log))?.receipt;
        return await waiter.until({ deadline, ask, first_ms: duplicate ? 0 : ASK_OVERDUE_MS });
      } finally {
        waiter.done();
      }
    },
    async recall(authentic) {
      const answer = await askReceipt(nc, await wrap(authentic), log);
      if (answer === undefined) throw new Problem("service.unavailable", { retryAfterSeconds: RETRY_AFTER_S });
      return answer.receipt;
    },
    async find(sha256) {
      const answer = await request(nc, SUBJECTS.find, Buffer.from(sha256, "ascii"), undefined, log);
      if (answer === undefined) throw new Problem("service.unavailable", { retryAfterSeconds: RETRY_AFTER_S });
      return Found.parse(answer.json()).index;
    },
    async well() {
      if (nc.isClosed()) return false;
      // A connection that is down flushes only when it is back.
      return Promise.race([
        nc.flush().then(
          () => true,
          () => false,
        ),
        sleep(FLUSH_MS, false, { ref: false }),
      ]);
    },
    waiting: () => waiters.size,
  };
}

/** A statement as it travels. */
interface Sealed {
  key: DataKey;
  sha256: string;
  sealed: Uint8Array;
  head: MsgHdrs;
}

function headersOf(key: DataKey, sha256: string, reply: string): MsgHdrs {
  const head = headers();
  head.set("Nats-Msg-Id", sha256);
  head.set("Scrutin-Key", key.id);
  head.set("Scrutin-Wrapped", Buffer.from(key.wrapped).toString("base64url"));
  head.set("Scrutin-Reply", reply);
  return head;
}

/** Stores the statement in the stream; true if the stream holds these bytes already. */
async function publish(
  stream: JetStreamClient,
  { statement, sha256 }: Authentic,
  { sealed, head }: Sealed,
  log: Logger,
): Promise<boolean> {
  try {
    const subject = SUBJECTS.statement(statement.state);
    return (await stream.publish(subject, sealed, { msgID: sha256, headers: head, timeout: PUBLISH_MS })).duplicate;
  } catch (error) {
    if (!(error instanceof NatsError)) throw error;
    // A full stream, no stream, no server: nothing was acknowledged, and the office sends the same bytes again.
    log.warn({ err: error }, "the bus did not take a statement");
    throw new Problem("service.unavailable", { retryAfterSeconds: RETRY_AFTER_S, cause: error });
  }
}

/** A question to the ledger; undefined when nobody answers: it is restarting, and the question can be asked again. */
async function request(
  nc: NatsConnection,
  subject: string,
  data: Uint8Array,
  head: MsgHdrs | undefined,
  log: Logger,
): Promise<Msg | undefined> {
  try {
    return await nc.request(subject, data, { timeout: ASK_MS, ...(head === undefined ? {} : { headers: head }) });
  } catch (error) {
    if (!(error instanceof NatsError)) throw error;
    log.warn({ err: error, subject }, "the ledger did not answer");
    return undefined;
  }
}

/** The ledger's answer about these bytes, with the receipt if they are in the log; undefined when nobody answers. */
async function askReceipt(
  nc: NatsConnection,
  { key, sha256, sealed, head }: Sealed,
  log: Logger,
): Promise<{ receipt?: string } | undefined> {
  const answer = await request(nc, SUBJECTS.ask, sealed, head, log);
  if (answer === undefined) return undefined;
  return answer.headers?.get("Scrutin-Status") === "known" ? { receipt: openReceipt(key, sha256, answer.data) } : {};
}

function openReceipt(key: DataKey, sha256: string, sealed: Uint8Array): string {
  // Only the vault can unwrap the data key, so what opens under it came from the vault. Its signature is the office's to
  // verify: this service only carries it.
  return Buffer.from(open(key.key, "receipt", sha256, sealed)).toString("ascii");
}

function deliver(msg: Msg, opts: { sealer: Sealer; waiters: Map<string, Set<Waiter>>; log: Logger }): void {
  const sha256 = msg.headers?.get("Scrutin-Statement") ?? "";
  const waiting = opts.waiters.get(sha256);
  const key = opts.sealer.find(msg.headers?.get("Scrutin-Key") ?? "");
  // Nobody waits any more, or the key is long gone: the office asks, or sends the bytes again.
  if (waiting === undefined || key === undefined) return;
  try {
    const receipt = openReceipt(key, sha256, msg.data);
    for (const waiter of waiting) waiter(receipt);
  } catch (error) {
    if (!(error instanceof SealBroken)) throw error;
    opts.log.error({ err: error, statement: sha256 }, "what came as a receipt is none");
  }
}

interface Waiting {
  deadline: number;
  ask(): Promise<string | undefined>;
  first_ms: number;
}

/** Registers interest in a receipt: it may come by itself, or be asked for. `done` must be called. */
function expect(waiters: Map<string, Set<Waiter>>, sha256: string) {
  let receipt: string | undefined;
  let ring: (() => void) | undefined;
  const waiter: Waiter = (text) => {
    receipt ??= text;
    ring?.();
  };
  const waiting = waiters.get(sha256) ?? new Set();
  waiters.set(sha256, waiting.add(waiter));
  const pauseFor = (ms: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      ring = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  return {
    async until({ deadline, ask, first_ms }: Waiting): Promise<string | undefined> {
      for (let pause = first_ms; ; pause = Math.min(ASK_OVERDUE_MS, Math.max(ASK_DUPLICATE_MS, pause * 2))) {
        const left = deadline - performance.now();
        if (receipt === undefined && left > 0 && pause > 0) await pauseFor(Math.min(pause, left));
        if (receipt !== undefined || performance.now() >= deadline) return receipt;
        receipt ??= await ask();
        if (receipt !== undefined) return receipt;
      }
    },
    done(): void {
      waiting.delete(waiter);
      if (waiting.size === 0 && waiters.get(sha256) === waiting) waiters.delete(sha256);
    },
  };
}
