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
import type { VaultKeys } from "../../shared/platform/vault-keys.ts";
import { recountRelease } from "../../shared/recount/document.ts";
import type { VerifyKey } from "../../shared/statement/ed25519.ts";
import { firstDifference } from "./difference.ts";
import { countTo, type Fold, type Prefix } from "./fold.ts";
import { mayGiveShare } from "./gate.ts";
import {
  insertAnswer,
  insertShare,
  selectAnswer,
  selectCandidate,
  selectLastShare,
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
}

export const emptyMemory = (): AnswerMemory => ({ lastShare: null, dataKeysTo: 0 });

const sha256Hex = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/**
 * Answers the newest candidate that has none: counts to exactly its prefix and compares every byte. Older ones that were passed
 * over stay without an answer, and nothing waits for them. True if there was one.
 */
export async function answerNewest(fold: Fold, sources: AnswerSources): Promise<boolean> {
  const candidate = await selectUnanswered(sources.pool, fold.last?.checkpoint.size ?? 0);
  if (candidate === undefined) return false;
  // The log grew since this round looked at its head; the next round sees it.
  if (fold.atHead && candidate.size > fold.road.size) return false;
  const id = { number: candidate.number, size: candidate.size };
  const prefix = await countTo(fold, id.size);
  const answer = judgeCandidate(fold, prefix, id, candidate.sealed, sources);
  await insertAnswer(sources.pool, id, sealAnswer(sources.keys.vault, id, answer));
  if (!answer.agrees) await sources.raise({ code: "recount.differs", about: `${id.size}: ${answer.differs}` });
  sources.hint(id);
  return true;
}

function judgeCandidate(
  fold: Fold,
  prefix: Prefix | undefined,
  id: ReleaseId,
  sealed: Uint8Array,
  sources: AnswerSources,
): SealedAnswer {
  if (prefix === undefined) return { agrees: false, differs: "checkpoint" };
  const header = headerOf(fold.road, prefix);
  const own = recountRelease(fold.count, header);
  const candidate = openCandidate(sources.keys.vault, id, sealed);
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
  const answer = openAnswer(keys.vault, id, answered);
  const { release } = openCandidate(keys.vault, id, sealed);
  const bytes = Buffer.from(release, "utf8");
  if (!answer.agrees || !releaseSignatureHolds(keys.kid, keys.own, bytes, answer.signature)) return undefined;
  return { sha256: sha256Hex(bytes), header: JSON.parse(release) as ReleaseHeader };
}

/**
 * Gives this count's share of each accepted release's key that it may give, in the order of their numbers. Throws LogBroken if
 * the log holds a release that this service did not find: nothing more may leave then.
 */
export async function giveShares(fold: Fold, memory: AnswerMemory, sources: AnswerSources): Promise<void> {
  if (fold.road.lift === null || fold.road.releases.length === 0) return;
  memory.lastShare ??= await selectLastShare(sources.pool);
  for (const { number, size, release } of fold.road.releases) {
    if (number <= memory.lastShare) continue;
    if (number !== memory.lastShare + 1) throw new LogBroken(`release ${number} follows ${memory.lastShare}`);
    if (!(await mayGiveShare(fold.road, { number, size }, sources.lookAtClocks))) return;
    const own = await ownRelease({ number, size }, sources);
    if (own?.sha256 !== release) throw new LogBroken(`release ${number} in the log is not the one that was found here`);
    const share = keyShare(sources.keys.vault, "recount", { number, size });
    await insertShare(sources.pool, { number, size }, share);
    memory.lastShare = number;
    sources.hint({ number, size });
  }
}
