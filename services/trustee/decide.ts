import { join } from "node:path";
import { writeStatement } from "../../shared/platform/sign.ts";
import {
  checkSigner,
  cosigned,
  type DecisionFile,
  firstSigned,
  openDecision,
  readDecisionFile,
} from "./decision-file.ts";
import type { Election } from "./definition.ts";
import { titleOf } from "./explain.ts";
import type { OwnKey } from "./key.ts";
import { checkSaying, readBack, type TrusteeSaying } from "./sayings.ts";
import { claimSequence } from "./sequence.ts";
import { mustBeFree, PUBLIC_MODE, writeNew } from "./write.ts";

/** A decision that was signed, and the file in which it lies. */
export interface Written {
  path: string;
  file: DecisionFile;
}

export interface Deciding {
  own: OwnKey;
  keyFile: string;
  /** Undefined: the next one of this key. */
  sequence: number | undefined;
  /** Undefined: a name that says what it is, in the working folder. */
  out: string | undefined;
  /** ms since the epoch. */
  now: number;
}

/**
 * Signs a decision as its first trustee and writes it to a file. In this order: everything is checked, the sequence number is claimed for
 * good, then it is signed; a crash in between costs a number, and no number is ever signed twice. Rejects with a Refusal.
 */
export async function decide(saying: TrusteeSaying, election: Election, deciding: Deciding): Promise<Written> {
  const { own, keyFile, out, now } = deciding;
  const write = (number: number) =>
    writeStatement(saying, { definition: election.hash, state: "EU", sequence: number, now });
  const draft = readBack(write(1));
  checkSaying(election.definition, saying);
  checkSigner(election, draft, [], own);
  if (out !== undefined) await mustBeFree(out);
  const what = `${titleOf(draft)}, ${new Date(now).toISOString()}`;
  const asked = deciding.sequence;
  const sequence = await claimSequence({ keyFile, definition: election.hash, asked, what });
  const bytes = firstSigned(write(sequence), own);
  const path = out ?? join(".", `${titleOf(draft).replaceAll(/[^A-Za-z0-9.]+/g, "-")}-${own.kid}-${sequence}.json`);
  await writeNew(path, bytes, PUBLIC_MODE);
  return { path, file: await openDecision(bytes, election) };
}

export interface Cosigning {
  own: OwnKey;
  /** Undefined: the name of the file with this signer's key id behind it. */
  out: string | undefined;
  /** Shows the decision to the person and rejects unless they agree. */
  agree(file: DecisionFile): Promise<void>;
}

/**
 * Adds a signature to a decision, in a new file. What is shown for agreement are the bytes that are then signed: the file is read once.
 * Rejects with a Refusal.
 */
export async function cosign(path: string, election: Election, { own, out, agree }: Cosigning): Promise<Written> {
  const file = await readDecisionFile(path, election);
  checkSigner(election, file.decision, file.signers, own);
  const to = out ?? `${path.replace(/\.json$/, "")}+${own.kid}.json`;
  await mustBeFree(to);
  await agree(file);
  const bytes = cosigned(file, own);
  await writeNew(to, bytes, PUBLIC_MODE);
  return { path: to, file: await openDecision(bytes, election) };
}
