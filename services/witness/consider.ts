import {
  keyId,
  NOTE_ALGORITHM,
  noteSignatureLine,
  parseCheckpoint,
  splitNote,
} from "../../shared/ledger/checkpoint.ts";
import { verifyCosignatures, type Witness } from "../../shared/ledger/cosignature.ts";
import { emptyRoot, verifyConsistency } from "../../shared/ledger/merkle.ts";
import { type VerifyKey, verifySignature } from "../../shared/statement/ed25519.ts";
import type { AddCheckpoint } from "./request.ts";

/** A log that this witness watches. Its key's name is its origin. */
export interface KnownLog {
  origin: string;
  publicKey: VerifyKey;
}

/** A checkpoint that its log has signed. */
export interface SignedCheckpoint {
  /** The three lines that are signed. */
  text: string;
  size: number;
  root: Uint8Array;
  /** The log's line, with its newline. */
  line: string;
}

/** What this witness cosigned last for a log. */
export interface Held extends SignedCheckpoint {
  /** Of the cosignature, seconds. */
  time: number;
}

/** Why no cosignature is given, by the status codes of C2SP tlog-witness. `size`: what this witness holds. */
export type Refusal =
  | { kind: "refused"; status: 400 | 403 | 404 | 422; why: string }
  | { kind: "other-size"; status: 409; size: number }
  /** Two trees of one size under the log's own signature: evidence that it shows different logs to different people. */
  | { kind: "fork"; status: 409; why: string; offered: SignedCheckpoint };

const refused = (status: 400 | 403 | 404 | 422, why: string): Refusal => ({ kind: "refused", status, why });

/** Whose log a note says that it is; undefined if it is no note. Verifies nothing. */
export function originOf(note: string): string | undefined {
  return splitNote(note)?.text.split("\n", 1)[0];
}

/**
 * A checkpoint that the log signed, wherever in the note its line stands; lines of others are ignored. "unsigned": no line of its key, or one
 * that does not verify. "malformed": signed, but no checkpoint of three lines of this origin.
 */
export function readSigned(note: string, log: KnownLog): SignedCheckpoint | "unsigned" | "malformed" {
  const split = splitNote(note);
  if (split === undefined) return "malformed";
  const id = keyId(log.origin, NOTE_ALGORITHM.log, log.publicKey.raw);
  const own = split.lines.filter((line) => line.name === log.origin && Buffer.compare(line.id, id) === 0);
  const text = Buffer.from(split.text, "utf8");
  const [first] = own;
  if (first === undefined || !own.every((line) => verifySignature(text, line.signature, log.publicKey)))
    return "unsigned";
  const read = parseCheckpoint(split.text);
  if (read?.origin !== log.origin) return "malformed";
  const line = noteSignatureLine(log.origin, log.publicKey.raw, first.signature);
  return { text: split.text, size: read.size, root: read.root, line };
}

/** What a stored note says: signed by the log and cosigned by this witness; undefined if it is anything else. */
export function readHeld(note: string, log: KnownLog, witness: Witness): Held | undefined {
  const signed = readSigned(note, log);
  const [own] = verifyCosignatures(note, [witness]);
  return typeof signed === "string" || own === undefined ? undefined : { ...signed, time: own.time };
}

/**
 * Whether the checkpoint may be cosigned: signed by the log, not smaller than the one held, and shown to extend it. The checks and their
 * order are those of C2SP tlog-witness. Whoever sends it is nobody in particular, and everything in it may be made up.
 */
export function consider(
  { oldSize, proof, note }: AddCheckpoint,
  log: KnownLog,
  held: Held | undefined,
): { kind: "cosign"; checkpoint: SignedCheckpoint } | Refusal {
  const offered = readSigned(note, log);
  if (offered === "unsigned") return refused(403, "The checkpoint is not signed by the key of this log.");
  if (offered === "malformed") return refused(400, "A checkpoint has three lines: origin, size and root.");
  if (oldSize > offered.size) return refused(400, "The old size is larger than the checkpoint's.");
  const { size, root } = held ?? { size: 0, root: emptyRoot() };
  if (oldSize !== size) return { kind: "other-size", status: 409, size };
  if (held !== undefined && offered.size === size && Buffer.compare(offered.root, root) !== 0)
    return { kind: "fork", status: 409, why: "The log has signed another tree of this size.", offered };
  const consistent = verifyConsistency({ oldSize, newSize: offered.size, proof, oldRoot: root, newRoot: offered.root });
  if (!consistent) return refused(422, "The proof does not show that this tree extends the one that is held.");
  return { kind: "cosign", checkpoint: offered };
}
