import * as claims from "../../shared/platform/claim-sequence.ts";
import { WriteRefused } from "../../shared/platform/write-new.ts";
import { Refusal } from "./refusal.ts";

/** Sequence numbers as `shared/platform/claim-sequence.ts` claims them; what it refuses is a Refusal here. */

export { type Claim, claimsFolder, MAX_SEQUENCE } from "../../shared/platform/claim-sequence.ts";

const CODES = { exists: "sequence.taken", unwritable: "file.unwritable", unreadable: "file.unreadable" } as const;

export const claimSequence = (claim: claims.Claim): Promise<number> =>
  claims.claimSequence(claim).catch((error: unknown) => {
    throw error instanceof WriteRefused ? new Refusal(CODES[error.why], error.message) : error;
  });
