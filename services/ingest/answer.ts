import { VERDICT_CODES } from "../../shared/ledger/codes.ts";
import type { Entry, Finding, Verdict } from "../../shared/ledger/entry.ts";
import { decodeBase64url } from "../../shared/statement/jws.ts";

/** What an office gets for a statement that is in the log: the receipt, and the same in plain words beside it. */
export interface Answer {
  statement: string;
  index: number;
  verdict: Verdict["verdict"];
  findings: (Finding & { means: string; todo: string })[];
  mode: string;
  receipt: string;
}

/**
 * Answer to the office that posted the bytes. `sha256` is of those bytes: a retry in another envelope is answered with the
 * first one's receipt, whose entry names the first one's bytes. Throws on what is no receipt: the ledger made it.
 */
export function answerOf(sha256: string, receipt: string): Answer {
  const payload = decodeBase64url(receipt.split(".")[1] ?? "");
  if (payload === undefined) throw new Error("the ledger gave a receipt that is no JWS");
  const { entry, verdict, findings, mode } = JSON.parse(Buffer.from(payload).toString("utf8")) as {
    entry: Entry;
    verdict: Verdict["verdict"];
    findings: Finding[];
    mode: string;
  };
  const explained = findings.map((finding) => {
    const { means, todo } = VERDICT_CODES[finding.code];
    return { ...finding, means, todo };
  });
  return { statement: sha256, index: entry.index, verdict, findings: explained, mode, receipt };
}
