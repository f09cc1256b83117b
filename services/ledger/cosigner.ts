import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { consistencyFromTiles } from "../../shared/ledger/tiles.ts";
import type { RaiseIncident } from "../../shared/platform/incidents.ts";
import { LogContradicted } from "./contradiction.ts";
import { LogBroken } from "./receipts.ts";
import { createSeat, noteOutcome, type Outcome, type Seat, type Telling, type Timing } from "./seat.ts";
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
   * Rejects with LogContradicted when one is ahead of the database, or holds another tree at a size that the database has: here its word is
   * enough, ever after only what this log has signed. Without a note the log goes on from this head under a new origin, of which it has no
   * checkpoint yet: nobody is asked to cosign anything.
   */
  open(head: Omit<CommittedHead, "note"> & { note: string | undefined }): Promise<void>;
  /** The newest head, after its COMMIT. Returns at once: witnesses are asked in the background. */
  committed(head: CommittedHead): void;
  /** Throws LogContradicted once a witness has shown what this log cannot have led to, and LogBroken once the log contradicts its own heads. */
  check(): void;
  /** The log is not this process' to write any more: what is under way is given up, nothing new is asked. */
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

const TIMING: Timing = { openMs: 3_000, headMs: 250, leastPauseMs: 250, mostPauseMs: 10_000, awayMs: 10_000 };

/** A witness may be elsewhere than expected once, and move once more under our hands. */
const ATTEMPTS = 3;

type Claim = Extract<Added, { kind: "other-size" | "inconsistent" }>;
/** What becomes of a claim that nothing proves; `ours`: where the database ends. */
type Accused = (seat: Seat, claim: Claim, ours: number) => Outcome;

export function createCosigner(deps: CosignerDeps): Cosigner {
  return new WitnessRounds(deps);
}

class WitnessRounds implements Cosigner {
  private readonly deps: CosignerDeps;
  private readonly timing: Timing;
  private readonly telling: Telling;
  private readonly seats: Seat[];
  private readonly stopping = new AbortController();
  /** From one opening of the log to the next. */
  private round = new AbortController();
  private tree: CommittedTree;
  /** Of the log that the seats are about. */
  private origin: string | undefined;
  /** What is asked about now, and what comes next. */
  private target: CommittedHead | undefined;
  private newest: CommittedHead | undefined;
  private timer: NodeJS.Timeout | undefined;
  /** Why nothing must be written any more. */
  private broken: LogBroken | undefined;
  private wake: () => void = () => undefined;
  private woken: Promise<void> = Promise.resolve();
  private readonly following: Promise<void>[];

  constructor(deps: CosignerDeps) {
    this.deps = deps;
    this.timing = { ...TIMING, ...deps.timing };
    this.telling = { ...this.timing, logger: deps.logger, raise: deps.raise };
    this.tree = createCommittedTree(deps.db);
    this.seats = deps.witnesses.map(createSeat);
    this.rearm();
    this.following = this.seats.map((seat) => this.follow(seat));
  }

  async open({ note, ...bare }: Parameters<Cosigner["open"]>[0]): Promise<void> {
    this.check();
    if (this.seats.length === 0) return;
    // What is still being asked was asked about the log as it was before: it must not be heard in the middle of this.
    this.pause();
    await Promise.all(this.seats.map(({ asking }) => asking));
    // Of a log under another origin a witness knows nothing yet.
    if (this.origin !== bare.log.origin) for (const seat of this.seats) seat.size = 0;
    this.origin = bare.log.origin;
    const head = note === undefined ? undefined : { ...bare, note };
    // The database may be another one than before.
    this.tree = createCommittedTree(this.deps.db);
    await this.tree.grow(bare.size, bare.root);
    for (const seat of this.seats) seat.done = 0;
    const { openMs } = this.timing;
    const signal = AbortSignal.any([this.stopping.signal, this.round.signal, AbortSignal.timeout(openMs)]);
    const outcomes = await Promise.all(this.seats.map((seat) => this.hear(seat, head, bare.log, signal)));
    this.check();
    if (this.stopping.signal.aborted) return;
    const atOnce = { ...this.telling, awayMs: -1 };
    for (const [n, outcome] of outcomes.entries()) noteOutcome(this.seats[n] as Seat, outcome, atOnce);
    if (head !== undefined) this.committed(head);
  }

  committed(head: CommittedHead): void {
    if (this.seats.length === 0 || this.stopping.signal.aborted) return;
    this.newest = head;
    if (this.timer === undefined) this.advance();
  }

  check(): void {
    if (this.broken !== undefined) throw this.broken;
  }

  pause(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.target = undefined;
    this.newest = undefined;
    this.round.abort();
    this.round = new AbortController();
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    this.pause();
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
    const { signal: end } = this.stopping;
    while (!end.aborted) {
      const head = this.target;
      if (head === undefined || head.size <= seat.done || this.broken !== undefined) {
        await this.woken;
        continue;
      }
      const { signal } = this.round;
      const asking = this.cosign(seat, head, signal, this.told);
      seat.asking = asking;
      const outcome = await asking;
      // Given up: that says nothing of the witness.
      if (signal.aborted) continue;
      noteOutcome(seat, outcome, this.telling);
      if (seat.failing === undefined) continue;
      const pause = seat.failing.pauseMs * (0.5 + Math.random() / 2);
      await sleep(pause, undefined, { signal: end }).catch(() => undefined); // the end: the loop sees it
    }
  }

  /** When the log is opened: what the witness holds is compared with what the database holds. */
  private async hear(seat: Seat, head: CommittedHead | undefined, log: OwnLog, signal: AbortSignal): Promise<Outcome> {
    const { witness } = seat;
    const held = await readBack(witness, log, signal);
    if (held.kind === "away") return held;
    // It may have nothing, or not say what it has: then it is asked for a cosignature, and says where it is.
    if (held.kind === "nothing")
      return head === undefined ? { kind: "agreed" } : this.cosign(seat, head, signal, this.believed);
    return this.guarded(() => this.agrees(seat, held), signal);
  }

  /** Asks for a cosignature of the head, and stores it. Never rejects: what is wrong on our side is a reason to try again, or to write no more. */
  private cosign(seat: Seat, head: CommittedHead, signal: AbortSignal, accused: Accused): Promise<Outcome> {
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
          Object.assign(seat, { size: head.size, done: head.size });
          this.deps.cosigned(witness.name, head.size);
          return { kind: "agreed" };
        }
        const outcome = await this.confront(seat, added, await readBack(witness, head.log, signal), accused);
        if (outcome.kind !== "agreed") return outcome;
        if (seat.size > head.size) {
          // It holds a head that came after this one, and will be asked about the next.
          seat.done = head.size;
          return outcome;
        }
      }
      return { kind: "away", why: "it does not stay at the size that it says" };
    }, signal);
  }

  /**
   * It did not cosign, and says that it holds another tree. What it can show under this log's own signature is compared with the database; if
   * it cannot show what it says, `accused` decides.
   */
  private async confront(seat: Seat, claim: Claim, held: ReadBack, accused: Accused): Promise<Outcome> {
    if (held.kind === "holds") return this.agrees(seat, held);
    const ours = (await readHead(this.deps.db))?.size ?? 0;
    if (claim.kind === "other-size" && claim.size <= ours) {
      this.isAt(seat, claim.size);
      return { kind: "agreed" };
    }
    return accused(seat, claim, ours);
  }

  /** When the log is opened: what was put back to an older state may know no better, and nothing is lost by waiting for a person. */
  private readonly believed: Accused = (seat, claim, ours) => {
    const { name: witness } = seat.witness;
    const [kind, size] =
      claim.kind === "other-size" ? (["behind", claim.size] as const) : (["forked", seat.size] as const);
    return this.contradict(new LogContradicted({ kind, witness, size, ours, proven: false }));
  };

  /** While it is written: whoever sits between could otherwise stop the night with one unsigned line. It is told, and the log goes on. */
  private readonly told: Accused = (seat, claim, ours) => {
    const { name: witness } = seat.witness;
    if (!seat.accuses) {
      seat.accuses = true;
      this.deps.logger.error({ witness, claim, ours }, "a witness claims another tree and shows none that was signed");
      void this.deps.raise({ code: "witness.unproven", about: witness });
    }
    return { kind: "away", why: "it claims another tree and shows none that this log has signed" };
  };

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
    if (this.broken === undefined) {
      this.broken = found;
      this.deps.logger.fatal({ code, about }, message);
      void this.deps.raise({ code, about });
    }
    return { kind: "away", why: code };
  }

  /** Our own failures leave the witness unasked: that the database is away is passing, that the log contradicts its own heads is the end. */
  private async guarded(work: () => Promise<Outcome>, signal: AbortSignal): Promise<Outcome> {
    try {
      return await work();
    } catch (error) {
      // What was given up may have been about another database than this one.
      if (error instanceof LogBroken && !signal.aborted) this.broken ??= error;
      this.deps.logger.warn({ err: error }, "a witness could not be asked");
      return { kind: "failed" };
    }
  }
}
