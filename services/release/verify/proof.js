/**
 * The two files that a verification begins with: the proof (C2SP tlog-proof) that an entry is in the log, and the entry itself, which
 * the proof carries as its extra data.
 */

import { fromBase64, readCount, textOf } from "./bytes.js";
import { canonical, isObject, parseStrict } from "./json.js";
import { HASH_BYTES } from "./merkle.js";

const FIRST_LINE = "c2sp.org/tlog-proof@v1";
/** No tree below 2^63 leaves needs more. */
const MAX_HASHES = 63;

/** `{index, hashes, extra, checkpoint}` of a proof file, `hashes` from leaf to root, `extra` undefined if it has none; or `{why}`. */
export function readProof(text) {
  const at = text.indexOf("\n\n");
  const [first, ...lines] = text.slice(0, Math.max(at, 0)).split("\n");
  if (at < 0 || first !== FIRST_LINE) return { why: `it does not begin as a proof does (“${FIRST_LINE}”)` };
  const extraText = lines[0]?.startsWith("extra ") ? lines.shift().slice("extra ".length) : undefined;
  const extra = extraText === undefined ? undefined : fromBase64(extraText);
  if (extraText !== undefined && !extra?.length) return { why: "its extra line is not base64" };
  const indexLine = lines.shift() ?? "";
  const index = indexLine.startsWith("index ") ? readCount(indexLine.slice("index ".length)) : undefined;
  if (index === undefined) return { why: "its index line is missing or malformed" };
  const hashes = lines.map(fromBase64);
  if (hashes.length > MAX_HASHES || hashes.some((hash) => hash?.length !== HASH_BYTES))
    return { why: "one of its hashes is malformed" };
  return { index, hashes, extra, checkpoint: text.slice(at + 2) };
}

const matches = (pattern) => (value) => typeof value === "string" && pattern.test(value);
const isSha256 = matches(/^[0-9a-f]{64}$/);
const isInstant = matches(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
const isCount = (value) => Number.isSafeInteger(value) && value >= 0;
const isText = (value) => typeof value === "string";

/** What an entry of the log must have. */
const ENTRY = {
  index: isCount,
  received: isInstant,
  state: matches(/^[A-Z]{2}$/),
  key: isText,
  sequence: isCount,
  type: isText,
  units: isCount,
  statement: isSha256,
  judgement: isSha256,
};

/** Entry 0, which is about no statement. */
const DEFINITION_ENTRY = {
  index: (value) => value === 0,
  received: isInstant,
  type: (value) => value === "definition",
  definition: isSha256,
  signatures: Array.isArray,
};

/** The entry that these bytes write in canonical JSON, with its fields and no others; undefined for anything else. */
export function readEntry(bytes) {
  const text = textOf(bytes);
  const entry = text === undefined ? undefined : parseStrict(text);
  if (!isObject(entry) || canonical(entry) !== text) return undefined;
  const shape = entry.type === "definition" ? DEFINITION_ENTRY : ENTRY;
  const fits = Object.entries(shape).every(([field, is]) => Object.hasOwn(entry, field) && is(entry[field]));
  return fits && Object.keys(entry).length === Object.keys(shape).length ? entry : undefined;
}
