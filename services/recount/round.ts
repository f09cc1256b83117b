import type { Logger } from "pino";
import type { RaiseIncident } from "../../shared/platform/incidents.ts";
import { LogBroken } from "../../shared/platform/log-reader.ts";
import { counted } from "../../shared/recount/count.ts";
import { type AnswerSources, answerNewest, emptyMemory, giveShares } from "./answers.ts";
import { type CosignSources, cosign } from "./cosign.ts";
import { giveDataKeys } from "./data-keys.ts";
import { type Fold, type FoldSources, openFold, readAhead, saveFold } from "./fold.ts";
import { nextLook } from "./gate.ts";

/** Everything that a round needs. */
export interface RoundSources {
  fold: FoldSources;
  answers: AnswerSources;
  cosign: CosignSources;
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
  /** Stores what was counted since the last snapshot. */
  close(): Promise<void>;
  /** For /readyz and metrics: how far the log is read, which is further than it is counted. */
  status(): { position: number; working: boolean; broken: boolean };
}

/** Snapshots are for quick restarts; nothing is lost without them. The whole count is written, so not too often. */
const SNAPSHOT_GAP_MS = 5_000;
/** And they take at most a tenth of the time, however large the count has become. */
const SNAPSHOT_SHARE = 10;
/** From the lift to the first release every millisecond is waited for by everyone: no hint is. If it takes longer, something is away. */
const URGENT_LOOK_MS = 5;
const URGENT_MS = 2_000;
/** After an error: Postgres is away, perhaps. */
const RETRY_MS = 500;

/**
 * The linear protocol of this service. Each round reads the log to its head, gives shares of releases and data keys, cosigns what it would have proposed
 * itself, counts up to the newest candidate and answers it, stores a snapshot. Every step reads where it is from the log and
 * the database and can be cut off anywhere. After an error everything in memory is thrown away and opened again.
 */
export function createRounds(sources: RoundSources): Rounds {
  let fold: Fold | undefined;
  let memory = emptyMemory();
  let saved = { size: 0, atMs: Number.NEGATIVE_INFINITY, tookMs: 0 };
  let working = false;
  let broken = false;
  let told = false;
  let liftSeenMs: number | undefined;

  const open = async () => {
    const opened = await openFold(sources.fold);
    if (opened.refused !== null && !told) {
      told = true;
      sources.log.warn({ err: opened.refused }, "the stored snapshot is not used; counting from the start of the log");
      await sources.raise({ code: "snapshot.broken" });
    }
    memory = emptyMemory();
    saved = { size: counted(opened.count), atMs: sources.steadyMs(), tookMs: 0 };
    sources.log.info({ position: saved.size }, "the fold is open");
    return opened;
  };

  const save = async (from: Fold) => {
    if (counted(from.count) === saved.size) return;
    const startedMs = sources.steadyMs();
    await saveFold(from, sources.fold);
    const atMs = sources.steadyMs();
    saved = { size: counted(from.count), atMs, tookMs: atMs - startedMs };
  };

  const isUrgent = ({ road }: Fold) => {
    if (road.lift === null || (memory.lastShare ?? 0) > 0) return false;
    liftSeenMs ??= sources.steadyMs();
    return sources.steadyMs() - liftSeenMs < URGENT_MS;
  };

  const look = async () => {
    fold ??= await open();
    await readAhead(fold);
    await giveShares(fold, memory, sources.answers);
    const more = await giveDataKeys(fold, memory, sources.answers);
    await cosign(fold, memory, sources.cosign);
    // The first release is on its way: nothing that can wait may hold it up.
    if (isUrgent(fold) && memory.cosigned !== null) return URGENT_LOOK_MS;
    const answered = await answerNewest(fold, memory, sources.answers);
    const pauseMs = Math.max(SNAPSHOT_GAP_MS, saved.tookMs * SNAPSHOT_SHARE);
    if (sources.steadyMs() - saved.atMs >= pauseMs) await save(fold);
    if (answered || more) return 0;
    return isUrgent(fold) ? URGENT_LOOK_MS : nextLook(fold.road, sources.now());
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
        sources.log.fatal({ err: error }, "the log is broken; nothing more is counted or signed");
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
