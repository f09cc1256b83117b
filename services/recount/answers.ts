import { createHash } from "node:crypto";
import type { Pool } from "pg";
import type { Definition } from "../../shared/definition/schema.ts";
import { type Road, releaseBefore } from "../../shared/embargo/road.ts";
import type { ReleaseHeader } from "../../shared/formats/release.ts";
import type { LookAtClocks } from "../../shared/platform/clock-readings.ts";
import type { RaiseIncident } from "../../shared/platform/incidents.ts";
import { LogBroken } from "../../shared/platform/log-reader.ts";
import {
  keyShare,
  openAnswer,
  openCandidate,
  type ReleaseId,
  releaseSignatureHolds,
  type SealedAnswer,
  type SealedCandidate,
  sealAnswer,
  signRelease,
} from "../../shared/platform/release-seal.ts";
import { SealBroken } from "../../shared/platform/seal.ts";
import type { VaultKeys } from "../../shared/platform/vault-keys.ts";
import { recountRelease } from "../../shared/recount/document.ts";
import type { VerifyKey } from "../../shared/statement/ed25519.ts";
import { firstDifference } from "./difference.ts";
import { countTo, type Fold, type Prefix } from "./fold.ts";
import { mayGiveShare } from "./gate.ts";
import {
  insertAnswer,
  insertShare,
  type Sealed,
  selectAnswer,
  selectAnswerBefore,
  selectCandidate,
  selectShareBefore,
  selectUnanswered,
} from "./store.ts";

export interface AnswerSources {
  pool: Pool;
  definition: Definition;
  keys: VaultKeys;
  tabulateKeys: ReadonlyMap<string, VerifyKey>;
  lookAtClocks: LookAtClocks;
  raise: RaiseIncident;
  /** Tells whoever waits for answers and shares; only a hint. */
  hint: (id: ReleaseId) => void;
}

/** What this process remembers; it can be read again from the database. */
export interface AnswerMemory {
  /** Number of the last release whose share was given; null when not looked up yet. */
  lastShare: number | null;
  /** The data keys of all statements below this were given. */
  dataKeysTo: number;
  /** The largest prefix that was answered; null when not looked up yet. */
  answeredTo: number | null;
  /** The release that this process cosigned last; null before any. */
  cosigned: (ReleaseId & { sha256: string }) | null;
}

export const emptyMemory = (): AnswerMemory => ({ lastShare: null, dataKeysTo: 0, answeredTo: null, cosigned: null });

/** What none with the vault's key has sealed is no candidate and no answer: a stolen password writes such rows, and nobody removes them. */
function opened<T>(open: () => T): T | undefined {
  try {
    return open();
  } catch (error) {
    if (!(error instanceof SealBroken)) throw error;
    return undefined;
  }
}

const sha256Hex = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/**
 * Answers the newest candidate that has none: counts to exactly its prefix and compares every byte. Older ones that were passed
 * over stay without an answer, and nothing waits for them. True if there was one.
 */
export async function answerNewest(fold: Fold, memory: AnswerMemory, sources: AnswerSources): Promise<boolean> {
  memory.answeredTo ??= await lastAnswered(fold.head, sources);
  const from = Math.max(fold.last?.checkpoint.size ?? 0, memory.answeredTo + 1);
  const newest = await newestCandidate(from, fold.head, sources);
  if (newest === undefined) return false;
  const { id, candidate } = newest;
  const prefix = await countTo(fold, id.size);
  const answer = judgeCandidate(fold, prefix, id, candidate, sources);
  await insertAnswer(sources.pool, id, sealAnswer(sources.keys.vault, id, answer));
  memory.answeredTo = id.size;
  if (!answer.agrees) await sources.raise({ code: "recount.differs", about: `${id.size}: ${answer.differs}` });
  sources.hint(id);
  return true;
}

/** Before every number of the sizes up to the log's head; if the log grew since this round looked, the next round sees more. */
const after = (head: number): ReleaseId => ({ size: head + 1, number: 0 });

/** The largest prefix that this service has answered. */
async function lastAnswered(head: number, { pool, keys: { vault } }: AnswerSources): Promise<number> {
  for (let before: ReleaseId = after(head); ; ) {
    const stored = await selectAnswerBefore(pool, before);
    if (stored === undefined) return 0;
    if (opened(() => openAnswer(vault, stored, stored.sealed)) !== undefined) return stored.size;
    before = stored;
  }
}

/** Opened before anything is counted to it: having counted to the prefix of a false one, a true and smaller one could not be answered. */
async function newestCandidate(
  from: number,
  head: number,
  { pool, keys: { vault } }: AnswerSources,
): Promise<{ id: ReleaseId; candidate: SealedCandidate } | undefined> {
  for (let before: ReleaseId = after(head); ; ) {
    const stored: Sealed | undefined = await selectUnanswered(pool, from, before);
    if (stored === undefined) return undefined;
    const { number, size, sealed } = stored;
    const id = { number, size };
    const candidate = opened(() => openCandidate(vault, id, sealed));
    if (candidate !== undefined) return { id, candidate };
    before = id;
  }
}

function judgeCandidate(
  fold: Fold,
  prefix: Prefix | undefined,
  id: ReleaseId,
  candidate: SealedCandidate,
  sources: AnswerSources,
): SealedAnswer {
  if (prefix === undefined) return { agrees: false, differs: "checkpoint" };
  const header = headerOf(fold.road, prefix);
  const own = recountRelease(fold.count, header);
  if (header.number !== id.number) return { agrees: false, differs: "number" };
  if (Buffer.compare(Buffer.from(candidate.release, "utf8"), own) !== 0)
    return { agrees: false, differs: firstDifference(candidate.release, Buffer.from(own).toString("utf8")) };
  if (!signedByTabulate(candidate, own, sources.tabulateKeys)) return { agrees: false, differs: "signature" };
  return { agrees: true, signature: signRelease(sources.keys.kid, own, sources.keys.sign) };
}

function signedByTabulate(
  { signature }: SealedCandidate,
  bytes: Uint8Array,
  keys: ReadonlyMap<string, VerifyKey>,
): boolean {
  return [...keys].some(([kid, key]) => releaseSignatureHolds(kid, key, bytes, signature));
}

/** The header that this prefix makes, by what this service read itself. */
function headerOf(road: Road, { checkpoint, received }: Prefix): ReleaseHeader {
  const before = releaseBefore(road, checkpoint.size);
  return {
    number: (before?.number ?? 0) + 1,
    checkpoint,
    asOf: received,
    previous: before?.release ?? null,
  };
}

/**
 * The document of a candidate that this service has found too: one under which its own signature stands. Undefined for any
 * other.
 */
export async function ownRelease(
  id: ReleaseId,
  sources: Pick<AnswerSources, "pool" | "keys">,
): Promise<{ sha256: string; header: ReleaseHeader } | undefined> {
  const { pool, keys } = sources;
  const [sealed, answered] = [await selectCandidate(pool, id), await selectAnswer(pool, id)];
  if (sealed === undefined || answered === undefined) return undefined;
  const answer = opened(() => openAnswer(keys.vault, id, answered));
  const candidate = opened(() => openCandidate(keys.vault, id, sealed));
  if (answer === undefined || candidate === undefined) return undefined;
  const { release } = candidate;
  const bytes = Buffer.from(release, "utf8");
  if (!answer.agrees || !releaseSignatureHolds(keys.kid, keys.own, bytes, answer.signature)) return undefined;
  return { sha256: sha256Hex(bytes), header: JSON.parse(release) as ReleaseHeader };
}

/** The number of the last release that this count has given its share of; 0 before any. Whatever else lies there in its name is not its share. */
async function lastShare({ pool, keys: { vault } }: AnswerSources): Promise<number> {
  for (let before: number | null = null; ; ) {
    const stored = await selectShareBefore(pool, before);
    if (stored === undefined) return 0;
    if (Buffer.compare(stored.share, keyShare(vault, "recount", stored)) === 0) return stored.number;
    before = stored.number;
  }
}

/** Of the release that was cosigned it is known: reading it again would hold up everyone who waits for its key. */
async function ownSha256(
  id: ReleaseId,
  { cosigned }: AnswerMemory,
  sources: AnswerSources,
): Promise<string | undefined> {
  if (cosigned !== null && cosigned.number === id.number && cosigned.size === id.size) return cosigned.sha256;
  return (await ownRelease(id, sources))?.sha256;
}

/**
 * Gives this count's share of each accepted release's key that it may give, in the order of their numbers. Throws LogBroken if
 * the log holds a release that this service did not find: nothing more may leave then.
 */
export async function giveShares(fold: Fold, memory: AnswerMemory, sources: AnswerSources): Promise<void> {
  if (fold.road.lift === null || fold.road.releases.length === 0) return;
  memory.lastShare ??= await lastShare(sources);
  for (const { number, size, release } of fold.road.releases) {
    if (number <= memory.lastShare) continue;
    if (number !== memory.lastShare + 1) throw new LogBroken(`release ${number} follows ${memory.lastShare}`);
    if (!(await mayGiveShare(fold.road, { number, size }, sources.lookAtClocks))) return;
    if ((await ownSha256({ number, size }, memory, sources)) !== release)
      throw new LogBroken(`release ${number} in the log is not the one that was found here`);
    const share = keyShare(sources.keys.vault, "recount", { number, size });
    await insertShare(sources.pool, { number, size }, share);
    memory.lastShare = number;
    sources.hint({ number, size });
  }
}
