import { type JetStreamManager, type NatsConnection, NatsError } from "nats";
import type { Logger } from "pino";
import { z } from "zod";
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

export type IncidentView = z.infer<typeof IncidentEvent>;

export interface BusWatch {
  /** One look. Never rejects. */
  look(): Promise<void>;
  view(): BusView;
}

/** Newest first; older ones are in the services' logs and in EVENTS. */
export const INCIDENTS_KEPT = 200;
const ANSWER_MS = 2_000;

/** What does not fit is shown as a malformed incident: whatever it was, someone raised it. */
const IncidentEvent = z.object({
  code: z.string().max(64),
  service: z.string().max(32),
  about: z.string().max(512).optional(),
  at: z.iso.datetime(),
});
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
  let incidents: IncidentView[] = [];
  /** Where in EVENTS the next incident is looked for. */
  let next = 1;

  const readIncidents = async (jsm: JetStreamManager, lastSequence: number) => {
    // The stream was made anew: what it held is lost, and its numbers start again.
    if (lastSequence < next - 1) next = 1;
    while (next <= lastSequence) {
      const found = await messageAt(jsm, { seq: next, next_by_subj: SUBJECTS.incident });
      if (found === undefined) {
        next = lastSequence + 1;
        return;
      }
      incidents = [incidentOf(found), ...incidents].slice(0, INCIDENTS_KEPT);
      next = found.seq + 1;
    }
  };

  const read = async () => {
    const nc = connection();
    if (nc === undefined || nc.isClosed()) throw new Error("no connection");
    // No look at the account first: services may not ask for it.
    const jsm = await nc.jetstreamManager({ timeout: ANSWER_MS, checkAPI: false });
    const infos = await Promise.all(Object.values(STREAMS).map((name) => jsm.streams.info(name)));
    streams = infos.map(({ config, state }) => ({ name: config.name, messages: state.messages, bytes: state.bytes }));
    const events = infos.find(({ config }) => config.name === STREAMS.events);
    await readIncidents(jsm, events?.state.last_seq ?? 0);
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
    view: () => ({ nats: { well: nats.well, since: isoOrNull(nats.since), streams }, published, incidents }),
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

function incidentOf({ data, time }: Message): IncidentView {
  const parsed = IncidentEvent.safeParse(jsonOf(data));
  return parsed.success ? parsed.data : { code: "incident.malformed", service: "unknown", at: time.toISOString() };
}

function jsonOf(data: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(data).toString("utf8"));
  } catch {
    return undefined; // not JSON is none of our events: the caller says so
  }
}
