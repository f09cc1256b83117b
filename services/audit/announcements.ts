import { setTimeout as sleep } from "node:timers/promises";
import { splitNote } from "../../shared/ledger/checkpoint.ts";
import { leafHash } from "../../shared/ledger/merkle.ts";
import { verifyProof } from "../../shared/ledger/proof.ts";
import { readEntry } from "../../shared/ledger/read-entry.ts";
import { ahead } from "../../shared/platform/publisher/ahead.ts";
import type { Reach } from "../../shared/platform/publisher/checkpoint.ts";
import type { Client } from "../../shared/platform/publisher/client.ts";
import type { TrustedDefinition } from "../../shared/platform/publisher/definition.ts";
import { Discrepancy } from "../../shared/platform/publisher/discrepancy.ts";
import { MAX_PROOF_BYTES, PROOF_REASONS, proofAddress, readWritten } from "../../shared/platform/publisher/proofs.ts";
import { type Listed, RELEASES, releaseAddress } from "../../shared/platform/publisher/releases.ts";
import { statementAddress } from "../../shared/platform/publisher/tiles.ts";
import type { VerifiedLog } from "./tree.ts";

/** Where the log announces each release, as the publisher says it: the proof of that entry, and the way to its statement. */

/** The entry whose accepted statement announces a release. */
export interface Announced {
  number: number;
  index: number;
}

interface Sources {
  client: Client;
  trusted: TrustedDefinition;
  log: VerifiedLog;
  /** How long a publisher may take to have a proof cosigned, ms. */
  patienceMs: number;
  signal: AbortSignal;
}

/** A redirect's body says nothing. */
const MAX_REDIRECT_BYTES = 4 * 1024;
const ANNOUNCED_AHEAD = 8;
const LOOK_MS = 500;

/**
 * A checkpoint may be a few seconds older than a release: one is waited for that covers the release's own entry, too. An index is believed
 * no further than the log's key has signed. Throws Discrepancy for a proof that does not hold; one that is missing is missed later, once it
 * is known whether the log announces the release at all.
 */
export async function releaseReach(
  client: Client,
  { authorities }: Pick<TrustedDefinition, "authorities">,
  last: Listed | undefined,
): Promise<Reach[]> {
  if (last === undefined) return [];
  const { number, size } = last;
  const path = proofAddress(number);
  const { status, body } = await client.get(path, MAX_PROOF_BYTES);
  const proof = status === 200 ? readWritten(body) : undefined;
  if (status === 200 && (proof === undefined || verifyProof(proof, { authorities }).kind === "refused"))
    throw new Discrepancy("release.proof", { path }, `${path} is no proof of an entry of this log.`);
  const because = `release ${number}, which is served, counts ${size} and has its own behind them`;
  return [{ size: Math.max(size, proof?.index ?? size) + 1, because, code: "release.unlogged", path: RELEASES }];
}

/** Throws Discrepancy at the first release whose proof is not that of its entry, or whose statement is not where its entry has it. */
export async function compareAnnouncements(announced: readonly Announced[], sources: Sources): Promise<void> {
  const work = (one: Announced) => compareAnnouncement(one, sources);
  for await (const _ of ahead(announced, work, { items: ANNOUNCED_AHEAD }));
}

async function compareAnnouncement(announced: Announced, sources: Sources): Promise<void> {
  const body = await sources.log.entry(announced.index);
  const end = performance.now() + sources.patienceMs;
  for (;;) {
    const wrong = await wrongProof(announced, body, sources);
    if (wrong === undefined) break;
    if (performance.now() > end) throw wrong;
    await sleep(LOOK_MS, undefined, { signal: sources.signal });
  }
  await followToStatement(announced, body, sources.client);
}

async function wrongProof(
  { number, index }: Announced,
  body: Uint8Array,
  { client, trusted, log }: Sources,
): Promise<Discrepancy | undefined> {
  const path = proofAddress(number);
  const where = { path, index };
  const { status, body: served } = await client.get(path, MAX_PROOF_BYTES);
  if (status !== 200) return new Discrepancy("release.missing", where, `${path} is answered with status ${status}.`);
  const wrong = (what: string) => new Discrepancy("release.proof", where, `${path} ${what}.`);
  const proof = readWritten(served);
  if (proof === undefined) return wrong("is no tlog-proof file");
  if (proof.index !== index)
    return wrong(`is of entry ${proof.index}; release ${number} is announced by entry ${index}`);
  if (proof.extra === undefined) return wrong("does not carry its entry");
  const { authorities, witnesses, quorum } = trusted;
  const verdict = verifyProof(proof, { authorities, witnesses, quorum, leaf: leafHash(body) });
  if (verdict.kind === "refused") return wrong(PROOF_REASONS[verdict.reason]);
  // The log's own line stands first. Of whatever stands below the witnesses', nobody has said that it holds.
  if (splitNote(proof.checkpoint)?.lines.length !== 1 + verdict.cosigned.length)
    return wrong("has a line below its checkpoint that no witness of the definition has signed");
  return compareRoots(verdict, log, path);
}

/** The log that the proof is from must be the one that is shown here; of one that has grown since, only the entry is known. */
async function compareRoots(
  { size, root }: { size: number; root: Uint8Array },
  log: VerifiedLog,
  path: string,
): Promise<Discrepancy | undefined> {
  if (size > log.size) return undefined;
  const ours = await log.rootAt(size);
  if (Buffer.compare(ours, root) === 0) return undefined;
  const [theirs, here] = [root, ours].map((hash) => Buffer.from(hash).toString("base64"));
  const what = `The checkpoint in ${path} signs the root ${theirs} for ${size} entries; the log that is shown here has ${here}.`;
  return new Discrepancy("log.forked", { path }, what);
}

async function followToStatement({ number, index }: Announced, body: Uint8Array, client: Client): Promise<void> {
  const entry = readEntry(body);
  if (entry === undefined || entry.type === "definition") throw new RangeError(`entry ${index} announces no release`);
  const path = `${releaseAddress(number)}/statement`;
  const { status, location } = await client.get(path, MAX_REDIRECT_BYTES);
  const wanted = statementAddress(entry.statement);
  if (status === 303 && location === wanted) return;
  const answer = location === undefined ? `status ${status}` : `status ${status} and ${location}`;
  const what = `${path} is answered with ${answer}; release ${number} is announced by ${wanted}.`;
  throw new Discrepancy("release.missing", { path, index }, what);
}
