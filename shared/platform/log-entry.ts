import { createHash } from "node:crypto";
import type { Definition } from "../definition/schema.ts";
import {
  canonical,
  commitJudgement,
  type DefinitionEntry,
  type Entry,
  type Finding,
  type Judgement,
  type OpenedEntry,
} from "../ledger/entry.ts";
import { hasEndedSigner, keyFindings, maySuspend } from "../ledger/key-rules.ts";
import { applyKey, changesKeys, createKeyBook, type KeyBook } from "../ledger/keys.ts";
import { leafHash } from "../ledger/merkle.ts";
import { authenticate, refusalOf, type Signer, tooFewSigned } from "../statement/authentic.ts";
import { openEnvelope } from "../statement/jws.ts";
import type { Statement } from "../statement/types.ts";
import type { EntryRow } from "./log-rows.ts";
import { type Keyring, open, SealBroken } from "./seal.ts";

/** One entry of the log as the vault sees it: opened, and compared with everything that its body commits to. */

/** Something in the log is not what was signed. Whoever reads it stops: nothing derived from it may leave. */
export class LogBroken extends Error {
  override readonly name: string = "LogBroken";
}

/** A prefix of the log that the ledger's key has signed. `root` is base64, as it stands in the checkpoint. */
export interface LogCheckpoint {
  /** Under which the log went on at this size. */
  origin: string;
  size: number;
  root: string;
}

/**
 * An entry, opened. What `entry` and `statement` say is proven only once the iteration has reached an entry with a
 * `checkpoint`: that one covers everything up to and with itself. Until then it may be folded, and nothing else.
 */
export interface ReadEntry extends OpenedEntry {
  entry: Entry | DefinitionEntry;
  /** Why it was quarantined, or warned of. */
  findings: Finding[];
  /** The statement as received; null for entry 0. */
  jws: Uint8Array | null;
  /** Ids of the keys that signed the statement, in the envelope's order; none for entry 0. */
  signers: string[];
  /** On the last entry of each batch: the checkpoint that holds. */
  checkpoint: LogCheckpoint | null;
}

/** An entry whose statement lies open: its hashes hold, its signatures have not been looked at. */
export type Unsealed =
  | { entry: DefinitionEntry }
  | { entry: Entry; jws: Uint8Array; verdict: Judgement["verdict"]; findings: Finding[] };

/** Opens one row and compares everything in it with the entry's own words; the tree is the caller's. Throws LogBroken. */
export async function openRow(
  row: EntryRow,
  index: number,
  keyring: Keyring,
  definitionHash: string,
): Promise<Unsealed> {
  const broken = (what: string) => new LogBroken(`entry ${index}: ${what}`);
  if (row.index !== index) throw broken("is missing");
  if (!same(leafHash(row.body), row.leaf)) throw broken("the stored leaf is not the hash of the body");
  const entry = JSON.parse(Buffer.from(row.body).toString("utf8")) as Entry | DefinitionEntry;
  if (canonical(entry) !== Buffer.from(row.body).toString("utf8") || entry.index !== index)
    throw broken("the body is not the canonical form of this entry");
  // A `key` statement that was filed as something else would not be found when the keys are read again.
  if (entry.type !== row.type) throw broken("is filed as another type than its own");
  if (entry.type === "definition") {
    if (index !== 0 || entry.definition !== definitionHash) throw broken("names another definition");
    return { entry };
  }
  if (index === 0) throw broken("is not the definition");
  const { sha256, data_key, wrapped, sealed, judgement } = row;
  if (!sha256 || !data_key || !wrapped || !sealed || !judgement) throw broken("has no statement");
  if (Buffer.from(sha256).toString("hex") !== entry.statement) throw broken("names another statement");
  const unsealed = await unseal(keyring, entry.statement, { data_key, wrapped, sealed, judgement }).catch((error) => {
    throw error instanceof SealBroken ? broken(error.message) : error;
  });
  const { jws } = unsealed;
  if (createHash("sha256").update(jws).digest("hex") !== entry.statement)
    throw broken("the statement is another one than was committed to");
  const judged = JSON.parse(Buffer.from(unsealed.judgement).toString("utf8")) as Judgement;
  if (commitJudgement(judged) !== entry.judgement) throw broken("the judgement is another one than was committed to");
  const { verdict, findings } = judged;
  return { entry, jws, verdict, findings };
}

type SealedParts = Record<"data_key" | "wrapped" | "sealed" | "judgement", Uint8Array>;

async function unseal(keyring: Keyring, sha256: string, row: SealedParts) {
  const key = await keyring.unwrap(Buffer.from(row.data_key).toString("hex"), row.wrapped);
  return { jws: open(key, "statement", sha256, row.sealed), judgement: open(key, "judgement", sha256, row.judgement) };
}

const same = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0;

/** The keys of the log as of the next entry, and who must sign in the definition that it is about. */
export interface Authority {
  keys: KeyBook;
  /** SHA-256 of that definition, hex. */
  definition: string;
  /** Officials who must sign for a state; undefined for a state that the definition does not hold. */
  required(state: string): number | undefined;
}

export function createAuthority(definition: Definition, hash: string): Authority {
  const required = new Map(definition.states.map((state) => [state.id, state.signaturesRequired]));
  return { keys: createKeyBook(definition), definition: hash, required: (state) => required.get(state) };
}

/** Types of entries of which some change the keys: what a decision decides its line does not say. */
const MAY_CHANGE_KEYS: ReadonlySet<string> = new Set(["key", "decision"]);

/**
 * Verifies the signatures of the next entries of the log, in order, each under the keys as of its index: `keys` follows them.
 * Between two entries that may change the keys it is done all at once. Throws LogBroken.
 */
export async function verifyEntries(unsealed: readonly Unsealed[], authority: Authority): Promise<ReadEntry[]> {
  const entries: ReadEntry[] = [];
  for (let from = 0; from < unsealed.length; from = entries.length) {
    const key = unsealed.findIndex(({ entry }, n) => n >= from && MAY_CHANGE_KEYS.has(entry.type));
    const together = unsealed.slice(from, key < 0 ? undefined : key + 1);
    entries.push(...(await Promise.all(together.map((one) => verifyEntry(one, authority)))));
    const { index, statement, verdict } = entries.at(-1) as ReadEntry;
    if (statement !== null && changesKeys(statement) && verdict === "accepted")
      applyKey(authority.keys, index, statement);
  }
  return entries;
}

/** The statement in its envelope: authentic, what the entry says of it, and nothing that its keys could not say. */
async function verifyEntry(unsealed: Unsealed, authority: Authority): Promise<ReadEntry> {
  const { index, received } = unsealed.entry;
  if (!("jws" in unsealed)) {
    const { entry } = unsealed;
    const nobody = { statement: null, findings: [], jws: null, signers: [] };
    return { index, received, entry, verdict: "accepted", ...nobody, checkpoint: null };
  }
  const { entry, jws, verdict, findings } = unsealed;
  const broken = (what: string) => new LogBroken(`entry ${index}: ${what}`);
  const opened = openEnvelope(jws);
  if (opened.kind === "refused") throw broken(`the envelope is refused (${opened.code})`);
  const authenticity = await authenticate(opened.envelope, authority.keys);
  if (authenticity.kind === "refused")
    throw broken(`a signature does not hold, or the payload is refused (${authenticity.code})`);
  const { statement, signers } = authenticity;
  const said = { type: statement.type, key: signers[0].key.id, sequence: statement.sequence };
  if (said.type !== entry.type || said.key !== entry.key || said.sequence !== entry.sequence)
    throw broken("the statement is not what the entry says of it");
  if (verdict === "accepted" && statement.definition !== authority.definition)
    throw broken("it was accepted, and was signed for another definition");
  if (verdict === "accepted" && !mayBeAccepted(statement, signers, entry, authority))
    throw broken("it was accepted, and its keys may not say this");
  const kids = signers.map(({ key }) => key.id);
  return { index, received, entry, statement, verdict, findings, jws, signers: kids, checkpoint: null };
}

/** Of the ledger's rules those that are about who signed: what it accepts against them was not decided by its rules. */
function mayBeAccepted(
  statement: Statement,
  signers: readonly Signer[],
  { received }: Entry,
  { keys, required }: Authority,
): boolean {
  const signed = signers.map(({ key }) => key);
  if (statement.type === "key") {
    const isState = (id: string) => required(id) !== undefined;
    return keyFindings(keys, statement, signed, Date.parse(received), isState).length === 0;
  }
  if (changesKeys(statement)) return maySuspend(keys, statement, signed);
  if (refusalOf(statement, signed) !== undefined || hasEndedSigner(keys, statement, signed)) return false;
  return !tooFewSigned(statement, signed, required(statement.state) ?? 1);
}
