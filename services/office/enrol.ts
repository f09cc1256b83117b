import { readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { z } from "zod";
import { createRegister } from "../../shared/definition/register.ts";
import { claimSequence } from "../../shared/platform/claim-sequence.ts";
import { WrongDoor } from "../../shared/platform/door.ts";
import type { DefinitionFiles } from "../../shared/platform/election-files.ts";
import { readSigner, type Signer, signCompact, writeStatement } from "../../shared/platform/sign.ts";
import { createSubmitter } from "../../shared/platform/submit.ts";
import { printable } from "../../shared/platform/terminal.ts";
import type { RequestedKey } from "../../shared/statement/enrolment.ts";
import { generalEnvelope, openEnvelope } from "../../shared/statement/jws.ts";
import { readStatement } from "../../shared/statement/read.ts";
import { isOfficeOf, makeOffice, type Office, openElection } from "./folder.ts";
import type { OwnKey } from "./keys.ts";
import { Refusal } from "./refusal.ts";
import { checkedReceipt } from "./submitting.ts";

/** How a key of an office comes into the log: two trustees decide, and the key itself signs last. */

const Stack = z.object({
  addresses: z.object({ ingest: z.url(), release: z.url() }),
  definition: z.string(),
  keys: z.string(),
});

export interface Enrolling {
  folder: string;
  key: RequestedKey;
  own: OwnKey;
  /** ms since the epoch. */
  now: number;
  patienceMs: number;
}

/** Where a stack's file (`npm start -- --stack FILE`) says that everything is. Rejects with a Refusal. */
export async function readStack(path: string): Promise<z.infer<typeof Stack>> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new Refusal("file.unreadable", `${path} cannot be read (${error.code ?? error.message}).`);
  });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  const read = Stack.safeParse(value);
  if (!read.success) throw new Refusal("file.unreadable", `${path} is not what npm start -- --stack writes.`);
  return read.data;
}

/** The definition's files as they lie beside each other. */
export const besides = (definition: string): DefinitionFiles => ({
  definition,
  signatures: join(dirname(definition), basename(definition).replace(/(\.json)?$/, ".signatures.json")),
  authority: join(dirname(definition), "authority.json"),
});

/**
 * Enrols a key in an exercise, whose trustees' keys lie open: it admits by itself. Answers the entry's index. Rejects with a Refusal, also for a definition
 * that is no exercise.
 */
export async function enrolInExercise(stackFile: string, enrolling: Enrolling): Promise<number> {
  const stack = await readStack(stackFile);
  const files = besides(stack.definition);
  const { definition, hash } = await openElection(files);
  if (definition.mode !== "exercise")
    throw new Refusal("enrolment.live", `${stack.definition} is a live election: its trustees decide who may sign.`);
  const trustees = definition.keys.filter(({ role }) => role === "trustee").slice(0, 2);
  const [first, second] = await Promise.all(trustees.map(({ id }) => readSigner(join(stack.keys, `${id}.json`))));
  if (first === undefined || second === undefined)
    throw new Refusal("definition.refused", "The exercise has fewer than two trustees.");
  const sequence = await claimSequence({
    keyFile: join(stack.keys, `${first.kid}.json`),
    definition: hash,
    asked: undefined,
    what: `key enrol ${enrolling.key.id}`,
  });
  const saying = { type: "key", change: "enrol", key: enrolling.key } as const;
  const payload = writeStatement(saying, { definition: hash, state: "EU", sequence, now: enrolling.now });
  const signed = [first, second].map((signer: Signer) => signCompact(payload, signer));
  const { ingest, release } = stack.addresses;
  return finish(generalEnvelope(signed), files, { ingest, release }, enrolling);
}

/** Enrols a key in an election with what two trustees signed for its request. As `enrolInExercise`. */
export async function enrolByDecision(
  decisionFile: string,
  files: DefinitionFiles,
  where: { ingest: string; release: string | undefined },
  enrolling: Enrolling,
): Promise<number> {
  const bytes = await readFile(decisionFile, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new Refusal("file.unreadable", `${decisionFile} cannot be read (${error.code ?? error.message}).`);
  });
  return finish(bytes.trim(), files, where, enrolling);
}

/** The new key signs last, which proves once more that it is held here; then everything goes to the door, and the folder is the office's. */
async function finish(
  decision: string,
  files: DefinitionFiles,
  { ingest, release }: { ingest: string; release: string | undefined },
  { folder, key, own, patienceMs }: Enrolling,
): Promise<number> {
  const election = await openElection(files);
  // Asked before anything is sent: an enrolment is not taken back.
  await isOfficeOf(folder, files, key.state);
  const opened = openEnvelope(Buffer.from(decision, "latin1"));
  const read = opened.kind === "envelope" ? readStatement(opened.envelope.payload) : undefined;
  if (
    opened.kind === "refused" ||
    read?.kind !== "statement" ||
    read.statement.type !== "key" ||
    read.statement.change !== "enrol"
  )
    throw new Refusal("enrolment.wrong", "This is no decision of trustees to enrol a key.");
  const { statement } = read;
  const isOurs = (["id", "publicKey", "state", "official", "backup"] as const).every(
    (name) => statement.key[name] === key[name],
  );
  if (!isOurs || statement.definition !== election.hash)
    throw new Refusal("enrolment.wrong", "The decision is about another key, or another election, than yours.");
  const { payload, signatures } = opened.envelope;
  const given = signatures.map(
    ({ signed, signature }) =>
      `${Buffer.from(signed).toString("latin1")}.${Buffer.from(signature).toString("base64url")}`,
  );
  const [by] = signatures;
  const bytes = Buffer.from(generalEnvelope([...given, signCompact(payload, own)]));
  const register = createRegister(election.definition, election.hash);
  const office: Office = { folder, election, register, state: key.state, ingest, release };
  const outcome = await sendOnce(office, bytes, patienceMs);
  if (outcome.kind === "refused")
    throw new Refusal("enrolment.refused", `The door refuses it: ${outcome.code}, ${printable(outcome.detail)}`);
  const receipt = checkedReceipt(office, by?.kid ?? "", statement, outcome.receipt);
  if (receipt.verdict !== "accepted") {
    const codes = receipt.findings.map(({ code }) => code).join(", ");
    throw new Refusal("enrolment.refused", `The ledger has quarantined it: ${codes}.`);
  }
  await makeOffice(folder, files, { state: key.state, ingest, ...(release !== undefined && { release }) });
  return receipt.entry.index;
}

async function sendOnce({ ingest, election }: Office, bytes: Uint8Array, patienceMs: number) {
  const { pins } = election.definition.door ?? {};
  let submitter: ReturnType<typeof createSubmitter>;
  try {
    submitter = createSubmitter({ ingestUrl: ingest, pins, inFlight: 1, patienceMs });
  } catch (error) {
    throw new Refusal("door.insecure", `${(error as Error).message}.`);
  }
  return submitter
    .submit(bytes)
    .catch((error: Error) => {
      if (error instanceof WrongDoor) throw new Refusal("door.wrong", `${error.message}.`);
      throw new Refusal("door.silent", `There is no answer: ${printable(error.message)}.`);
    })
    .finally(() => submitter.close());
}
