import type { Statement, StatementType } from "../statement/types.ts";

/**
 * What a revocation leaves out. Verdicts stand; but from a revocation on, nothing counts that the key, or one that took its place by
 * rotation, signed and the log received later than the instant since which it is compromised, until it is signed anew. The counts themselves know nothing of this: whoever
 * feeds them passes a left-out entry as quarantined.
 */

/**
 * Revocations in force (kid -> ms UTC), when each key's last counted statement was received, and which key took whose place. Plain
 * data: kept in snapshots.
 */
export interface LeftOut {
  since: Record<string, number>;
  last: Record<string, number>;
  heirs: Record<string, string>;
}

/** What is counted. Closures, voids and decisions stand: what was done on them cannot be taken back. */
const COUNTED: ReadonlySet<StatementType> = new Set(["tally", "seats", "declaration"]);

export function createLeftOut(): LeftOut {
  return { since: {}, last: {}, heirs: {} };
}

/** True if one of its signers was compromised when the log received it: then it counts for nothing. */
export function isLeftOut(leftOut: LeftOut, entry: { received: string; signers: readonly string[] }): boolean {
  const received = Date.parse(entry.received);
  return entry.signers.some((kid) => received > (ownOf(leftOut.since, kid) ?? Number.POSITIVE_INFINITY));
}

/**
 * Applies the next entry, in the order of the log. "again": an accepted revocation leaves out what was counted already. Then count
 * anew from the first entry, with this same LeftOut; it comes to this entry again and goes on. What is counted on the way there is
 * no result: it leaves out what no prefix below this entry knew of.
 */
export function applyToLeftOut(
  leftOut: LeftOut,
  entry: {
    received: string;
    statement: Statement | null;
    verdict: "accepted" | "quarantined";
    signers: readonly string[];
  },
): "go on" | "again" {
  const { statement, verdict, signers } = entry;
  if (verdict !== "accepted" || statement === null) return "go on";
  if (statement.type === "key" && statement.change === "rotate") leftOut.heirs[statement.replaces] = statement.key.id;
  if (statement.type === "key" && statement.change === "revoke")
    return revoke(leftOut, statement.revokes, Date.parse(statement.since));
  if (!COUNTED.has(statement.type) || isLeftOut(leftOut, entry)) return "go on";
  const received = Date.parse(entry.received);
  for (const kid of signers) leftOut.last[kid] = received;
  return "go on";
}

function revoke(leftOut: LeftOut, revoked: string, since: number): "go on" | "again" {
  const { heirs } = leftOut;
  let again = false;
  for (let kid: string | undefined = revoked; kid !== undefined; kid = ownOf(heirs, kid)) {
    if ((ownOf(leftOut.since, kid) ?? Number.POSITIVE_INFINITY) <= since) continue;
    leftOut.since[kid] = since;
    again ||= (ownOf(leftOut.last, kid) ?? Number.NEGATIVE_INFINITY) > since;
  }
  if (!again) return "go on";
  leftOut.last = {}; // nothing is counted yet
  return "again";
}

/** Key ids come from statements, and one may be called as something that every object has. */
function ownOf<T>(record: Record<string, T>, kid: string): T | undefined {
  return Object.hasOwn(record, kid) ? record[kid] : undefined;
}
