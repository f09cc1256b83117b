import type { Definition } from "../../shared/definition/schema.ts";
import type { BusView } from "./bus.ts";
import type { CanaryView } from "./canary.ts";
import type { DeliveryView } from "./delivery.ts";
import type { DiskView } from "./disks.ts";
import { kindOf } from "./incidents/catalogue.ts";
import type { Incident } from "./incidents/life.ts";
import type { ServiceView } from "./probes.ts";
import { type PromiseLight, promiseLights } from "./promises.ts";
import type { RecordView } from "./record.ts";

/** Everything that watch knows, in one document. No figure of the count is in it, nor a verdict, at any time. */
export interface Status {
  mode: Definition["mode"];
  election: string;
  title: string;
  /** The definition's hash. */
  definition: string;
  /** When this was put together, ISO. */
  at: string;
  well: boolean;
  /** What is not well, in words; empty when all is. */
  ill: string[];
  promises: PromiseLight[];
  services: ServiceView[];
  dependencies: { postgres: RecordView["postgres"] & { ownLog: boolean }; nats: BusView["nats"] };
  inbox: BusView["inbox"];
  disks: DiskView[];
  log: RecordView["log"];
  witnesses: RecordView["witnesses"];
  gate: RecordView["gate"];
  feeds: RecordView["feeds"];
  releases: { given: RecordView["given"]; published: BusView["published"] };
  delivery: DeliveryView;
  canary: CanaryView;
  /** The open ones, the gravest and newest first, then the last that were closed; without their events. */
  incidents: IncidentView[];
}

/** An incident as it is listed. */
export type IncidentView = Omit<Incident, "events" | "raisedAt" | "seenAt" | "escalatedAt"> & {
  /** ISO. */
  raisedAt: string;
  seenAt: string;
  means: string;
  todo: string;
};

/** What each of its parts sees. */
export interface Views {
  services: ServiceView[];
  record: RecordView;
  bus: BusView;
  delivery: DeliveryView;
  disks: DiskView[];
  canary: CanaryView;
  incidents: Incident[];
}

/** Listed ones: what is more is on the page of incidents. */
const CLOSED_LISTED = 20;

/** Puts the views together; `now` in ms. */
export function statusOf(
  { definition, hash }: { definition: Definition; hash: string },
  views: Views,
  now: number,
): Status {
  const { services, record, bus, delivery, disks, canary, incidents } = views;
  const { mode, election, title } = definition;
  const { postgres, ownLog, log, gate, feeds, given } = record;
  const ill = [
    ...services.filter(({ ready }) => !ready).map(({ name, up }) => `service ${name}: ${up ? "not ready" : "down"}`),
    ...(postgres.well ? [] : ["Postgres does not answer"]),
    ...(ownLog ? [] : ["the log in Postgres is about another definition"]),
    ...(bus.nats.well ? [] : ["NATS does not answer"]),
    ...overdueFeeds(feeds),
    ...undelivered(delivery),
  ];
  return {
    mode,
    election,
    title,
    definition: hash,
    at: new Date(now).toISOString(),
    well: ill.length === 0,
    ill,
    promises: promiseLights(views, incidents),
    services,
    dependencies: { postgres: { ...postgres, ownLog }, nats: bus.nats },
    inbox: bus.inbox,
    disks,
    log,
    witnesses: record.witnesses,
    gate,
    feeds,
    releases: { given, published: bus.published },
    delivery,
    canary,
    incidents: listed(incidents).map(incidentView),
  };
}

function listed(incidents: readonly Incident[]): Incident[] {
  const closed = incidents.findIndex(({ state }) => state === "closed");
  return closed < 0 ? [...incidents] : incidents.slice(0, closed + CLOSED_LISTED);
}

/** An incident without its events. */
export function incidentView({ events: _, escalatedAt: __, raisedAt, seenAt, ...incident }: Incident): IncidentView {
  const { means, todo } = kindOf(incident.code);
  const iso = (ms: number) => new Date(ms).toISOString();
  return { ...incident, raisedAt: iso(raisedAt), seenAt: iso(seenAt), means, todo };
}

function undelivered({ state, shown, fetched }: DeliveryView): string[] {
  const wrong = fetched.filter(({ equal }) => !equal).map(({ key, number }) => `${key} has another release ${number}`);
  if (state === "differs")
    return [`release ${shown?.number ?? ""} as it is shown is not the one that was released`, ...wrong];
  if (state === "behind") return [`release ${shown?.number ?? ""} is shown, and a newer one was released`, ...wrong];
  if (state === "no-answer") return ["the publication endpoint gives no release", ...wrong];
  return wrong;
}

/** One sentence for all of them: early in an exercise they are many. */
function overdueFeeds(feeds: RecordView["feeds"]): string[] {
  const states = feeds.filter(({ feed }) => feed === "overdue").map(({ state }) => state);
  return states.length === 0 ? [] : [`overdue: no word that the polls are closed from ${states.join(", ")}`];
}
