import { authorityOf } from "../../shared/ledger/authority.ts";
import { verifierKey } from "../../shared/ledger/checkpoint.ts";
import type { WitnessedHead } from "../../shared/platform/publisher/checkpoint.ts";
import type { TrustedDefinition } from "../../shared/platform/publisher/definition.ts";
import { DISCREPANCIES, type Discrepancy, type DiscrepancyCode } from "../../shared/platform/publisher/discrepancy.ts";
import type { Figures } from "./figures.ts";
import { type Freshness, freshnessOf, staleWarning } from "./freshness.ts";
import type { Sample } from "./sample.ts";
import type { Visit } from "./visit.ts";
import type { WalkedLog } from "./walk.ts";

/** What an audit has found, as it is printed with --json; `report-text.ts` tells the same to people. */
export interface Report {
  audit: "scrutin-audit-1";
  result: "holds" | "broken";
  url: string;
  /** When the audit ended, ISO. */
  at: string;
  election: { id: string; title: string; mode: "live" | "exercise"; seats: number } | null;
  definition: { sha256: string; signedBy: string[]; trusted: string[] } | null;
  checkpoint: {
    origin: string;
    size: number;
    root: string;
    /** The log's verifier key (signed-note), with which any other tool can be started. */
    vkey: string;
    /** The newest time that stands in it. */
    newest: Freshness | null;
    quorum: number;
    cosigned: { name: string; at: string }[];
  } | null;
  /** The visit with which this one was compared. */
  lastVisit: { at: string; size: number } | null;
  lift: { index: number; received: string } | null;
  /** As both counts of this audit found them in the last release's prefix of the log. */
  seats: {
    release: number;
    status: string;
    allocated: number;
    groups: Record<string, number>;
    states: Record<string, number>;
  } | null;
  figures: Figures;
  /** How many of the signatures were verified a second time, and which. */
  sample: { share: number; seed: number } | null;
  /** What is no discrepancy, and should be looked into. */
  warnings: string[];
  onTrust: string[];
  notChecked: string[];
  failure: {
    code: DiscrepancyCode;
    means: string;
    what: string;
    path: string | null;
    index: number | null;
    who: string;
  } | null;
}

/** What an audit has learned so far; it grows, and a report can be written at any point. */
export interface Learned {
  url: string;
  trusted?: TrustedDefinition;
  head?: WitnessedHead;
  /** When the ledger received the last entry under the head, ISO. */
  lastReceived?: string | undefined;
  visit?: Visit | undefined;
  /** The definition of the last visit, if another exercise stood at this address. */
  otherBefore?: string;
  released?: number;
  sample?: Sample;
  walked?: WalkedLog;
  figures: Figures;
}

/** "1 entry", "1,234 entries". */
export function many(count: number, one: string, more = `${one}s`): string {
  return `${count.toLocaleString("en-GB")} ${count === 1 ? one : more}`;
}

/** The report of what was learned; `failure` is what the audit ended with. */
export function reportOf(learned: Learned, at: Date, failure?: Discrepancy): Report {
  const { trusted, head, visit, walked, sample, figures } = learned;
  const newest = head === undefined ? undefined : freshnessOf(head, learned.lastReceived, at);
  return {
    audit: "scrutin-audit-1",
    result: failure === undefined ? "holds" : "broken",
    url: learned.url,
    at: at.toISOString(),
    election: trusted === undefined ? null : electionOf(trusted),
    definition:
      trusted === undefined ? null : { sha256: trusted.hash, signedBy: trusted.signedBy, trusted: trusted.trusted },
    checkpoint: head === undefined || trusted === undefined ? null : checkpointOf(head, trusted, newest),
    lastVisit: visit === undefined ? null : { at: visit.at, size: visit.size },
    lift: walked?.lift ?? null,
    seats: seatsOf(walked),
    figures,
    sample: sample === undefined ? null : { share: sample.share, seed: sample.seed },
    warnings: warnings(learned, newest),
    onTrust: onTrust(learned),
    notChecked: failure === undefined ? notChecked(learned) : [],
    failure: failure === undefined ? null : failureOf(failure),
  };
}

function electionOf({ definition: { election, title, mode, seats } }: TrustedDefinition) {
  return { id: election, title, mode, seats };
}

function checkpointOf(
  { origin, size, root, cosigned }: WitnessedHead,
  { authorities, quorum }: TrustedDefinition,
  newest: Freshness | undefined,
): Report["checkpoint"] {
  return {
    origin,
    size,
    root: Buffer.from(root).toString("base64"),
    vkey: verifierKey(origin, authorityOf(authorities, size).key.raw),
    newest: newest ?? null,
    quorum,
    cosigned: cosigned.map(({ name, time }) => ({ name, at: new Date(time * 1000).toISOString() })),
  };
}

function warnings({ head, walked }: Learned, newest: Freshness | undefined): string[] {
  if (head === undefined || newest === undefined) return [];
  const warning = staleWarning(newest, head.size, walked?.last?.status !== "OFFICIAL");
  return warning === undefined ? [] : [warning];
}

function seatsOf(walked: WalkedLog | undefined): Report["seats"] {
  if (walked?.last === undefined) return null;
  const { number, status, union, states } = walked.last;
  return {
    release: number,
    status,
    allocated: union.seats.allocated,
    groups: union.groups,
    states: Object.fromEntries(states.map(({ state, seats }) => [state, seats.allocated])),
  };
}

function failureOf({ code, message, where, who }: Discrepancy): Report["failure"] {
  const { means } = DISCREPANCIES[code];
  return { code, means, what: message, path: where.path ?? null, index: where.index ?? null, who };
}

/** What the verdict of this audit rests on without having checked it, in sentences. */
function onTrust({ trusted, head, otherBefore, url }: Learned): string[] {
  const said: string[] = [];
  if (trusted !== undefined && trusted.trusted.length === 0)
    said.push(
      `The definition: no key of the election authority was given, so the one that stands at ${url} is believed. ` +
        `Compare its SHA-256, ${trusted.hash}, with what the authority has announced by other means, or give its keys with --definition-key.`,
    );
  if (trusted?.trusted.length === 1)
    said.push(
      `The second signature of the definition: you gave the key of ${trusted.trusted[0]} alone, and it vouches for the other.`,
    );
  if (otherBefore !== undefined)
    said.push(
      `That this is the exercise that you mean: at your last visit another one stood at this address (${otherBefore}).`,
    );
  if (trusted !== undefined && trusted.witnesses.length === 0 && (head?.cosigned.length ?? 0) === 0)
    said.push("That everyone is shown this log: the definition names no witnesses, and you gave none with --witness.");
  else if (head !== undefined)
    said.push(
      `That the witnesses ${head.cosigned.map(({ name }) => name).join(", ")} are not all in one hand with the ledger.`,
    );
  said.push("The times of receipt: they are the ledger's own clock, which nobody can read from outside.");
  return said;
}

function notChecked({ walked, figures, released, trusted, head }: Learned): string[] {
  const said: string[] = [];
  const { statements, releases } = figures;
  if (released === 0)
    said.push(
      "Figures, verdicts and results: nothing has been released yet. What is public before the lift was checked.",
    );
  if (statements.closed > 0)
    said.push(
      `The content of ${many(statements.closed, "statement")} that no release covers yet: hashes and places in the log are fixed.`,
    );
  for (const [state, count] of walked?.withheld ?? [])
    said.push(
      `${many(count, "statement")} of ${state} and the verdicts on them, which are withheld while a hold is in force: not checkable yet.`,
    );
  if (releases.partly > 0)
    said.push(
      `The withheld states' part in ${many(releases.partly, "release")} from before the hold, and the totals of the Union there.`,
    );
  const later = laterEntries(head, released);
  if (later > 0 && released !== 0)
    said.push(
      `The ledger's verdict on ${many(later, "entry", "entries")} after the last release: it opens with the next one. What /log/judgements may say of them already is not read.`,
    );
  const silent =
    trusted?.witnesses.filter(({ name }) => !head?.cosigned.some((cosigned) => cosigned.name === name)) ?? [];
  if (head !== undefined && silent.length > 0)
    said.push(
      `That ${silent.map(({ name }) => name).join(", ")} saw this checkpoint: a cosignature is missing or does not hold. The definition asks for ${trusted?.quorum}, and they are there.`,
    );
  const rebuilt =
    trusted?.definition.states.filter(({ votesFrom }) => votesFrom === "rebuilt").map(({ id }) => id) ?? [];
  if (rebuilt.length > 0)
    said.push(
      `Votes of ${rebuilt.join(", ")}: they were rebuilt from published percentages, as the definition says, and enter no total of votes.`,
    );
  return said;
}

const laterEntries = (head: WitnessedHead | undefined, released = 0) => (head === undefined ? 0 : head.size - released);
