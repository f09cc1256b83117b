import { createHash } from "node:crypto";
import type { Release } from "../../shared/formats/release.ts";
import type { Client } from "../../shared/platform/publisher/client.ts";
import type { TrustedDefinition } from "../../shared/platform/publisher/definition.ts";
import { Discrepancy } from "../../shared/platform/publisher/discrepancy.ts";
import {
  type Listed,
  RELEASES,
  releaseAddress,
  type SignedDocument,
  takeDocument,
  whyUnsigned,
} from "../../shared/platform/publisher/releases.ts";
import { SealBroken } from "../../shared/platform/seal.ts";
import { openSealedCopy, type SealedCopy } from "../../shared/platform/sealed-copy.ts";

/** A release that holds: signed by both counts, of this election, and following the one before it. */
export interface Taken extends SignedDocument {
  number: number;
  size: number;
  /** Hex, of `bytes`. */
  sha256: string;
  release: Release;
}

/** What a release is: its number, and the hash of the one before it (null for the first). */
export interface Place {
  number: number;
  previous: string | null;
}

const SEALED = "/v1/sealed/latest";

/** Opens a copy that is held with the key that the list gives. Throws Discrepancy for what is not, byte for byte, the listed release. */
export function openHeld(copy: SealedCopy, listed: Listed, previous: string | null, trusted: TrustedDefinition): Taken {
  const { number, size, sha256, key } = listed;
  const differs = (what: string) => new Discrepancy("sealed.differs", { path: SEALED }, what);
  const opened = open(copy, key, differs);
  if (sha256Of(opened.bytes) !== sha256)
    throw differs(`What was sealed as release ${number} of ${size} entries is another document.`);
  const signed = { bytes: opened.bytes, signatures: Buffer.from(opened.signatures, "utf8") };
  const unsigned = whyUnsigned(signed.bytes, signed.signatures, trusted);
  if (unsigned !== undefined) throw differs(`What was sealed as release ${number}: ${unsigned}.`);
  return placed(signed, { number, previous }, trusted, listed);
}

function open(copy: SealedCopy, key: string, differs: (what: string) => Discrepancy) {
  try {
    return openSealedCopy(copy, Buffer.from(key, "hex"));
  } catch (error) {
    if (!(error instanceof SealBroken)) throw error;
    throw differs(
      `The sealed copy of release ${copy.number} does not open with the key of that release: ${error.message}.`,
    );
  }
}

/** Fetches a release. Throws Discrepancy for one that does not hold. */
export async function fetchListed(
  client: Client,
  listed: Listed,
  previous: string | null,
  trusted: TrustedDefinition,
): Promise<Taken> {
  const { number } = listed;
  return placed(await takeDocument(client, listed, trusted), { number, previous }, trusted, listed);
}

/** What was kept of a release, if it still holds; undefined otherwise, and then it is fetched anew. */
export function readKept(kept: SignedDocument, place: Place, trusted: TrustedDefinition): Taken | undefined {
  if (whyUnsigned(kept.bytes, kept.signatures, trusted) !== undefined) return undefined;
  try {
    return placed(kept, place, trusted);
  } catch (error) {
    if (error instanceof Discrepancy) return undefined; // of another place, or another election: whatever it is, it is not this release
    throw error;
  }
}

/** Both counts have signed these bytes: they are what a count writes, and need no schema. `listed`: what the list says of it must be so. */
function placed(
  signed: SignedDocument,
  { number, previous }: Place,
  trusted: TrustedDefinition,
  listed?: Pick<Listed, "size" | "asOf" | "status">,
): Taken {
  const release = JSON.parse(signed.bytes.toString("utf8")) as Release;
  const { definition, hash } = trusted;
  const where = { path: releaseAddress(number) };
  const isOwn =
    release.number === number &&
    release.definition === hash &&
    release.election === definition.election &&
    release.mode === definition.mode;
  if (!isOwn) {
    const what = `What is served as release ${number} is another one: number ${release.number} of ${release.election} (${release.mode}).`;
    throw new Discrepancy("release.swapped", where, what);
  }
  const { size } = release.checkpoint;
  const { asOf, status } = release;
  if (listed !== undefined && (listed.size !== size || listed.asOf !== asOf || listed.status !== status)) {
    const what = `Release ${number} is ${status}, of ${size} entries, as of ${asOf}; the list says ${listed.status}, ${listed.size}, ${listed.asOf}.`;
    throw new Discrepancy("release.list", { path: RELEASES }, what);
  }
  if (release.previous !== previous) {
    const what = `Release ${number} names ${release.previous ?? "none"} as the one before it; that was ${previous ?? "none"}.`;
    throw new Discrepancy("release.previous", where, what);
  }
  return { ...signed, number, size, sha256: sha256Of(signed.bytes), release };
}

const sha256Of = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
