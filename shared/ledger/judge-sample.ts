import { createHash } from "node:crypto";
import { newSampleKey, type Sample, sampleCommon, sampleDefinition, sampleTally } from "../definition/sample.ts";
import type { Key } from "../definition/schema.ts";
import type { ClockReadings } from "../embargo/gate.ts";
import { newcomerKey } from "../statement/authentic.ts";
import type { Statement, Tally } from "../statement/types.ts";
import type { VerdictCode } from "./codes.ts";
import type { Finding, Verdict } from "./entry.ts";
import { type JudgeInput, judge } from "./judge.ts";
import { createKeyBook, type KeyBook } from "./keys.ts";
import { applyAccepted, createLedgerState, type LedgerState } from "./state.ts";

/** Statements and logs of the sample election, for tests of the rules. */

export const SAMPLE: Sample = sampleDefinition({
  backups: ["AT", "LU"],
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
  /** The highest readings before, for a lift; Postgres' clock, for a closure. */
  floor?: ClockReadings;
  postgres?: number;
}

/** A code, the statement that gets it, its nearest neighbour that gets nothing, and the log that both meet. */
export type Row = [code: VerdictCode, what: string, wrong: Sent, right: Sent, log?: Sent[]];

const DEFINED = createKeyBook(SAMPLE.definition);
export const keys = (...kids: string[]): Key[] =>
  kids.map((kid) => {
    const key = DEFINED.get(kid)?.key;
    if (key === undefined) throw new RangeError(`the sample has no key ${kid}`);
    return key;
  });

/** As `authenticate` gives them: keys of the log so far, and the newcomer's as the statement brings it. */
function signersOf({ statement, by }: Sent, book: KeyBook): Key[] {
  const newcomer = statement.type === "key" ? newcomerKey(statement, book) : undefined;
  return by.map((kid) => {
    const key = book.get(kid)?.key ?? (newcomer?.id === kid ? newcomer : undefined);
    if (key === undefined) throw new RangeError(`neither the sample nor the statement has a key ${kid}`);
    return key;
  });
}

/** False for what no reader finds authentic: it never comes to be judged. */
export function isSignedByKnown({ statement, by }: Sent, book: KeyBook): boolean {
  const brought = statement.type === "key" ? newcomerKey(statement, book)?.id : undefined;
  return by.every((kid, n) => book.has(kid) || (n > 0 && kid === brought));
}

export const inputOf = (sent: Sent, book = DEFINED): JudgeInput => {
  const { statement, at = LATER, equivocates = false, targetUsed, clocks, floor, postgres } = sent;
  const signers = signersOf(sent, book);
  const input: JudgeInput = { statement, signers, received: at, equivocates, clocks, floor, postgres };
  return targetUsed === undefined ? input : { ...input, targetUsed };
};

/** Judges it against the state and, when accepted, folds it in: one step of a log. */
export function step(state: LedgerState, sent: Sent): Verdict {
  const verdict = judge(state, inputOf(sent, state.keys), SAMPLE.hash);
  const entry = { index: nextIndex(state), key: sent.by[0] as string };
  if (verdict.verdict === "accepted") applyAccepted(state, sent.statement, entry);
  return verdict;
}

/** A state does not know its size; this index follows every other that it does know. */
function nextIndex({ keys, gate }: LedgerState): number {
  const ofKeys = [...keys.records()].map(({ from, ended }) => Math.max(from, ended?.index ?? 0));
  const ofExtensions = gate.polls.flatMap(({ extensions }) => extensions.map(({ entry }) => entry));
  return 1 + Math.max(...ofKeys, ...ofExtensions);
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
export const judged = (sent: Sent, log: Sent[] = []): Verdict => {
  const state = logOf(...log);
  return judge(state, inputOf(sent, state.keys), SAMPLE.hash);
};
export const codes = (findings: Finding[]) => findings.map(({ code }) => code);
export const with_ = (sent: Sent, changes: Partial<Sent>): Sent => ({ ...sent, ...changes });
export const of = (sent: Sent, state: string): Sent =>
  with_(sent, { statement: { ...sent.statement, state } as Statement });
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
export const suspends = (trustee: string, ...by: string[]): Sent => ({
  statement: { type: "decision", ...common("EU"), decision: "suspend", about: "EU", trustee, reason: "as agreed" },
  by: by.length > 0 ? by : ["trustee-1", "trustee-2"],
});
/** `entry`: the index of the extension. In a log of `logOf` the first one has 1, and each one after it the next number. */
export const voidsExtension = (about: string, entry: number, ...by: string[]): Sent => ({
  statement: { type: "decision", ...common("EU"), decision: "void", about, entry, reason: "by mistake" },
  by: by.length > 0 ? by : ["trustee-1", "trustee-2"],
});
export const recovers = (...by: string[]): Sent => ({
  statement: { type: "decision", ...common("EU"), decision: "recover", about: "EU", reason: "the key is lost" },
  by: by.length > 0 ? by : ["trustee-1", "trustee-2"],
});
export const draws = (constituency: string, within: string, ...order: string[]): Sent => ({
  statement: { type: "decision", ...common("EU"), decision: "draw", constituency, within, order, reason: "by lot" },
  by: ["trustee-1", "trustee-2"],
});

/** The public key of an id, of the definition or new: the same id, the same key. */
export const publicKeyOf = (id: string): string => (SAMPLE.keys.get(id) ?? newSampleKey(SAMPLE, id)).jwk.x;
export const rotates = (replaces: string, id: string, publicKey = publicKeyOf(id)): Sent => ({
  statement: { type: "key", ...common(replaces.slice(0, 2)), change: "rotate", replaces, key: { id, publicKey } },
  by: [replaces, id],
});
/** Two trustees, unless a back-up key is named. `since`: ms UTC. */
export const revokes = (id: string, since: number, ...by: string[]): Sent => {
  const state = by[0]?.startsWith("trustee") === false ? by[0].slice(0, 2) : "EU";
  return {
    statement: { type: "key", ...common(state), change: "revoke", revokes: id, since: iso(since), reason: "stolen" },
    by: by.length > 0 ? by : ["trustee-1", "trustee-2"],
  };
};
export const enrols = (
  id: string,
  official: string,
  changes: { publicKey?: string; state?: string; backup?: true } = {},
): Sent => ({
  statement: {
    type: "key",
    ...common("EU"),
    change: "enrol",
    key: { id, publicKey: publicKeyOf(id), state: id.slice(0, 2), official, ...changes },
  },
  by: ["trustee-1", "trustee-2", id],
});
export const opensOrigin = (origin: string): Sent => ({
  statement: {
    type: "decision",
    ...common("EU"),
    decision: "origin",
    about: "EU",
    origin,
    key: { id: "ledger-9", publicKey: publicKeyOf("ledger-9") },
    size: 1,
    root: Buffer.alloc(32).toString("base64"),
    reason: "as agreed",
  },
  by: ["trustee-1", "trustee-2"],
});

const BOTH = ["tabulate-1", "recount-1"];
/** `clocks`: the ledger's; `stated`: those of the counts, ms UTC. */
export const lift = (clocks = clocksAt(LATER), by = BOTH, stated = LATER): Sent => {
  const at = iso(stated);
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
