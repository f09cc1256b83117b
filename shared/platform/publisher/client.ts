import { setMaxListeners } from "node:events";
import { Agent as HttpAgent, type IncomingMessage, request as requestHttp } from "node:http";
import { Agent as HttpsAgent, request as requestHttps } from "node:https";
import { setTimeout as sleep } from "node:timers/promises";
import { Unreachable } from "./discrepancy.ts";

/** An answer that stands: 200, or a refusal that asking again will not change by itself; 500 if asking again did not change it. */
export interface Answer {
  status: number;
  body: Buffer;
  /** The code of a problem document (RFC 9457); undefined for any other body. */
  problem: string | undefined;
  /** Where a redirect leads, as it is written; none is followed. */
  location: string | undefined;
  /** The ETag, as it is written. */
  tag?: string | undefined;
}

export interface Client {
  /**
   * Asks for a path below the audited address. Of an answer that is larger than `maxBytes` one byte more is given, so that it is seen
   * to be wrong. `accept`: the media type that one would rather have, where there are several; `more`: further headers. Rejects with
   * Unreachable when there is no answer that stands within the patience, and with the signal's reason when it aborts.
   */
  get(path: string, maxBytes: number, accept?: string, more?: Readonly<Record<string, string>>): Promise<Answer>;
  close(): void;
}

export interface StreamingClient extends Client {
  /** One attempt at an answer whose body is read as it comes; whoever takes it ends it. Rejects when there is none. */
  open(path: string, more: Readonly<Record<string, string>>): Promise<IncomingMessage>;
}

export interface ClientOptions {
  base: URL;
  signal: AbortSignal;
  /** How long one path is asked for again before the audit gives up, ms. */
  patienceMs: number;
  /** How long one attempt may take from its first byte to its last, ms; `attemptMs` unless it is given. */
  deadlineMs?: ((maxBytes: number) => number) | undefined;
}

/** Requests on their way at once: as many as a publisher lets one reader have, and enough to fill a long line. */
export const IN_FLIGHT = 16;
/** Requests that may wait for a connection. */
const MOST_WAITING = 1024;
/** Connecting and every pause between two pieces of an answer. */
const SILENCE_MS = 15_000;
/** A stream has heartbeats, further apart than the pieces of an answer. */
const STREAM_SILENCE_MS = 45_000;
const LEAST_ATTEMPT_MS = 60_000;
/** A line as slow as this one still gets the largest answer whole: 16 kB a second. */
const SLOWEST_BYTES_PER_MS = 16;

/** Whoever answers a byte now and then is never silent, and never done: an attempt ends, whatever comes. */
export const attemptMs = (maxBytes: number): number => LEAST_ATTEMPT_MS + maxBytes / SLOWEST_BYTES_PER_MS;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;
/** A publisher that asks for more than this is away, as far as this audit goes. */
const LONGEST_RETRY_AFTER_MS = 30_000;

/** A client that keeps its connections, holds back when it is told to, and asks again what was not answered. */
export function createClient({ base, signal, patienceMs, deadlineMs = attemptMs }: ClientOptions): StreamingClient {
  const secure = base.protocol === "https:";
  const agent = new (secure ? HttpsAgent : HttpAgent)({ keepAlive: true, maxSockets: IN_FLIGHT });
  const root = base.href.replace(/\/*$/, "");
  // Every request listens for the end of the audit; that is no leak.
  setMaxListeners(MOST_WAITING, signal);

  const ask = (url: string, maxBytes: number, own: Readonly<Record<string, string>>): Promise<Raw> =>
    new Promise((resolve, reject) => {
      const headers = { ...own, "accept-encoding": "identity" };
      const options = { agent, signal, timeout: SILENCE_MS, headers };
      const sent = (secure ? requestHttps : requestHttp)(url, options, (response) => {
        collect(response, maxBytes).then(resolve, reject);
      });
      const allowed = deadlineMs(maxBytes);
      const late = new Error(`the answer was not whole within ${Math.ceil(allowed / 1000)} s`);
      const deadline = setTimeout(() => {
        reject(late); // before the socket's end says it in its own words
        sent.destroy(late);
      }, allowed);
      sent.on("timeout", () => sent.destroy(new Error(`no answer within ${SILENCE_MS / 1000} s`)));
      sent.on("error", reject);
      sent.on("close", () => clearTimeout(deadline));
      sent.end();
    });

  async function get(path: string, maxBytes: number, accept = "*/*", more = {}): Promise<Answer> {
    const url = root + path;
    const end = performance.now() + patienceMs;
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
      const raw = await ask(url, maxBytes, { accept, ...more }).catch((error: Error) => error);
      signal.throwIfAborted();
      if (!(raw instanceof Error) && !comesBack(raw.status)) return answerOf(raw);
      const why = raw instanceof Error ? raw.message : `status ${raw.status}`;
      const asked = raw instanceof Error ? 0 : Math.min(raw.retryAfterMs, LONGEST_RETRY_AFTER_MS);
      // Full jitter: many auditors that were turned away together do not come back together.
      const wait = asked + pause * Math.random();
      if (performance.now() + wait > end) {
        // Whoever answers so all the time is not away: this is what is served there.
        if (!(raw instanceof Error) && raw.status === 500) return answerOf(raw);
        throw new Unreachable(`${url} gives no answer (${why}).`);
      }
      await sleep(wait, undefined, { signal });
    }
  }
  const open = (path: string, more: Readonly<Record<string, string>>): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const options = {
        agent: false,
        signal,
        timeout: STREAM_SILENCE_MS,
        headers: { ...more, "accept-encoding": "identity" },
      };
      const sent = (secure ? requestHttps : requestHttp)(root + path, options, resolve);
      sent.on("timeout", () => sent.destroy(new Error(`nothing came for ${STREAM_SILENCE_MS / 1000} s`)));
      sent.on("error", reject);
      sent.end();
    });
  return { get, open, close: () => agent.destroy() };
}

interface Raw {
  status: number;
  type: string;
  location: string | undefined;
  tag: string | undefined;
  retryAfterMs: number;
  body: Buffer;
}

/** An answer that is larger than what is asked for can be is cut off behind that, and wrong: nobody's memory is theirs to fill. */
async function collect(response: IncomingMessage, maxBytes: number): Promise<Raw> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > maxBytes) break; // which ends the connection as well
  }
  if (bytes <= maxBytes && !response.complete) throw new Error("the answer was cut off");
  const after = Number(response.headers["retry-after"]);
  return {
    status: response.statusCode ?? 0,
    type: response.headers["content-type"] ?? "",
    location: response.headers.location,
    tag: response.headers.etag,
    retryAfterMs: Number.isFinite(after) && after > 0 ? after * 1000 : 0,
    body: Buffer.concat(chunks, Math.min(bytes, maxBytes + 1)),
  };
}

/** Too many requests, too busy, or broken for the moment: the same request may be answered later. */
const comesBack = (status: number) => status === 408 || status === 429 || status >= 500;

function answerOf({ status, type, location, tag, body }: Raw): Answer {
  const problem = type.startsWith("application/problem+json") ? problemCode(body) : undefined;
  return { status, body, problem, location, tag };
}

function problemCode(body: Buffer): string | undefined {
  try {
    const document = JSON.parse(body.toString("utf8")) as { code?: unknown } | null;
    return typeof document?.code === "string" ? document.code : undefined;
  } catch {
    return undefined; // it calls itself a problem document and is none: the status says enough
  }
}
