import { createHash } from "node:crypto";
import type { Pool } from "pg";
import type { Road } from "../../shared/embargo/road.ts";
import type { LookAtClocks } from "../../shared/platform/clock-readings.ts";
import type { ReleaseId } from "../../shared/platform/release-seal.ts";
import type { VaultKeys } from "../../shared/platform/vault-keys.ts";
import { type VerifyKey, verifySignature } from "../../shared/statement/ed25519.ts";
import { compactEnvelope } from "../../shared/statement/jws.ts";
import { readStatement } from "../../shared/statement/read.ts";
import type { Statement } from "../../shared/statement/types.ts";
import type { AnswerMemory } from "./answers.ts";
import { ownRelease } from "./answers.ts";
import type { Fold } from "./fold.ts";
import { mayCosignLift } from "./gate.ts";
import { insertCosignature, type StoredProposal, selectUnsigned } from "./store.ts";

export interface CosignSources {
  pool: Pool;
  hash: string;
  keys: VaultKeys;
  tabulateKeys: ReadonlyMap<string, VerifyKey>;
  lookAtClocks: LookAtClocks;
  /** Milliseconds since the epoch. */
  now: () => number;
  /** Tells tabulate that its release is signed; only a hint. */
  hint: (id: ReleaseId) => void;
}

type Own = Extract<Statement, { type: "lift" | "release" }>;

/**
 * Signs the proposals of lift and release that this service would have made itself. It signs nothing while it has not read the
 * log to its head: a hold could stand in what it does not know. What it does not sign stays, and is looked at again.
 */
export async function cosign(fold: Fold, memory: AnswerMemory, sources: CosignSources): Promise<void> {
  if (!fold.atHead) return;
  for await (const proposal of selectUnsigned(sources.pool)) {
    const statement = authenticProposal(proposal, fold.road, sources);
    if (statement === undefined || !(await maySign(statement, fold.road, memory, sources))) continue;
    const signature = sources.keys.sign(compactEnvelope(sources.keys.kid, proposal.payload).signed);
    await insertCosignature(sources.pool, proposal.sha256, signature);
    if (statement.type === "lift") continue;
    const { number, size, release } = statement;
    memory.cosigned = { number, size, sha256: release };
    sources.hint({ number, size });
  }
}

/** The proposed statement, if tabulate signed it, it is well formed, of this election, and the log does not hold it yet. */
function authenticProposal(proposal: StoredProposal, road: Road, sources: CosignSources): Own | undefined {
  const { payload, signature, sha256, type } = proposal;
  if (Buffer.compare(createHash("sha256").update(payload).digest(), sha256) !== 0) return undefined;
  const signer = [...sources.tabulateKeys].find(([kid, key]) =>
    verifySignature(compactEnvelope(kid, payload).signed, signature, key),
  );
  const read = readStatement(payload);
  if (signer === undefined || read.kind !== "statement") return undefined;
  const { statement } = read;
  if (statement.type !== "lift" && statement.type !== "release") return undefined;
  if (statement.type !== type || statement.definition !== sources.hash || statement.state !== "EU") return undefined;
  return statement.sequence > (road.sequences[signer[0]] ?? 0) ? statement : undefined;
}

async function maySign(statement: Own, road: Road, memory: AnswerMemory, sources: CosignSources): Promise<boolean> {
  if (statement.type === "lift") return mayCosignLift(road, statement, sources.now(), sources.lookAtClocks);
  return maySignRelease(statement, road, memory, sources);
}

/** A release follows the last one, after the lift, and is byte for byte what this service recounted. */
async function maySignRelease(
  statement: Extract<Statement, { type: "release" }>,
  road: Road,
  memory: AnswerMemory,
  sources: CosignSources,
): Promise<boolean> {
  const last = road.releases.at(-1);
  const { number, size, root, release, previous } = statement;
  if (road.lift === null || number !== (last?.number ?? 0) + 1 || size <= (last?.size ?? 0)) return false;
  if (previous !== (last?.release ?? null)) return false;
  // A release whose key was not given yet is not followed by another: shares never pile up.
  if (last !== undefined && (memory.lastShare ?? 0) < last.number) return false;
  const own = await ownRelease({ number, size }, sources);
  return own?.sha256 === release && own.header.checkpoint.root === root && own.header.previous === previous;
}
