import { createHash } from "node:crypto";
import { type VerifyKey, verifySignature } from "../statement/ed25519.ts";
import { HASH_BYTES } from "./merkle.ts";

/**
 * The head of the log as a signed note (C2SP signed-note and tlog-checkpoint), byte for byte what Go's sumdb/note and witnesses
 * read: `text ‖ "\n" ‖ signature lines`, the text of a checkpoint being origin, decimal size and base64 root.
 */

/** Signature lines in a note: the log's and those of its witnesses. */
export const MAX_NOTE_SIGNATURES = 16;
/** Algorithm bytes: a log's Ed25519 signature, and a witness' Ed25519 cosignature. */
export const NOTE_ALGORITHM = { log: 0x01, cosignature: 0x04 } as const;
export type NoteAlgorithm = (typeof NOTE_ALGORITHM)[keyof typeof NOTE_ALGORITHM];
const ID_BYTES = 4;
const LINE_START = "— ";

/** The first 4 bytes of SHA-256(name ‖ 0x0A ‖ algorithm ‖ public key). `publicRaw`: 32 bytes. */
export function keyId(name: string, algorithm: NoteAlgorithm, publicRaw: Uint8Array): Uint8Array {
  const hash = createHash("sha256").update(`${name}\n`).update(Uint8Array.of(algorithm)).update(publicRaw).digest();
  return hash.subarray(0, ID_BYTES);
}

/** A key's name has no spaces and no plus (signed-note), so that lines and verifier keys split one way only. */
export function isKeyName(name: string): boolean {
  return name.length > 0 && !/[\s+\p{Cc}]/u.test(name) && name.isWellFormed();
}

/** `name+<8 hex of the key id>+base64(0x01 ‖ public key)`: how Go tools and witnesses are told a log's key. */
export function verifierKey(
  name: string,
  publicRaw: Uint8Array,
  algorithm: NoteAlgorithm = NOTE_ALGORITHM.log,
): string {
  const material = Buffer.concat([Uint8Array.of(algorithm), publicRaw]).toString("base64");
  return `${name}+${Buffer.from(keyId(name, algorithm, publicRaw)).toString("hex")}+${material}`;
}

/** One signature line with its newline; `signature`: 64 bytes over the note's text. */
export function noteSignatureLine(
  name: string,
  publicRaw: Uint8Array,
  signature: Uint8Array,
  algorithm: NoteAlgorithm = NOTE_ALGORITHM.log,
): string {
  const id = keyId(name, algorithm, publicRaw);
  return `${LINE_START}${name} ${Buffer.concat([id, signature]).toString("base64")}\n`;
}

/** A signature line, taken apart and not verified. */
export interface NoteLine {
  name: string;
  /** 4 bytes. */
  id: Uint8Array;
  /** What follows the id: 64 bytes of a log, 72 of a cosignature, anything of others. */
  signature: Uint8Array;
}

/** Padded standard base64 that encodes its bytes in the one canonical way. */
export function decodeBase64(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, "base64");
  return bytes.toString("base64") === text ? bytes : undefined;
}

/** Reads one signature line without its newline; undefined if it is malformed. */
export function readNoteLine(row: string): NoteLine | undefined {
  if (!row.startsWith(LINE_START)) return undefined;
  const [name, encoded, ...more] = row.slice(LINE_START.length).split(" ");
  if (name === undefined || encoded === undefined || more.length > 0 || !isKeyName(name)) return undefined;
  const bytes = decodeBase64(encoded);
  if (bytes === undefined || bytes.length <= ID_BYTES) return undefined;
  return { name, id: bytes.subarray(0, ID_BYTES), signature: bytes.subarray(ID_BYTES) };
}

/** Takes a note apart at its last blank line; undefined if it is malformed in any part. Verifies nothing. */
export function splitNote(note: string): { text: string; lines: NoteLine[] } | undefined {
  const at = note.lastIndexOf("\n\n");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what a note may not hold
  if (at < 0 || !note.endsWith("\n") || !note.isWellFormed() || /[\u0000-\u0009\u000b-\u001f]/.test(note))
    return undefined;
  const rows = note.slice(at + 2, -1).split("\n");
  if (rows.length > MAX_NOTE_SIGNATURES) return undefined;
  const lines: NoteLine[] = [];
  for (const row of rows) {
    const line = readNoteLine(row);
    if (line === undefined) return undefined;
    lines.push(line);
  }
  return { text: note.slice(0, at + 1), lines };
}

/**
 * The text of a note that `publicKey` signed under `name` (Go: note.Open with one verifier); undefined for a malformed note, for
 * one without such a line, and for one whose line does not verify. Lines of other keys are not looked at.
 */
export function verifyNote(note: string, { name, publicKey }: { name: string; publicKey: VerifyKey }) {
  const split = splitNote(note);
  const id = keyId(name, NOTE_ALGORITHM.log, publicKey.raw);
  const line = split?.lines.find((l) => l.name === name && Buffer.compare(l.id, id) === 0);
  if (split === undefined || line === undefined) return undefined;
  return verifySignature(Buffer.from(split.text, "utf8"), line.signature, publicKey) ? split.text : undefined;
}

/** The signed text: three lines, nothing else. `root`: 32 bytes. Throws a RangeError for what is no size or root. */
export function checkpointText(origin: string, size: number, root: Uint8Array): string {
  if (!Number.isSafeInteger(size) || size < 0 || root.length !== HASH_BYTES)
    throw new RangeError(`no checkpoint of size ${size} with a root of ${root.length} bytes`);
  return `${origin}\n${size}\n${Buffer.from(root).toString("base64")}\n`;
}

/**
 * The checkpoint as a note with the log's signature. `sign` gives the 64-byte Ed25519 signature of the bytes; the key's name is
 * the origin. The same tree and key always give the same note.
 */
export async function signCheckpoint(checkpoint: {
  origin: string;
  size: number;
  root: Uint8Array;
  sign: (bytes: Uint8Array) => Promise<Uint8Array> | Uint8Array;
  publicRaw: Uint8Array;
}): Promise<string> {
  const { origin, size, root, sign, publicRaw } = checkpoint;
  const text = checkpointText(origin, size, root);
  return `${text}\n${noteSignatureLine(origin, publicRaw, await sign(Buffer.from(text, "utf8")))}`;
}

/**
 * Reads and verifies a checkpoint: exactly three lines, this origin, size in decimal without leading zeros, a root of 32 bytes,
 * the log's signature first and once. Lines of others (witnesses) may follow and are ignored. Undefined for anything else.
 */
export function readCheckpoint(
  note: string,
  { origin, publicKey }: { origin: string; publicKey: VerifyKey },
): { size: number; root: Uint8Array } | undefined {
  const split = splitNote(note);
  if (split === undefined) return undefined;
  const id = keyId(origin, NOTE_ALGORITHM.log, publicKey.raw);
  const own = split.lines.map((line) => line.name === origin && Buffer.compare(line.id, id) === 0);
  if (own.lastIndexOf(true) !== 0) return undefined;
  const text = verifyNote(note, { name: origin, publicKey });
  const read = text === undefined ? undefined : parseCheckpoint(text);
  return read?.origin === origin ? { size: read.size, root: read.root } : undefined;
}

/** Reads a checkpoint's text: exactly three lines, size in decimal, a root of 32 bytes. Undefined for anything else. Verifies nothing. */
export function parseCheckpoint(text: string): { origin: string; size: number; root: Uint8Array } | undefined {
  const [origin, digits, rootText, end, ...more] = text.split("\n");
  if (!origin || digits === undefined || rootText === undefined || end !== "" || more.length > 0) return undefined;
  const size = parseSize(digits);
  const root = decodeBase64(rootText);
  return size === undefined || root?.length !== HASH_BYTES ? undefined : { origin, size, root };
}

/** A tree's size in decimal, without sign or leading zeros, at most 2^53 - 1. */
export function parseSize(digits: string): number | undefined {
  const size = Number(digits);
  return /^(0|[1-9]\d{0,15})$/.test(digits) && Number.isSafeInteger(size) ? size : undefined;
}
