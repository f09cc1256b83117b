import type { KeyObject } from "node:crypto";
import { type VerifyKey, verifySignature } from "../statement/ed25519.ts";
import { compactEnvelope, decodeBase64url } from "../statement/jws.ts";
import { open, seal, vaultSecret } from "./seal.ts";

/**
 * How a release lies before it is published: sealed with a key of its own, which is the exclusive or of two shares. Each count
 * derives and gives one share; `release`, which holds no key, opens the release when it has both.
 */

export const RELEASE_TYP = "scrutin-release+jws";

/** Which release: its number, and the prefix of the log that it counts. */
export interface ReleaseId {
  number: number;
  size: number;
}

/** What `tabulate` seals: the document's text, and its signature over those bytes (JWS with its payload detached). */
export interface SealedCandidate {
  release: string;
  signature: string;
}

/** What `recount` seals: its own signature over the same bytes, or where its own differ. */
export type SealedAnswer = { agrees: true; signature: string } | { agrees: false; differs: string };

/**
 * A candidate fills whole steps of this much, an answer of that much: digits of figures, or an answer's yes or no, must not show
 * in a length. The Union of 2024 with the largest figures that can be is a document of 48,504 bytes: within one step, quoted.
 */
const CANDIDATE_STEP_BYTES = 128 * 1024;
const ANSWER_STEP_BYTES = 4 * 1024;

/** The share that one count gives of a release's key: 32 bytes. `vaultPrivateKey` is X25519. */
export function keyShare(
  vaultPrivateKey: KeyObject | Uint8Array,
  by: "tabulate" | "recount",
  { number, size }: ReleaseId,
): Uint8Array {
  return vaultSecret(vaultPrivateKey, `release/${by}/${number}/${size}`);
}

/**
 * The share that one count gives of a statement's data key (`id` in hex, `dataKey` its 32 bytes): 32 bytes. tabulate's is a secret
 * that follows from the vault's key and the id, recount's the data key under that secret: either alone is as good as random, and
 * `joinShares` of both is the data key.
 */
export function dataKeyShare(vaultPrivateKey: KeyObject | Uint8Array, by: "tabulate", id: string): Uint8Array;
export function dataKeyShare(
  vaultPrivateKey: KeyObject | Uint8Array,
  by: "tabulate" | "recount",
  id: string,
  dataKey: Uint8Array,
): Uint8Array;
export function dataKeyShare(
  vaultPrivateKey: KeyObject | Uint8Array,
  by: "tabulate" | "recount",
  id: string,
  dataKey?: Uint8Array,
): Uint8Array {
  const secret = vaultSecret(vaultPrivateKey, `data-key/tabulate/${id}`);
  return by === "tabulate" ? secret : joinShares(secret, dataKey as Uint8Array);
}

/** The key of a release, or of statements, from its two shares. Throws RangeError for a share of another length. */
export function joinShares(a: Uint8Array, b: Uint8Array): Uint8Array {
  if (a.length !== 32 || b.length !== 32) throw new RangeError("a share has 32 bytes");
  return a.map((byte, i) => byte ^ (b[i] as number));
}

function releaseKey(vaultPrivateKey: KeyObject | Uint8Array, id: ReleaseId): Uint8Array {
  return joinShares(keyShare(vaultPrivateKey, "tabulate", id), keyShare(vaultPrivateKey, "recount", id));
}

const contextOf = ({ number, size }: ReleaseId) => `${number}/${size}`;

/** JSON may end in spaces: readers need not know of the padding. */
function padded(value: unknown, step: number): Uint8Array {
  const bytes = Buffer.from(JSON.stringify(value), "utf8");
  // `seal` puts a length of four bytes before it and fills up to a whole block; so the sum is a whole step.
  const room = Math.ceil((bytes.length + 4) / step) * step - 4;
  return Buffer.concat([bytes, Buffer.alloc(room - bytes.length, " ")]);
}

const parsed = (bytes: Uint8Array): unknown => JSON.parse(Buffer.from(bytes).toString("utf8"));

export function sealCandidate(
  vaultPrivateKey: KeyObject | Uint8Array,
  id: ReleaseId,
  candidate: SealedCandidate,
): Uint8Array {
  return seal(releaseKey(vaultPrivateKey, id), "release", contextOf(id), padded(candidate, CANDIDATE_STEP_BYTES));
}

/** Throws SealBroken on any change, and for another release. */
export function openCandidate(
  vaultPrivateKey: KeyObject | Uint8Array,
  id: ReleaseId,
  sealed: Uint8Array,
): SealedCandidate {
  return parsed(open(releaseKey(vaultPrivateKey, id), "release", contextOf(id), sealed)) as SealedCandidate;
}

export function sealAnswer(vaultPrivateKey: KeyObject | Uint8Array, id: ReleaseId, answer: SealedAnswer): Uint8Array {
  const key = releaseKey(vaultPrivateKey, id);
  return seal(key, "release", `${contextOf(id)}/answer`, padded(answer, ANSWER_STEP_BYTES));
}

/** Throws SealBroken on any change, and for another release. */
export function openAnswer(vaultPrivateKey: KeyObject | Uint8Array, id: ReleaseId, sealed: Uint8Array): SealedAnswer {
  return parsed(open(releaseKey(vaultPrivateKey, id), "release", `${contextOf(id)}/answer`, sealed)) as SealedAnswer;
}

/** Signs a release's bytes: `protected..signature` (RFC 7515, appendix F). `sign` is Ed25519 over what it is given. */
export function signRelease(kid: string, bytes: Uint8Array, sign: (message: Uint8Array) => Uint8Array): string {
  const envelope = compactEnvelope(kid, bytes, RELEASE_TYP);
  const [header, , signature] = envelope.assemble(sign(envelope.signed)).split(".");
  return `${header}..${signature}`;
}

/** True if `signature` is this key's over exactly these bytes. */
export function releaseSignatureHolds(kid: string, key: VerifyKey, bytes: Uint8Array, signature: string): boolean {
  const envelope = compactEnvelope(kid, bytes, RELEASE_TYP);
  const [header, empty, last, ...rest] = signature.split(".");
  const raw = last === undefined ? undefined : decodeBase64url(last);
  if (raw === undefined || empty !== "" || rest.length > 0) return false;
  const expected = Buffer.from(envelope.signed).toString("latin1").split(".", 1)[0];
  return header === expected && verifySignature(envelope.signed, raw, key);
}
