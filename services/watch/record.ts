import type { Pool } from "pg";
import type { Logger } from "pino";
import type { Definition } from "../../shared/definition/schema.ts";
import { type ClockFloor, NO_FLOOR, raiseFloor } from "../../shared/embargo/gate.ts";
import { addRows, createFeeds, type FeedView, feedViews } from "./feeds.ts";
import { factsOf, type GateView, gateView } from "./gate.ts";
import { isoOrNull, notSeen, see } from "./seen.ts";
import {
  type FactRow,
  type HeadRow,
  selectDefinition,
  selectFacts,
  selectFeeds,
  selectHead,
  selectLastGiven,
  selectLift,
  selectPostgresTime,
} from "./store.ts";

/** What Postgres, the record, says. After a failed look the last answers stay, and `well` says that they are old. */
export interface RecordView {
  postgres: { well: boolean; since: string | null };
  /** False if the log in Postgres is about another definition: then nothing else that is said of it is of this election. */
  ownLog: boolean;
  /** Null before the ledger's first start. `ageMs` is the checkpoint's, by Postgres' clock at the last look. */
  log: { size: number; signedAt: string; ageMs: number } | null;
  gate: GateView;
  feeds: FeedView[];
  /** The last release whose key was given; null before the lift. */
  given: { number: number; size: number; at: string } | null;
}

export interface RecordWatch {
  /** One look. Never rejects. */
  look(): Promise<void>;
  view(): RecordView;
}

/** So many entries are summed up in one look: after a restart a whole night's log takes a few. */
const CHUNK_ENTRIES = 100_000;

export function createRecordWatch(opts: {
  pool: Pool;
  definition: Definition;
  /** Of the definition, hex. */
  hash: string;
  log: Logger;
  now: () => number;
}): RecordWatch {
  const { pool, definition, now } = opts;
  const feeds = createFeeds();
  let postgres = notSeen();
  let logOf: string | undefined;
  let facts: FactRow[] = [];
  let head: HeadRow | undefined;
  let lift: Awaited<ReturnType<typeof selectLift>>;
  let given: Awaited<ReturnType<typeof selectLastGiven>>;
  /** How far Postgres' clock is ahead of ours. */
  let aheadMs = 0;
  let floor: ClockFloor = NO_FLOOR;

  const read = async () => {
    const postgres = (await selectPostgresTime(pool)).getTime();
    const process = now();
    aheadMs = postgres - process;
    floor = raiseFloor(floor, { process, postgres, nats: null });
    logOf ??= await selectDefinition(pool);
    head = await selectHead(pool);
    const size = head?.size ?? 0;
    while (feeds.next < size) addRows(feeds, await selectFeeds(pool, feeds.next, CHUNK_ENTRIES));
    facts = await selectFacts(pool);
    lift = await selectLift(pool);
    given = await selectLastGiven(pool);
  };

  return {
    async look() {
      try {
        await read();
        postgres = see(postgres, true, now());
      } catch (error) {
        if (postgres.well || postgres.since === null) opts.log.warn({ err: error }, "Postgres does not answer");
        postgres = see(postgres, false, now());
      }
    },
    view() {
      const known = factsOf(definition, facts);
      const clocks = { process: now(), postgres: postgres.well ? now() + aheadMs : null };
      return {
        postgres: { well: postgres.well, since: isoOrNull(postgres.since) },
        ownLog: logOf === undefined || logOf === opts.hash,
        log: head === undefined ? null : headView(head),
        gate: gateView(known, clocks, floor, lift?.at),
        feeds: feedViews(definition, feeds, known, now()),
        given: given === undefined ? null : { ...given, at: given.at.toISOString() },
      };
    },
  };
}

function headView({ size, signedAt, now }: HeadRow) {
  return { size, signedAt: signedAt.toISOString(), ageMs: now.getTime() - signedAt.getTime() };
}
