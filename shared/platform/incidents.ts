import type { NatsConnection } from "nats";
import type { Logger } from "pino";
import { SUBJECTS } from "./nats.ts";

/** Something wrong that was detected. No figures and nothing that depends on one; `about` is an id or a place. */
export interface Incident {
  code: string;
  about?: string;
  /** What was seen: a few counts and names. */
  evidence?: Readonly<Record<string, string | number>>;
}

/** The services that raise incidents, each under a subject of its own: who raised one is what NATS let through, not what it says. */
export const RAISERS = ["ingest", "ledger", "tabulate", "recount", "release"] as const;
export type Raiser = (typeof RAISERS)[number];

export type RaiseIncident = (incident: Incident) => Promise<void>;

/**
 * Raises incidents: always a line in the log, and an event that is kept in EVENTS. That NATS is away must not hide the incident
 * nor stop whoever found it: then the line says so.
 */
export function incidentsOf(service: Raiser, nc: NatsConnection, log: Logger): RaiseIncident {
  return async ({ code, about, evidence }) => {
    log.error({ code, about, evidence }, "incident");
    try {
      await nc.jetstream().publish(SUBJECTS.incident(service), JSON.stringify({ code, about, evidence }));
    } catch (error) {
      log.error({ err: error, code }, "the incident could not be published");
    }
  };
}
