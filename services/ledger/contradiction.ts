import { LogBroken } from "./receipts.ts";

/**
 * A witness holds a head that this database cannot have led to: it was put back to an older state, or it tells another history. Whatever
 * were written on it would fork the log, so nothing is, until a person has looked.
 */
export class LogContradicted extends LogBroken {
  override readonly name: string = "LogContradicted";
  readonly code: "log.behind-witness" | "log.forked";
  /** Witness and size. */
  readonly about: string;

  constructor(what: Contradiction) {
    super(sentence(what));
    this.code = what.kind === "behind" ? "log.behind-witness" : "log.forked";
    this.about = `${what.witness} ${what.size}`;
  }
}

export interface Contradiction {
  kind: "behind" | "forked";
  witness: string;
  /** Of the tree that the witness holds. */
  size: number;
  /** Where the database ends. */
  ours: number;
  /** Whether it has shown a checkpoint of that size under this log's own signature. */
  proven: boolean;
}

const REPAIR =
  "Nothing is written. Keep this database as it is for evidence; repair it from a standby or a newer backup that holds what the witness saw, " +
  "and start the ledger again. If that is lost, two trustees open a new origin.";
const UNPROVEN =
  " The witness shows no checkpoint that this log has signed: only if you know that it is wrong, take it out of SCRUTIN_WITNESSES.";

function sentence({ kind, witness, size, ours, proven }: Contradiction): string {
  const shown = proven ? ", signed by this log" : "";
  const what =
    kind === "behind"
      ? `The witness ${witness} holds a head of ${size} entries${shown}, and this database ends at ${ours}: it was put back to an older state.`
      : `The witness ${witness} holds another tree of ${size} entries${shown} than this database does: they are two histories of one log.`;
  return `${what} ${REPAIR}${proven ? "" : UNPROVEN}`;
}
