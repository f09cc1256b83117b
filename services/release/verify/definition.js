/**
 * What a verification takes from the definition: the keys. Whether it is the right definition no page can say: its SHA-256 is shown, to be
 * compared with what the election authority published elsewhere.
 */

import { fromBase64url, textOf } from "./bytes.js";
import { isStrictPoint } from "./ed25519.js";
import { isObject, parseStrict } from "./json.js";

const isText = (value) => typeof value === "string" && value !== "";
const isKey = (key) => isObject(key) && isText(key.role) && isText(key.id) && rawKey(key.publicKey) !== undefined;
const isWitness = (key) =>
  isObject(key) && isText(key.name) && isText(key.operator) && rawKey(key.publicKey) !== undefined;

/** The 32 bytes of a key written in base64url; undefined if they are no key under the strict rule. */
export function rawKey(text) {
  const raw = typeof text === "string" ? fromBase64url(text) : undefined;
  return raw !== undefined && isStrictPoint(raw) ? raw : undefined;
}

/**
 * `{title, exercise, origin, ledgerKey, keys, witnesses, quorum, listNames}` of the bytes of a definition; undefined if they lack any of it.
 * `keys`: by id. `witnesses`: with `publicKey` as raw bytes; none, and a quorum of 0, if the definition names none.
 */
export function readDefinition(bytes) {
  const text = textOf(bytes);
  const definition = text === undefined ? undefined : parseStrict(text);
  if (!isObject(definition) || definition.type !== "definition") return undefined;
  const { title, mode, origin, keys, witnesses = { quorum: 0, keys: [] }, states } = definition;
  if (!isText(title) || !isText(origin) || !["live", "exercise"].includes(mode)) return undefined;
  if (!Array.isArray(keys) || !keys.every(isKey)) return undefined;
  if (!isObject(witnesses) || !Number.isSafeInteger(witnesses.quorum) || !Array.isArray(witnesses.keys))
    return undefined;
  const ledger = keys.find(({ role }) => role === "ledger");
  if (ledger === undefined || !witnesses.keys.every(isWitness)) return undefined;
  return {
    title,
    origin,
    exercise: mode === "exercise",
    ledgerKey: rawKey(ledger.publicKey),
    keys: new Map(keys.map((key) => [key.id, key])),
    witnesses: witnesses.keys.map((key) => ({ ...key, publicKey: rawKey(key.publicKey) })),
    quorum: witnesses.quorum,
    listNames: listNamesOf(states),
  };
}

/** What the ballot calls each list: for reading only. */
function listNamesOf(states) {
  const lists = (Array.isArray(states) ? states : []).flatMap((state) => state?.lists ?? []);
  return new Map(lists.filter(isObject).map(({ id, acronym }) => [id, acronym]));
}
