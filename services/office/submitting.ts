import { canonical } from "../../shared/ledger/entry.ts";
import type { Receipt } from "../../shared/ledger/receipt.ts";
import { doorProblem, WrongDoor } from "../../shared/platform/door.ts";
import { createSubmitter, type Outcome, type Submitter } from "../../shared/platform/submit.ts";
import { printable } from "../../shared/platform/terminal.ts";
import type { Statement } from "../../shared/statement/types.ts";
import type { Office } from "./folder.ts";
import { Refusal } from "./refusal.ts";
import { listSpool, readSpooled, type Spooled, settle, spoolKeys } from "./spool.ts";
import { verdictOf } from "./view.ts";

/**
 * Sends what waits in the spool. It can be stopped at any instant, by anything: what is on the disk says what is left, and the door answers the same
 * bytes with the same receipt however often they come.
 */

/** Statements on their way at once. */
const IN_FLIGHT = 8;
/** What the ledger takes after the close of the polls only (F.207). */
const AFTER_THE_CLOSE: ReadonlySet<string> = new Set(["tally", "seats", "declaration"]);

export interface Submitted {
  /** What there was to do at the beginning. */
  waiting: number;
  accepted: number;
  quarantined: number;
  refused: number;
  /** Statements that lack a signature still. */
  unfinished: number;
  /** Figures and declarations that are kept back: the polls are open, and the ledger would quarantine them. */
  early: number;
  findings: { code: string; unit?: string; sequence: number; key: string }[];
}

export interface SubmitOptions {
  /** How long a door that does not answer is asked again, ms. */
  patienceMs: number;
  signal: AbortSignal;
  /** When the state's polls close, ms since the epoch, as this office knows it. */
  closesAt: number;
  now(): number;
  progress(done: number, of: number): void;
}

/** Findings that are told of; all of them are in the receipts. */
const MAX_FINDINGS = 1_000;

/**
 * Sends every statement that has no answer yet, of every key; resolves when each has one. A statement about a unit that another one on its way is about
 * waits for that one's receipt. Rejects with a Refusal: `door.silent` after `patienceMs`, `door.wrong`, `door.insecure`, `receipt.wrong`.
 */
export async function submitSpool(office: Office, options: SubmitOptions): Promise<Submitted> {
  const { pins } = office.election.definition.door ?? {};
  const problem = doorProblem(new URL(office.ingest), pins);
  if (problem !== undefined) throw new Refusal("door.insecure", `${office.ingest}: ${problem}.`);
  const work: { key: string; one: Spooled }[] = [];
  for (const key of await spoolKeys(office.folder))
    for (const one of await listSpool(office.folder, key)) if (one.state === "signed") work.push({ key, one });
  const done: Submitted = {
    waiting: work.length,
    accepted: 0,
    quarantined: 0,
    refused: 0,
    unfinished: 0,
    early: 0,
    findings: [],
  };
  const submitter = createSubmitter({
    ingestUrl: office.ingest,
    pins,
    inFlight: IN_FLIGHT,
    patienceMs: options.patienceMs,
  });
  try {
    await sendAll(work, office, submitter, options, done);
    return done;
  } finally {
    submitter.close();
  }
}

async function sendAll(
  work: readonly { key: string; one: Spooled }[],
  office: Office,
  submitter: Submitter,
  { signal, closesAt, now, progress }: SubmitOptions,
  done: Submitted,
): Promise<void> {
  const running = new Set<Promise<void>>();
  const about = new Map<string, Promise<void>>();
  let finished = 0;
  let failure: unknown;
  progress(0, work.length);
  for (const { key, one } of work) {
    if (signal.aborted || failure !== undefined) break;
    const { bytes, statement, signers } = await readSpooled(one.file);
    if (signers.length < signersOf(office, statement)) {
      done.unfinished++;
      finished++;
      continue;
    }
    if (AFTER_THE_CLOSE.has(statement.type) && now() < closesAt) {
      done.early++;
      finished++;
      continue;
    }
    const units = statement.type === "tally" ? statement.tallies.map(({ unit }) => unit) : [];
    // A unit's correction could overtake what it corrects; and a closure, or a declaration, what it is about.
    const before = statement.type === "tally" ? units.map((unit) => about.get(unit)) : [...running];
    await Promise.all(before);
    while (running.size >= IN_FLIGHT) await Promise.race(running);
    if (signal.aborted || failure !== undefined) break;
    const sent: Promise<void> = submitter
      .submit(bytes)
      .then((outcome) => keep(office, key, one.sequence, statement, outcome, done))
      .then(() => progress(++finished, work.length))
      .catch((error: unknown) => {
        failure ??= error;
      })
      .finally(() => {
        running.delete(sent);
        for (const unit of units) if (about.get(unit) === sent) about.delete(unit);
      });
    running.add(sent);
    for (const unit of units) about.set(unit, sent);
  }
  await Promise.all(running);
  if (failure !== undefined) throw asRefusal(failure);
}

function asRefusal(error: unknown): unknown {
  if (error instanceof Refusal || !(error instanceof Error)) return error;
  if (error instanceof WrongDoor) return new Refusal("door.wrong", `${error.message}.`);
  return new Refusal("door.silent", `There is no answer: ${printable(error.message)}.`);
}

/** How many people must have signed: as the definition asks of the state, and two for a declaration. */
export function signersOf({ register }: Office, { type, state }: Statement): number {
  const required = register.state(state)?.signaturesRequired ?? 1;
  return type === "declaration" ? Math.max(2, required) : required;
}

/** Writes down what came of a statement. An answer counts only if the ledger signed it, for these words. */
async function keep(
  office: Office,
  key: string,
  sequence: number,
  statement: Statement,
  outcome: Outcome,
  done: Submitted,
): Promise<void> {
  if (outcome.kind === "refused") {
    const { status, code, detail } = outcome;
    await settle(office.folder, key, sequence, "refused", `${JSON.stringify({ status, code, detail })}\n`);
    done.refused++;
    note(done, { code, sequence, key });
    return;
  }
  const receipt = checkedReceipt(office, key, statement, outcome.receipt);
  await settle(office.folder, key, sequence, "receipt", outcome.receipt);
  done[receipt.verdict]++;
  for (const { code, unit } of receipt.findings)
    note(done, { code, sequence, key, ...(unit !== undefined && { unit }) });
}

function note(done: Submitted, finding: Submitted["findings"][number]): void {
  if (done.findings.length < MAX_FINDINGS) done.findings.push(finding);
}

/** The receipt, if the ledger signed it and it is about this very statement. Throws a Refusal otherwise: by way of any door, however broken. */
export function checkedReceipt(office: Office, key: string, statement: Statement, text: string): Receipt {
  const receipt = verdictOf(office, text);
  if (receipt === undefined) throw new Refusal("receipt.wrong", "The receipt is not signed by the ledger.");
  const isOurs = receipt.definition === office.election.hash && canonical(receipt.statement) === canonical(statement);
  if (!isOurs || receipt.entry.key !== key || receipt.entry.sequence !== statement.sequence)
    throw new Refusal("receipt.wrong", "The receipt is for something else than was sent.");
  return receipt;
}
