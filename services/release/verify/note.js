/**
 * Signed notes (C2SP signed-note), the log's checkpoints (tlog-checkpoint) and the cosignatures of witnesses (tlog-cosignature), byte for
 * byte: `text ‖ "\n" ‖ signature lines`.
 */

import { concat, equal, fromBase64, readCount, sha256, toBase64, toHex, utf8 } from "./bytes.js";
import { verifySignature } from "./ed25519.js";
import { HASH_BYTES } from "./merkle.js";

/** Signature lines in a note: the log's and those of its witnesses. */
const MAX_SIGNATURES = 16;
const LINE_START = "— ";
const ID_BYTES = 4;
/** What kind of signature a key makes is part of its id. */
const LOG = 0x01;
const COSIGNER = 0x04;
const TIME_BYTES = 8;

/** The first 4 bytes of SHA-256(name ‖ 0x0A ‖ kind ‖ public key). */
async function keyId(name, kind, publicKey) {
  return (await sha256(concat(utf8(`${name}\n`), [kind], publicKey))).subarray(0, ID_BYTES);
}

/** How tools of other makers are told a log's key: `name+<8 hex of the id>+base64(0x01 ‖ public key)`. */
export async function verifierKey(name, publicKey) {
  return `${name}+${toHex(await keyId(name, LOG, publicKey))}+${toBase64(concat([LOG], publicKey))}`;
}

const isName = (name) => name.length > 0 && !/[\s+\p{Cc}]/u.test(name);

/** A note taken apart at its last blank line; undefined if it is malformed in any part. Verifies nothing. */
export function readNote(note) {
  const at = note.lastIndexOf("\n\n");
  // No control characters but the newline.
  if (at < 0 || !note.endsWith("\n") || !note.isWellFormed() || /[^\n\u{20}-\u{10ffff}]/u.test(note)) return undefined;
  const rows = note.slice(at + 2, -1).split("\n");
  const lines = rows.map(readLine);
  if (rows.length > MAX_SIGNATURES || lines.includes(undefined)) return undefined;
  return { text: note.slice(0, at + 1), lines };
}

function readLine(row) {
  const [name, encoded, ...more] = row.slice(LINE_START.length).split(" ");
  if (!row.startsWith(LINE_START) || encoded === undefined || more.length > 0 || !isName(name)) return undefined;
  const bytes = fromBase64(encoded);
  if (bytes === undefined || bytes.length <= ID_BYTES) return undefined;
  return { name, id: bytes.subarray(0, ID_BYTES), signature: bytes.subarray(ID_BYTES) };
}

/**
 * Reads a checkpoint and verifies the log's signature: exactly three lines, this origin, a size, a root of 32 bytes, and the log's signature
 * first and once. Answers `{size, root, text, lines}`, or `{why}` with the first thing that is wrong, and `elsewhere` if that is its origin.
 */
export async function readCheckpoint(note, { origin, publicKey, nacl }) {
  const split = readNote(note);
  if (split === undefined) return { why: "it is not a signed note" };
  const { text, lines } = split;
  const [first, sizeText, rootText, end, ...more] = text.split("\n");
  if (first !== origin)
    return { why: `it is of the log “${first}”, and the definition names “${origin}”`, elsewhere: first };
  const id = await keyId(origin, LOG, publicKey);
  const own = lines.map((line) => line.name === origin && equal(line.id, id));
  if (own.lastIndexOf(true) !== 0) return { why: "the log's own signature does not stand first and once" };
  if (!verifySignature(nacl, utf8(text), lines[0].signature, publicKey))
    return { why: "its signature does not verify under the ledger's key" };
  const size = readCount(sizeText ?? "");
  const root = fromBase64(rootText ?? "");
  if (size === undefined || root?.length !== HASH_BYTES || end !== "" || more.length > 0)
    return { why: "it is not three lines of origin, size and root" };
  return { size, root, text, lines };
}

/**
 * What each witness has done: `{name, state}` with `state` `cosigned` (then `seconds` since 1970, when it saw this head as the log's largest),
 * `absent`, or `broken`: lines in its name and with its key's id, of which none verifies. Lines of others are not looked at.
 */
export async function verifyCosignatures({ text, lines }, witnesses, nacl) {
  return Promise.all(
    witnesses.map(async ({ name, publicKey }) => {
      const id = await keyId(name, COSIGNER, publicKey);
      const own = lines.filter((line) => line.name === name && equal(line.id, id));
      const seconds = own.map((line) => cosignedAt(text, line.signature, publicKey, nacl)).find((time) => time);
      if (seconds !== undefined) return { name, state: "cosigned", seconds };
      return { name, state: own.length === 0 ? "absent" : "broken" };
    }),
  );
}

/** The seconds that a cosignature begins with, 8 bytes and the highest first; undefined unless the other 64 sign them and the text. */
function cosignedAt(text, signature, publicKey, nacl) {
  if (signature.length !== TIME_BYTES + 64) return undefined;
  const seconds = Number(`0x${toHex(signature.subarray(0, TIME_BYTES))}`);
  if (!Number.isSafeInteger(seconds) || seconds === 0) return undefined;
  const signed = utf8(`cosignature/v1\ntime ${seconds}\n${text}`);
  return verifySignature(nacl, signed, signature.subarray(TIME_BYTES), publicKey) ? seconds : undefined;
}
