import { type Receipt, readReceipt } from "../../shared/ledger/receipt.ts";
import { applyAccepted, createLedgerState, type LedgerState } from "../../shared/ledger/state.ts";
import { tallyFindings } from "../../shared/ledger/tally-rules.ts";
import { verifyKeyOf } from "../../shared/statement/authentic.ts";
import { verifySignature } from "../../shared/statement/ed25519.ts";
import type { Statement } from "../../shared/statement/types.ts";
import type { Office } from "./folder.ts";
import { listSpool, readSettled, readSpooled, spoolKeys } from "./spool.ts";

/**
 * The log as this office can know it: the definition, and what it has signed itself. What waits for its receipt counts as accepted, so that
 * nothing is signed twice; what was quarantined or refused counts for nothing.
 */
export interface View {
  state: LedgerState;
  /** The next sequence number of each key. */
  next: Map<string, number>;
}

export async function readView(office: Office): Promise<View> {
  const state = createLedgerState(office.election.definition, office.register);
  const next = new Map<string, number>();
  for (const kid of await spoolKeys(office.folder)) {
    for (const { sequence, file, state: how } of await listSpool(office.folder, kid)) {
      next.set(kid, sequence + 1);
      if (how === "refused" || (how === "receipt" && (await isQuarantined(office, kid, sequence)))) continue;
      const { statement } = await readSpooled(file);
      if (statement.definition === office.election.hash) apply(state, statement, { index: sequence, key: kid });
    }
  }
  return { state, next };
}

async function isQuarantined(office: Office, kid: string, sequence: number): Promise<boolean> {
  const text = await readSettled(office.folder, kid, sequence, "receipt");
  return judgedIn(office, text)?.verdict !== "accepted";
}

/** What a receipt of the spool says, if the ledger signed it: its statement, which was compared when it came, is not read again. */
export function judgedIn(
  { election }: Office,
  text: string,
): Pick<Receipt, "verdict" | "findings" | "entry"> | undefined {
  const [header = "", payload = "", signature = ""] = text.split(".");
  const signed = Buffer.from(`${header}.${payload}`, "latin1");
  const isSigned = election.definition.keys.some((key) => {
    const verifyKey = key.role === "ledger" ? verifyKeyOf(key.publicKey) : undefined;
    return verifyKey !== undefined && verifySignature(signed, Buffer.from(signature, "base64url"), verifyKey);
  });
  return isSigned ? (JSON.parse(Buffer.from(payload, "base64url").toString("utf8")) as Receipt) : undefined;
}

/** A receipt that the ledger signed; undefined for anything else. Origins that were opened since are not known here. */
export function verdictOf({ election }: Office, text: string) {
  for (const key of election.definition.keys) {
    const verifyKey = key.role === "ledger" ? verifyKeyOf(key.publicKey) : undefined;
    const receipt = verifyKey && readReceipt(text, verifyKey);
    if (receipt !== undefined) return receipt;
  }
  return undefined;
}

function apply(state: LedgerState, statement: Statement, entry: { index: number; key: string }): void {
  if (statement.type !== "tally") {
    applyAccepted(state, statement, entry);
    return;
  }
  // What waits may still be quarantined for one unit of many: of the others no version was used up.
  const tallies = statement.tallies.filter(
    (tally) => !tallyFindings(state, statement.state, tally).some((code) => code.startsWith("F")),
  );
  applyAccepted(state, { ...statement, tallies }, entry);
}
