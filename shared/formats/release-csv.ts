import type { ListResult, Release, StateResult } from "./release.ts";

/** The columns, in their order; the same for every release, so that a sheet made for one reads the next. */
export const RELEASE_CSV_COLUMNS = [
  "mode",
  "election",
  "release",
  "asOf",
  "state",
  "status",
  "withheld",
  "seatsFrom",
  "votesFrom",
  "constituency",
  "list",
  "votes",
  "seats",
  "groups",
] as const;

/** A spreadsheet takes a text that starts so for a formula, and runs it (OWASP, CSV injection). */
const FORMULA = /^[=+\-@\t\r\n]/;
const NEEDS_QUOTES = /[",\r\n]|^ | $/;

/** One field (RFC 4180). Figures are never negative, so a text that could be a formula gets an apostrophe in front. */
function field(value: string | number): string {
  const text = typeof value === "string" && FORMULA.test(value) ? `'${value}` : String(value);
  return NEEDS_QUOTES.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/**
 * A release as CSV (RFC 4180, UTF-8, CRLF, one header line): a row per list of each state, in the release's order. `mode` is
 * EXERCISE or LIVE; `groups` is the list's seats by political group, as in `EPP:12;SD:3`. A withheld state has one row, without a
 * list and without figures. Figures of whole states (electors, ballots, turnout) are in the JSON only.
 */
export function releaseCsv(release: Release): string {
  const lines: (readonly (string | number)[])[] = [RELEASE_CSV_COLUMNS];
  const common = [release.mode.toUpperCase(), release.election, release.number, release.asOf] as const;
  for (const state of release.states) {
    const { state: id, status, withheld, seatsFrom, votesFrom } = state;
    const ofState = [...common, id, status, withheld ? "yes" : "no", seatsFrom, votesFrom] as const;
    if (withheld) lines.push([...ofState, "", "", "", "", ""]);
    else for (const list of listsOf(state)) lines.push([...ofState, ...list]);
  }
  return lines.map((line) => `${line.map(field).join(",")}\r\n`).join("");
}

function listsOf({ lists, constituencies }: StateResult): [string, string, number, number, string][] {
  const constituencyOf = new Map(
    constituencies.flatMap(({ constituency, lists: own }) => own.map(({ id }: ListResult) => [id, constituency])),
  );
  return lists.map(({ id, votes, seats, groups }) => {
    const split = Object.entries(groups).map(([group, members]) => `${group}:${members}`);
    return [constituencyOf.get(id) ?? "", id, votes, seats, split.join(";")];
  });
}
