import type { Definition } from "../definition/schema.ts";
import { detachedHolds, RELEASE_TYP, signDetached } from "../statement/detached.ts";
import type { VerifyKey } from "../statement/ed25519.ts";
import { open, seal, type VaultKey, vaultSecret } from "./seal.ts";

/**
 * How a release lies before it is published: sealed with a key of its own, which is the exclusive or of two shares. Each count
 * derives and gives one share; `release`, which holds no key, opens the release when it has both.
 */

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
 * in a length. The Union of 2024 with the largest figures that can be is a document of 48,504 bytes: within one step, quoted. What
 * could need more has as many steps as it could need, from the first candidate on.
 */
const CANDIDATE_STEP_BYTES = 128 * 1024;
const ANSWER_STEP_BYTES = 4 * 1024;

/** The share that one count gives of a release's key: 32 bytes. */
export function keyShare(vault: VaultKey, by: "tabulate" | "recount", { number, size }: ReleaseId): Uint8Array {
  return vaultSecret(vault, `release/${by}/${number}/${size}`);
}

/**
 * The share that one count gives of a statement's data key (`id` in hex, `dataKey` its 32 bytes): 32 bytes. tabulate's is a secret
 * that follows from the vault's key and the id, recount's the data key under that secret: either alone is as good as random, and
 * `joinShares` of both is the data key.
 */
export function dataKeyShare(vault: VaultKey, by: "tabulate", id: string): Uint8Array;
export function dataKeyShare(vault: VaultKey, by: "tabulate" | "recount", id: string, dataKey: Uint8Array): Uint8Array;
export function dataKeyShare(
  vault: VaultKey,
  by: "tabulate" | "recount",
  id: string,
  dataKey?: Uint8Array,
): Uint8Array {
  const secret = vaultSecret(vault, `data-key/tabulate/${id}`);
  return by === "tabulate" ? secret : joinShares(secret, dataKey as Uint8Array);
}

/** The key of a release, or of statements, from its two shares. Throws RangeError for a share of another length. */
export function joinShares(a: Uint8Array, b: Uint8Array): Uint8Array {
  if (a.length !== 32 || b.length !== 32) throw new RangeError("a share has 32 bytes");
  return a.map((byte, i) => byte ^ (b[i] as number));
}

function releaseKey(vault: VaultKey, id: ReleaseId): Uint8Array {
  return joinShares(keyShare(vault, "tabulate", id), keyShare(vault, "recount", id));
}

const contextOf = ({ number, size }: ReleaseId) => `${number}/${size}`;

/** JSON may end in spaces: readers need not know of the padding. */
function padded(value: unknown, step: number, atLeast = 0): Uint8Array {
  const bytes = Buffer.from(JSON.stringify(value), "utf8");
  // `seal` puts a length of four bytes before it and fills up to a whole block; so the sum is a whole step.
  const room = Math.ceil((Math.max(bytes.length, atLeast) + 4) / step) * step - 4;
  return Buffer.concat([bytes, Buffer.alloc(room - bytes.length, " ")]);
}

const parsed = (bytes: Uint8Array): unknown => JSON.parse(Buffer.from(bytes).toString("utf8"));

/** `atLeast`: the most bytes that it can have by any figures (`mostCandidateBytes`). */
export function sealCandidate(vault: VaultKey, id: ReleaseId, candidate: SealedCandidate, atLeast = 0): Uint8Array {
  return seal(releaseKey(vault, id), "release", contextOf(id), padded(candidate, CANDIDATE_STEP_BYTES, atLeast));
}

/**
 * The most bytes of a candidate of this definition, with the quotes of its document escaped: a list stands in its state, in its
 * constituency, in a tie of each, and in a difference of declared seats. Before the lift: corrections come after it.
 */
export function mostCandidateBytes({ groups, states }: Definition): number {
  const names = states.reduce((sum, { lists }) => sum + lists.reduce((all, list) => all + list.groups.length, 0), 0);
  const lists = states.reduce((sum, state) => sum + state.lists.length, 0);
  const constituencies = states.reduce((sum, state) => sum + state.constituencies.length, 0);
  return 4_096 + states.length * (680 + 24 * groups.length) + constituencies * 600 + lists * 280 + names * 24;
}

/** Throws SealBroken on any change, and for another release. */
export function openCandidate(vault: VaultKey, id: ReleaseId, sealed: Uint8Array): SealedCandidate {
  return parsed(open(releaseKey(vault, id), "release", contextOf(id), sealed)) as SealedCandidate;
}

export function sealAnswer(vault: VaultKey, id: ReleaseId, answer: SealedAnswer): Uint8Array {
  const key = releaseKey(vault, id);
  return seal(key, "release", `${contextOf(id)}/answer`, padded(answer, ANSWER_STEP_BYTES));
}

/** Throws SealBroken on any change, and for another release. */
export function openAnswer(vault: VaultKey, id: ReleaseId, sealed: Uint8Array): SealedAnswer {
  return parsed(open(releaseKey(vault, id), "release", `${contextOf(id)}/answer`, sealed)) as SealedAnswer;
}

/** Signs a release's bytes: `protected..signature`. `sign` is Ed25519 over what it is given. */
export function signRelease(kid: string, bytes: Uint8Array, sign: (message: Uint8Array) => Uint8Array): string {
  return signDetached(kid, RELEASE_TYP, bytes, sign);
}

/** True if `signature` is this key's over exactly these bytes. */
export function releaseSignatureHolds(kid: string, key: VerifyKey, bytes: Uint8Array, signature: string): boolean {
  return detachedHolds(kid, key, RELEASE_TYP, bytes, signature);
}

/** Both signatures as they are served: a general JWS with its payload detached (RFC 7515, 7.2.1 and appendix F). */
export function detachedSignatures(compacts: readonly string[]): string {
  const signatures = compacts.map((compact) => {
    const [header, , signature] = compact.split(".");
    return { protected: header, signature };
  });
  return JSON.stringify({ signatures });
}
