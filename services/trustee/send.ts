import type { Definition } from "../../shared/definition/schema.ts";
import { canonical } from "../../shared/ledger/entry.ts";
import { type Receipt, readReceipt } from "../../shared/ledger/receipt.ts";
import { doorProblem, WrongDoor } from "../../shared/platform/door.ts";
import { createSubmitter, type Outcome } from "../../shared/platform/submit.ts";
import { printable } from "../../shared/platform/terminal.ts";
import { verifyKeyOf } from "../../shared/statement/authentic.ts";
import { type DecisionFile, missingFrom } from "./decision-file.ts";
import type { Election } from "./definition.ts";
import type { DoorOptions } from "./options.ts";
import { Refusal } from "./refusal.ts";

/** What came of a decision: the ledger's signed verdict, or a refusal at the door. */
export type Sent =
  | { kind: "judged"; receipt: Receipt; bytes: string }
  | { kind: "refused"; code: string; detail: string };

/**
 * Submits a complete decision and verifies the receipt: an answer counts only if the ledger signed it, for these words. Rejects with a
 * Refusal when there is no answer within `patienceMs`, or one that proves nothing.
 */
export async function send(
  file: DecisionFile,
  election: Election,
  door: DoorOptions,
  patienceMs: number,
): Promise<Sent> {
  checkComplete(file);
  checkDoor(election.definition, door.url);
  const { pins } = election.definition.door ?? {};
  const submitter = createSubmitter({ ingestUrl: door.url.href, pins, inFlight: 1, patienceMs });
  const outcome = await submitter
    .submit(file.bytes)
    .catch((error: Error) => {
      if (error instanceof WrongDoor) throw new Refusal("door.wrong", `${error.message}.`);
      throw new Refusal("door.silent", `There is no answer: ${printable(error.message)}.`);
    })
    .finally(() => submitter.close());
  if (outcome.kind === "refused") return outcome;
  return { kind: "judged", receipt: verified(outcome, file, election, door), bytes: outcome.receipt };
}

/** Throws a Refusal for what the door must refuse: it would only cost time. */
function checkComplete({ decision, signers }: DecisionFile): void {
  const missing = missingFrom(decision, signers);
  if (missing.length > 0) throw new Refusal("decision.unfinished", `The file still needs ${missing.join(", and ")}.`);
  if (decision.type === "decision" && decision.decision === "origin")
    throw new Refusal("decision.at-start", "A new origin is not opened by way of ingest.");
}

function checkDoor({ door }: Definition, url: URL): void {
  const problem = doorProblem(url, door?.pins);
  if (problem !== undefined) throw new Refusal("door.insecure", `${url.origin}: ${problem}.`);
}

/** The receipt, if the ledger signed it and it is about this very payload: by way of any door, however broken. */
function verified(
  { receipt: text }: Extract<Outcome, { kind: "receipt" }>,
  { decision, envelope }: DecisionFile,
  { definition, hash }: Election,
  { ledgerKey }: DoorOptions,
): Receipt {
  const wrong = (sentence: string) => new Refusal("receipt.wrong", sentence);
  const named = definition.keys.flatMap((key) => (key.role === "ledger" ? [key.publicKey] : []));
  const keys = ledgerKey === undefined ? named : [...named, ledgerKey.publicKey];
  const receipt = keys
    .map((publicKey) => verifyKeyOf(publicKey))
    .map((key) => (key === undefined ? undefined : readReceipt(text, key)))
    .find((read) => read !== undefined);
  if (receipt === undefined) throw wrong("The receipt is not signed by the ledger.");
  const isOurs = receipt.definition === hash && canonical(receipt.statement) === canonical(decision);
  const [first] = envelope.signatures;
  if (!isOurs || receipt.entry.key !== first?.kid || receipt.entry.sequence !== decision.sequence)
    throw wrong("The receipt is for something else than was sent.");
  return receipt;
}
