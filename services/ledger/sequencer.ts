import { randomBytes } from "node:crypto";
import type { Msg, NatsConnection } from "nats";
import type { Pool, PoolClient } from "pg";
import type { Logger } from "pino";
import { authorityOf } from "../../shared/ledger/authority.ts";
import { signCheckpoint } from "../../shared/ledger/checkpoint.ts";
import { sequenceSeen } from "../../shared/ledger/gaps.ts";
import { changesKeys } from "../../shared/ledger/keys.ts";
import { frontierRoot } from "../../shared/ledger/merkle.ts";
import { applyAccepted } from "../../shared/ledger/state.ts";
import type { ClockWatch } from "../../shared/platform/clock-readings.ts";
import type { RaiseIncident } from "../../shared/platform/incidents.ts";
import { SUBJECTS } from "../../shared/platform/nats.ts";
import { rewrapDataKey } from "../../shared/platform/seal.ts";
import type { Cosigner } from "./cosigner.ts";
import {
  assemble,
  type Circumstances,
  type Decision,
  type Draft,
  decide,
  gateFactsOf,
  liftOf,
  newDataKeys,
  type OpenLog,
  originsOf,
  refuseLift,
} from "./decide.ts";
import { type Authentic, isStranger, type Opener, openDelivery, replySubject, type StatementKey } from "./delivery.ts";
import { ack, discard } from "./inbox.ts";
import type { LiveKeys } from "./keys.ts";
import type { LedgerMetrics } from "./metrics.ts";
import { doesNotFit, type GivenOrigin, isGivenOrigin } from "./origin.ts";
import type { LogIdentity } from "./rebuild.ts";
import { LogBroken, type Receipts } from "./receipts.ts";
import { type GivenRecovery, recoveryDoesNotFit } from "./recovery.ts";
import {
  append,
  type BatchRows,
  type Db,
  findUsed,
  insertGateFact,
  insertLift,
  insertOrigin,
  readClock,
  SQLSTATE,
  sqlState,
} from "./store.ts";

export interface Sequencer {
  identity: LogIdentity;
  /** Given at the start: an origin to open, unless the log has it. */
  origin?: GivenOrigin | undefined;
  /** There if the recovery key opens what is sealed: with the decision to use it that was given at the start. */
  recovering?: { given: GivenRecovery | undefined } | undefined;
  opener: Opener;
  /** What the opener opens with. */
  keys: LiveKeys;
  receipts: Receipts;
  nc: NatsConnection;
  /** For what may be read beside the writer: stored receipts. */
  pool: Pool;
  now(): number;
  clocks: ClockWatch;
  raise: RaiseIncident;
  cosigner: Cosigner;
  metrics: LedgerMetrics;
  log: Logger;
}

/** An opened statement with the delivery that brought it. */
export interface Delivered {
  msg: Msg;
  authentic: Authentic;
}

/** A batch of deliveries, opened. `strangers` name a key that was not in the log then: one before them may bring it. */
export interface Opened {
  delivered: Delivered[];
  strangers: Msg[];
}

/** Opens and verifies a batch of deliveries; what is not authentic is told and never delivered again. */
export async function openAll(seq: Sequencer, messages: readonly Msg[]): Promise<Opened> {
  const opened = await Promise.all(messages.map((msg) => openDelivery(msg, seq.opener)));
  const delivered: Delivered[] = [];
  const strangers: Msg[] = [];
  for (const [n, result] of opened.entries()) {
    const msg = messages[n] as Msg;
    if (result.kind === "authentic") delivered.push({ msg, authentic: result });
    else if (isStranger(result)) strangers.push(msg);
    else refuseForged(seq, msg, result.why);
  }
  return { delivered, strangers };
}

/**
 * Writes what was opened, then what only its keys can open. A batch is opened while the one before is being written: whoever was
 * enrolled by that one is a stranger until it is in the log, and no forger.
 */
export async function writeOpened(seq: Sequencer, writer: PoolClient, log: OpenLog, opened: Opened): Promise<void> {
  await writeBatch(seq, writer, log, opened.delivered);
  if (opened.strangers.length === 0) return;
  const again = await openAll(seq, opened.strangers);
  if (again.delivered.length > 0) await writeOpened(seq, writer, log, again);
  else for (const msg of again.strangers) refuseForged(seq, msg, "key.unknown");
}

function refuseForged(seq: Sequencer, msg: Msg, why: string): void {
  seq.metrics.forged.inc();
  void seq.raise({ code: "bus.forged", about: why });
  discard(msg);
}

/**
 * Writes one batch, from judging to the receipts. Rejects when it is not certain what the database holds: then `log` must not be
 * used any more.
 */
export async function writeBatch(
  seq: Sequencer,
  writer: PoolClient,
  log: OpenLog,
  delivered: readonly Delivered[],
): Promise<void> {
  let rest = delivered.map(({ authentic }) => authentic);
  while (rest.length > 0) {
    // 1. What the log already knows of these keys and sequence numbers.
    const used = await findUsed(writer, rest.flatMap(askedPairs));
    // 2. Judge in order. The state runs ahead of the database from here on.
    const at = await circumstances(seq, writer, log, rest);
    const decision = decide(log, rest, used, at);
    // 3. Hash, sign the checkpoint in memory, write: one transaction.
    const note = decision.drafts.length === 0 ? undefined : await write(seq, writer, log, decision, at);
    // 4. The batch is in the log, for good. All that follows can be lost: it is done again when a statement comes again.
    await tellKeys(seq, decision.drafts);
    await answer(seq, decision, note, delivered);
    rest = decision.rest;
  }
}

/**
 * Writes a decision that was given at the start: an entry like any other. If it opens an origin, the checkpoint that holds it is the first
 * under the new key. Nothing if the log has that decision already. Rejects with StartRefused if it does not fit; otherwise when it is not
 * certain what the database holds: then `log` must not be used any more, and the same decision is given again.
 */
export async function writeGiven(
  seq: Sequencer,
  writer: PoolClient,
  log: OpenLog,
  given: GivenOrigin | GivenRecovery,
): Promise<void> {
  const start = performance.now();
  const head = { size: log.frontier.size, root: Buffer.from(log.root).toString("base64") };
  const used = await findUsed(writer, askedPairs(given));
  const at = { ...(await circumstances(seq, writer, log, [given])), head };
  const { drafts, retries } = decide(log, [given], used, at);
  if (retries.length > 0) return;
  const judgement = drafts[0]?.judgement;
  if (judgement?.verdict !== "accepted") {
    const findings = judgement?.findings ?? [];
    throw isGivenOrigin(given) ? doesNotFit(given, head, findings) : recoveryDoesNotFit(findings);
  }
  const prepared = await prepare(seq, log, drafts, at);
  await commit(writer, prepared, drafts);
  settle(seq, log, drafts, prepared, start);
  seq.log.warn(
    { decision: given.statement.decision, from: log.frontier.size },
    "the log goes on as two trustees decided",
  );
}

/** Pairs to ask for: a statement's own, and the one that it voids. */
function askedPairs({ statement, signers }: Authentic): { key: string; sequence: number }[] {
  const key = signers[0].id;
  const own = { key, sequence: statement.sequence };
  return statement.type === "void" ? [own, { key, sequence: statement.voids }] : [own];
}

async function circumstances(
  seq: Sequencer,
  writer: Db,
  log: OpenLog,
  batch: readonly Authentic[],
): Promise<Circumstances> {
  const seen = batch.some(({ statement }) => statement.type === "lift") ? await seq.clocks.look() : undefined;
  // Postgres refuses a closure's row before the close by its own clock: what it would refuse is not accepted first.
  const closes = batch.some(({ statement }) => statement.type === "polls" && statement.polls === "closed");
  const postgres = closes ? await readClock(writer) : undefined;
  const received = Math.max(seq.now(), log.lastReceived);
  return { register: seq.identity.register, received, seen, postgres, salt: () => randomBytes(32) };
}

/** Writes the drafts and answers the checkpoint's note. A lift that Postgres refuses becomes a quarantined one. */
async function write(
  seq: Sequencer,
  writer: PoolClient,
  log: OpenLog,
  decision: Decision,
  at: Circumstances,
): Promise<string> {
  const start = performance.now();
  const prepared = await prepare(seq, log, decision.drafts, at);
  const refused = (await commit(writer, prepared, decision.drafts)) === "gate-closed";
  if (!refused) return settle(seq, log, decision.drafts, prepared, start);
  // Nothing of that transaction is in the database. The same batch again, with the lift as Postgres sees it.
  seq.log.warn("postgres refuses the lift");
  decision.drafts = refuseLift(decision.drafts, at);
  const again = await prepare(seq, log, decision.drafts, at);
  if ((await commit(writer, again, decision.drafts)) === "gate-closed")
    throw new Error("Postgres refuses a lift that is not there");
  return settle(seq, log, decision.drafts, again, start);
}

interface Prepared {
  frontier: OpenLog["frontier"];
  rows: BatchRows;
}

async function prepare(seq: Sequencer, log: OpenLog, drafts: readonly Draft[], at: Circumstances): Promise<Prepared> {
  const { key } = seq.identity;
  const { frontier, entries } = assemble(log, drafts);
  const root = frontierRoot(frontier);
  const { origin } = authorityOf(log.state.authorities, frontier.size);
  const note = await signCheckpoint({ origin, size: frontier.size, root, sign: key.sign, publicRaw: key.own.raw });
  const old = { size: log.frontier.size, root: log.root };
  const signedAt = new Date(at.received).toISOString();
  const dataKeys = await Promise.all(newDataKeys(log, drafts).map((dataKey) => toKeep(seq, dataKey)));
  return { frontier, rows: { old, root, note, signedAt, dataKeys, entries } };
}

/** A data key as the log keeps it: the half that nobody here can check is the ledger's own, not the door's. Once for each data key. */
async function toKeep({ identity, recovering }: Sequencer, { id, wrapped, key }: StatementKey) {
  const { definition, hash } = identity.register;
  const { publicKey: vaultPublicKey, recoveryKey: recoveryPublicKey } = definition.vault;
  const opened = recovering === undefined ? "vault" : "recovery";
  const dataKey = { id: id.toString("hex"), key, wrapped, opened, definition: hash } as const;
  return { id, wrapped: await rewrapDataKey({ ...dataKey, vaultPublicKey, recoveryPublicKey }) };
}

/** One transaction. "gate-closed": rolled back, because Postgres refused the lift's row. */
async function commit(
  writer: PoolClient,
  { rows }: Prepared,
  drafts: readonly Draft[],
): Promise<"committed" | "gate-closed"> {
  await writer.query("begin");
  await append(writer, rows);
  for (const fact of gateFactsOf(drafts)) await insertGateFact(writer, fact);
  for (const origin of originsOf(drafts)) await insertOrigin(writer, origin);
  const lift = liftOf(drafts);
  if (lift !== undefined) {
    try {
      await insertLift(writer, lift.entry.index);
    } catch (error) {
      if (sqlState(error) !== SQLSTATE.gateClosed) throw error;
      await writer.query("rollback");
      return "gate-closed";
    }
  }
  // The commit point. A crash before it leaves nothing: the statements are still in the stream, are delivered again and judged
  // again, and the signed checkpoint has left this process nowhere. A crash after it loses only answers: the statements are
  // delivered again, are found by their identity, and get the receipts that they would have got. An error in between says
  // nothing about which of the two it was, so the caller throws its memory away and asks the database.
  const { command } = await writer.query("commit");
  if (command !== "COMMIT") throw new Error(`COMMIT was answered with ${command}: a statement in it had failed`);
  return "committed";
}

/** After COMMIT: memory follows the database, and everyone who folds over the log gets a hint. */
function settle(
  seq: Sequencer,
  log: OpenLog,
  drafts: readonly Draft[],
  { frontier, rows }: Prepared,
  start: number,
): string {
  const from = log.frontier.size;
  log.frontier = frontier;
  log.root = rows.root;
  for (const { id, key } of newDataKeys(log, drafts)) log.dataKeys.set(id.toString("hex"), key);
  for (const draft of drafts) remember(log, draft);
  const lift = liftOf(drafts);
  if (lift !== undefined) applyAccepted(log.state, lift.authentic.statement, lift.entry);
  for (const { equivocates, entry } of drafts)
    if (equivocates) void seq.raise({ code: "key.equivocation", about: `${entry.key} ${entry.sequence}` });
  const to = frontier.size - 1;
  const ms = Math.round(performance.now() - start);
  seq.metrics.written(drafts.length, frontier.size, ms / 1000);
  seq.log.info({ from, to, ms }, "batch");
  seq.nc.publish(SUBJECTS.appended, JSON.stringify({ from, to }));
  // Only here: a head that might not be in the database is shown to no witness.
  const { origin, key: publicKey } = authorityOf(log.state.authorities, frontier.size);
  seq.cosigner.committed({ size: frontier.size, root: rows.root, note: rows.note, log: { origin, publicKey } });
  return rows.note;
}

/** Keys that came or ended: what is opened from here on is opened with them, and the doors are told. */
async function tellKeys(seq: Sequencer, drafts: readonly Draft[]): Promise<void> {
  const changes = drafts.filter(
    ({ authentic, judgement }) => changesKeys(authentic.statement) && judgement.verdict === "accepted",
  );
  if (changes.length === 0) return;
  await seq.keys.refresh();
  for (const { entry } of changes) seq.nc.publish(SUBJECTS.key, JSON.stringify({ index: entry.index }));
}

function remember(log: OpenLog, { authentic: { statement }, entry, judgement, takesSequence }: Draft): void {
  log.lastReceived = Date.parse(entry.received);
  if (takesSequence) sequenceSeen(log.gaps, entry.key, entry.sequence, log.lastReceived);
  if (statement.type === "void" && judgement.verdict === "accepted")
    sequenceSeen(log.gaps, entry.key, statement.voids, log.lastReceived);
}

/** Acknowledges what was decided and sends the receipts. */
async function answer(
  seq: Sequencer,
  { drafts, retries, forged }: Decision,
  note: string | undefined,
  delivered: readonly Delivered[],
): Promise<void> {
  const messages = new Map(delivered.map(({ msg, authentic }) => [authentic, msg]));
  for (const authentic of forged) refuseForged(seq, messages.get(authentic) as Msg, "key id");
  for (const { authentic } of [...drafts, ...retries]) ack(messages.get(authentic) as Msg);
  const fresh = drafts.map(async ({ authentic, entry, judgement }) => {
    const receipt = await seq.receipts.make({ entry, judgement, statement: authentic.statement }, note as string);
    send(seq, messages.get(authentic) as Msg, authentic, receipt);
  });
  const again = retries.map(async ({ authentic, index }) => {
    send(seq, messages.get(authentic) as Msg, authentic, await seq.receipts.ofStored(seq.pool, index));
  });
  const sent = await Promise.allSettled([...fresh, ...again]);
  const failed = sent.find((result) => result.status === "rejected");
  if (failed?.reason instanceof LogBroken) throw failed.reason;
  // The office asks, or sends the bytes again.
  if (failed !== undefined) seq.log.error({ err: failed.reason }, "a receipt could not be sent");
}

function send(seq: Sequencer, msg: Msg, to: Authentic, receipt: string): void {
  const subject = replySubject(msg.headers);
  if (subject === undefined) return;
  const { headers, data } = seq.receipts.seal(to, receipt);
  seq.nc.publish(subject, data, { headers });
}
