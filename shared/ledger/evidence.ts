import { createHash } from "node:crypto";
import { z } from "zod";
import { KEY_ID, Key32, Origin } from "../definition/schema.ts";
import { type Signers, verifyKeyOf } from "../statement/authentic.ts";
import { importVerifyKey, type VerifyKey, verifySignature } from "../statement/ed25519.ts";
import { MAX_STATEMENT_BYTES, openEnvelope } from "../statement/jws.ts";
import { readStatement } from "../statement/read.ts";
import type { Statement } from "../statement/types.ts";
import { decodeBase64, readCheckpoint } from "./checkpoint.ts";
import { parseVerifierKey } from "./cosignature.ts";
import type { Entry } from "./entry.ts";
import { leafHash, verifyInclusion } from "./merkle.ts";
import { readEntry } from "./read-entry.ts";
import { MAX_ENTRY_BYTES } from "./tiles.ts";

/**
 * Evidence against a key, as a file that stands alone. Equivocation: it signed two payloads under one sequence number. A gap: it signed
 * on both sides of numbers that were neither used nor voided when the checkpoint was signed; that the numbers are missing shows only
 * in the log itself.
 */

/** Two are enough to prove it; whoever signs a thousand versions does not make the file grow. */
export const MAX_EVIDENCE_PARTS = 4;
/** No inclusion proof of a tree below 2^53 leaves is longer. */
const MAX_PROOF = 53;

const base64Of = (bytes: number) => z.string().max(4 * Math.ceil(bytes / 3));
const Hash = z.string().regex(/^[0-9a-f]{64}$/);
const KeyId = z.string().regex(KEY_ID);
const Sequence = z
  .number()
  .int()
  .min(1)
  .max(2 ** 40);

const Part = z.strictObject({
  index: z.number().int().min(1),
  /** The entry's bytes. */
  body: base64Of(MAX_ENTRY_BYTES),
  /** The JWS as received. */
  statement: base64Of(MAX_STATEMENT_BYTES),
  /** From leaf to root, against the one checkpoint. */
  proof: z.array(base64Of(32)).max(MAX_PROOF),
});

const common = {
  type: z.literal("evidence"),
  election: z.string(),
  mode: z.enum(["live", "exercise"]),
  definition: Hash,
  origin: Origin,
  /** `name+<8 hex>+base64(0x01 ‖ public key)`. */
  ledgerKey: z.string().max(400),
  /** The signed note, with what cosignatures it had. */
  checkpoint: z.string().max(16_384),
  /** Every key that signed a part: of the definition, or brought by the `key` statement of that entry. */
  keys: z
    .array(
      z.strictObject({
        id: KeyId,
        publicKey: Key32,
        source: z.union([z.literal("definition"), z.number().int().min(1)]),
      }),
    )
    .min(1),
  parts: z.array(Part).min(1).max(MAX_EVIDENCE_PARTS),
};

export const Evidence = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("equivocation"),
    about: z.strictObject({ key: KeyId, sequence: Sequence }),
    ...common,
  }),
  z.strictObject({
    kind: z.literal("gap"),
    about: z.strictObject({ key: KeyId, from: Sequence, to: Sequence }),
    ...common,
  }),
]);
export type Evidence = z.infer<typeof Evidence>;

/** What the reader knows already; without it the file is taken at its word there, and proves only what its keys signed. */
export interface ExpectedEvidence {
  /** The verifier key of the log whose checkpoint it must be. */
  ledgerKey?: string;
  /** Hex SHA-256 of the definition. */
  definition?: string;
  /** Keys by id, as of the checkpoint: those of the definition and those that the log brought. */
  keys?: Signers;
}

/** A part of which everything holds but, perhaps, that it shows what the file is about. */
interface HeldPart {
  entry: Entry;
  statement: Statement;
  payload: Uint8Array;
}

type Say = (reason: string) => void;

/**
 * Why a file (JSON, parsed) is not the evidence that it says it is: every reason, in words; none if it holds. Signatures are verified
 * under the strict rule.
 */
export function verifyEvidence(file: unknown, expected: ExpectedEvidence = {}): string[] {
  const read = Evidence.safeParse(file);
  if (!read.success) return read.error.issues.map(({ path, message }) => `${path.join(".") || "the file"}: ${message}`);
  const evidence = read.data;
  const reasons: string[] = [];
  const say: Say = (reason) => void reasons.push(reason);
  if (expected.definition !== undefined && evidence.definition !== expected.definition)
    say("it is of another definition");
  const tree = readTree(evidence, expected, say);
  const keys = readKeys(evidence, expected, say);
  const held = evidence.parts.flatMap((part, n) => {
    const found = readPart(part, evidence.definition, tree, keys, (reason) => say(`part ${n}: ${reason}`));
    return found === undefined ? [] : [found];
  });
  if (evidence.parts.some(({ index }, n) => index <= (evidence.parts[n - 1]?.index ?? 0)))
    say("its parts are not in the order of the log");
  if (held.length === evidence.parts.length) showsWhatItSays(evidence, held, say);
  return reasons;
}

interface Tree {
  size: number;
  root: Uint8Array;
}

function readTree({ ledgerKey, origin, checkpoint }: Evidence, expected: ExpectedEvidence, say: Say): Tree | undefined {
  const named = parseVerifierKey(ledgerKey);
  const publicKey = named?.alg === 1 ? importVerifyKey(named.raw) : undefined;
  if (expected.ledgerKey !== undefined && ledgerKey !== expected.ledgerKey)
    say("its log's key is not the expected one");
  if (named?.name !== origin || publicKey === undefined) {
    say("`ledgerKey` is no verifier key of its origin");
    return undefined;
  }
  const tree = readCheckpoint(checkpoint, { origin, publicKey });
  if (tree === undefined) say("its checkpoint is not signed by the log's key");
  return tree;
}

function readKeys({ keys }: Evidence, expected: ExpectedEvidence, say: Say): ReadonlyMap<string, VerifyKey> {
  const found = new Map<string, VerifyKey>();
  for (const { id, publicKey } of keys) {
    const key = verifyKeyOf(publicKey);
    if (key === undefined) say(`${id} is no key under the strict rule`);
    else if (found.has(id)) say(`${id} stands twice among its keys`);
    else found.set(id, key);
    const known = expected.keys?.get(id);
    if (expected.keys !== undefined && known?.key.publicKey !== publicKey) say(`${id} is another key than expected`);
  }
  return found;
}

function readPart(
  part: z.infer<typeof Part>,
  definition: string,
  tree: Tree | undefined,
  keys: ReadonlyMap<string, VerifyKey>,
  say: Say,
): HeldPart | undefined {
  const entry = readBody(part, tree, say);
  const jws = decodeBase64(part.statement);
  if (jws === undefined) say("`statement` is not base64");
  if (entry === undefined || jws === undefined) return undefined;
  if (createHash("sha256").update(jws).digest("hex") !== entry.statement)
    say("the statement is another one than the entry names");
  const opened = openEnvelope(jws);
  const read = opened.kind === "refused" ? opened : readStatement(opened.envelope.payload);
  if (opened.kind === "refused" || read.kind === "refused") {
    say("the statement is malformed");
    return undefined;
  }
  const { statement } = read;
  const { signatures, payload } = opened.envelope;
  for (const { kid, signed, signature } of signatures) {
    const key = keys.get(kid);
    if (key === undefined) say(`${kid} signed it and is not among the keys`);
    else if (!verifySignature(signed, signature, key)) say(`the signature of ${kid} does not hold`);
  }
  const { type, sequence } = statement;
  if (type !== entry.type || signatures[0]?.kid !== entry.key || sequence !== entry.sequence)
    say("the statement is not what the entry says of it");
  if (statement.definition !== definition) say("it was signed for another definition and uses no number of this one");
  return { entry, statement, payload };
}

function readBody(part: z.infer<typeof Part>, tree: Tree | undefined, say: Say): Entry | undefined {
  const body = decodeBase64(part.body);
  const entry = body === undefined ? undefined : readEntry(body);
  if (body === undefined || entry === undefined || entry.type === "definition" || entry.index !== part.index) {
    say(`\`body\` is not entry ${part.index}`);
    return undefined;
  }
  const proof = part.proof.map((hash) => decodeBase64(hash) ?? new Uint8Array());
  if (tree !== undefined && !verifyInclusion({ leaf: leafHash(body), index: part.index, proof, ...tree }))
    say("its entry is not proven to be in the log");
  return entry;
}

function showsWhatItSays(evidence: Evidence, parts: readonly HeldPart[], say: Say): void {
  const { key } = evidence.about;
  if (parts.some(({ entry }) => entry.key !== key)) say(`a part is not signed first by ${key}`);
  if (evidence.kind === "equivocation") {
    const { sequence } = evidence.about;
    if (parts.length < 2) say("one statement is no equivocation");
    if (parts.some(({ entry }) => entry.sequence !== sequence))
      say(`a part has another sequence number than ${sequence}`);
    const payloads = new Set(parts.map(({ payload }) => Buffer.from(payload).toString("base64")));
    if (payloads.size < parts.length) say("two parts have the same payload");
    return;
  }
  const { from, to } = evidence.about;
  const taken = parts.map(({ statement }) => numbersOf(statement));
  const isTaken = (sequence: number) => taken.some((numbers) => numbers.includes(sequence));
  if (from > to) say("its numbers end before they begin");
  if (taken.flat().some((sequence) => from <= sequence && sequence <= to)) say("a part uses or voids a missing number");
  if (from > 1 && !isTaken(from - 1)) say(`no part uses or voids ${from - 1}`);
  if (!isTaken(to + 1)) say(`no part uses or voids ${to + 1}`);
  if (taken.some((numbers) => !numbers.includes(from - 1) && !numbers.includes(to + 1)))
    say("a part is on neither side of the gap");
}

/** The numbers that a statement takes: its own, and the one that it voids. */
export function numbersOf(statement: Statement): number[] {
  return statement.type === "void" ? [statement.sequence, statement.voids] : [statement.sequence];
}
