/**
 * Everything that an audit can find wrong, as a closed catalogue: a stable code, what it means, and who must explain it. Whoever reads
 * a report needs no more than these sentences to know where to ask.
 */

const LEDGER = "the operator of the ledger";
const PUBLISHER = "the publisher of the results (the service `release`)";
const COUNTS = "the operators of the two counts (`tabulate` and `recount`), who both signed it";
const AUTHORITY = "the election authority";
const OFFICE = "the office whose key signed it, and the operator of the ledger, who let it in";
const HOLDER = "whoever gave you this file";

/** Codes with what they mean, all of which the same people must explain. */
const explainedBy = <C extends string>(who: string, meanings: Record<C, string>) =>
  Object.fromEntries(Object.entries<string>(meanings).map(([code, means]) => [code, { means, who }])) as Record<
    C,
    { means: string; who: string }
  >;

export const DISCREPANCIES = {
  ...explainedBy(AUTHORITY, {
    "definition.refused": "The definition of the election is not signed as it must be, or contradicts itself.",
    "definition.untrusted": "A key that you trust has not signed the definition.",
    "visit.definition": "Another definition stood at this address at your last visit.",
  }),
  ...explainedBy(LEDGER, {
    "definition.not-of-log": "The log begins with another definition than the one that is published.",
    "checkpoint.unsigned": "The checkpoint is not signed by the ledger's key, or is malformed.",
    "checkpoint.differs": "The entries do not hash to the checkpoint: it belongs to another log.",
    "log.went-back": "The log is shorter than one that was signed before.",
    "log.forked": "The log is not a continuation of the one that was signed before.",
    "entry.malformed": "An entry of the log is not canonical JSON of an entry.",
    "entry.index": "An entry is missing, or stands in the place of another.",
    "entry.received": "An entry was received before the one in front of it.",
    "entry.differs": "An entry says of its statement what the statement does not say.",
    "verdict.differs": "The rules give another verdict than the ledger gave.",
    "receipt.differs": "The log does not hold what the ledger's receipt says.",
    "proof.differs": "The log does not hold what the proof proves.",
    "evidence.differs": "The log does not hold what the evidence shows.",
  }),
  ...explainedBy(PUBLISHER, {
    "checkpoint.missing": "There is no checkpoint of the log.",
    "tile.missing": "A part of the log is not served.",
    "tile.differs": "A tile of hashes is not that of the signed log.",
    "bundle.differs": "A bundle of entries is not that of the signed log.",
    "statement.missing": "A statement that is in the log is not served.",
    "statement.bytes": "The served bytes are not those whose hash is in the log.",
    "judgement.missing": "A judgement that must be open is not served.",
    "judgement.differs": "A judgement is not the one that its entry commits to.",
    "withheld.no-hold": "Statements of a state are withheld, and the log has no hold on that state.",
    "release.list": "The list of releases is malformed, has a hole, or says of a release what it is not.",
    "release.missing": "A release that is in the log is not served.",
    "release.hidden": "A release that is in the log is not in the list that is served.",
    "release.unlogged": "A release is served that is not in the log.",
    "release.swapped": "The served release is another one than the log names.",
    "release.bytes": "A release's bytes are not those of the hash in the list.",
    "release.signature": "A release is not signed by both counts.",
    "release.csv": "A release's CSV does not say what its document says.",
    "release.proof": "What is served does not prove that a release is in the log.",
    "release.latest": "What is served as the latest release is not the last one.",
    "release.changed": "A release is another one than at your last visit.",
    "sealed.differs": "A sealed release does not open with its key to the release of that number.",
    "file.differs": "A file is not signed as the one that the release makes.",
  }),
  ...explainedBy(`${LEDGER}, and the witnesses that are missing`, {
    "checkpoint.quorum": "Too few witnesses have cosigned the checkpoint: others may be shown another log.",
  }),
  ...explainedBy(OFFICE, {
    "statement.envelope": "A statement's envelope or payload is not well formed.",
    "statement.signature": "A statement's signature does not hold, or no known key made it.",
  }),
  ...explainedBy("whoever maintains this audit: please report it", {
    "signature.disagreement": "Two implementations of Ed25519 disagree about one signature.",
  }),
  ...explainedBy(`${LEDGER}, and ${COUNTS}`, {
    "lift.closed": "The lift was accepted while the gate was closed.",
  }),
  ...explainedBy(COUNTS, {
    "release.previous": "A release does not follow the one before it.",
    "release.prefix": "A release names a prefix of the log that is not this log's.",
    "release.differs": "A recount from the log gives another release.",
  }),
  ...explainedBy(HOLDER, {
    "receipt.refused": "The receipt is not one that the ledger has signed for this election.",
    "proof.refused": "The proof does not hold.",
    "evidence.refused": "The evidence file does not hold.",
  }),
};

export type DiscrepancyCode = keyof typeof DISCREPANCIES;

/** Where something is wrong: a path below the audited address (or a file), an entry of the log. */
export interface Where {
  path?: string;
  index?: number;
}

/** Something is wrong, and the audit ends with it. `what` is a whole sentence. */
export class Discrepancy extends Error {
  override readonly name = "Discrepancy";
  readonly code: DiscrepancyCode;
  readonly where: Where;
  readonly who: string;

  constructor(code: DiscrepancyCode, where: Where, what: string, who: string = DISCREPANCIES[code].who) {
    super(what);
    this.code = code;
    this.where = where;
    this.who = who;
  }
}

/** The audit could not be finished: nothing is said about the log. */
export class Unreachable extends Error {
  override readonly name = "Unreachable";
}

/** What was asked for cannot be meant; the message says what to give instead. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
