/**
 * A statement as it was received: a JWS (RFC 7515) with EdDSA over Ed25519, compact with one signature or general JSON with several. What
 * could be read in two ways is refused, as the ledger refuses it.
 */

import { fromBase64url, textOf, utf8 } from "./bytes.js";
import { rawKey } from "./definition.js";
import { verifySignature } from "./ed25519.js";
import { isObject, parseStrict } from "./json.js";

const MAX_SIGNATURES = 4;

/**
 * `{statement, text, signatures}` of a JWS' bytes: the parsed payload, the payload as it was signed, and for each signature `{kid, signed,
 * signature}`. Undefined for anything malformed. Verifies nothing.
 */
export function readStatement(bytes) {
  const envelope = textOf(bytes);
  const parts = envelope === undefined ? undefined : partsOf(envelope);
  const payload = parts === undefined ? undefined : fromBase64url(parts.payload);
  const text = payload === undefined ? undefined : textOf(payload);
  const statement = text === undefined ? undefined : parseStrict(text);
  if (!isObject(statement) || typeof statement.type !== "string") return undefined;
  const signatures = parts.signatures.map((part) => readSignature(part, parts.payload));
  const kids = new Set(signatures.map((signature) => signature?.kid));
  if (kids.has(undefined) || kids.size !== signatures.length) return undefined;
  return { statement, text, signatures };
}

/** Payload and signatures of either form, as they are written. */
function partsOf(envelope) {
  if (!envelope.startsWith("{")) {
    const [header, payload, signature, ...more] = envelope.split(".");
    if (signature === undefined || more.length > 0) return undefined;
    return { payload, signatures: [{ protected: header, signature }] };
  }
  const { payload, signatures, ...others } = parseStrict(envelope) ?? {};
  if (typeof payload !== "string" || !Array.isArray(signatures) || Object.keys(others).length > 0) return undefined;
  if (signatures.length < 1 || signatures.length > MAX_SIGNATURES) return undefined;
  return { payload, signatures };
}

function readSignature(part, payload) {
  // Nothing beside the two: a header that was not signed says nothing.
  if (!isObject(part) || Object.keys(part).sort().join() !== "protected,signature") return undefined;
  const { protected: header, signature: encoded } = part;
  if (typeof header !== "string" || typeof encoded !== "string") return undefined;
  const headerText = textOf(fromBase64url(header) ?? Uint8Array.of(0xff));
  const fields = headerText === undefined ? undefined : parseStrict(headerText);
  const signature = fromBase64url(encoded);
  if (
    !isObject(fields) ||
    fields.alg !== "EdDSA" ||
    fields.typ !== "scrutin+jws" ||
    "crit" in fields ||
    "b64" in fields
  )
    return undefined;
  if (typeof fields.kid !== "string" || signature === undefined) return undefined;
  return { kid: fields.kid, signed: utf8(`${header}.${payload}`), signature };
}

/** Who may say what: the role of the keys that sign each type; any role may bring keys. */
const ROLES = {
  tally: ["office"],
  polls: ["office"],
  seats: ["office"],
  declaration: ["office"],
  void: ["office"],
  decision: ["trustee"],
  lift: ["tabulate", "recount"],
  release: ["tabulate", "recount"],
};

/**
 * For each signature `{kid, who, state}`: `holds`; `broken`, if it does not verify or the key may not say this; `unknown`, if the key is not
 * one of the definition (`keys`, by id) and came by way of the log. `who`: the person or part that the definition names.
 */
export function verifySignatures({ statement, signatures }, keys, nacl) {
  return signatures.map(({ kid, signed, signature }) => {
    const key = keys.get(kid) ?? broughtBy(statement, kid);
    if (key === undefined) return { kid, who: "a key that came by way of the log", state: "unknown" };
    const holds = maySay(key, statement) && verifySignature(nacl, signed, signature, rawKey(key.publicKey));
    return { kid, who: nameOf(key), state: holds ? "holds" : "broken" };
  });
}

/** A statement that brings a key is signed by it too, as a proof that whoever brings it has it. */
function broughtBy({ type, key }, kid) {
  const brings = type === "key" && isObject(key) && key.id === kid && rawKey(key.publicKey) !== undefined;
  return brings ? { ...key, role: "new" } : undefined;
}

function maySay(key, { type, state }) {
  if (type === "key") return true;
  if (!Object.hasOwn(ROLES, type) || !ROLES[type].includes(key.role) || key.backup === true) return false;
  return key.role !== "office" || key.state === state;
}

function nameOf({ role, official, person, state }) {
  if (role === "office") return `${official}, office of ${state}`;
  if (role === "trustee") return `${person}, trustee`;
  return role === "new" ? "the key that it brings" : role;
}
