import { decodeBase64, parseSize } from "../../shared/ledger/checkpoint.ts";
import { HASH_BYTES } from "../../shared/ledger/merkle.ts";

/** The protocol's own limit: a tree of 2^63 leaves needs no more. */
export const MAX_PROOF_LINES = 63;
/** 63 hashes in base64 and a note of sixteen long lines fit well. */
export const MAX_REQUEST_BYTES = 16 * 1024;

/** What whoever asks for a cosignature sends; nothing of it is verified. */
export interface AddCheckpoint {
  /** The size that the sender believes this witness to hold. */
  oldSize: number;
  /** Consistency proof from `oldSize` to the note's size. */
  proof: Uint8Array[];
  /** The signed checkpoint. */
  note: string;
}

/**
 * Reads the body of `add-checkpoint` (C2SP tlog-witness): `old <n>`, the proof's lines, an empty line, the signed checkpoint.
 * Undefined if it is malformed in any part.
 */
export function readRequest(body: Uint8Array): AddCheckpoint | undefined {
  const text = decodeUtf8(body);
  const end = text?.indexOf("\n\n") ?? -1;
  if (text === undefined || end < 0) return undefined;
  const [old, ...lines] = text.slice(0, end).split("\n");
  const oldSize = old?.startsWith("old ") ? parseSize(old.slice(4)) : undefined;
  if (oldSize === undefined || lines.length > MAX_PROOF_LINES) return undefined;
  const proof: Uint8Array[] = [];
  for (const line of lines) {
    const hash = decodeBase64(line);
    if (hash?.length !== HASH_BYTES) return undefined;
    proof.push(hash);
  }
  return { oldSize, proof, note: text.slice(end + 2) };
}

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    // A mark at the start would be swallowed, and the bytes not be those that were sent.
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined; // not UTF-8: the caller answers that it is malformed
  }
}
