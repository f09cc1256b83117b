import { createHash } from "node:crypto";
import type { z } from "zod";
import type { Definition } from "../../shared/definition/schema.ts";
import type { Release } from "../../shared/formats/release.ts";
import { authorityOf, firstAuthority, type LogAuthority } from "../../shared/ledger/authority.ts";
import { readCheckpoint } from "../../shared/ledger/checkpoint.ts";
import { detachedSignatures, joinShares, releaseSignatureHolds } from "../../shared/platform/release-seal.ts";
import { open, SealBroken } from "../../shared/platform/seal.ts";
import { Answer, Candidate } from "../../shared/platform/sealed-copy.ts";
import { keysOfRole } from "../../shared/platform/vault-keys.ts";
import type { VerifyKey } from "../../shared/statement/ed25519.ts";
import type { SealedRelease } from "./store.ts";

/** What a release is checked against: all of it public. */
export interface Trust {
  definition: Definition;
  /** Of the definition, hex. */
  hash: string;
  tabulate: ReadonlyMap<string, VerifyKey>;
  recount: ReadonlyMap<string, VerifyKey>;
  /** Who signs the log's checkpoints. Asked after a checkpoint was read: an origin is committed together with its first. */
  authorities: () => Promise<readonly LogAuthority[]> | readonly LogAuthority[];
}

/** A release that holds, as it may be served. */
export interface OpenedRelease {
  release: Release;
  /** The document's exact bytes: what was signed. */
  bytes: Uint8Array;
  /** Of `bytes`, hex. */
  sha256: string;
  /** Both signatures as a general JWS with its payload detached (RFC 7515, 7.2.1 and appendix F). */
  signatures: string;
  /** What its seal was opened with, hex. */
  key: string;
}

/** Why a release is not served, in words and without a figure; nothing of it may leave. */
export class ReleaseBroken extends Error {
  override readonly name = "ReleaseBroken";
}

/** `authorities`: without them, the definition's own stands alone. */
export function trustOf(
  definition: Definition,
  hash: string,
  authorities: Trust["authorities"] = () => [firstAuthority(definition)],
): Trust {
  return {
    definition,
    hash,
    tabulate: keysOfRole(definition, "tabulate"),
    recount: keysOfRole(definition, "recount"),
    authorities,
  };
}

/**
 * Opens a release with both shares and checks, in this order: the shares are of one release, the seals hold, both counts have
 * signed these bytes, the document is this number of this election, its checkpoint is the ledger's, and it follows `previous`
 * (hex SHA-256 of the release before it, null for the first). Rejects with ReleaseBroken with the first that does not hold. The
 * database is not trusted: whoever can write to it can at most keep a release back.
 */
export async function openRelease(
  sealed: SealedRelease,
  previous: string | null,
  trust: Trust,
): Promise<OpenedRelease> {
  const { number, size } = sealed;
  if (sealed.recountSize !== size) throw new ReleaseBroken("the shares are of different prefixes of the log");
  const key = joinShares(sealed.tabulateShare, sealed.recountShare);
  const candidate = unseal(key, `${number}/${size}`, sealed.candidate, Candidate);
  const answer = unseal(key, `${number}/${size}/answer`, sealed.answer, Answer);
  const bytes = Buffer.from(candidate.release, "utf8");
  if (!answer.agrees) throw new ReleaseBroken("recount has not found it");
  if (!signedBy(trust.tabulate, bytes, candidate.signature)) throw new ReleaseBroken("tabulate's signature");
  if (!signedBy(trust.recount, bytes, answer.signature)) throw new ReleaseBroken("recount's signature");
  // Two counts have signed these bytes: they are what a count writes, and need no schema.
  const release = JSON.parse(candidate.release) as Release;
  requireSame("number", release.number, number);
  requireSame("definition", release.definition, trust.hash);
  requireSame("election", release.election, trust.definition.election);
  requireSame("mode", release.mode, trust.definition.mode);
  requireCheckpoint(release, sealed, await trust.authorities());
  requireSame("previous", release.previous, previous);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const signatures = detachedSignatures([candidate.signature, answer.signature]);
  return { release, bytes, sha256, signatures, key: Buffer.from(key).toString("hex") };
}

function unseal<T>(key: Uint8Array, context: string, sealed: Uint8Array | null, shape: z.ZodType<T>): T {
  if (sealed === null) throw new ReleaseBroken(`${context} is missing`);
  try {
    return shape.parse(JSON.parse(Buffer.from(open(key, "release", context, sealed)).toString("utf8")));
  } catch (error) {
    if (error instanceof SealBroken) throw new ReleaseBroken(`${context} does not open with its shares`);
    throw new ReleaseBroken(`${context} is not what a count writes`);
  }
}

function signedBy(keys: ReadonlyMap<string, VerifyKey>, bytes: Uint8Array, signature: string): boolean {
  return [...keys].some(([kid, key]) => releaseSignatureHolds(kid, key, bytes, signature));
}

function requireSame(what: string, found: unknown, expected: unknown): void {
  if (found !== expected) throw new ReleaseBroken(`its ${what} is not the expected one`);
}

/** The document names a prefix of the log: it must be one whose root the ledger signed. */
function requireCheckpoint(
  release: Release,
  { size, checkpoint: note }: SealedRelease,
  authorities: readonly LogAuthority[],
): void {
  const { origin, key } = authorityOf(authorities, size);
  const signed = note === null ? undefined : readCheckpoint(note, { origin, publicKey: key });
  if (signed === undefined) throw new ReleaseBroken("the ledger has signed no checkpoint of its size");
  requireSame("origin", release.checkpoint.origin, origin);
  requireSame("size", release.checkpoint.size, size);
  requireSame("size", signed.size, size);
  requireSame("root", release.checkpoint.root, Buffer.from(signed.root).toString("base64"));
}
