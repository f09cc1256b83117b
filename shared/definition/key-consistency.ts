import { createPrivateKey, createPublicKey, diffieHellman } from "node:crypto";
import { isStrictPublicKey } from "../statement/ed25519.ts";
import { decodeBase64url } from "../statement/jws.ts";
import { type Report, unique } from "./reasons.ts";
import type { Definition } from "./schema.ts";

const TRUSTEES_NEEDED = 2;

/** Headers of an X25519 key (RFC 8410); the 32 raw bytes follow them. */
const X25519_SPKI = Buffer.from("302a300506032b656e032100", "hex");
const X25519_PKCS8 = Buffer.from("302e020100300506032b656e04220420", "hex");
/** Any scalar does: a point of small order gives the all-zero secret with every one of them (RFC 7748, section 6.1). */
const TRIAL_KEY = createPrivateKey({
  key: Buffer.concat([X25519_PKCS8, Buffer.alloc(32, 9)]),
  format: "der",
  type: "pkcs8",
});

/** Who may sign what: every key usable, in one place only, and each role filled. */
export function keyContradictions(definition: Definition, report: Report): void {
  const { keys, authority } = definition;
  const signing = [...authority, ...keys, ...publicationKeys(definition)];
  unique(
    "definition.key-id-twice",
    "Key id",
    signing.map((key) => key.id),
    report,
  );
  for (const key of signing) {
    if (!isUsableEd25519(key.publicKey))
      report("definition.key-unusable", `The public key of ${key.id} is not a usable Ed25519 key.`);
  }
  for (const { name, publicKey } of definition.witnesses?.keys ?? [])
    if (!isUsableEd25519(publicKey))
      report("definition.key-unusable", `The public key of the witness ${name} is not a usable Ed25519 key.`);
  for (const [name, publicKey] of Object.entries(definition.vault))
    if (!isUsableX25519(publicKey))
      report("definition.key-unusable", `The vault's ${name} is not a usable X25519 key.`);
  sharedKeys(definition, report);
  officeKeys(definition, report);
  roleKeys(definition, report);
  witnessKeys(definition, report);
  doorPins(definition, report);
}

function publicationKeys({ publication }: Definition) {
  return [...(publication?.parliament ?? []), ...(publication?.release ?? [])];
}

/** Two pins are two keys, so that one can be lost; and each has one spelling, in which it is compared. */
function doorPins({ door }: Definition, report: Report): void {
  const pins = door?.pins ?? [];
  unique("definition.pin-twice", "The door's pin", pins, report);
  for (const pin of pins)
    if (decodeBase64url(pin)?.length !== 32)
      report("definition.pin-unusable", `The door's pin ${pin} is not 32 bytes in base64url.`);
}

/** One key for two offices, or for an office and a trustee, would let one person speak as two. */
function sharedKeys(definition: Definition, report: Report): void {
  const holders = new Map<string, string>();
  const owners = [
    ...definition.authority.map((key) => [`${key.id} of the authority`, key.publicKey] as const),
    ...[...definition.keys, ...publicationKeys(definition)].map((key) => [key.id, key.publicKey] as const),
    ...(definition.witnesses?.keys ?? []).map((key) => [`the witness ${key.name}`, key.publicKey] as const),
    ["the vault", definition.vault.publicKey] as const,
    ["the recovery", definition.vault.recoveryKey] as const,
  ];
  for (const [owner, publicKey] of owners) {
    const other = holders.get(publicKey);
    if (other !== undefined) report("definition.key-twice", `${other} and ${owner} have the same public key.`);
    holders.set(publicKey, owner);
  }
}

function officeKeys(definition: Definition, report: Report): void {
  const officials = new Map<string, Set<string>>(definition.states.map((state) => [state.id, new Set()]));
  for (const key of definition.keys) {
    if (key.role !== "office") continue;
    const known = officials.get(key.state);
    if (known === undefined)
      report("definition.key-of-no-state", `Key ${key.id} is of ${key.state}, which is no state of the definition.`);
    // A back-up key signs no figures: whoever holds it is not one of the officials who can.
    if (key.backup !== true) known?.add(key.official);
  }
  for (const state of definition.states) {
    const have = officials.get(state.id)?.size ?? 0;
    if (have < state.signaturesRequired)
      report(
        "definition.officials-missing",
        `${state.id} needs keys of ${state.signaturesRequired} officials for each statement and has ${have}.`,
      );
  }
}

function roleKeys(definition: Definition, report: Report): void {
  for (const role of ["ledger", "tabulate", "recount"] as const)
    if (!definition.keys.some((key) => key.role === role))
      report("definition.role-without-key", `No key has the role ${role}.`);
  const persons = definition.keys.flatMap((key) => (key.role === "trustee" ? [key.person] : []));
  // Two trustees decide what no machine may; one person with two keys would be both.
  unique("definition.trustee-twice", "Trustee", persons, report);
  if (new Set(persons).size < TRUSTEES_NEEDED)
    report("definition.trustees-missing", `The definition needs at least ${TRUSTEES_NEEDED} trustees.`);
}

/** Two quorums that share no witness could have seen two logs. The log itself is no witness of its own growth. */
function witnessKeys({ witnesses, origin }: Definition, report: Report): void {
  if (witnesses === undefined) return;
  const { quorum, keys } = witnesses;
  const names = keys.map(({ name }) => name);
  unique("definition.witness-twice", "Witness", names, report);
  if (names.includes(origin)) report("definition.witness-is-the-log", `The witness ${origin} has the name of the log.`);
  if (quorum * 2 <= keys.length || quorum > keys.length)
    report(
      "definition.witness-quorum",
      `A quorum of ${quorum} of ${keys.length} witnesses is not more than half of them and at most all.`,
    );
}

function isUsableEd25519(text: string): boolean {
  const raw = decodeBase64url(text);
  return raw !== undefined && isStrictPublicKey(raw);
}

function isUsableX25519(text: string): boolean {
  const raw = decodeBase64url(text);
  if (raw?.length !== 32) return false;
  try {
    const publicKey = createPublicKey({ key: Buffer.concat([X25519_SPKI, raw]), format: "der", type: "spki" });
    return diffieHellman({ privateKey: TRIAL_KEY, publicKey }).some((byte) => byte !== 0);
  } catch {
    return false; // OpenSSL refuses the all-zero secret
  }
}
