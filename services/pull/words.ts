import { DISCREPANCIES, type DiscrepancyCode } from "../../shared/platform/publisher/discrepancy.ts";

/** What happens, as it is told: a sentence each, or one JSON object a line. */
export type Said =
  | { event: "definition"; title: string; mode: string; definition: string; trusted: readonly string[] }
  | { event: "resumed"; releases: number }
  | { event: "damaged"; file: string }
  | { event: "embargo" }
  | { event: "unauthorized" }
  | { event: "sealed"; number: number; size: number }
  | { event: "release"; number: number; sha256: string; status: string; how: "opened" | "fetched" }
  | { event: "settled"; number: number; entry: number; files: number }
  | { event: "refused"; code: DiscrepancyCode; path: string | undefined; what: string; who: string }
  | { event: "away"; why: string }
  | { event: "end"; result: "holds" | "broken"; releases: number };

export type Say = (said: Said) => void;

export function sentenceOf(said: Said): string {
  switch (said.event) {
    case "definition":
      return `${said.title}${said.mode === "exercise" ? " (EXERCISE)" : ""}, definition ${said.definition}, ${
        said.trusted.length === 0
          ? "taken on trust: no --definition-key was given"
          : `signed by ${said.trusted.join(" and ")}`
      }.`;
    case "resumed":
      return `${said.releases} ${said.releases === 1 ? "release is" : "releases are"} in the folder and ${said.releases === 1 ? "holds" : "hold"}.`;
    case "damaged":
      return `${said.file} in the folder is not what was published: it is fetched again.`;
    case "embargo":
      return "Polls are still open in the Union: nothing is released yet.";
    case "unauthorized":
      return "The publisher does not take this key's token: check the key, and this machine's clock. Releases are taken when they are public.";
    case "sealed":
      return `Release ${said.number} is held sealed, as of ${said.size} entries of the log.`;
    case "release":
      return `Release ${said.number} (${said.status}) ${said.how === "opened" ? "was opened from the sealed copy" : "was fetched"}: SHA-256 ${said.sha256}.`;
    case "settled":
      return `Release ${said.number} was announced by entry ${said.entry} of the log${said.files === 0 ? "" : `; ${said.files} files were written`}.`;
    case "refused":
      return `REFUSED (${said.code}): ${said.what} ${DISCREPANCIES[said.code].means} To be explained by ${said.who}.`;
    case "away":
      return `${said.why} It is asked again.`;
    case "end":
      return said.result === "holds"
        ? `${said.releases} ${said.releases === 1 ? "release" : "releases"} in the folder; all of it holds.`
        : `Something was refused; what is in the folder holds: ${said.releases} ${said.releases === 1 ? "release" : "releases"}.`;
  }
}
