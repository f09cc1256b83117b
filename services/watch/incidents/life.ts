import type { Severity } from "./catalogue.ts";

/**
 * The life of an incident as a fold over what happened to it: raised, perhaps repeated, acknowledged, explained, closed. What lasts (a service
 * that is away) also ends, and may come back; what happened once (a burst) never lasts. Pure: Postgres keeps the events, in their order.
 */

export type EventKind = "raised" | "repeated" | "ended" | "escalated" | Action;
/** What people do. */
export type Action = "acknowledged" | "explained" | "closed";
export type Evidence = Readonly<Record<string, string | number | boolean | null>>;

export interface IncidentEvent {
  /** UUID of the incident. */
  incident: string;
  kind: EventKind;
  /** Ms since the epoch. */
  at: number;
  /** Who did it; null: watch itself. */
  who: string | null;
  says: string | null;
  detail: Detail;
}

/** What an event carries; `code` to `lasts` only when raised. */
export interface Detail {
  code?: string | undefined;
  about?: string | null | undefined;
  /** The service that raised it. */
  service?: string | undefined;
  severity?: Severity | undefined;
  /** It goes on until it ends, and watch sees both. */
  lasts?: boolean | undefined;
  /** How often it was raised since the last event. */
  times?: number | undefined;
  evidence?: Evidence | undefined;
  /** When watch noticed it, ISO: earlier than `at` if Postgres was away. */
  noticed?: string | undefined;
}

export interface Incident {
  id: string;
  code: string;
  about: string | null;
  service: string;
  severity: Severity;
  state: "raised" | Action;
  raisedAt: number;
  /** Of the last sign of it, ms. */
  seenAt: number;
  times: number;
  /** It is going on, as far as watch sees. */
  lasting: boolean;
  escalations: number;
  escalatedAt: number | null;
  /** Who acknowledged, explained or closed it last. */
  who: string | null;
  events: IncidentEvent[];
}

/** Of the events of one incident so many are kept in memory; all of them are in Postgres. */
const EVENTS_KEPT = 100;

/** Incidents that are not closed, and the newest of the others, by id in the order in which they were raised. */
export type Incidents = Map<string, Incident>;

/** Adds one event. One of an incident that was never raised, or raised twice, changes nothing. */
export function applyEvent(incidents: Incidents, event: IncidentEvent): void {
  const found = incidents.get(event.incident);
  if (event.kind === "raised") {
    if (found === undefined) incidents.set(event.incident, raised(event));
    return;
  }
  if (found === undefined) return;
  found.events.push(event);
  if (found.events.length > EVENTS_KEPT) found.events.splice(1, 1);
  switch (event.kind) {
    case "repeated":
      found.times += event.detail.times ?? 1;
      found.seenAt = event.at;
      found.lasting = found.events[0]?.detail.lasts === true;
      return;
    case "ended":
      found.lasting = false;
      found.seenAt = event.at;
      return;
    case "escalated":
      found.escalations++;
      found.escalatedAt = event.at;
      return;
    default:
      found.state = event.kind;
      found.who = event.who;
  }
}

function raised(event: IncidentEvent): Incident {
  const { code = "incident.malformed", about = null, service = "watch", severity = "major", lasts } = event.detail;
  return {
    id: event.incident,
    code,
    about,
    service,
    severity,
    state: "raised",
    raisedAt: event.at,
    seenAt: event.at,
    times: event.detail.times ?? 1,
    lasting: lasts === true,
    escalations: 0,
    escalatedAt: null,
    who: null,
    events: [event],
  };
}

/** Why something cannot be done to an incident now. */
export type Objection = "incident.state" | "incident.unexplained" | "incident.lasts";

/** Undefined if it may be done. Whoever closes has an explanation on record, and closes nothing that is still going on. */
export function objectionTo({ state, lasting }: Incident, action: Action): Objection | undefined {
  if (state === "closed") return "incident.state";
  if (action === "acknowledged") return state === "raised" ? undefined : "incident.state";
  if (action === "explained") return undefined;
  if (state !== "explained") return "incident.unexplained";
  return lasting ? "incident.lasts" : undefined;
}

/** An incident that nobody has acknowledged goes to more people after so long, and again; a notice to nobody. */
export const ESCALATE_MS: Readonly<Record<Severity, number>> = {
  critical: 60_000,
  major: 5 * 60_000,
  minor: 15 * 60_000,
  notice: Number.POSITIVE_INFINITY,
};
/** After so many nobody is left to be told. */
const ESCALATIONS = 3;

/** True if nobody has acknowledged it, and it is time to tell more people. */
export function mustEscalate(incident: Incident, now: number): boolean {
  if (incident.state !== "raised" || incident.escalations >= ESCALATIONS) return false;
  return now - (incident.escalatedAt ?? incident.raisedAt) >= ESCALATE_MS[incident.severity];
}
