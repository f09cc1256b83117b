import type { Logger } from "pino";
import type { RaiseIncident } from "../../shared/platform/incidents.ts";
import { LogBroken } from "../../shared/platform/log-reader.ts";
import { giveDataKeys } from "./data-keys.ts";
import { tellDifferences } from "./differences.ts";
import { advance, type Fold, type FoldSources, openFold, saveFold } from "./fold.ts";
import { nextLook } from "./gate.ts";
import { noProposals, type ProposalSources, travel } from "./proposals.ts";
import { emptyMemory, findAgreed, giveShares, type ReleaseSources, writeCandidate } from "./releases.ts";

/** Everything that a round needs. */
export interface RoundSources {
  fold: FoldSources;
  releases: ReleaseSources;
  proposals: ProposalSources;
  log: Logger;
  raise: RaiseIncident;
  /** Milliseconds since the epoch. */
  now: () => number;
  /** Milliseconds that only go forward. */
  steadyMs: () => number;
}

export interface Rounds {
  /** One look at everything; answers the ms until the next. Rejects only with what nobody foresaw. */
  round(): Promise<number>;
  /** Stores what was folded since the last snapshot. */
  close(): Promise<void>;
  /** For /readyz and metrics. `head` is the log's as last seen. */
  status(): { position: number; working: boolean; broken: boolean };
}

/** Snapshots are for quick restarts; nothing is lost without them. */
const SNAPSHOT_GAP_MS = 2_000;
/** And they take at most a tenth of the time, however large the count has become. */
const SNAPSHOT_SHARE = 10;
/** From the lift to the first release every millisecond is waited for by everyone: no hint is. If it takes longer, something is away. */
const URGENT_LOOK_MS = 5;
const URGENT_MS = 2_000;
/** After an error: Postgres is away, perhaps. */
const RETRY_MS = 500;

/**
 * The linear protocol of this service. Each round folds the log to its committed head, gives shares of releases and data keys, tells where declared seats differ, moves the lift and the
 * releases on, writes a candidate, stores a snapshot. Every step reads where it is from the log and the database and can be cut
 * off anywhere. After an error everything in memory is thrown away and opened again: no state of unknown outcome is used.
 */
export function createRounds(sources: RoundSources): Rounds {
  let fold: Fold | undefined;
  let releases = emptyMemory();
  let proposals = noProposals();
  let saved = { size: 0, atMs: Number.NEGATIVE_INFINITY, tookMs: 0 };
  let working = false;
  let broken = false;
  let told = false;
  let liftSeenMs: number | undefined;

  const open = async () => {
    const opened = await openFold(sources.fold);
    if (opened.refused !== null && !told) {
      told = true;
      sources.log.warn({ err: opened.refused }, "the stored snapshot is not used; folding from the start of the log");
      await sources.raise({ code: "snapshot.broken" });
    }
    releases = emptyMemory();
    proposals = noProposals();
    saved = { size: opened.reader.position(), atMs: sources.steadyMs(), tookMs: 0 };
    sources.log.info({ position: saved.size }, "the fold is open");
    return opened;
  };

  const save = async (from: Fold) => {
    if (from.reader.position() === saved.size) return;
    const startedMs = sources.steadyMs();
    await saveFold(from, sources.fold);
    const atMs = sources.steadyMs();
    saved = { size: from.reader.position(), atMs, tookMs: atMs - startedMs };
  };

  const isUrgent = ({ road }: Fold) => {
    if (road.lift === null || (releases.lastShare ?? 0) > 0) return false;
    liftSeenMs ??= sources.steadyMs();
    return sources.steadyMs() - liftSeenMs < URGENT_MS;
  };

  const look = async () => {
    fold ??= await open();
    const from = fold.reader.position();
    const entries = await advance(fold);
    if (entries > 0) sources.log.debug({ from, to: from + entries }, "folded");
    await giveShares(fold, releases, sources.releases);
    await tellDifferences(fold.road, releases, sources.releases);
    const more = await giveDataKeys(fold.road, releases, sources.releases);
    await findAgreed(releases, sources.releases);
    await travel(fold.road, proposals, releases, sources.proposals, sources.steadyMs());
    // The first release is on its way: nothing that can wait may hold it up.
    if (isUrgent(fold) && proposals.pending?.type === "release") return URGENT_LOOK_MS;
    const dueMs = await writeCandidate(fold, releases, sources.releases, sources.steadyMs());
    const pauseMs = Math.max(SNAPSHOT_GAP_MS, saved.tookMs * SNAPSHOT_SHARE);
    if (sources.steadyMs() - saved.atMs >= pauseMs) await save(fold);
    if (more) return 0;
    if (isUrgent(fold)) return URGENT_LOOK_MS;
    return Math.min(nextLook(fold.road, sources.now(), proposals.pending !== null), dueMs ?? Number.POSITIVE_INFINITY);
  };

  return {
    async round() {
      if (broken) return RETRY_MS;
      try {
        const ms = await look();
        working = true;
        return ms;
      } catch (error) {
        working = false;
        fold = undefined;
        if (!(error instanceof LogBroken)) {
          sources.log.warn({ err: error }, "the round failed; opening again");
          return RETRY_MS;
        }
        // What was derived from such a log must not leave. The process stays to say why it does not work.
        broken = true;
        sources.log.fatal({ err: error }, "the log is broken; nothing more is counted or given");
        await sources.raise({ code: "log.broken", about: error.message });
        return RETRY_MS;
      }
    },
    async close() {
      if (fold !== undefined && !broken) await save(fold);
    },
    status: () => ({ position: fold?.reader.position() ?? 0, working, broken }),
  };
}
