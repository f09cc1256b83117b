import { authorityOf, type LogAuthority } from "./authority.ts";
import { decodeBase64, parseCheckpoint, parseSize, readCheckpoint, splitNote } from "./checkpoint.ts";
import { verifyCosignatures, type Witness } from "./cosignature.ts";
import { HASH_BYTES, leafHash, verifyInclusion } from "./merkle.ts";

/**
 * A proof that an entry is in the log, as a file that anyone verifies offline (C2SP tlog-proof). Ours carry the entry's own bytes as
 * `extra`: whoever has nothing but the file can hash them to the leaf.
 */

const FIRST_LINE = "c2sp.org/tlog-proof@v1";
/** A path has one hash a level, and no tree has more levels. */
const MAX_HASHES = 63;

export interface Proof {
  index: number;
  /** From the leaf's sibling to the root's child. */
  hashes: Uint8Array[];
  /** The signed note, with the cosignatures that lie in it. */
  checkpoint: string;
  /** The bytes of the entry; nothing vouches for them until they were hashed. */
  extra?: Uint8Array;
}

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");

/** The file. Without an `extra` line if there is none, or an empty one. */
export function encodeProof({ index, hashes, checkpoint, extra }: Proof): string {
  const lines = [FIRST_LINE];
  if (extra !== undefined && extra.length > 0) lines.push(`extra ${base64(extra)}`);
  lines.push(`index ${index}`, ...hashes.map(base64));
  return `${lines.join("\n")}\n\n${checkpoint}`;
}

/** Takes a file apart; undefined if any line is not as the specification has it. Verifies nothing. */
export function readProof(text: string): Proof | undefined {
  const end = text.indexOf("\n\n");
  if (end < 0) return undefined;
  const [first, ...lines] = text.slice(0, end).split("\n");
  const extraText = lines[0]?.startsWith("extra ") ? lines.shift()?.slice("extra ".length) : undefined;
  const indexText = lines.shift();
  if (first !== FIRST_LINE || !indexText?.startsWith("index ") || lines.length > MAX_HASHES) return undefined;
  const index = parseSize(indexText.slice("index ".length));
  const hashes = lines.map(decodeBase64).filter((hash) => hash?.length === HASH_BYTES) as Uint8Array[];
  if (index === undefined || hashes.length !== lines.length) return undefined;
  const proof = { index, hashes, checkpoint: text.slice(end + 2) };
  if (extraText === undefined) return proof;
  const extra = decodeBase64(extraText);
  return extra === undefined || extra.length === 0 ? undefined : { ...proof, extra };
}

/** What a verifier brings: nothing of it may come from the proof. */
export interface ProofTerms {
  /** Who may have signed the checkpoint: `firstAuthority(definition)`, and those of later origins. */
  authorities: readonly LogAuthority[];
  /** The hash of the entry that is to be proven; without it the bytes in `extra` are what is proven. */
  leaf?: Uint8Array;
  /** The definition's witnesses, of which `quorum` (0 if not given) must have cosigned the checkpoint. */
  witnesses?: readonly Witness[];
  quorum?: number;
}

export type ProofVerdict =
  | { kind: "holds"; index: number; size: number; root: Uint8Array; origin: string; cosigned: string[] }
  /**
   * `checkpoint`: the log's key has not signed it. `witnesses`: fewer than the quorum cosigned it. `leaf`: no entry to prove, or `extra` is
   * another one. `path`: the hashes do not lead from the entry to the checkpoint's root.
   */
  | { kind: "refused"; reason: "checkpoint" | "witnesses" | "leaf" | "path" };

/** Verifies a proof offline: the checkpoint's signature, the cosignatures, and the path from the entry to the root. */
export function verifyProof(proof: Proof, terms: ProofTerms): ProofVerdict {
  const refused = (reason: "checkpoint" | "witnesses" | "leaf" | "path") => ({ kind: "refused", reason }) as const;
  const signed = readSigned(proof.checkpoint, terms.authorities);
  if (signed === undefined) return refused("checkpoint");
  const cosigned = verifyCosignatures(proof.checkpoint, terms.witnesses ?? []).map(({ name }) => name);
  if (cosigned.length < (terms.quorum ?? 0)) return refused("witnesses");
  const own = proof.extra === undefined ? undefined : leafHash(proof.extra);
  const leaf = terms.leaf ?? own;
  if (leaf === undefined || (own !== undefined && Buffer.compare(leaf, own) !== 0)) return refused("leaf");
  const { index, hashes } = proof;
  const { size, root, origin } = signed;
  if (!verifyInclusion({ leaf, index, size, proof: hashes, root })) return refused("path");
  return { kind: "holds", index, size, root, origin, cosigned };
}

/** The checkpoint, if whoever signs those of its size has signed it. */
function readSigned(note: string, authorities: readonly LogAuthority[]) {
  const claimed = parseCheckpoint(splitNote(note)?.text ?? "");
  if (claimed === undefined) return undefined;
  const { origin, key } = authorityOf(authorities, claimed.size);
  const read = readCheckpoint(note, { origin, publicKey: key });
  return read && { ...read, origin };
}
