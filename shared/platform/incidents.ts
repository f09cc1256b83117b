import type { NatsConnection } from "nats";
import type { Logger } from "pino";
import { systemClock } from "./clock.ts";
import { SUBJECTS } from "./nats.ts";

/** Something wrong that was detected. No figures and nothing that depends on one; `about` is an id or a place. */
export interface Incident {
  code: string;
  about?: string;
}

export type RaiseIncident = (incident: Incident) => Promise<void>;

/**
 * Raises incidents: always a line in the log, and an event that is kept in EVENTS. That NATS is away must not hide the incident
 * nor stop whoever found it: then the line says so.
 */
export function incidentsOf(service: string, nc: NatsConnection, log: Logger): RaiseIncident {
  return async ({ code, about }) => {
    log.error({ code, about }, "incident");
    const event = { code, service, about, at: new Date(systemClock()).toISOString() };
    try {
      await nc.jetstream().publish(SUBJECTS.incident, JSON.stringify(event));
    } catch (error) {
      log.error({ err: error, code }, "the incident could not be published");
    }
  };
}
