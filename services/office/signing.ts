import { stat } from "node:fs/promises";
import type { LedgerState } from "../../shared/ledger/state.ts";
import { type Saying, type Signer, signStatement, writeStatement } from "../../shared/platform/sign.ts";
import { MAX_STATEMENT_BYTES } from "../../shared/statement/jws.ts";
import { readStatement } from "../../shared/statement/read.ts";
import type { Tally } from "../../shared/statement/types.ts";
import { type Checked, createChecker } from "./checking.ts";
import type { Office } from "./folder.ts";
import type { CountFile } from "./read/file.ts";
import { Refusal } from "./refusal.ts";
import { addToSpool, type Spooled } from "./spool.ts";
import { readView, type View } from "./view.ts";

/** Tallies in one statement, at most: a quarantine takes so many with it, and more of them save little. */
export const BATCH = 500;
/** Of their JSON; base64url makes a third more of it, and the receipt repeats it. */
const MAX_BATCH_BYTES = MAX_STATEMENT_BYTES / 2;

export interface Signed {
  statements: Spooled[];
  tallies: number;
  units: { unit: string; version: number }[];
}

export interface SigningOptions {
  office: Office;
  view: View;
  signer: Signer;
  /** ms since the epoch. */
  now: () => number;
}

/** Signs one statement that is no file of figures and puts it into the spool. Throws a Refusal for what no reader would take. */
export async function signSaying(saying: Saying, options: SigningOptions): Promise<Spooled> {
  const { office, view, signer, now } = options;
  const write = (sequence: number) => {
    const payload = writeStatement(saying, {
      definition: office.election.hash,
      state: office.state,
      sequence,
      now: now(),
    });
    const read = readStatement(payload);
    if (read.kind === "refused") throw new Refusal("command.wrong", `This cannot be said. ${read.detail}`);
    return signStatement(payload, [signer]);
  };
  const spooled = await addToSpool(office.folder, signer.kid, view.next.get(signer.kid) ?? 1, write);
  view.next.set(signer.kid, spooled.sequence + 1);
  return spooled;
}

/** Takes tallies one by one and signs them in statements that are as large as is sensible. */
export function createBatches(options: SigningOptions) {
  let batch: Tally[] = [];
  let bytes = 0;
  const ready: Tally[][] = [];
  const signed: Spooled[] = [];
  let tallies = 0;
  const cut = () => {
    if (batch.length > 0) ready.push(batch);
    batch = [];
    bytes = 0;
  };
  return {
    add(tally: Tally): void {
      const size = JSON.stringify(tally).length;
      if (batch.length === BATCH || bytes + size > MAX_BATCH_BYTES) cut();
      batch.push(tally);
      bytes += size;
    },
    /** Signs the batches that are full. */
    async sign(all = false): Promise<void> {
      if (all) cut();
      for (let next = ready.shift(); next !== undefined; next = ready.shift()) {
        signed.push(await signSaying({ type: "tally", tallies: next }, options));
        tallies += next.length;
      }
    },
    signed: () => ({ statements: signed, tallies }),
  };
}

export interface FileOptions {
  status: Tally["status"];
  reason: string | undefined;
  now: number;
}

/** Reads a file through and judges every row; signs nothing. */
export async function checkFile(
  file: CountFile,
  given: FileOptions,
  office: Office | undefined,
  state: LedgerState | undefined,
  tally?: (tally: Tally) => void,
  pause?: () => Promise<void>,
): Promise<Checked> {
  const checker = createChecker({ ...given, office, state, ...(tally !== undefined && { tally }) });
  await file.read(checker, pause);
  return checker.end();
}

/**
 * Signs what a file that was checked says anew. The file is read again: what was checked and what is signed are the same if it has not been touched in
 * between, which is asked before and after.
 */
export async function signFile(file: CountFile, given: FileOptions, options: SigningOptions) {
  const batches = createBatches(options);
  // Its own view: within one file nothing of it is signed before.
  const { state } = await readView(options.office);
  const checked = await checkFile(file, given, options.office, state, batches.add, () => batches.sign());
  await batches.sign(true);
  return { checked, ...batches.signed() };
}

/** What tells two states of a file apart. */
export async function stampOf(path: string): Promise<string> {
  const { size, mtimeMs, ino } = await stat(path);
  return `${size} ${mtimeMs} ${ino}`;
}
