import type { Pool, PoolClient } from "pg";
import type { Detail, EventKind } from "./life.ts";

/** All SQL of incidents: rows are added, and none is changed. */

type Db = Pool | PoolClient;

export interface EventRow {
  id: number;
  incident: string;
  kind: EventKind;
  at: Date;
  who: string | null;
  says: string | null;
  detail: Detail;
}

const COLUMNS = "id, incident, kind, at, who, says, detail";

/** Events after `after`, in their order, at most `limit`. */
export async function selectEvents(db: Db, after: number, limit: number): Promise<EventRow[]> {
  const { rows } = await db.query<EventRow>(
    `select ${COLUMNS} from watch.incident_event where id > $1 order by id limit $2`,
    [after, limit],
  );
  return rows;
}

export type NewEvent = Pick<EventRow, "incident" | "kind" | "who" | "says" | "detail">;

/** Adds events in one round trip, in their order. */
export async function insertEvents(db: Db, events: readonly NewEvent[]): Promise<EventRow[]> {
  const { rows } = await db.query<EventRow>(
    `insert into watch.incident_event (incident, kind, who, says, detail)
       select incident, kind, who, says, detail
         from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::jsonb[])
           with ordinality as event (incident, kind, who, says, detail, place)
         order by place
       returning ${COLUMNS}`,
    [
      events.map(({ incident }) => incident),
      events.map(({ kind }) => kind),
      events.map(({ who }) => who),
      events.map(({ says }) => says),
      events.map(({ detail }) => JSON.stringify(detail)),
    ],
  );
  return rows.sort((a, b) => a.id - b.id);
}

/** How far the incidents that a service raised were taken, in which stream. */
export interface Position {
  service: string;
  /** When the stream was made. */
  created: Date;
  seq: number;
}

export async function selectPositions(db: Db): Promise<Position[]> {
  const { rows } = await db.query<Position>("select service, created, seq from watch.position");
  return rows;
}

export async function upsertPosition(db: Db, { service, created, seq }: Position): Promise<void> {
  await db.query(
    `insert into watch.position (service, created, seq) values ($1, $2, $3)
       on conflict (service) do update set created = excluded.created, seq = excluded.seq`,
    [service, created, seq],
  );
}

/** The last event that a receiver of the webhooks has; undefined before its first. */
export async function selectDelivered(db: Db, receiver: string): Promise<number | undefined> {
  const { rows } = await db.query<{ id: number }>("select id from watch.delivered where receiver = $1", [receiver]);
  return rows[0]?.id;
}

export async function upsertDelivered(db: Db, receiver: string, id: number): Promise<void> {
  await db.query(
    `insert into watch.delivered (receiver, id) values ($1, $2)
       on conflict (receiver) do update set id = excluded.id where watch.delivered.id < excluded.id`,
    [receiver, id],
  );
}
