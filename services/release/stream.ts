import type { Context } from "hono";
import { type Bell, createBell } from "../../shared/platform/bell.ts";
import { addressName, createRoom } from "../../shared/platform/bounds.ts";
import { type App, type Env, Problem, remoteAddress } from "../../shared/platform/http.ts";
import type { Metrics } from "../../shared/platform/metrics.ts";
import type { Listed, Shelf } from "./shelf.ts";

/**
 * `/v1/stream`: each release the moment that it is served, as server-sent events (WHATWG HTML, 9.2). It is open before the lift too, and
 * then has heartbeats alone, of one size and at one pace, whatever is counted.
 */
export interface ReleaseStream {
  /** Rung with each release, for whoever waits with `Prefer: wait`. */
  news: Bell;
  /** Tells everyone of these, oldest first. */
  tell(found: readonly Listed[]): void;
  /** Ends every stream: clients come back, to whoever serves then. */
  end(): void;
  /** The answer to one client. */
  open(c: Context<Env>): Response;
  readonly clients: number;
}

/** An event's data: what the list says of a release, and the hash of the one before it, so that a gap shows. */
export interface Announced extends Listed {
  url: string;
  previous: string | null;
}

export const HEARTBEAT_MS = 15_000;
/** A comment, which clients pass over. */
const HEARTBEAT = Buffer.from(":\n\n");
/** Where a client begins: come back after two seconds when the connection is lost. */
const GREETING = "retry: 2000\n\n";
/** Streams in all and from one address. What is left of the connections is for those who ask. */
export const MAX_STREAMS = 8_000;
export const MAX_STREAMS_PER_ADDRESS = 256;
/** What a client may leave unread, beyond what its socket holds: some hundred releases. Then it is cut, and comes back by its last event's id. */
export const MAX_UNREAD_BYTES = 128 * 1024;
/** Releases told of again to a client that comes back; one that missed more sees it by `previous`, and takes the list. */
export const MAX_REPLAYED = 200;

const HEADERS = {
  "content-type": "text/event-stream",
  "cache-control": "no-store",
  // To proxies that gather answers before they pass them on.
  "x-accel-buffering": "no",
};

type Client = ReadableStreamDefaultController<Uint8Array>;

export function createStream(list: Shelf["list"], metrics: Metrics, heartbeatMs = HEARTBEAT_MS): ReleaseStream {
  const clients = new Map<Client, () => void>();
  const room = createRoom(MAX_STREAMS, MAX_STREAMS_PER_ADDRESS);
  const open = metrics.gauge("release_stream_clients", "Streams that are open.");
  Object.assign(open, { collect: () => open.set(clients.size) });
  const cut = metrics.counter("release_stream_cut_total", "Streams that were cut because nobody read them.");

  const send = (client: Client, bytes: Uint8Array) => {
    if ((client.desiredSize ?? 0) > 0) return client.enqueue(bytes);
    cut.inc();
    clients.get(client)?.();
  };
  // One timer for all: thousands of them would be thousands of wake-ups.
  const beat = setInterval(() => {
    for (const client of [...clients.keys()]) send(client, HEARTBEAT);
  }, heartbeatMs);
  beat.unref();

  const news = createBell();
  return {
    news,
    tell(found) {
      if (found.length === 0) return;
      const bytes = Buffer.from(found.map((listed) => eventOf(listed, list())).join(""), "utf8");
      for (const client of [...clients.keys()]) send(client, bytes);
      news.ring();
    },
    end() {
      clearInterval(beat);
      for (const leave of [...clients.values()]) leave();
    },
    open(c) {
      if (c.req.method === "HEAD") return c.body(null, 200, HEADERS);
      const giveBack = room.take(addressName(remoteAddress(c)), 1);
      if (giveBack === undefined) throw new Problem("service.busy", { retryAfterSeconds: 5 });
      const missed = missedSince(c.req.header("last-event-id"), list());
      const first = Buffer.from(GREETING + missed.map((listed) => eventOf(listed, list())).join(""), "utf8");
      let forget = () => {};
      const body = new ReadableStream<Uint8Array>(
        {
          start(client) {
            const outgoing = c.env?.outgoing;
            forget = () => {
              if (!clients.delete(client)) return;
              giveBack();
              outgoing?.off("close", forget);
            };
            clients.set(client, () => {
              forget();
              // What it has not read is of no use to it: a stream that is cut in the middle of an event is begun again.
              if ((client.desiredSize ?? 0) <= 0) outgoing?.destroy();
              else client.close();
            });
            outgoing?.once("close", forget);
            client.enqueue(first);
          },
          cancel: () => forget(),
        },
        new ByteLengthQueuingStrategy({ highWaterMark: MAX_UNREAD_BYTES }),
      );
      return c.body(body, 200, HEADERS);
    },
    get clients() {
      return clients.size;
    },
  };
}

/** The releases after the one that a client names; the newest for one that names none, or none that there is. */
function missedSince(lastEventId: string | undefined, listed: readonly Listed[]): readonly Listed[] {
  const last = /^(0|[1-9]\d{0,8})$/.test(lastEventId ?? "") ? Number(lastEventId) : undefined;
  if (last === undefined || last > listed.length) return listed.slice(-1);
  return listed.slice(Math.max(last, listed.length - MAX_REPLAYED));
}

function eventOf(listed: Listed, all: readonly Listed[]): string {
  const data: Announced = {
    ...listed,
    url: `/v1/releases/${listed.number}`,
    previous: all[listed.number - 2]?.sha256 ?? null,
  };
  return `event: release\nid: ${listed.number}\ndata: ${JSON.stringify(data)}\n\n`;
}

export function addStream(app: App, stream: Pick<ReleaseStream, "open">): void {
  app.get("/v1/stream", (c) => stream.open(c));
}
