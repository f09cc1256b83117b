import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { consistencyFromTiles } from "../../shared/ledger/tiles.ts";
import type { RaiseIncident } from "../../shared/platform/incidents.ts";
import { LogContradicted } from "./contradiction.ts";
import { type Db, insertCosignature, readHead } from "./store.ts";
import { type CommittedTree, createCommittedTree } from "./tree.ts";
import { type Added, addCheckpoint, type OwnLog, type ReadBack, type RemoteWitness, readBack } from "./witnesses.ts";

/** A head that is in the database, for good. No other is ever given to a witness. */
export interface CommittedHead {
  size: number;
  root: Uint8Array;
  /** The signed checkpoint. */
  note: string;
  /** Whose it is. */
  log: OwnLog;
}

/** The log's side of its witnesses: what they hold when the log is opened, and their cosignatures ever after. */
export interface Cosigner {
  /**
   * Asks every witness what it holds of this log, before anything is written on this head. Goes on without those that do not answer in time.
   * Rejects with LogContradicted when one is ahead of the database, or holds another tree at a size that the database has. Without a note the
   * log goes on from this head under a new origin, of which it has no checkpoint yet: nobody is asked to cosign anything.
   */
  open(head: Omit<CommittedHead, "note"> & { note: string | undefined }): Promise<void>;
  /** The newest head, after its COMMIT. Returns at once: witnesses are asked in the background. */
  committed(head: CommittedHead): void;
  /** Throws LogContradicted once a witness has shown what this log cannot have led to. */
  check(): void;
  /** The log is not this process' to write any more: what is under way may end, nothing new is asked. */
  pause(): void;
  stop(): Promise<void>;
}

export interface CosignerDeps {
  witnesses: readonly RemoteWitness[];
  /** Beside the writer's session. */
  db: Db;
  raise: RaiseIncident;
  logger: Logger;
  /** How far a witness has cosigned. */
  cosigned(witness: string, size: number): void;
  timing?: Partial<Timing>;
}

interface Timing {
  /** All witnesses together have so long to answer when the log is opened. */
  openMs: number;
  /**
   * A head is asked about for so long before the next one is: all witnesses cosign the same heads, so that there are heads with a quorum
   * however fast the log grows.
   */
  headMs: number;
  /** After a failure: twice as long each time, less a random part. */
  leastPauseMs: number;
  mostPauseMs: number;
  /** A witness that has not cosigned for so long is an incident. */
  awayMs: number;
}
const TIMING: Timing = { openMs: 3_000, headMs: 250, leastPauseMs: 250, mostPauseMs: 10_000, awayMs: 10_000 };

/** A witness may be elsewhere than expected once, and move once more under our hands. */
const ATTEMPTS = 3;

/** What is known of a witness. */
interface Seat {
  witness: RemoteWitness;
  /** What it holds, as far as we know. */
  size: number;
  /** The head that it cosigned last. */
  done: number;
  /** True when it has agreed with this database since the log was opened: from then on a claim against it needs a proof. */
  heard: boolean;
  failing: { since: number; pauseMs: number; told: boolean } | undefined;
}

/** `agreed`: cosigned and stored, or it holds a tree that this database had. `failed`: on our own side, and told. */
type Outcome = { kind: "agreed" } | { kind: "away"; why: string } | { kind: "failed" };

export function createCosigner(deps: CosignerDeps): Cosigner {
  return new WitnessRounds(deps);
}

class WitnessRounds implements Cosigner {
  private readonly deps: CosignerDeps;
  private readonly timing: Timing;
  private readonly seats: Seat[];
  private readonly stopping = new AbortController();
  private tree: CommittedTree;
  /** Of the log that the seats are about. */
  private origin: string | undefined;
  /** What is asked about now, and what comes next. */
  private target: CommittedHead | undefined;
  private newest: CommittedHead | undefined;
  private timer: NodeJS.Timeout | undefined;
  private contradiction: LogContradicted | undefined;
  private wake: () => void = () => undefined;
  private woken: Promise<void> = Promise.resolve();
  private readonly following: Promise<void>[];

  constructor(deps: CosignerDeps) {
    this.deps = deps;
    this.timing = { ...TIMING, ...deps.timing };
    this.tree = createCommittedTree(deps.db);
    this.seats = deps.witnesses.map((witness) => ({ witness, size: 0, done: 0, heard: false, failing: undefined }));
    this.rearm();
    this.following = this.seats.map((seat) => this.follow(seat));
  }

  async open({ note, ...bare }: Parameters<Cosigner["open"]>[0]): Promise<void> {
    this.check();
    if (this.seats.length === 0) return;
    // Of a log under another origin a witness knows nothing yet.
    if (this.origin !== bare.log.origin) for (const seat of this.seats) seat.size = 0;
    this.origin = bare.log.origin;
    const head = note === undefined ? undefined : { ...bare, note };
    // The database may be another one than before.
    this.tree = createCommittedTree(this.deps.db);
    await this.tree.grow(bare.size, bare.root);
    for (const seat of this.seats) Object.assign(seat, { heard: false, done: 0 });
    const signal = AbortSignal.any([this.stopping.signal, AbortSignal.timeout(this.timing.openMs)]);
    const outcomes = await Promise.all(this.seats.map((seat) => this.hear(seat, head, bare.log, signal)));
    this.check();
    for (const [n, outcome] of outcomes.entries()) this.note(this.seats[n] as Seat, outcome, true);
    if (head !== undefined) this.committed(head);
  }

  committed(head: CommittedHead): void {
    if (this.seats.length === 0 || this.stopping.signal.aborted) return;
    this.newest = head;
    if (this.timer === undefined) this.advance();
  }

  check(): void {
    if (this.contradiction !== undefined) throw this.contradiction;
  }

  pause(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.target = undefined;
    this.newest = undefined;
  }

  async stop(): Promise<void> {
    this.pause();
    this.stopping.abort();
    this.rearm();
    await Promise.all(this.following);
  }

  /** The newest head becomes the one that is asked about, at most every `headMs`. */
  private advance(): void {
    this.timer = undefined;
    if (this.newest === undefined || this.newest === this.target) return;
    this.target = this.newest;
    this.timer = setTimeout(() => this.advance(), this.timing.headMs);
    this.timer.unref();
    this.rearm();
  }

  private rearm(): void {
    this.wake();
    this.woken = new Promise((resolve) => {
      this.wake = resolve;
    });
  }

  /** One witness, one request at a time, until the end. */
  private async follow(seat: Seat): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      const head = this.target;
      if (head === undefined || head.size <= seat.done || this.contradiction !== undefined) {
        await this.woken;
        continue;
      }
      this.note(seat, await this.cosign(seat, head, signal), false);
      if (seat.failing === undefined) continue;
      const pause = seat.failing.pauseMs * (0.5 + Math.random() / 2);
      await sleep(pause, undefined, { signal }).catch(() => undefined); // the end: the loop sees it
    }
  }

  /** When the log is opened: what the witness holds is compared with what the database holds. */
  private async hear(seat: Seat, head: CommittedHead | undefined, log: OwnLog, signal: AbortSignal): Promise<Outcome> {
    const { witness } = seat;
    const held = await readBack(witness, log, signal);
    if (held.kind === "away") return held;
    // It may have nothing, or not say what it has: then it is asked for a cosignature, and says where it is.
    if (held.kind === "nothing") return head === undefined ? { kind: "agreed" } : this.cosign(seat, head, signal);
    return this.guarded(() => this.agrees(seat, held));
  }

  /** Asks for a cosignature of the head, and stores it. Never rejects: what is wrong on our side is a reason to try again. */
  private cosign(seat: Seat, head: CommittedHead, signal: AbortSignal): Promise<Outcome> {
    const { witness } = seat;
    const { db } = this.deps;
    return this.guarded(async () => {
      // From the database: for a head that is not in it there is nothing to send.
      await this.tree.grow(head.size, head.root);
      for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
        const oldSize = Math.min(seat.size, head.size);
        const proof = await consistencyFromTiles(oldSize, head.size, this.tree.read);
        const added = await addCheckpoint(witness, { oldSize, proof, note: head.note }, signal);
        if (added.kind === "away") return added;
        if (added.kind === "cosigned") {
          await insertCosignature(db, { size: head.size, witness: witness.name, line: added.line });
          Object.assign(seat, { size: head.size, done: head.size, heard: true });
          this.deps.cosigned(witness.name, head.size);
          return { kind: "agreed" };
        }
        const outcome = await this.confront(seat, added, await readBack(witness, head.log, signal));
        if (outcome.kind !== "agreed") return outcome;
        if (seat.size > head.size) {
          // It holds a head that came after this one, and will be asked about the next.
          seat.done = head.size;
          return outcome;
        }
      }
      return { kind: "away", why: "it does not stay at the size that it says" };
    });
  }

  /**
   * It did not cosign, and says that it holds another tree. What it can show under this log's own signature is compared with the database; what
   * it cannot show is believed only as long as it has not agreed since the log was opened.
   */
  private async confront(
    seat: Seat,
    claim: Extract<Added, { kind: "other-size" | "inconsistent" }>,
    held: ReadBack,
  ): Promise<Outcome> {
    if (held.kind === "holds") return this.agrees(seat, held);
    const { name } = seat.witness;
    const ours = (await readHead(this.deps.db))?.size ?? 0;
    if (claim.kind === "other-size" && claim.size <= ours) {
      this.isAt(seat, claim.size);
      return { kind: "agreed" };
    }
    if (seat.heard) return { kind: "away", why: "it claims another tree and shows none that this log has signed" };
    const [kind, size] =
      claim.kind === "other-size" ? (["behind", claim.size] as const) : (["forked", seat.size] as const);
    return this.contradict(new LogContradicted({ kind, witness: name, size, ours, proven: false }));
  }

  /** Compares a tree that this log has signed with the database. Any that it had is well, and where the witness is. */
  private async agrees(seat: Seat, held: { size: number; root: Uint8Array }): Promise<Outcome> {
    const { name } = seat.witness;
    const { size } = held;
    // Read after the witness has answered: a head that it holds was committed before it was asked for.
    const head = await readHead(this.deps.db);
    const found = { witness: name, size, ours: head?.size ?? 0, proven: true };
    if (head === undefined || size > head.size)
      return this.contradict(new LogContradicted({ kind: "behind", ...found }));
    await this.tree.grow(head.size, head.root);
    if (Buffer.compare(await this.tree.rootAt(size), held.root) !== 0)
      return this.contradict(new LogContradicted({ kind: "forked", ...found }));
    this.isAt(seat, size);
    seat.heard = true;
    return { kind: "agreed" };
  }

  private isAt(seat: Seat, size: number): void {
    const { name } = seat.witness;
    if (size < seat.size) {
      this.deps.logger.error(
        { witness: name, from: seat.size, to: size },
        "a witness went back: it has forgotten a head",
      );
      void this.deps.raise({ code: "witness.went-back", about: name });
    }
    seat.size = size;
  }

  private contradict(found: LogContradicted): Outcome {
    const { code, about, message } = found;
    if (this.contradiction === undefined) {
      this.contradiction = found;
      this.deps.logger.fatal({ code, about }, message);
      void this.deps.raise({ code, about });
    }
    return { kind: "away", why: code };
  }

  /** Our own failures (the database is away) leave the witness unasked. */
  private async guarded(work: () => Promise<Outcome>): Promise<Outcome> {
    try {
      return await work();
    } catch (error) {
      this.deps.logger.warn({ err: error }, "a witness could not be asked");
      return { kind: "failed" };
    }
  }

  /** Keeps count of a witness' failures and tells of one that is away: at once when the log is opened, else when it lasts. */
  private note(seat: Seat, outcome: Outcome, atOnce: boolean): void {
    const { logger, raise } = this.deps;
    const { name: witness } = seat.witness;
    const { failing } = seat;
    if (outcome.kind === "agreed") {
      if (failing?.told) logger.info({ witness }, "a witness is back");
      seat.failing = undefined;
      return;
    }
    if (this.stopping.signal.aborted) return;
    const { leastPauseMs, mostPauseMs, awayMs } = this.timing;
    const since = failing?.since ?? performance.now();
    const pauseMs = failing === undefined ? leastPauseMs : Math.min(mostPauseMs, failing.pauseMs * 2);
    const tell = outcome.kind === "away" && (atOnce || performance.now() - since > awayMs);
    seat.failing = { since, pauseMs, told: failing?.told === true || tell };
    if (outcome.kind === "away" && (failing === undefined || (tell && !failing.told)))
      logger.warn({ witness, why: outcome.why }, "a witness does not cosign");
    if (tell && failing?.told !== true) void raise({ code: "witness.away", about: witness });
  }
}
