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

export const DISCREPANCIES = {
  "definition.refused": {
    means: "The definition of the election is not signed as it must be, or contradicts itself.",
    who: AUTHORITY,
  },
  "definition.untrusted": { means: "None of the keys that you trust has signed the definition.", who: AUTHORITY },
  "definition.not-of-log": {
    means: "The log begins with another definition than the one that is published.",
    who: LEDGER,
  },
  "visit.definition": { means: "Another definition stood at this address at your last visit.", who: AUTHORITY },
  "checkpoint.missing": { means: "There is no checkpoint of the log.", who: PUBLISHER },
  "checkpoint.unsigned": { means: "The checkpoint is not signed by the ledger's key, or is malformed.", who: LEDGER },
  "checkpoint.quorum": {
    means: "Too few witnesses have cosigned the checkpoint: others may be shown another log.",
    who: `${LEDGER}, and the witnesses that are missing`,
  },
  "checkpoint.differs": { means: "The entries do not hash to the checkpoint: it belongs to another log.", who: LEDGER },
  "log.went-back": { means: "The log is shorter than one that was signed before.", who: LEDGER },
  "log.forked": { means: "The log is not a continuation of the one that was signed before.", who: LEDGER },
  "tile.missing": { means: "A part of the log is not served.", who: PUBLISHER },
  "tile.differs": { means: "A tile of hashes is not that of the signed log.", who: PUBLISHER },
  "bundle.differs": { means: "A bundle of entries is not that of the signed log.", who: PUBLISHER },
  "entry.malformed": { means: "An entry of the log is not canonical JSON of an entry.", who: LEDGER },
  "entry.index": { means: "An entry is missing, or stands in the place of another.", who: LEDGER },
  "entry.received": { means: "An entry was received before the one in front of it.", who: LEDGER },
  "entry.differs": { means: "An entry says of its statement what the statement does not say.", who: LEDGER },
  "statement.missing": { means: "A statement that is in the log is not served.", who: PUBLISHER },
  "statement.bytes": { means: "The served bytes are not those whose hash is in the log.", who: PUBLISHER },
  "statement.envelope": { means: "A statement's envelope or payload is not well formed.", who: OFFICE },
  "statement.signature": { means: "A statement's signature does not hold, or no known key made it.", who: OFFICE },
  "signature.disagreement": {
    means: "Two implementations of Ed25519 disagree about one signature.",
    who: "whoever maintains this audit: please report it",
  },
  "judgement.missing": { means: "A judgement that must be open is not served.", who: PUBLISHER },
  "judgement.differs": { means: "A judgement is not the one that its entry commits to.", who: PUBLISHER },
  "verdict.differs": { means: "The rules give another verdict than the ledger gave.", who: LEDGER },
  "lift.closed": { means: "The lift was accepted while the gate was closed.", who: `${LEDGER}, and ${COUNTS}` },
  "withheld.no-hold": {
    means: "Statements of a state are withheld, and the log has no hold on that state.",
    who: PUBLISHER,
  },
  "release.list": { means: "The list of releases is malformed or has a hole.", who: PUBLISHER },
  "release.missing": { means: "A release that is in the log is not served.", who: PUBLISHER },
  "release.hidden": { means: "A release that is in the log is not in the list that is served.", who: PUBLISHER },
  "release.unlogged": { means: "A release is served that is not in the log.", who: PUBLISHER },
  "release.swapped": { means: "The served release is another one than the log names.", who: PUBLISHER },
  "release.bytes": { means: "A release's bytes are not those of the hash in the list.", who: PUBLISHER },
  "release.signature": { means: "A release is not signed by both counts.", who: PUBLISHER },
  "release.prefix": { means: "A release names a prefix of the log that is not this log's.", who: COUNTS },
  "release.differs": { means: "A recount from the log gives another release.", who: COUNTS },
  "release.changed": { means: "A release is another one than at your last visit.", who: PUBLISHER },
  "receipt.refused": { means: "The receipt is malformed, or not signed by the ledger.", who: HOLDER },
  "receipt.differs": { means: "The log does not hold what the ledger's receipt says.", who: LEDGER },
  "proof.refused": { means: "The proof is malformed or does not hold.", who: HOLDER },
  "proof.differs": { means: "The log does not hold what the proof proves.", who: LEDGER },
  "evidence.refused": { means: "The evidence file is malformed or does not hold.", who: HOLDER },
  "evidence.differs": { means: "The log does not hold what the evidence shows.", who: LEDGER },
} as const satisfies Record<string, { means: string; who: string }>;

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
