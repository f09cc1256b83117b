import { type JetStreamManager, type NatsConnection, NatsError } from "nats";
import type { Logger } from "pino";
import { z } from "zod";
import { RAISERS, type Raiser } from "../../shared/platform/incidents.ts";
import { STREAMS, SUBJECTS } from "../../shared/platform/nats.ts";
import { isoOrNull, notSeen, see } from "./seen.ts";

/** What NATS, the road, says. */
export interface BusView {
  nats: {
    well: boolean;
    since: string | null;
    streams: { name: string; messages: number; bytes: number }[];
  };
  /** The last release that `release` says it serves; null before the lift. */
  published: z.infer<typeof Published> | null;
  incidents: IncidentView[];
}

/** Who raised it is the key that NATS let through, and `at` when NATS stored it. */
export type IncidentView = z.infer<typeof IncidentEvent> & { service: Raiser; at: string };

export interface BusWatch {
  /** One look. Never rejects. */
  look(): Promise<void>;
  view(): BusView;
}

/** Of each service, so that one which raises without end pushes no other's away; older ones are in the services' logs and in EVENTS. */
export const INCIDENTS_KEPT = 50;
/** Of each service at a look: a flood is read a little at a time, and everything else is still looked at. */
const READ_AT_ONCE = 100;
const ANSWER_MS = 2_000;

/** What does not fit is shown as a malformed incident: whatever it was, someone raised it. */
const IncidentEvent = z.object({ code: z.string().max(64), about: z.string().max(512).optional() });
const MALFORMED = "incident.malformed";
const Published = z.object({ number: z.int(), size: z.int(), sha256: z.string().length(64) });

/** `connection` is undefined until the first connection stands. */
export function createBusWatch(opts: {
  connection: () => NatsConnection | undefined;
  log: Logger;
  now: () => number;
}): BusWatch {
  const { connection, log, now } = opts;
  let nats = notSeen();
  let streams: BusView["nats"]["streams"] = [];
  let published: BusView["published"] = null;
  const raised = RAISERS.map((service) => createRaised(service));

  const read = async () => {
    const nc = connection();
    if (nc === undefined || nc.isClosed()) throw new Error("no connection");
    // No look at the account first: services may not ask for it.
    const jsm = await nc.jetstreamManager({ timeout: ANSWER_MS, checkAPI: false });
    const infos = await Promise.all(Object.values(STREAMS).map((name) => jsm.streams.info(name)));
    streams = infos.map(({ config, state }) => ({ name: config.name, messages: state.messages, bytes: state.bytes }));
    const events = infos.find(({ config }) => config.name === STREAMS.events);
    await Promise.all(raised.map((one) => one.read(jsm, events?.state.last_seq ?? 0)));
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
    view: () => {
      const incidents = raised
        .flatMap((one) => one.incidents())
        .sort((a, b) => (a.at < b.at ? 1 : a.at > b.at ? -1 : 0));
      return { nats: { well: nats.well, since: isoOrNull(nats.since), streams }, published, incidents };
    },
  };
}

/** The incidents of one service, read on from where the last look ended. */
function createRaised(service: Raiser) {
  let kept: IncidentView[] = [];
  /** Where in EVENTS the next one is looked for. */
  let next = 1;
  const keep = (incident: IncidentView) => {
    // One that says nothing is kept once: an answer of NATS itself can be led here, and must not push away what was meant.
    const others = incident.code === MALFORMED ? kept.filter(({ code }) => code !== MALFORMED) : kept;
    kept = [incident, ...others].slice(0, INCIDENTS_KEPT);
  };
  return {
    async read(jsm: JetStreamManager, lastSequence: number): Promise<void> {
      // The stream was made anew: what it held is lost, and its numbers start again.
      if (lastSequence < next - 1) next = 1;
      for (let count = 0; count < READ_AT_ONCE && next <= lastSequence; count++) {
        const found = await messageAt(jsm, { seq: next, next_by_subj: SUBJECTS.incident(service) });
        if (found === undefined) {
          next = lastSequence + 1;
          return;
        }
        keep({ ...incidentOf(found), service, at: found.time.toISOString() });
        next = found.seq + 1;
      }
    },
    incidents: () => kept,
  };
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
