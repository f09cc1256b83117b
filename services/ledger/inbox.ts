import { createInbox as inboxSubject, type Msg, type NatsConnection, nanos, type Subscription } from "nats";
import type { Logger } from "pino";
import { inboxOf, LEDGER_CONSUMER, STREAMS } from "../../shared/platform/nats.ts";

/**
 * What waits in the stream, as the ledger takes it: whatever is there, at most a batch. The next batch is fetched while one
 * is being written. Plain JetStream requests, so that 2.9.10 and the newest server behave alike.
 */
export interface Inbox {
  /** Waits until something is there, or for `wait_ms`; then all of it, up to `MAX_BATCH`. */
  take(wait_ms: number): Promise<Msg[]>;
  /** Ends a wait. */
  wake(): void;
  /** Fetches nothing more and ends a wait. */
  stop(): void;
  /** After `stop`: gives back `taken`, then what was fetched and not taken. */
  giveBack(taken: readonly Msg[]): Promise<void>;
}

/** Statements in one batch: larger ones hardly gain, and make the first one wait for the last. */
export const MAX_BATCH = 256;
/** Bytes in one request: a batch of the largest statements must not fill the memory. */
const MAX_FETCH_BYTES = 16 * 1024 * 1024;
/** A request lasts so long at the server; then it says so and another one follows. */
const EXPIRES_MS = 5_000;
/** A request that ended without a word: the connection broke, or the server was started anew. */
const LOST_MS = EXPIRES_MS + 2_000;
/** After a refusal (no stream, no consumer): not at once again. */
const REFUSED_MS = 250;

const NEXT = `$JS.API.CONSUMER.MSG.NEXT.${STREAMS.statements}.${LEDGER_CONSUMER}`;

/** Answers to a delivery (JetStream's acknowledgement protocol). */
export const ack = (msg: Msg) => msg.respond("+ACK");
export const discard = (msg: Msg) => msg.respond("+TERM");

export function openInbox(nc: NatsConnection, log: Logger): Inbox {
  return new StreamInbox(nc, log);
}

class StreamInbox implements Inbox {
  private readonly nc: NatsConnection;
  private readonly log: Logger;
  private readonly subject = inboxSubject(inboxOf("ledger"));
  private readonly subscription: Subscription;
  private fetched: Msg[] = [];
  /** How many the present request may still bring; 0: there is none. */
  private expected = 0;
  private timer: NodeJS.Timeout | undefined;
  private arrived: (() => void) | undefined;
  private closed = false;

  constructor(nc: NatsConnection, log: Logger) {
    this.nc = nc;
    this.log = log;
    this.subscription = nc.subscribe(this.subject, {
      callback: (error, msg) => {
        if (error !== null) log.error({ err: error }, "the stream cannot be read");
        else this.receive(msg);
      },
    });
    this.request();
  }

  async take(wait_ms: number): Promise<Msg[]> {
    if (this.fetched.length === 0 && !this.closed) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, wait_ms);
        this.arrived = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.arrived = undefined;
    }
    const taken = this.fetched.splice(0, MAX_BATCH);
    this.request();
    return taken;
  }

  wake(): void {
    this.arrived?.();
  }

  stop(): void {
    this.closed = true;
    clearTimeout(this.timer);
    this.wake();
  }

  async giveBack(taken: readonly Msg[]): Promise<void> {
    if (this.nc.isClosed()) return;
    // First the end of the request: what we give back must not come back to us.
    this.subscription.unsubscribe();
    await this.nc.flush();
    for (const msg of [...taken, ...this.fetched.splice(0)]) msg.respond("-NAK");
    await this.nc.flush();
  }

  /** One request at a time, and only when there is room: what is fetched and not written is redelivered after a crash. */
  private request(): void {
    if (this.closed || this.expected > 0 || this.fetched.length >= MAX_BATCH || this.nc.isClosed()) return;
    this.expected = MAX_BATCH;
    const ask = { batch: MAX_BATCH, expires: nanos(EXPIRES_MS), max_bytes: MAX_FETCH_BYTES };
    this.nc.publish(NEXT, JSON.stringify(ask), { reply: this.subject });
    this.again(LOST_MS);
  }

  /** Another request after so long, unless something happens before. */
  private again(after_ms: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.expected = 0;
      this.request();
    }, after_ms);
  }

  /** What the server says instead of a message: 100 it lives, 404, 408 and 409 nothing more by this request, 503 nobody is there. */
  private status(code: number, description: string): void {
    if (code === 100) return;
    const ended = code === 404 || code === 408 || (code === 409 && /maxbytes/i.test(description));
    if (!ended) this.log.warn({ status: code, description }, "the stream does not answer");
    this.again(ended ? 0 : REFUSED_MS);
  }

  private receive(msg: Msg): void {
    const { headers, data } = msg;
    if (headers !== undefined && headers.code > 0 && data.length === 0) {
      this.status(headers.code, headers.description);
      return;
    }
    this.fetched.push(msg);
    this.expected = Math.max(0, this.expected - 1);
    if (this.expected === 0) this.request();
    else this.again(LOST_MS);
    this.arrived?.();
  }
}
