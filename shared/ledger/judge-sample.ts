import { createHash } from "node:crypto";
import { type Sample, sampleCommon, sampleDefinition, sampleTally } from "../definition/sample.ts";
import type { Key } from "../definition/schema.ts";
import type { ClockReadings } from "../embargo/gate.ts";
import type { Statement, Tally } from "../statement/types.ts";
import type { Finding, Verdict } from "./entry.ts";
import { type JudgeInput, judge } from "./judge.ts";
import { applyAccepted, createLedgerState, type LedgerState } from "./state.ts";

/** Statements and logs of the sample election, for tests of the rules. */

export const SAMPLE: Sample = sampleDefinition({
  edit: (definition) => {
    for (const { constituencies } of definition.states)
      for (const constituency of constituencies)
        if (constituency.id === "AT") constituency.alliances = [{ id: "AT-A1", lists: ["AT01", "AT02"] }];
  },
});

const [hour, minute] = [3_600_000, 60_000];
/** When all polls close, and instants around it: a test says `CLOSE - 1`, `LATER`. */
export const CLOSE = SAMPLE.register.lastClosing();
export const LATER = CLOSE + hour + minute;
export const iso = (ms: number): string => new Date(ms).toISOString();
export const clocksAt = (ms: number): ClockReadings => ({ process: ms, postgres: ms, nats: ms });

/** A statement as its signers send it; `at` is when the ledger receives it, `LATER` unless said otherwise. */
export interface Sent {
  statement: Statement;
  by: string[];
  at?: number;
  equivocates?: boolean;
  targetUsed?: boolean;
  clocks?: ClockReadings;
}

export const keys = (...kids: string[]): Key[] =>
  kids.map((kid) => {
    const key = SAMPLE.register.key(kid);
    if (key === undefined) throw new RangeError(`the sample has no key ${kid}`);
    return key;
  });

export const inputOf = ({ statement, by, at = LATER, equivocates = false, targetUsed, clocks }: Sent): JudgeInput => {
  const input: JudgeInput = { statement, signers: keys(...by), received: at, equivocates, clocks };
  return targetUsed === undefined ? input : { ...input, targetUsed };
};

/** Judges it against the state and, when accepted, folds it in: one step of a log. */
export function step(state: LedgerState, sent: Sent): Verdict {
  const verdict = judge(state, inputOf(sent), SAMPLE.hash);
  if (verdict.verdict === "accepted") applyAccepted(state, sent.statement, sent.by[0] as string);
  return verdict;
}

/** A log of statements that must all be accepted. */
export function logOf(...log: Sent[]): LedgerState {
  const state = createLedgerState(SAMPLE.definition, SAMPLE.register);
  for (const sent of log) {
    const { verdict, findings } = step(state, sent);
    if (verdict !== "accepted") throw new Error(`${sent.statement.type}: ${JSON.stringify(findings)}`);
  }
  return state;
}

/** The verdict on a statement after a log. */
export const judged = (sent: Sent, log: Sent[] = []): Verdict => judge(logOf(...log), inputOf(sent), SAMPLE.hash);
export const codes = (findings: Finding[]) => findings.map(({ code }) => code);
export const with_ = (sent: Sent, changes: Partial<Sent>): Sent => ({ ...sent, ...changes });
export const forDefinition = (sent: Sent, hash: string): Sent =>
  with_(sent, { statement: { ...sent.statement, definition: hash } as Statement });

let sequence = 0;
const common = (state: string) => sampleCommon(SAMPLE, state, ++sequence);

export const tally = (tallies: Tally[], by = ["AT-1"], state = "AT"): Sent => {
  return { statement: { type: "tally", ...common(state), tallies }, by };
};
/** One tally of AT-1. */
export const one = (changes: Partial<Tally> = {}): Sent => tally([sampleTally("AT-1", changes)]);
/** A tally of LU: six votes a ballot, two officials. */
export const luxembourg = (unit: string, changes: Partial<Tally> = {}): Sent => {
  const votes: Record<string, number> = unit === "LU-21" ? { LU11: 300, LU12: 200 } : { LU01: 300, LU02: 200 };
  return tally([sampleTally(unit, { votes, ballots: 100, ...changes })], ["LU-1", "LU-2"], "LU");
};

export const closed = (state: string, constituency?: string, at = CLOSE): Sent => ({
  statement: { type: "polls", ...common(state), polls: "closed", ...(constituency && { constituency }) },
  by: state === "LU" ? ["LU-1", "LU-2"] : ["AT-1"],
  at,
});
export const extended = (state: string, until: number, constituency?: string, at = CLOSE - hour): Sent => ({
  statement: {
    type: "polls",
    ...common(state),
    polls: "extended",
    until: iso(until),
    reason: "a late opening",
    ...(constituency && { constituency }),
  },
  by: state === "LU" ? ["LU-1", "LU-2"] : ["AT-1"],
  at,
});
export const seats = (state: string, constituency: string, declared: Record<string, number>): Sent => ({
  statement: { type: "seats", ...common(state), constituency, seats: declared },
  by: state === "LU" ? ["LU-1", "LU-2"] : ["AT-1"],
});
export const declares = (state: string, what: "final" | "official", by: string[]): Sent => ({
  statement: { type: "declaration", ...common(state), declares: what },
  by,
});
export const voids = (target: number, targetUsed = false): Sent => ({
  statement: { type: "void", ...common("AT"), voids: target, reason: "a crash" },
  by: ["AT-1"],
  targetUsed,
});
export const decides = (decision: "hold" | "resume" | "override", about: string, ...by: string[]): Sent => ({
  statement: { type: "decision", ...common("EU"), decision, about, reason: "as agreed" },
  by: by.length > 0 ? by : ["trustee-1", "trustee-2"],
});
export const draws = (constituency: string, within: string, ...order: string[]): Sent => ({
  statement: { type: "decision", ...common("EU"), decision: "draw", constituency, within, order, reason: "by lot" },
  by: ["trustee-1", "trustee-2"],
});

const BOTH = ["tabulate-1", "recount-1"];
export const lift = (clocks = clocksAt(LATER), by = BOTH): Sent => {
  const at = iso(LATER);
  return {
    statement: { type: "lift", ...common("EU"), clocks: { process: at, postgres: at, nats: at } },
    by,
    clocks,
  };
};
/** A release, chained to the one that `release(number - 1)` stands for. */
export const release = (number: number, size = number * 10, previous?: string | null): Sent => {
  const hash = (n: number) => createHash("sha256").update(`release ${n}`).digest("hex");
  const before = previous === undefined ? (number === 1 ? null : hash(number - 1)) : previous;
  const about = { number, size, root: Buffer.alloc(32).toString("base64"), release: hash(number), previous: before };
  return { statement: { type: "release", ...common("EU"), ...about }, by: BOTH };
};

/** Everything that the lift needs, and the lift. */
export const LIFTED: Sent[] = [closed("AT"), closed("LU"), lift()];
/** Every unit of AT, accepted. */
export const ALL_OF_AT: Sent = tally(["AT-1", "AT-2", "AT-3", "AT-4", "AT-P"].map((unit) => sampleTally(unit)));
