import { encodeProof, type Proof, readProof } from "../../ledger/proof.ts";
import { releaseAddress } from "./releases.ts";

/** The proof that a release is in the log, as it is served. */

export const proofAddress = (number: number) => `${releaseAddress(number)}/proof`;

/** An entry of 500 bytes, a checkpoint of 16 KiB at most, and at most 63 hashes. */
export const MAX_PROOF_BYTES = 64 * 1024;

/** Why a proof is refused: completes "/v1/releases/3/proof …". */
export const PROOF_REASONS = {
  checkpoint: "has a checkpoint that the log's key has not signed",
  witnesses: "is not cosigned by enough witnesses",
  leaf: "carries another entry than the log has there",
  path: "has hashes that do not lead from its entry to its checkpoint",
};

/** A file that says what it says in the one way in which it is written; undefined for any other. */
export function readWritten(served: Buffer): Proof | undefined {
  const proof = readProof(served.toString("utf8"));
  return proof !== undefined && Buffer.from(encodeProof(proof), "utf8").equals(served) ? proof : undefined;
}
