import type { Definition } from "../definition/schema.ts";
import { verifyKeyOf } from "../statement/authentic.ts";
import { type VerifyKey, verifySignature } from "../statement/ed25519.ts";
import {
  decodeBase64,
  isKeyName,
  keyId,
  NOTE_ALGORITHM,
  type NoteAlgorithm,
  type NoteLine,
  noteSignatureLine,
  readNoteLine,
  splitNote,
  verifierKey,
} from "./checkpoint.ts";

/**
 * Cosignatures of witnesses (C2SP tlog-cosignature, Ed25519, version 1): "at this time, this is the largest tree of this origin
 * that I have seen, and it extends every one that I saw before".
 */

/** u64 seconds, then the Ed25519 signature. */
const TIME_BYTES = 8;
const COSIGNATURE_BYTES = TIME_BYTES + 64;

/** A witness as a verifier knows it. */
export interface Witness {
  name: string;
  publicKey: VerifyKey;
}

/** Whose cosignatures count, and how many of them a checkpoint needs. */
export interface Witnesses {
  quorum: number;
  keys: readonly Witness[];
}

/** The witnesses of a valid definition; without any, no cosignature is waited for. Throws a RangeError for what is no key. */
export function witnessesOf({ witnesses }: Pick<Definition, "witnesses">): Witnesses {
  const keys = (witnesses?.keys ?? []).map(({ name, publicKey }) => {
    const key = verifyKeyOf(publicKey);
    if (key === undefined) throw new RangeError(`the definition's witness ${name} has no key`);
    return { name, publicKey: key };
  });
  return { quorum: witnesses?.quorum ?? 0, keys };
}

/** A key as `name+<8 hex>+base64` says it: `alg` 1 is a log's, 4 a witness'. */
export interface VerifierKey {
  name: string;
  alg: NoteAlgorithm;
  /** 32 bytes; not yet checked to be a key (`importVerifyKey`). */
  raw: Uint8Array;
  /** 4 bytes. */
  id: Uint8Array;
}

/** `name+<8 hex of the key id>+base64(0x04 ‖ public key)`: how logs and verifiers are told a witness' key. */
export function witnessVerifierKey(name: string, raw: Uint8Array): string {
  return verifierKey(name, raw, NOTE_ALGORITHM.cosignature);
}

/** Reads a verifier key of a log or of a witness; undefined when it is malformed or its id is not the key's. */
export function parseVerifierKey(text: string): VerifierKey | undefined {
  const [name, hex, ...rest] = text.split("+");
  const material = decodeBase64(rest.join("+")); // base64 has a plus, too
  if (name === undefined || hex === undefined || !isKeyName(name) || material?.length !== 33) return undefined;
  const alg = Object.values(NOTE_ALGORITHM).find((known) => known === material[0]);
  if (alg === undefined) return undefined;
  const raw = material.subarray(1);
  const id = keyId(name, alg, raw);
  return Buffer.from(id).toString("hex") === hex ? { name, alg, raw, id } : undefined;
}

/** What a witness signs: two lines, then the checkpoint's text. `seconds` since 1970. Throws a RangeError for what is no such time. */
export function cosignatureText(checkpointText: string, seconds: number): string {
  if (!Number.isSafeInteger(seconds) || seconds <= 0) throw new RangeError(`no cosignature of the time ${seconds}`);
  return `cosignature/v1\ntime ${seconds}\n${checkpointText}`;
}

/** The line of a witness with its newline; `signature`: 64 bytes over `cosignatureText`. */
export function cosignatureLine(name: string, raw: Uint8Array, seconds: number, signature: Uint8Array): string {
  const time = Buffer.alloc(TIME_BYTES);
  time.writeBigUInt64BE(BigInt(seconds));
  return noteSignatureLine(name, raw, Buffer.concat([time, signature]), NOTE_ALGORITHM.cosignature);
}

/** The line with which a witness cosigns a checkpoint. `sign` gives the 64-byte Ed25519 signature of the bytes. */
export async function cosign(
  checkpointText: string,
  witness: {
    name: string;
    raw: Uint8Array;
    seconds: number;
    sign: (bytes: Uint8Array) => Promise<Uint8Array> | Uint8Array;
  },
): Promise<string> {
  const { name, raw, seconds } = witness;
  const signature = await witness.sign(Buffer.from(cosignatureText(checkpointText, seconds), "utf8"));
  return cosignatureLine(name, raw, seconds, signature);
}

/** The time, in seconds, of this witness' cosignature of this very text; undefined for any other line. */
function cosignedAt(checkpointText: string, line: NoteLine, { name, publicKey }: Witness): number | undefined {
  if (line.name !== name || line.signature.length !== COSIGNATURE_BYTES) return undefined;
  if (Buffer.compare(line.id, keyId(name, NOTE_ALGORITHM.cosignature, publicKey.raw)) !== 0) return undefined;
  const seconds = Number(Buffer.from(line.signature).readBigUInt64BE(0));
  if (!Number.isSafeInteger(seconds) || seconds === 0) return undefined;
  const text = Buffer.from(cosignatureText(checkpointText, seconds), "utf8");
  return verifySignature(text, line.signature.subarray(TIME_BYTES), publicKey) ? seconds : undefined;
}

/**
 * The first line among a witness' answer (signature lines, each with its newline) that is its cosignature of this text, with its newline;
 * undefined if there is none. Lines of others are not looked at.
 */
export function findCosignature(
  checkpointText: string,
  answer: string,
  witness: Witness,
): { line: string; time: number } | undefined {
  for (const row of answer.split("\n").slice(0, -1)) {
    const line = readNoteLine(row);
    const time = line === undefined ? undefined : cosignedAt(checkpointText, line, witness);
    if (time !== undefined) return { line: `${row}\n`, time };
  }
  return undefined;
}

/**
 * Which of these witnesses have cosigned the note, each once, in the order given, with the time in seconds. Says nothing of the log's own
 * signature: `readCheckpoint` does. Empty for a malformed note.
 */
export function verifyCosignatures(note: string, witnesses: readonly Witness[]): { name: string; time: number }[] {
  const split = splitNote(note);
  if (split === undefined) return [];
  return witnesses.flatMap((witness) => {
    const times = split.lines.map((line) => cosignedAt(split.text, line, witness));
    const time = times.find((found) => found !== undefined);
    return time === undefined ? [] : [{ name: witness.name, time }];
  });
}
