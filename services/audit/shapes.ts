import { Evidence } from "../../shared/ledger/evidence.ts";
import { type Proof, readProof } from "../../shared/ledger/proof.ts";
import { UsageError } from "../../shared/platform/publisher/discrepancy.ts";

/**
 * What an auditor's own files are, before anything in them is verified. A file that is something else was named by mistake: that says nothing
 * about the log.
 */

/** The text of each file by its name, as it was named on the command line. */
export interface FileTexts {
  receipts: readonly NamedText[];
  proofs: readonly NamedText[];
  evidence: readonly NamedText[];
}
export interface NamedText {
  file: string;
  text: string;
}

const COMPACT_JWS = /^[\w-]+\.[\w-]+\.[\w-]+$/;

/** The compact JWS; throws a UsageError for what is none. */
export function receiptIn({ file, text }: NamedText): string {
  const jws = text.trim();
  if (COMPACT_JWS.test(jws)) return jws;
  const hint = hasOwn(jsonOrUndefined(text), "receipt")
    ? " It looks like the whole answer of ingest: give what stands there as `receipt`, without the quotes."
    : "";
  throw new UsageError(`--receipt ${file}: it is no receipt (a compact JWS, three parts with two dots).${hint}`);
}

/** Throws a UsageError for what is no tlog-proof file. */
export function proofIn({ file, text }: NamedText): Proof {
  const proof = readProof(text);
  if (proof !== undefined) return proof;
  throw new UsageError(
    `--proof ${file}: it is no proof (a tlog-proof file, as /v1/proofs/<sha256 of a statement> serves it).`,
  );
}

/** Throws a UsageError for what is no evidence file. */
export function evidenceIn({ file, text }: NamedText): Evidence {
  const value = jsonOrUndefined(text);
  const read = Evidence.safeParse(value);
  if (read.success) return read.data;
  const isList = hasOwn(value, "equivocations") && hasOwn(value, "gaps");
  const hint = isList
    ? " It is the list that /v1/evidence serves: fetch the file at one of its `url`s, and give that."
    : "";
  throw new UsageError(`--evidence ${file}: it is no evidence file (as the urls in /v1/evidence serve them).${hint}`);
}

/** Throws a UsageError for the first that is not what it was named as: before anything is fetched. */
export function requireShapes({ receipts, proofs, evidence }: FileTexts): void {
  receipts.forEach(receiptIn);
  proofs.forEach(proofIn);
  evidence.forEach(evidenceIn);
}

const hasOwn = (value: unknown, name: string) =>
  typeof value === "object" && value !== null && Object.hasOwn(value, name);

function jsonOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // no JSON is none of these
  }
}
