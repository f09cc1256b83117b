import { authorityOf } from "../../shared/ledger/authority.ts";
import { verifierKey } from "../../shared/ledger/checkpoint.ts";
import { verifyCosignatures } from "../../shared/ledger/cosignature.ts";
import { canonical } from "../../shared/ledger/entry.ts";
import { type Evidence, verifyEvidence } from "../../shared/ledger/evidence.ts";
import { leafHash } from "../../shared/ledger/merkle.ts";
import { type Proof, verifyProof } from "../../shared/ledger/proof.ts";
import { readEntry } from "../../shared/ledger/read-entry.ts";
import { type Receipt, readReceipt } from "../../shared/ledger/receipt.ts";
import { TILE_WIDTH } from "../../shared/ledger/tiles.ts";
import { type Reach, readHead, type SignedHead } from "../../shared/platform/publisher/checkpoint.ts";
import type { TrustedDefinition } from "../../shared/platform/publisher/definition.ts";
import { Discrepancy, type DiscrepancyCode } from "../../shared/platform/publisher/discrepancy.ts";
import type { Signers } from "../../shared/statement/authentic.ts";
import type { Figures } from "./figures.ts";
import type { Sequences } from "./sequences.ts";
import { evidenceIn, type FileTexts, type NamedText, proofIn, receiptIn } from "./shapes.ts";
import type { VerifiedLog } from "./tree.ts";

/**
 * What an auditor brings: receipts that offices were given, proofs, evidence. Each is verified in itself first, and then compared with the log:
 * the head that it was given with must be one of this log's, and the log must hold what it says.
 */
export interface BroughtFiles {
  /** The log must have reached the heads that they were given with. */
  reaches: Reach[];
  /** By the index of their entry. */
  receipts: ReadonlyMap<number, { file: string; receipt: Receipt }[]>;
  /** Throws Discrepancy unless the log holds what they say. */
  compare(log: VerifiedLog): Promise<void>;
  /** Once the whole log was walked: the keys and the numbers that evidence names. Throws Discrepancy. */
  compareWalked(log: VerifiedLog, walked: { keys: Signers; sequences: Sequences }): Promise<void>;
}

interface Brought {
  file: string;
  head: SignedHead;
  /** What the log must have: an entry's bytes by its index. */
  entries: { index: number; body: Uint8Array | undefined }[];
  differs: DiscrepancyCode;
  /** What can only be verified with the log at hand. Throws Discrepancy. */
  withLog?: (log: VerifiedLog) => Promise<void>;
}

/** Verifies each file in itself. Throws Discrepancy at the first that does not hold. */
export function readFiles(texts: FileTexts, trusted: TrustedDefinition, figures: Figures): BroughtFiles {
  const receipts = texts.receipts.map((named) => readReceiptFile(named, trusted));
  const proofs = texts.proofs.map((named) => readProofFile(named, trusted));
  const evidence = texts.evidence.map((named) => readEvidenceFile(named, trusted));
  const all = [...receipts.map(({ brought }) => brought), ...proofs, ...evidence.map(({ brought }) => brought)];
  const byIndex = new Map<number, { file: string; receipt: Receipt }[]>();
  for (const { brought, receipt } of receipts) {
    const { index } = receipt.entry;
    byIndex.set(index, [...(byIndex.get(index) ?? []), { file: brought.file, receipt }]);
  }
  return {
    reaches: all.map(({ file, head: { size } }) => {
      return { size, because: `${file} was given when it had ${size}`, code: "log.went-back" };
    }),
    receipts: byIndex,
    async compare(log) {
      for (const brought of all) {
        await compareWithLog(brought, log);
        await brought.withLog?.(log);
      }
      figures.receipts = receipts.length;
      figures.proofs = proofs.length;
      figures.evidence = evidence.length;
    },
    async compareWalked(log, { keys, sequences }) {
      for (const { brought, evidence: found } of evidence) {
        const [reason] = verifyEvidence(found, { keys });
        if (reason !== undefined)
          throw new Discrepancy("evidence.differs", { path: brought.file }, `${brought.file}: ${reason}.`);
        await compareGap(brought, found, log, sequences);
      }
    },
  };
}

function readReceiptFile(named: NamedText, { authorities, hash }: TrustedDefinition) {
  const { file } = named;
  const refused = (what: string) => new Discrepancy("receipt.refused", { path: file }, `${file} ${what}.`);
  const jws = receiptIn(named);
  const signer = authorities.find(({ key }) => readReceipt(jws, key) !== undefined);
  const receipt = signer && readReceipt(jws, signer.key);
  if (signer === undefined || receipt === undefined) throw refused("is no receipt that the ledger's key has signed");
  if (receipt.definition !== hash) throw refused(`is of another definition, ${receipt.definition}`);
  const head = readHead(receipt.checkpoint, authorities);
  const { entry } = receipt;
  if (head === undefined || head.size <= entry.index) throw refused("has no signed checkpoint that covers its entry");
  // One that is asked for again is signed with the key that the log has by then: never with one from before its checkpoint.
  if (signer.from < authorityOf(authorities, head.size).from)
    throw refused("is signed with a key that the log had replaced by its checkpoint");
  const body = Buffer.from(canonical(entry), "utf8");
  const brought: Brought = { file, head, entries: [{ index: entry.index, body }], differs: "receipt.differs" };
  return { brought, receipt };
}

function readProofFile(named: NamedText, trusted: TrustedDefinition): Brought {
  const { file } = named;
  const refused = (what: string) => new Discrepancy("proof.refused", { path: file }, `${file} ${what}.`);
  const proof = proofIn(named);
  const head = readHead(proof.checkpoint, trusted.authorities);
  if (head === undefined) throw refused("has no checkpoint that the log's key has signed");
  if (head.size <= proof.index) throw refused("has a checkpoint that does not cover its entry");
  requireQuorum(head, trusted, refused);
  // Without the entry's bytes there is nothing to hash yet: the log's own entry will be.
  if (proof.extra !== undefined) requirePath(proof, trusted, undefined, refused);
  return {
    file,
    head,
    entries: [{ index: proof.index, body: proof.extra }],
    differs: "proof.differs",
    withLog: async (log) => requirePath(proof, trusted, leafHash(await log.entry(proof.index)), refused),
  };
}

/** As of the checkpoint that is audited: so many of the definition's witnesses must have seen that head, too. */
function requireQuorum(
  { note }: SignedHead,
  { witnesses, quorum }: TrustedDefinition,
  refused: (what: string) => Discrepancy,
): void {
  const { length } = verifyCosignatures(note, witnesses);
  if (length < quorum)
    throw refused(
      `has a checkpoint that ${length} of the definition's witnesses have cosigned; it needs ${quorum}. If it was made ` +
        "in the moment before they did, the same address gives a better one by now",
    );
}

const REASONS = {
  checkpoint: "has a checkpoint that the log's key has not signed",
  witnesses: "is not cosigned by enough witnesses",
  leaf: "proves another entry than the one that it carries",
  path: "has hashes that do not lead from its entry to its checkpoint",
};

function requirePath(
  proof: Proof,
  { authorities, witnesses, quorum }: TrustedDefinition,
  leaf: Uint8Array | undefined,
  refused: (what: string) => Discrepancy,
): void {
  const terms = { authorities, witnesses, quorum };
  const verdict = verifyProof(proof, leaf === undefined ? terms : { ...terms, leaf });
  if (verdict.kind === "refused") throw refused(REASONS[verdict.reason]);
}

function readEvidenceFile(named: NamedText, trusted: TrustedDefinition) {
  const { file } = named;
  const { authorities, definition, hash } = trusted;
  const refused = (what: string) => new Discrepancy("evidence.refused", { path: file }, `${file} ${what}.`);
  const evidence = evidenceIn(named);
  const { election, mode } = evidence;
  if (election !== definition.election || mode !== definition.mode)
    throw refused(
      `says that it is of ${election} (${mode}); this log is of ${definition.election} (${definition.mode})`,
    );
  const head = readHead(evidence.checkpoint, authorities);
  if (head === undefined) throw refused("has a checkpoint that is not signed by the log's key");
  requireQuorum(head, trusted, refused);
  const { origin, key } = authorityOf(authorities, head.size);
  const [reason] = verifyEvidence(evidence, { ledgerKey: verifierKey(origin, key.raw), definition: hash });
  if (reason !== undefined) throw refused(`does not hold: ${reason}`);
  const entries = evidence.parts.map(({ index, body }) => ({ index, body: Buffer.from(body, "base64") }));
  const brought: Brought = { file, head, entries, differs: "evidence.differs" };
  return { brought, evidence };
}

async function compareWithLog({ file, head, entries, differs }: Brought, log: VerifiedLog): Promise<void> {
  const root = await log.rootAt(head.size);
  if (Buffer.compare(root, head.root) !== 0) {
    const [theirs, ours] = [head.root, root].map((hash) => Buffer.from(hash).toString("base64"));
    const what = `The checkpoint in ${file} signs the root ${theirs} for ${head.size} entries; the log that is shown here has ${ours}.`;
    throw new Discrepancy("log.forked", { path: file }, what);
  }
  for (const { index, body } of entries) {
    if (body === undefined) continue;
    if (Buffer.compare(body, await log.entry(index)) !== 0)
      throw new Discrepancy(
        differs,
        { path: file, index },
        `Entry ${index} of the log is another one than ${file} says.`,
      );
  }
}

/** The numbers that a gap's evidence calls missing were in no entry when its checkpoint was signed. */
async function compareGap(
  { file, head }: Brought,
  evidence: Evidence,
  log: VerifiedLog,
  sequences: Sequences,
): Promise<void> {
  if (evidence.kind !== "gap") return;
  const { key, from, to } = evidence.about;
  for (let page = 0; page * TILE_WIDTH < head.size; page++) {
    const bodies = (await log.bundle(page)).slice(0, head.size - page * TILE_WIDTH);
    for (const body of bodies) {
      const entry = readEntry(body);
      if (entry === undefined || entry.type === "definition" || entry.key !== key) continue;
      // What was signed for another election uses no number of this one.
      if (entry.sequence < from || entry.sequence > to || !sequences.has(key, entry.sequence)) continue;
      const what = `${file} says that number ${entry.sequence} of ${key} is missing; entry ${entry.index} has it.`;
      throw new Discrepancy("evidence.differs", { path: file, index: entry.index }, what);
    }
  }
}
