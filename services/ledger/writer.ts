import { setTimeout as sleep } from "node:timers/promises";
import type { Pool, PoolClient } from "pg";
import { presentAuthority } from "../../shared/ledger/authority.ts";
import { missingCount, tellGaps } from "../../shared/ledger/gaps.ts";
import { checkDurability } from "../../shared/platform/postgres.ts";
import { LogContradicted } from "./contradiction.ts";
import type { OpenLog } from "./decide.ts";
import { type Intake, openIntake } from "./intake.ts";
import { pendingOrigin, requireLogKey } from "./origin.ts";
import { openLog } from "./rebuild.ts";
import { LogBroken } from "./receipts.ts";
import { requireRecovery } from "./recovery.ts";
import { type Sequencer, writeGiven, writeOpened } from "./sequencer.ts";
import { keepSessionAlive, readCheckpoint, readHead, tryWriterLock } from "./store.ts";

/** Waits for the lock, reads the log, writes; a witness contradicts the log, and nothing is written any more. */
export type Role = "standby" | "opening" | "writer" | "stopped";

export interface Writer {
  role(): Role;
  size(): number;
  /** Why it has stopped, in a sentence that says what to do. */
  stopped(): string | undefined;
  /** Resolves when `signal` was aborted; rejects with LogBroken, after which nothing must be written. */
  run(signal: AbortSignal): Promise<void>;
}

/** How often a standby tries for the lock. */
const TRY_MS = 250;
/** After a failure: twice as long each time. */
const BACKOFF_MS = { least: 100, most: 5_000 };

/**
 * The one writer. Everything is written on one session of its own (`sessions`: a pool of one), which also holds the advisory
 * lock: when the session breaks, what was under way on it has ended before anybody, this process included, gets the lock
 * again, so what the database then says is final.
 */
export function createWriter(seq: Sequencer, sessions: Pool): Writer {
  let role: Role = "standby";
  let size = 0;
  let stopped: string | undefined;
  // Kept while the log is opened anew, so that statements are written in the order in which they came.
  let intake: Intake | undefined;

  const waitForTurn = async (session: PoolClient, signal: AbortSignal) => {
    role = "standby";
    await keepSessionAlive(session);
    await seq.receipts.refresh(session);
    while (!(await tryWriterLock(session))) {
      // Another one writes: what is in our hands is for it.
      await intake?.close();
      intake = undefined;
      await sleep(TRY_MS, undefined, { signal });
      await seq.receipts.refresh(session);
    }
  };
  const writeUntilBroken = async (signal: AbortSignal) => {
    const session = await sessions.connect();
    try {
      await waitForTurn(session, signal);
      role = "opening";
      await checkDurability(sessionAsPool(session));
      const log = await openLog(session, seq.identity, seq.now());
      size = log.frontier.size;
      await seq.keys.refresh(); // what another writer committed
      await goOn(seq, session, log);
      await seq.receipts.refresh(session);
      size = log.frontier.size;
      seq.log.info({ size }, "the log is open");
      role = "writer";
      intake ??= openIntake(seq);
      while (!signal.aborted) {
        await writeNext(seq, session, log, intake);
        size = log.frontier.size;
      }
    } finally {
      role = "standby";
      seq.cosigner.pause();
      session.release(true); // the session ends, and the lock with it
    }
  };
  const again = async (signal: AbortSignal) => {
    let pause = BACKOFF_MS.least;
    while (!signal.aborted) {
      const before = size;
      try {
        await writeUntilBroken(signal);
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof LogContradicted) {
          role = "stopped";
          stopped = error.message;
        }
        if (error instanceof LogBroken) throw error;
        seq.log.error({ err: error }, "the log is opened anew");
        pause = size > before ? BACKOFF_MS.least : Math.min(BACKOFF_MS.most, pause * 2);
        await sleep(pause, undefined, { signal }).catch(() => undefined); // aborted: the loop ends
      }
    }
  };
  return {
    role: () => role,
    size: () => size,
    stopped: () => stopped,
    async run(signal) {
      const wake = () => intake?.wake();
      signal.addEventListener("abort", wake);
      try {
        await again(signal);
      } finally {
        signal.removeEventListener("abort", wake);
        await intake?.close();
        intake = undefined;
      }
    },
  };
}

/** `checkDurability` asks whoever can query; here the very session that will write. */
function sessionAsPool(session: PoolClient): Pool {
  return session as unknown as Pool;
}

/**
 * Before anything is written: whether this process' key signs for the log, and whether a witness has seen more of the log than the database
 * holds, or another one. What they saw under the former origin is no reason against opening a new one: that is what two trustees decided.
 */
async function goOn(seq: Sequencer, session: PoolClient, log: OpenLog): Promise<void> {
  const { frontier, root, state } = log;
  const { key } = seq.identity;
  const head = { size: frontier.size, root };
  requireLogKey(state.authorities, key, seq.origin);
  const pending = pendingOrigin(state.authorities, seq.origin);
  if (pending !== undefined) {
    const { origin } = pending.statement;
    await seq.cosigner.open({ ...head, note: undefined, log: { origin, publicKey: key.own } });
  } else {
    const note = await readCheckpoint(session, frontier.size);
    if (note === undefined) throw new LogBroken(`the checkpoint of size ${frontier.size} is missing`);
    const { origin } = presentAuthority(state.authorities);
    await seq.cosigner.open({ ...head, note, log: { origin, publicKey: key.own } });
  }
  if (seq.origin !== undefined) await writeGiven(seq, session, log, seq.origin);
  requireLogKey(state.authorities, key, undefined);
  await recover(seq, session, log);
}

/** With the recovery key nothing is written before the decision to use it. */
async function recover({ recovering, ...seq }: Sequencer, session: PoolClient, log: OpenLog): Promise<void> {
  if (recovering === undefined || log.state.recovered) return;
  requireRecovery(log.state.recovered, recovering.given);
  if (recovering.given !== undefined) await writeGiven(seq, session, log, recovering.given);
  requireRecovery(log.state.recovered, undefined);
}

/** Writes the batch at hand. Whatever fails, the batch stays at hand until it was written. */
async function writeNext(seq: Sequencer, session: PoolClient, log: OpenLog, intake: Intake): Promise<void> {
  const { failure, ...opened } = await intake.present();
  if (failure !== undefined) throw failure;
  seq.cosigner.check();
  if (opened.delivered.length === 0) await assertStillHead(session, log);
  await writeOpened(seq, session, log, opened);
  intake.advance();
  lookForGaps(seq, log);
}

/** Asked when idle: a session that broke is noticed before a statement needs it, and so is another writer. */
async function assertStillHead(session: PoolClient, log: OpenLog): Promise<void> {
  const head = await readHead(session);
  if (head?.size !== log.frontier.size || !head.root.equals(log.root))
    throw new Error("the head of the log is not where this writer left it");
}

function lookForGaps(seq: Sequencer, log: OpenLog): void {
  seq.metrics.missing(missingCount(log.gaps));
  for (const { key, from, to } of tellGaps(log.gaps, seq.now()))
    void seq.raise({ code: "sequence.gap", about: from === to ? `${key} ${from}` : `${key} ${from}-${to}` });
}
