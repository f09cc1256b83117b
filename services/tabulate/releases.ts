import { createHash } from "node:crypto";
import type { Pool } from "pg";
import type { Definition } from "../../shared/definition/schema.ts";
import { releaseBefore } from "../../shared/embargo/road.ts";
import type { ReleaseHeader } from "../../shared/formats/release.ts";
import type { LookAtClocks } from "../../shared/platform/clock-readings.ts";
import type { RaiseIncident } from "../../shared/platform/incidents.ts";
import { LogBroken } from "../../shared/platform/log-reader.ts";
import {
  keyShare,
  mostCandidateBytes,
  openAnswer,
  openCandidate,
  type ReleaseId,
  releaseSignatureHolds,
  type SealedAnswer,
  sealCandidate,
  signRelease,
} from "../../shared/platform/release-seal.ts";
import { SealBroken } from "../../shared/platform/seal.ts";
import type { VaultKeys } from "../../shared/platform/vault-keys.ts";
import { buildRelease, releaseBytes } from "../../shared/results/release.ts";
import type { VerifyKey } from "../../shared/statement/ed25519.ts";
import type { Fold } from "./fold.ts";
import { mayGiveShare } from "./gate.ts";
import {
  insertCandidate,
  insertShare,
  type StoredCandidate,
  selectAnswers,
  selectCandidate,
  selectCandidateBelow,
  selectShareBefore,
} from "./store.ts";

/** Between two candidates: a release a second is as fast as anyone reads. */
export const CANDIDATE_GAP_MS = 1_000;

export interface ReleaseSources {
  pool: Pool;
  definition: Definition;
  keys: VaultKeys;
  recountKeys: ReadonlyMap<string, VerifyKey>;
  lookAtClocks: LookAtClocks;
  raise: RaiseIncident;
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
  /**
   * The newest candidate of this number, by its size; `atMs` on the process' own steady clock. `spoilt`: what lies in the place of its
   * answer does not open and cannot be taken away, so that one of another prefix has to follow.
   */
  candidate: { number: number; size: number; atMs: number; spoilt: boolean } | null;
  /** The prefix whose place among the candidates of this number somebody else has taken; 0 for none. */
  taken: number;
  agreed: AgreedRelease | null;
  /** recount has answered up to this size of this number and agrees with no more of it: its answers only go up. */
  answeredTo: number;
  /** Number of the last release whose share was given; null when not looked up yet. */
  lastShare: number | null;
  /** Differences of declared seats were told of up to this release; null before the first look. */
  toldTo: number | null;
  /** The data keys of all statements below this were given. */
  dataKeysTo: number;
}

export const emptyMemory = (): ReleaseMemory => ({
  candidate: null,
  taken: 0,
  agreed: null,
  answeredTo: 0,
  lastShare: null,
  toldTo: null,
  dataKeysTo: 0,
});

/**
 * Undefined for what does not open. Rows are never taken away again, and the password of one count is enough to write one: what
 * none with the vault's key has sealed is as good as absent, and must not stop the night.
 */
function ifOpens<T>(open: () => T): T | undefined {
  try {
    return open();
  } catch (error) {
    if (error instanceof SealBroken) return undefined;
    throw error;
  }
}

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
  const id = { number: header.number, size: header.checkpoint.size };
  const last = await lastCandidate(id, memory, sources, steadyMs);
  const counted = Math.max(last.size, releaseBefore(fold.road, id.size)?.size ?? 0);
  const mayDiffer = fold.road.lastContent >= counted || (last.spoilt && id.size > last.size);
  if (!mayDiffer || memory.taken === id.size) return undefined;
  const dueMs = last.atMs + CANDIDATE_GAP_MS - steadyMs;
  if (dueMs > 0) return dueMs;
  const bytes = releaseBytes(buildRelease(fold.tabulation, header));
  const { kid, sign, vault } = sources.keys;
  const release = Buffer.from(bytes).toString("utf8");
  const candidate = { release, signature: signRelease(kid, bytes, sign) };
  const sealed = sealCandidate(vault, id, candidate, mostCandidateBytes(sources.definition));
  if (await insertCandidate(sources.pool, id, sealed)) {
    memory.candidate = { ...id, atMs: steadyMs, spoilt: false };
    sources.hint(id);
    return undefined;
  }
  // Not ours, or it would have been found: the place is taken for good, and one of the next prefix follows, if only by the lift.
  memory.taken = id.size;
  await sources.raise({ code: "candidate.broken", about: String(id.size) });
  return undefined;
}

/** The newest candidate of this number that this service wrote, of no larger prefix; as remembered or, once, by what is stored. */
async function lastCandidate(
  { number, size }: ReleaseId,
  memory: ReleaseMemory,
  sources: ReleaseSources,
  steadyMs: number,
): Promise<NonNullable<ReleaseMemory["candidate"]>> {
  if (memory.candidate?.number === number) return memory.candidate;
  let stored: StoredCandidate | undefined;
  for (let below = size + 1; ; below = stored.size) {
    stored = await selectCandidateBelow(sources.pool, number, below);
    if (stored === undefined || ownIn({ number, size: stored.size }, stored.sealed, sources) !== undefined) break;
  }
  // Another number's candidate counts for the pace, too.
  const atMs = stored === undefined ? (memory.candidate?.atMs ?? -Infinity) : steadyMs - stored.ageMs;
  memory.candidate = { number, size: stored?.size ?? 0, atMs, spoilt: false };
  Object.assign(memory, { taken: 0, agreed: null, answeredTo: 0 });
  return memory.candidate;
}

/** Looks for the newest candidate of the next number that recount has signed too; remembers it. */
export async function findAgreed(memory: ReleaseMemory, sources: ReleaseSources): Promise<AgreedRelease | null> {
  const { candidate, agreed } = memory;
  if (candidate === null) return null;
  const { number } = candidate;
  if (agreed !== null && agreed.number === number && agreed.size === candidate.size) return agreed;
  const above = memory.answeredTo;
  // Nothing above the newest candidate is an answer to one of ours.
  for (let below = candidate.size + 1; ; ) {
    const answers = await selectAnswers(sources.pool, number, { above, below });
    for (const { size, sealed } of answers) {
      const id = { number, size };
      const answer = ifOpens(() => openAnswer(sources.keys.vault, id, sealed));
      if (answer === undefined) {
        await noteSpoilt(candidate, size, sources);
        continue;
      }
      memory.answeredTo = Math.max(memory.answeredTo, size);
      const found = await agreedRelease(id, answer, sources);
      if (found === undefined) continue;
      memory.agreed = found;
      return found;
    }
    const least = answers.at(-1);
    if (least === undefined) return memory.agreed;
    below = least.size;
  }
}

async function noteSpoilt(
  candidate: NonNullable<ReleaseMemory["candidate"]>,
  size: number,
  { raise }: ReleaseSources,
): Promise<void> {
  if (size !== candidate.size || candidate.spoilt) return;
  candidate.spoilt = true;
  await raise({ code: "answer.broken", about: String(size) });
}

async function agreedRelease(
  id: ReleaseId,
  answer: SealedAnswer,
  sources: ReleaseSources,
): Promise<AgreedRelease | undefined> {
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
export async function ownRelease(
  id: ReleaseId,
  sources: ReleaseSources,
): Promise<{ text: string; bytes: Uint8Array } | undefined> {
  const sealed = await selectCandidate(sources.pool, id);
  return sealed === undefined ? undefined : ownIn(id, sealed, sources);
}

function ownIn(
  id: ReleaseId,
  sealed: Uint8Array,
  { keys: { kid, own, vault } }: ReleaseSources,
): { text: string; bytes: Uint8Array } | undefined {
  const opened = ifOpens(() => openCandidate(vault, id, sealed));
  if (opened === undefined) return undefined;
  const bytes = Buffer.from(opened.release, "utf8");
  return releaseSignatureHolds(kid, own, bytes, opened.signature) ? { text: opened.release, bytes } : undefined;
}

/** The number of the last release that this count has given its share of; 0 before any. Whatever else lies there in its name is not its share. */
async function lastShare({ pool, keys: { vault } }: ReleaseSources): Promise<number> {
  for (let before: number | null = null; ; ) {
    const stored = await selectShareBefore(pool, before);
    if (stored === undefined) return 0;
    if (Buffer.compare(stored.share, keyShare(vault, "tabulate", stored)) === 0) return stored.number;
    before = stored.number;
  }
}

/** Of the release that was proposed it is known: reading it again would hold up everyone who waits for its key. */
async function ownSha256(
  id: ReleaseId,
  { agreed }: ReleaseMemory,
  sources: ReleaseSources,
): Promise<string | undefined> {
  if (agreed !== null && agreed.number === id.number && agreed.size === id.size) return agreed.sha256;
  const own = await ownRelease(id, sources);
  return own && sha256Hex(own.bytes);
}

/**
 * Gives this count's share of each accepted release's key that it may give, in the order of their numbers. Throws LogBroken if
 * the log holds a release that is not the one this service wrote: nothing more may leave then.
 */
export async function giveShares(fold: Fold, memory: ReleaseMemory, sources: ReleaseSources): Promise<void> {
  if (fold.road.lift === null || fold.road.releases.length === 0) return;
  memory.lastShare ??= await lastShare(sources);
  for (const { number, size, release } of fold.road.releases) {
    if (number <= memory.lastShare) continue;
    if (number !== memory.lastShare + 1) throw new LogBroken(`release ${number} follows ${memory.lastShare}`);
    if (!(await mayGiveShare(fold.road, { number, size }, sources.lookAtClocks))) return;
    if ((await ownSha256({ number, size }, memory, sources)) !== release)
      throw new LogBroken(`release ${number} in the log is not the one that was written here`);
    const share = keyShare(sources.keys.vault, "tabulate", { number, size });
    await insertShare(sources.pool, { number, size }, share);
    memory.lastShare = number;
    sources.hint({ number, size });
  }
}
