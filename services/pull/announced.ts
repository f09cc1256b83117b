import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { type Proof, type ProofVerdict, verifyProof } from "../../shared/ledger/proof.ts";
import { readEntry } from "../../shared/ledger/read-entry.ts";
import type { Client } from "../../shared/platform/publisher/client.ts";
import type { TrustedDefinition } from "../../shared/platform/publisher/definition.ts";
import { Discrepancy } from "../../shared/platform/publisher/discrepancy.ts";
import { findAuthorities } from "../../shared/platform/publisher/origins.ts";
import { MAX_PROOF_BYTES, PROOF_REASONS, proofAddress, readWritten } from "../../shared/platform/publisher/proofs.ts";
import { statementAddress } from "../../shared/platform/publisher/tiles.ts";
import { keysOfRole } from "../../shared/platform/vault-keys.ts";
import { verifySignature } from "../../shared/statement/ed25519.ts";
import { MAX_STATEMENT_BYTES, openEnvelope } from "../../shared/statement/jws.ts";
import { readStatement } from "../../shared/statement/read.ts";
import type { Taken } from "./document.ts";

/**
 * That the log announced a release, so that nobody is shown one that others are not: the proof of an entry under a checkpoint with its
 * quorum of witnesses, and the statement that this entry names, in which both counts say number, prefix and hash.
 */
export interface Announcement {
  proof: Buffer;
  statement: Buffer;
  /** Of the entry. */
  index: number;
}

export interface AnnouncedSources {
  client: Client;
  trusted: TrustedDefinition;
  signal: AbortSignal;
  /** How long a publisher may take to have a proof cosigned, ms. */
  patienceMs: number;
}

const LOOK_MS = 500;

/** Fetches both. Throws Discrepancy for what does not prove it; for a proof that is still to come only when the patience is over. */
export async function takeAnnouncement(taken: Taken, sources: AnnouncedSources): Promise<Announcement> {
  const { client, trusted, signal, patienceMs } = sources;
  const path = proofAddress(taken.number);
  const end = performance.now() + patienceMs;
  for (;;) {
    const { status, body } = await client.get(path, MAX_PROOF_BYTES);
    const read = status === 200 ? readProof(body, trusted) : undefined;
    if (read !== undefined && "statement" in read) {
      const address = statementAddress(read.statement);
      const { status: given, body: statement } = await client.get(address, MAX_STATEMENT_BYTES);
      if (given !== 200)
        throw new Discrepancy(
          "statement.missing",
          { path: address, index: read.index },
          `${address} is answered with status ${given}.`,
        );
      const wrong = wrongStatement(statement, read.statement, taken, trusted);
      if (wrong !== undefined)
        throw new Discrepancy("release.proof", { path: address, index: read.index }, `${address} ${wrong}.`);
      return { proof: body, statement, index: read.index };
    }
    const mayCome = status !== 200 || read?.mayCome;
    if (!mayCome || performance.now() > end) {
      if (status !== 200)
        throw new Discrepancy("release.missing", { path }, `${path} is answered with status ${status}.`);
      throw new Discrepancy("release.proof", { path }, `${path} ${read?.refused ?? "is no tlog-proof file"}.`);
    }
    // After a restore the log may go on under another origin, which its own entries say.
    if (read?.mayCome) trusted.authorities = await findAuthorities(client, trusted);
    await sleep(LOOK_MS, undefined, { signal });
  }
}

/** What was kept, if it proves it still; undefined otherwise, and then it is fetched anew. */
export function readAnnouncement(
  { proof, statement }: Pick<Announcement, "proof" | "statement">,
  taken: Taken,
  trusted: TrustedDefinition,
): Announcement | undefined {
  const read = readProof(proof, trusted);
  if (!("statement" in read) || wrongStatement(statement, read.statement, taken, trusted) !== undefined)
    return undefined;
  return { proof, statement, index: read.index };
}

/** `mayCome`: witnesses sign a moment after the log, and an origin may be newer than what is known here. */
type ReadProof = { index: number; statement: string } | { refused: string; mayCome: boolean };

function readProof(body: Buffer, { authorities, witnesses, quorum }: TrustedDefinition): ReadProof {
  const refused = (why: string, mayCome = false) => ({ refused: why, mayCome });
  const proof: Proof | undefined = readWritten(body);
  if (proof?.extra === undefined) return refused("is no tlog-proof file with its entry");
  const verdict: ProofVerdict = verifyProof(proof, { authorities, witnesses, quorum });
  if (verdict.kind === "refused")
    return refused(PROOF_REASONS[verdict.reason], verdict.reason === "checkpoint" || verdict.reason === "witnesses");
  const entry = readEntry(proof.extra);
  if (entry?.type !== "release" || entry.index !== verdict.index)
    return refused("is of an entry that announces no release");
  return { index: verdict.index, statement: entry.statement };
}

/** Undefined if both counts announce this release in these bytes; otherwise what is wrong, as the end of a sentence. */
function wrongStatement(
  bytes: Buffer,
  sha256: string,
  taken: Taken,
  { definition, hash }: TrustedDefinition,
): string | undefined {
  if (createHash("sha256").update(bytes).digest("hex") !== sha256)
    return "is not the statement that the log's entry names";
  const opened = openEnvelope(bytes);
  const read = opened.kind === "envelope" ? readStatement(opened.envelope.payload) : undefined;
  if (opened.kind !== "envelope" || read?.kind !== "statement" || read.statement.type !== "release")
    return "is no statement that announces a release";
  for (const role of ["tabulate", "recount"] as const) {
    const keys = keysOfRole(definition, role);
    const signs = opened.envelope.signatures.some(({ kid, signed, signature }) => {
      const key = keys.get(kid);
      return key !== undefined && verifySignature(signed, signature, key);
    });
    if (!signs) return `is not signed by ${role}`;
  }
  const { definition: about, number, size, root, release, previous } = read.statement;
  const { checkpoint } = taken.release;
  const isThis =
    about === hash &&
    number === taken.number &&
    size === taken.size &&
    root === checkpoint.root &&
    release === taken.sha256 &&
    previous === taken.release.previous;
  return isThis ? undefined : `announces release ${number} as ${release}, and what is served is ${taken.sha256}`;
}
