import { createHash } from "node:crypto";
import type { Pool } from "pg";
import type { Definition } from "../../shared/definition/schema.ts";
import { releaseBefore } from "../../shared/embargo/road.ts";
import type { ReleaseHeader } from "../../shared/formats/release.ts";
import type { LookAtClocks } from "../../shared/platform/clock-readings.ts";
import { LogBroken } from "../../shared/platform/log-reader.ts";
import {
  keyShare,
  mostCandidateBytes,
  openAnswer,
  openCandidate,
  type ReleaseId,
  releaseSignatureHolds,
  sealCandidate,
  signRelease,
} from "../../shared/platform/release-seal.ts";
import type { VaultKeys } from "../../shared/platform/vault-keys.ts";
import { buildRelease, releaseBytes } from "../../shared/results/release.ts";
import type { VerifyKey } from "../../shared/statement/ed25519.ts";
import type { Fold } from "./fold.ts";
import { mayGiveShare } from "./gate.ts";
import {
  insertCandidate,
  insertShare,
  selectAnswers,
  selectCandidate,
  selectLastCandidate,
  selectLastShare,
} from "./store.ts";

/** Between two candidates: a release a second is as fast as anyone reads. */
export const CANDIDATE_GAP_MS = 1_000;

export interface ReleaseSources {
  pool: Pool;
  definition: Definition;
  keys: VaultKeys;
  recountKeys: ReadonlyMap<string, VerifyKey>;
  lookAtClocks: LookAtClocks;
  /** Tells whoever waits for candidates and shares; a hint, so it does not matter whether it arrives. */
  hint: (id: ReleaseId) => void;
}

/** A candidate that recount found too: ready to be proposed as a release. */
export interface AgreedRelease extends ReleaseId {
  root: string;
  /** Hex SHA-256 of the document. */
  sha256: string;
  previous: string | null;
}

/** What this process remembers between two looks; all of it can be read again from the database. */
export interface ReleaseMemory {
  /** The newest candidate of this number, by its size; `atMs` on the process' own steady clock. */
  candidate: { number: number; size: number; atMs: number } | null;
  agreed: AgreedRelease | null;
  /** Number of the last release whose share was given; null when not looked up yet. */
  lastShare: number | null;
  /** The data keys of all statements below this were given. */
  dataKeysTo: number;
}

export const emptyMemory = (): ReleaseMemory => ({ candidate: null, agreed: null, lastShare: null, dataKeysTo: 0 });

export const sha256Hex = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** The header of the release that the folded prefix makes: it follows the last release that the prefix holds. */
function headerOf(fold: Fold): ReleaseHeader | undefined {
  if (fold.last === null) return undefined;
  const { checkpoint, received } = fold.last;
  const before = releaseBefore(fold.road, checkpoint.size);
  return {
    number: (before?.number ?? 0) + 1,
    checkpoint,
    asOf: received,
    previous: before?.release ?? null,
  };
}

/**
 * Writes the candidate of the folded prefix, if the last one or the last release lacks an entry that may change it and a second
 * has passed. Which entries those are does not depend on verdicts. Answers the ms until one is due, undefined if none is.
 */
export async function writeCandidate(
  fold: Fold,
  memory: ReleaseMemory,
  sources: ReleaseSources,
  steadyMs: number,
): Promise<number | undefined> {
  const header = headerOf(fold);
  if (header === undefined) return undefined;
  const { number } = header;
  if (memory.candidate?.number !== number) {
    const stored = await selectLastCandidate(sources.pool, number);
    // Another number's candidate counts for the pace, too.
    const atMs = stored === undefined ? (memory.candidate?.atMs ?? -Infinity) : steadyMs - stored.ageMs;
    memory.candidate = { number, size: stored?.size ?? 0, atMs };
    memory.agreed = null;
  }
  const counted = Math.max(memory.candidate.size, releaseBefore(fold.road, header.checkpoint.size)?.size ?? 0);
  if (fold.road.lastContent < counted) return undefined;
  const dueMs = memory.candidate.atMs + CANDIDATE_GAP_MS - steadyMs;
  if (dueMs > 0) return dueMs;
  const id = { number, size: header.checkpoint.size };
  const bytes = releaseBytes(buildRelease(fold.tabulation, header));
  const { kid, sign, vault } = sources.keys;
  const release = Buffer.from(bytes).toString("utf8");
  const candidate = { release, signature: signRelease(kid, bytes, sign) };
  const sealed = sealCandidate(vault, id, candidate, mostCandidateBytes(sources.definition));
  await insertCandidate(sources.pool, id, sealed);
  memory.candidate = { ...id, atMs: steadyMs };
  sources.hint(id);
  return undefined;
}

/** Looks for the newest candidate of the next number that recount has signed too; remembers it. */
export async function findAgreed(memory: ReleaseMemory, sources: ReleaseSources): Promise<AgreedRelease | null> {
  const { candidate, agreed } = memory;
  if (candidate === null) return null;
  const { number } = candidate;
  if (agreed !== null && agreed.number === number && agreed.size === candidate.size) return agreed;
  const known = agreed?.number === number ? agreed.size : 0;
  for (const { size, sealed } of await selectAnswers(sources.pool, number, known)) {
    const found = await agreedRelease({ number, size }, sealed, sources);
    if (found === undefined) continue;
    memory.agreed = found;
    break;
  }
  return memory.agreed;
}

async function agreedRelease(
  id: ReleaseId,
  sealedAnswer: Uint8Array,
  sources: ReleaseSources,
): Promise<AgreedRelease | undefined> {
  const answer = openAnswer(sources.keys.vault, id, sealedAnswer);
  if (!answer.agrees) return undefined;
  const own = await ownRelease(id, sources);
  if (own === undefined) return undefined;
  const { bytes } = own;
  const signed = [...sources.recountKeys].some(([kid, key]) =>
    releaseSignatureHolds(kid, key, bytes, answer.signature),
  );
  if (!signed) return undefined;
  const { checkpoint, previous } = JSON.parse(own.text) as ReleaseHeader;
  return { ...id, root: checkpoint.root, sha256: sha256Hex(bytes), previous };
}

/** A candidate as this service wrote it, with its own signature over it; undefined if it wrote none of that number and size. */
async function ownRelease(
  id: ReleaseId,
  sources: ReleaseSources,
): Promise<{ text: string; bytes: Uint8Array } | undefined> {
  const sealed = await selectCandidate(sources.pool, id);
  if (sealed === undefined) return undefined;
  const { release, signature } = openCandidate(sources.keys.vault, id, sealed);
  const bytes = Buffer.from(release, "utf8");
  const { kid, own } = sources.keys;
  return releaseSignatureHolds(kid, own, bytes, signature) ? { text: release, bytes } : undefined;
}

/**
 * Gives this count's share of each accepted release's key that it may give, in the order of their numbers. Throws LogBroken if
 * the log holds a release that is not the one this service wrote: nothing more may leave then.
 */
export async function giveShares(fold: Fold, memory: ReleaseMemory, sources: ReleaseSources): Promise<void> {
  if (fold.road.lift === null || fold.road.releases.length === 0) return;
  memory.lastShare ??= await selectLastShare(sources.pool);
  for (const { number, size, release } of fold.road.releases) {
    if (number <= memory.lastShare) continue;
    if (number !== memory.lastShare + 1) throw new LogBroken(`release ${number} follows ${memory.lastShare}`);
    if (!(await mayGiveShare(fold.road, { number, size }, sources.lookAtClocks))) return;
    const own = await ownRelease({ number, size }, sources);
    if (own === undefined || sha256Hex(own.bytes) !== release)
      throw new LogBroken(`release ${number} in the log is not the one that was written here`);
    const share = keyShare(sources.keys.vault, "tabulate", { number, size });
    await insertShare(sources.pool, { number, size }, share);
    memory.lastShare = number;
    sources.hint({ number, size });
  }
}
