import type { Pool } from "pg";
import type { Logger } from "pino";
import type { Definition } from "../../shared/definition/schema.ts";
import { type ClockFloor, NO_FLOOR, raiseFloor } from "../../shared/embargo/gate.ts";
import { witnessesOf } from "../../shared/ledger/cosignature.ts";
import type { Curves } from "./curves.ts";
import { addRows, createFeeds, type FeedHistory, type FeedView, feedHistory, feedViews } from "./feeds.ts";
import { factsOf, type GateView, gateView } from "./gate.ts";
import { createBehind, isoOrNull, notSeen, see } from "./seen.ts";
import {
  type FactRow,
  type HeadRow,
  selectCosignatures,
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
  witnesses: WitnessesView;
  /** The last release whose key was given; null before the lift. */
  given: { number: number; size: number; at: string } | null;
}

/** How the witnesses of the definition follow the log. */
export interface WitnessesView {
  quorum: number;
  /** The largest checkpoint that a quorum has cosigned. */
  size: number;
  /** Since when a head has waited for its quorum, ISO; null if none does. */
  shortSince: string | null;
  each: { name: string; size: number | null; at: string | null }[];
}

export interface RecordWatch {
  /** One look. Never rejects. */
  look(): Promise<void>;
  view(): RecordView;
  /** A state's feed over time; undefined for one that the definition does not name. */
  history(state: string): FeedHistory | undefined;
}

/** So many entries are summed up in one look: after a restart a whole night's log takes a few. */
const CHUNK_ENTRIES = 100_000;

export function createRecordWatch(opts: {
  pool: Pool;
  definition: Definition;
  /** Of the definition, hex. */
  hash: string;
  curves: Curves;
  log: Logger;
  now: () => number;
}): RecordWatch {
  const { pool, definition, curves, now } = opts;
  const witnesses = createWitnesses(definition);
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
    witnesses.see(await selectCosignatures(pool), size, now());
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
        feeds: feedViews(definition, feeds, known, curves, now()),
        witnesses: witnesses.view(),
        given: given === undefined ? null : { ...given, at: given.at.toISOString() },
      };
    },
    history(state) {
      const closes = factsOf(definition, facts).polls.filter((poll) => poll.state === state);
      if (closes.length === 0) return undefined;
      return feedHistory(feeds, state, curves.get(state), Math.max(...closes.map(({ closesAt }) => closesAt)));
    },
  };
}

function createWitnesses(definition: Definition) {
  const { keys, quorum } = witnessesOf(definition);
  const newest = new Map<string, { size: number; at: Date }>();
  const behind = createBehind();
  let covered = 0;
  return {
    see(rows: Awaited<ReturnType<typeof selectCosignatures>>, head: number, nowMs: number) {
      for (const { witness, size, at } of rows)
        if ((newest.get(witness)?.size ?? 0) < size) newest.set(witness, { size, at });
      const sizes = keys.map(({ name }) => newest.get(name)?.size ?? 0).sort((a, b) => b - a);
      covered = sizes[quorum - 1] ?? 0;
      if (quorum > 0) behind.see(covered, head, nowMs);
    },
    view: (): WitnessesView => ({
      quorum,
      size: covered,
      shortSince: isoOrNull(behind.since()),
      each: keys.map(({ name }) => {
        const last = newest.get(name);
        return { name, size: last?.size ?? null, at: last?.at.toISOString() ?? null };
      }),
    }),
  };
}

function headView({ size, signedAt, now }: HeadRow) {
  return { size, signedAt: signedAt.toISOString(), ageMs: now.getTime() - signedAt.getTime() };
}
