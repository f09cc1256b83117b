import { randomUUID } from "node:crypto";
import type { Pool } from "pg";
import type { Logger } from "pino";
import { withTransaction } from "../../../shared/platform/postgres.ts";
import type { Finding } from "../detectors/finding.ts";
import { kindOf } from "./catalogue.ts";
import {
  type Action,
  applyEvent,
  type Detail,
  type Evidence,
  type Incident,
  type IncidentEvent,
  type Incidents,
  mustEscalate,
  type Objection,
  objectionTo,
} from "./life.ts";
import {
  type EventRow,
  insertEvents,
  type NewEvent,
  type Position,
  selectEvents,
  selectPositions,
  upsertPosition,
} from "./store.ts";

/**
 * The incidents: in Postgres, and in memory for whoever looks. What is noticed while Postgres is away is shown at once and written when it is
 * back; what people decide is written first.
 */
export interface IncidentBook {
  /** Reads what is new, writes what is not written yet, and sees who must be told more. Never rejects. */
  look(): Promise<void>;
  /** What lasts, as one look saw it: raises what is new, and ends what is over. */
  see(findings: readonly Finding[]): void;
  /** What a service raised on NATS, up to `position`. */
  take(service: string, raised: readonly Raised[], position: Position): void;
  /** Up to where a service's incidents were taken; undefined before the first read from Postgres. */
  takenOf(service: string): Position | "none" | undefined;
  /** What a person does. Rejects when Postgres is away: nothing is promised that is not written. */
  act(id: string, action: Action, who: string, says: string | null): Promise<Incident | Objection | "incident.unknown">;
  /** The open ones, the gravest and newest first, then the closed. */
  list(): Incident[];
  find(id: string): Incident | undefined;
}

export interface Raised {
  code: string;
  about?: string | undefined;
  evidence?: Evidence | undefined;
}

const READ_AT_ONCE = 1_000;
/** Open ones of one code: whoever can bring about more (from many addresses, say) raises one for all others. */
const MOST_OF_A_CODE = 40;
const MANY = "and more";
/** Of the closed ones so many are kept in memory; all are in Postgres. */
const CLOSED_KEPT = 200;
/** Of what is not written: beyond it repeats are forgotten. */
const MOST_PENDING = 2_000;

const keyOf = (code: string, about: string | null, service: string) => JSON.stringify([code, about, service]);

export function createIncidentBook(opts: { pool: Pool; log: Logger; now: () => number }): IncidentBook {
  const { pool, log, now } = opts;
  const incidents: Incidents = new Map();
  /** The open incident of each key. */
  const open = new Map<string, Incident>();
  let positions: Map<string, Position> | undefined;
  let moved = new Set<string>();
  let lastId = 0;
  /** Rows that this process wrote and has not read back. */
  const own = new Set<number>();
  let pending: NewEvent[] = [];
  let away = false;

  const apply = (event: IncidentEvent) => {
    applyEvent(incidents, event);
    const incident = incidents.get(event.incident);
    if (incident === undefined) return;
    const key = keyOf(incident.code, incident.about, incident.service);
    if (incident.state === "closed") {
      if (open.get(key) === incident) open.delete(key);
      forgetClosed(incidents);
    } else if (event.kind === "raised") open.set(key, incident);
  };
  const applyRow = (row: EventRow) => apply({ ...row, at: row.at.getTime() });

  const note = (incident: string, kind: NewEvent["kind"], detail: Detail, at = now()) => {
    if (pending.length >= MOST_PENDING && kind === "repeated") return;
    const noticed = new Date(at).toISOString();
    pending.push({ incident, kind, who: null, says: null, detail: { ...detail, noticed } });
    apply({ incident, kind, at, who: null, says: null, detail });
  };

  /** One sign of something wrong: a new incident, or the one that is open. */
  const sign = (
    code: string,
    about: string | null,
    service: string,
    more: Pick<Detail, "lasts" | "times" | "evidence">,
    at = now(),
  ) => {
    const same = open.get(keyOf(code, about, service));
    if (same !== undefined) {
      if (!same.lasting) note(same.id, "repeated", { times: more.times, evidence: more.evidence }, at);
      return;
    }
    const alike = [...open.values()].filter((one) => one.code === code && one.service === service).length;
    if (alike >= MOST_OF_A_CODE && about !== MANY) return sign(code, MANY, service, { ...more, lasts: false }, at);
    const { severity } = kindOf(code);
    note(randomUUID(), "raised", { code, about, service, severity, ...more }, at);
    log.warn({ code, about, service, severity }, "incident raised");
  };

  const readNew = async () => {
    for (;;) {
      const rows = await selectEvents(pool, lastId, READ_AT_ONCE);
      for (const row of rows) {
        if (!own.delete(row.id)) applyRow(row);
        lastId = row.id;
      }
      if (rows.length < READ_AT_ONCE) return;
    }
  };

  const write = async () => {
    if (pending.length === 0 && moved.size === 0) return;
    const writing = pending.slice(0, READ_AT_ONCE);
    const moving = moved;
    moved = new Set();
    try {
      const rows = await withTransaction(pool, async (client) => {
        for (const service of moving) {
          const position = positions?.get(service);
          if (position !== undefined) await upsertPosition(client, position);
        }
        return insertEvents(client, writing);
      });
      for (const { id } of rows) own.add(id);
      pending = pending.slice(writing.length);
    } catch (error) {
      for (const service of moving) moved.add(service);
      throw error;
    }
  };

  return {
    async look() {
      try {
        positions ??= new Map((await selectPositions(pool)).map((position) => [position.service, position]));
        await readNew();
        for (const incident of open.values()) if (mustEscalate(incident, now())) note(incident.id, "escalated", {});
        await write();
        away = false;
      } catch (error) {
        if (!away) log.warn({ err: error }, "incidents are not written: they are kept in memory meanwhile");
        away = true;
      }
    },
    see(findings) {
      const at = now(); // one look, one instant
      const lasting = new Set(findings.map(({ code, about }) => keyOf(code, about, "watch")));
      for (const [key, incident] of open) if (incident.lasting && !lasting.has(key)) note(incident.id, "ended", {}, at);
      for (const { code, about, evidence } of findings) {
        if (open.get(keyOf(code, about, "watch"))?.lasting !== true)
          sign(code, about, "watch", { lasts: true, evidence }, at);
      }
    },
    take(service, raised, position) {
      const together = new Map<string, Raised & { times: number }>();
      for (const one of raised) {
        const key = keyOf(one.code, one.about ?? null, service);
        together.set(key, { ...one, times: (together.get(key)?.times ?? 0) + 1 });
      }
      for (const { code, about = null, evidence, times } of together.values())
        sign(code, about, service, { lasts: false, times, evidence });
      positions?.set(service, position);
      moved.add(service);
    },
    takenOf: (service) => (positions === undefined ? undefined : (positions.get(service) ?? "none")),
    async act(id, action, who, says) {
      await readNew();
      await write(); // what happened before is written before
      const incident = incidents.get(id);
      if (incident === undefined) return "incident.unknown";
      const objection = objectionTo(incident, action);
      if (objection !== undefined) return objection;
      const [row] = await insertEvents(pool, [{ incident: id, kind: action, who, says, detail: {} }]);
      if (row === undefined) throw new Error("an event was not written");
      own.add(row.id);
      applyRow(row);
      log.info({ incident: id, action, who }, "incident");
      return incident;
    },
    list: () => [...incidents.values()].sort(byUrgency),
    find: (id) => incidents.get(id),
  };
}

const RANK = { critical: 0, major: 1, minor: 2, notice: 3 } as const;

function byUrgency(a: Incident, b: Incident): number {
  const closed = Number(a.state === "closed") - Number(b.state === "closed");
  if (closed !== 0) return closed;
  if (a.state === "closed") return b.seenAt - a.seenAt;
  return RANK[a.severity] - RANK[b.severity] || b.raisedAt - a.raisedAt;
}

function forgetClosed(incidents: Incidents): void {
  const closed = [...incidents.values()].filter(({ state }) => state === "closed");
  for (const { id } of closed.slice(0, Math.max(0, closed.length - CLOSED_KEPT))) incidents.delete(id);
}
