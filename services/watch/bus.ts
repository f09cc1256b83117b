import { DiscardPolicy, type JetStreamManager, type NatsConnection, NatsError } from "nats";
import type { Logger } from "pino";
import { z } from "zod";
import { RAISERS, type Raiser } from "../../shared/platform/incidents.ts";
import { STREAMS, SUBJECTS } from "../../shared/platform/nats.ts";
import type { IncidentBook, Raised } from "./incidents/book.ts";
import { isoOrNull, notSeen, see } from "./seen.ts";

/** What NATS, the road, says. */
export interface BusView {
  nats: {
    well: boolean;
    since: string | null;
    /** `refuses`: when it is full it takes nothing more, and drops nothing. */
    streams: { name: string; messages: number; bytes: number; mostBytes: number; refuses: boolean }[];
  };
  /** What waits for the ledger; `oldest`: since when, ISO. */
  inbox: { messages: number; oldest: string | null };
  /** The last release that `release` says it serves; null before the lift. */
  published: z.infer<typeof Published> | null;
}

export interface BusWatch {
  /** One look. Never rejects. */
  look(): Promise<void>;
  view(): BusView;
}

/** Of each service at a look: a flood is read a little at a time, and everything else is still looked at. */
const READ_AT_ONCE = 100;
const ANSWER_MS = 2_000;

/** What does not fit is shown as a malformed incident: whatever it was, someone raised it. */
const IncidentEvent = z.object({
  code: z.string().max(64),
  about: z.string().max(512).optional(),
  evidence: z.record(z.string().max(32), z.union([z.string().max(256), z.number()])).optional(),
});
const MALFORMED = "incident.malformed";
const Published = z.object({ number: z.int(), size: z.int(), sha256: z.string().length(64) });

/** `connection` is undefined until the first connection stands. */
export function createBusWatch(opts: {
  connection: () => NatsConnection | undefined;
  /** Where what a service raised is kept. */
  book: Pick<IncidentBook, "take" | "takenOf">;
  log: Logger;
  now: () => number;
}): BusWatch {
  const { connection, book, log, now } = opts;
  let nats = notSeen();
  let streams: BusView["nats"]["streams"] = [];
  let inbox: BusView["inbox"] = { messages: 0, oldest: null };
  let published: BusView["published"] = null;

  const read = async () => {
    const nc = connection();
    if (nc === undefined || nc.isClosed()) throw new Error("no connection");
    // No look at the account first: services may not ask for it.
    const jsm = await nc.jetstreamManager({ timeout: ANSWER_MS, checkAPI: false });
    const infos = await Promise.all(Object.values(STREAMS).map((name) => jsm.streams.info(name)));
    streams = infos.map(({ config, state }) => ({
      name: config.name,
      messages: state.messages,
      bytes: state.bytes,
      mostBytes: Math.max(0, config.max_bytes),
      refuses: config.discard === DiscardPolicy.New,
    }));
    const waiting = infos.find(({ config }) => config.name === STREAMS.statements)?.state;
    const messages = waiting?.messages ?? 0;
    inbox = { messages, oldest: messages === 0 ? null : new Date(waiting?.first_ts ?? 0).toISOString() };
    const events = infos.find(({ config }) => config.name === STREAMS.events);
    if (events !== undefined) {
      const stream = { created: new Date(events.created), last: events.state.last_seq };
      await Promise.all(RAISERS.map((service) => readRaised(jsm, service, stream, book)));
    }
    const last = await messageAt(jsm, { last_by_subj: SUBJECTS.published });
    published = last === undefined ? null : (Published.safeParse(jsonOf(last.data)).data ?? null);
  };

  return {
    async look() {
      try {
        await read();
        nats = see(nats, true, now());
      } catch (error) {
        if (nats.well || nats.since === null) log.warn({ err: error }, "NATS does not answer");
        nats = see(nats, false, now());
      }
    },
    view: () => ({ nats: { well: nats.well, since: isoOrNull(nats.since), streams }, inbox, published }),
  };
}

/** What a service raised since it was last read. Not before the book knows where that was: what was closed must not be raised again. */
async function readRaised(
  jsm: JetStreamManager,
  service: Raiser,
  stream: { created: Date; last: number },
  book: Pick<IncidentBook, "take" | "takenOf">,
): Promise<void> {
  const taken = book.takenOf(service);
  if (taken === undefined) return;
  // A stream that was made anew: what the former held is lost, and its numbers start again.
  const isSame = taken !== "none" && taken.created.getTime() === stream.created.getTime() && taken.seq <= stream.last;
  const from = isSame ? taken.seq : 0;
  let seq = from;
  const raised: Raised[] = [];
  while (raised.length < READ_AT_ONCE && seq < stream.last) {
    const found = await messageAt(jsm, { seq: seq + 1, next_by_subj: SUBJECTS.incident(service) });
    seq = found?.seq ?? stream.last;
    if (found !== undefined) raised.push(incidentOf(found));
  }
  if (raised.length > 0 || !isSame) book.take(service, raised, { service, created: stream.created, seq });
}

interface Message {
  seq: number;
  time: Date;
  data: Uint8Array;
}

/** A message of EVENTS; undefined if there is none such. */
async function messageAt(
  jsm: JetStreamManager,
  query: { seq: number; next_by_subj: string } | { last_by_subj: string },
): Promise<Message | undefined> {
  try {
    return await jsm.streams.getMessage(STREAMS.events, query);
  } catch (error) {
    if (error instanceof NatsError && error.jsError()?.code === 404) return undefined;
    throw error;
  }
}

function incidentOf({ data }: Message): z.infer<typeof IncidentEvent> {
  return IncidentEvent.safeParse(jsonOf(data)).data ?? { code: MALFORMED };
}

function jsonOf(data: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(data).toString("utf8"));
  } catch {
    return undefined; // not JSON is none of our events: the caller says so
  }
}
