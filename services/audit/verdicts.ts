import { z } from "zod";
import type { Key } from "../../shared/definition/schema.ts";
import { type ClockReadings, type GateReason, mayLift } from "../../shared/embargo/gate.ts";
import type { HeadBefore } from "../../shared/ledger/authority.ts";
import {
  canonical,
  commitJudgement,
  type Entry,
  type Finding,
  type Judgement,
  type Verdict,
} from "../../shared/ledger/entry.ts";
import { judge } from "../../shared/ledger/judge.ts";
import type { LedgerState } from "../../shared/ledger/state.ts";
import { Discrepancy, type Where } from "../../shared/platform/publisher/discrepancy.ts";
import type { Statement } from "../../shared/statement/types.ts";
import type { Sequences } from "./sequences.ts";

/** Verdicts: as they are opened, as the rules give them, and where the two differ. */

const Opened = z.strictObject({
  findings: z.array(z.strictObject({ code: z.string(), unit: z.string().optional() })),
  salt: z.string().regex(/^[0-9a-f]{64}$/),
  verdict: z.enum(["accepted", "quarantined"]),
});

/** Reads a line of /log/judgements; undefined if it is withheld. Throws Discrepancy unless it is what the entry commits to. */
export function readJudgement(line: string, entry: Entry, path: string): Judgement | undefined {
  if (line === "null") return undefined;
  const read = Opened.safeParse(jsonOrUndefined(line));
  // Any string may call itself a code here: the commitment shows what the ledger wrote.
  const judgement = read.success ? (read.data as Judgement) : undefined;
  if (judgement !== undefined && canonical(judgement) === line && commitJudgement(judgement) === entry.judgement)
    return judgement;
  const what = `The judgement of entry ${entry.index} is not the one to which the entry commits.`;
  throw new Discrepancy("judgement.differs", { path, index: entry.index }, what);
}

function jsonOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // no JSON is no judgement
  }
}

/** What there is to judge: an authentic statement at its place in the log. */
export interface Judged {
  entry: Entry;
  statement: Statement;
  signers: readonly Key[];
  /** For a decision that opens an origin: the head in front of it. */
  head: HeadBefore | undefined;
}

/**
 * The verdicts that the rules allow as of this entry: one, or one for each thing that may be so as long as a statement under a number that
 * matters is not open; first what holds if none of those used it. A lift is judged by the clocks that it states.
 */
export function verdictsOf(
  state: LedgerState,
  sequences: Sequences,
  { entry, statement, signers, head }: Judged,
): [Verdict, ...Verdict[]] {
  const { hash } = state.register;
  const { key, received } = entry;
  const judgeWith = (equivocates: boolean, targetUsed: boolean) => {
    const clocks = statement.type === "lift" ? statedClocks(statement) : undefined;
    return judge(
      state,
      { statement, signers, received: Date.parse(received), equivocates, targetUsed, clocks, head },
      hash,
    );
  };
  const isUsed = (sequence: number): [boolean, ...boolean[]] =>
    sequences.mayHave(key, sequence) ? [false, true] : [sequences.has(key, sequence)];
  // What was signed for another election uses no number of this one.
  const equivocates = statement.definition === hash ? isUsed(statement.sequence) : [false];
  const targetUsed = statement.type === "void" ? isUsed(statement.voids) : [false];
  const all = equivocates.flatMap((first) => targetUsed.map((second) => judgeWith(first, second)));
  return all as [Verdict, ...Verdict[]];
}

/** Throws Discrepancy unless the ledger's verdict is one that the rules allow. */
export function compareVerdicts(
  state: LedgerState,
  { entry, statement }: Judged,
  rules: readonly Verdict[],
  ledger: Verdict,
): void {
  const where = { index: entry.index };
  if (statement.type === "lift" && ledger.verdict === "accepted") requireOpenGate(state, entry, statement, where);
  // The ledger's own clocks, and Postgres' look, may refuse a lift or a closure: nobody can read those from outside.
  const code = refusedByClocks(statement);
  const apart = ({ findings }: Verdict) => canonical(findings.filter((finding) => finding.code !== code));
  const isRefusedByClocks = ledger.findings.some((finding) => finding.code === code);
  const isSame = (allowed: Verdict) =>
    canonical(bare(allowed)) === canonical(bare(ledger)) || (isRefusedByClocks && apart(allowed) === apart(ledger));
  if (rules.some(isSame)) return;
  const given = [...new Set(rules.map(inWords))].join(", or ");
  const what = `Entry ${entry.index} (${entry.type} of ${entry.state}) is ${inWords(ledger)} in the log; the rules give ${given}.`;
  throw new Discrepancy("verdict.differs", where, what);
}

const bare = ({ verdict, findings }: Verdict) => ({ verdict, findings });

function refusedByClocks(statement: Statement): Finding["code"] | undefined {
  if (statement.type === "lift") return "F.501";
  return statement.type === "polls" && statement.polls === "closed" ? "F.401" : undefined;
}

function inWords({ verdict, findings }: Verdict): string {
  const codes = findings.slice(0, 5).map(({ code, unit }) => (unit === undefined ? code : `${code} on ${unit}`));
  return codes.length === 0 ? verdict : `${verdict} (${codes.join(", ")}${findings.length > 5 ? ", …" : ""})`;
}

/** By the clocks that both counts signed, and by the ledger's when it received the statement: open by each, or it was too early. */
function requireOpenGate(
  state: LedgerState,
  entry: Entry,
  statement: Extract<Statement, { type: "lift" }>,
  where: Where,
): void {
  const at = Date.parse(entry.received);
  const readings: [string, ClockReadings][] = [
    ["by the clocks that it states", statedClocks(statement)],
    ["at the time at which the ledger received it", { process: at, postgres: at, nats: at }],
  ];
  for (const [by, clocks] of readings) {
    const gate = mayLift(state.gate, clocks);
    if (gate.kind === "open") continue;
    const reasons = [...new Set(gate.reasons.map(reasonInWords))].join("; ");
    throw new Discrepancy(
      "lift.closed",
      where,
      `The lift in entry ${entry.index} was accepted, and ${by} the gate was closed: ${reasons}.`,
    );
  }
}

export function statedClocks({ clocks }: Extract<Statement, { type: "lift" }>): ClockReadings {
  return {
    process: Date.parse(clocks.process),
    postgres: Date.parse(clocks.postgres),
    nats: Date.parse(clocks.nats),
  };
}

function reasonInWords(reason: GateReason): string {
  switch (reason.code) {
    case "schedule.missing":
      return "the schedule has a hole";
    case "closing.ahead":
      return `the last poll closes at ${new Date(reason.until).toISOString()}`;
    case "clock.missing":
      return `the clock of ${reason.clock} was not read`;
    case "clock.went-back":
      return `the clock of ${reason.clock} went back by ${reason.byMs} ms`;
    case "clocks.disagree":
      return `the clocks disagree by ${reason.spreadMs} ms`;
    case "closure.missing":
      return `${reason.state} has not signed that its polls are closed, and nobody has overridden that`;
    case "hold.union":
      return "a hold on the Union is in force";
  }
}
