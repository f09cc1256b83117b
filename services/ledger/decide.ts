import { timingSafeEqual } from "node:crypto";
import type { Register } from "../../shared/definition/register.ts";
import { type HeadBefore, isOriginDecision } from "../../shared/ledger/authority.ts";
import { canonical, commitJudgement, type Entry, type Judgement, type Verdict } from "../../shared/ledger/entry.ts";
import type { Gaps } from "../../shared/ledger/gaps.ts";
import { judge } from "../../shared/ledger/judge.ts";
import { appendLeaf, cloneFrontier, type Frontier, leafHash } from "../../shared/ledger/merkle.ts";
import { applyAccepted, type LedgerState } from "../../shared/ledger/state.ts";
import type { SeenClocks } from "../../shared/platform/clock-readings.ts";
import { seal } from "../../shared/platform/seal.ts";
import { isNewcomer, speaksFor } from "../../shared/statement/authentic.ts";
import { leastJudgementBytes } from "../../shared/statement/least-bytes.ts";
import { OPEN_TYPES, type Statement } from "../../shared/statement/types.ts";
import type { Authentic, StatementKey } from "./delivery.ts";
import type { EntryRow, GateFact, OriginRow, UsedSequence } from "./store.ts";

/** What the writer knows of the log; thrown away whenever it is not certain that the database says the same. */
export interface OpenLog {
  state: LedgerState;
  frontier: Frontier;
  root: Uint8Array;
  /** When the last entry was received, ms. */
  lastReceived: number;
  gaps: Gaps;
  /** Data keys of the log, in clear, by id (hex): an id never stands for two keys. Empty for a key that no entry is sealed with. */
  dataKeys: Map<string, Uint8Array>;
}

/** A new entry, decided and not yet written. */
export interface Draft {
  authentic: Authentic;
  entry: Entry;
  judgement: Judgement;
  equivocates: boolean;
  /** False for what was signed for another definition: it uses no sequence number up. */
  takesSequence: boolean;
}

/** What becomes of a batch. */
export interface Decision {
  drafts: Draft[];
  /** Statements that the log holds already, or an earlier one of this batch is: by the index of the first. */
  retries: { authentic: Authentic; index: number }[];
  /** Authentic, but sealed with a key whose id is another's, or signed with a key that is another one at this place of the log. */
  forged: Authentic[];
  /** What comes after a lift that may be granted: it is decided when the lift is written. */
  rest: Authentic[];
}

export interface Circumstances {
  register: Register;
  /** Never earlier than the entry before, ms. */
  received: number;
  /** Read when there is a lift to judge, with the highest readings before. */
  seen: SeenClocks | undefined;
  /** Postgres' clock, ms: read when there is a closure to judge. */
  postgres?: number | undefined;
  /** The head that is written on; given only where an origin may be opened. */
  head?: HeadBefore;
  /** 32 random bytes each time. */
  salt(): Uint8Array;
}

const slot = (key: string, sequence: number) => `${key} ${sequence}`;

/**
 * Judges a batch in order. Applies every accepted statement to `log.state` at once, since the next may depend on it: from here
 * until COMMIT the state is ahead of the database. Only a lift waits for Postgres' own look, and ends the batch.
 */
export function decide(
  log: OpenLog,
  batch: readonly Authentic[],
  used: readonly UsedSequence[],
  at: Circumstances,
): Decision {
  const decision: Decision = { drafts: [], retries: [], forged: [], rest: [] };
  const known = new Map<string, Omit<UsedSequence, "key" | "sequence">[]>();
  const note = (name: string, entry: Omit<UsedSequence, "key" | "sequence">) =>
    known.set(name, [...(known.get(name) ?? []), entry]);
  for (const { key, sequence, ...entry } of used) note(slot(key, sequence), entry);
  const isTaken = (name: string) => known.get(name)?.some(({ takesSequence }) => takesSequence) ?? false;

  for (const [n, authentic] of batch.entries()) {
    const { statement, signers, payload } = authentic;
    const name = slot(signers[0].id, statement.sequence);
    const first = known.get(name)?.find((entry) => entry.payload.equals(payload));
    if (first !== undefined) {
      decision.retries.push({ authentic, index: first.index });
      continue;
    }
    if (!ownsKeyId(log, decision.drafts, authentic) || !hasKnownSigners(log, authentic)) {
      decision.forged.push(authentic);
      continue;
    }
    const isLift = statement.type === "lift";
    // What was signed for another election is evidence, and uses up no number of this one: whoever holds an office's exercise
    // statements could otherwise spend its numbers of the night.
    const equivocates = takesSequence(statement, at.register) && isTaken(name);
    const input = {
      statement,
      signers,
      received: at.received,
      equivocates,
      targetUsed: statement.type === "void" && isTaken(slot(signers[0].id, statement.voids)),
      clocks: isLift ? at.seen?.clocks : undefined,
      floor: isLift ? at.seen?.floor : undefined,
      postgres: at.postgres,
      head: at.head,
    };
    const verdict = judge(log.state, input, at.register.hash);
    const draft = draftOf(log.frontier.size + decision.drafts.length, authentic, verdict, equivocates, at);
    decision.drafts.push(draft);
    note(name, { index: draft.entry.index, payload, takesSequence: draft.takesSequence });
    if (verdict.verdict === "quarantined") continue;
    if (isLift) return { ...decision, rest: batch.slice(n + 1) };
    applyAccepted(log.state, statement, draft.entry);
  }
  return decision;
}

/** Whether a statement's sequence number is one of this election's. */
export function takesSequence(statement: Statement, register: Register): boolean {
  return statement.definition === register.hash;
}

/**
 * A data key's id belongs to whoever came first with it; another key under it could not be opened from the log. The keys themselves are
 * compared: of what wraps them, one half is never opened here, and may hold anything.
 */
function ownsKeyId(log: OpenLog, drafts: readonly Draft[], { dataKey }: Authentic): boolean {
  const known =
    log.dataKeys.get(dataKey.id.toString("hex")) ??
    drafts.find((draft) => draft.authentic.dataKey.id.equals(dataKey.id))?.authentic.dataKey.key;
  return known === undefined || (known.length === dataKey.key.length && timingSafeEqual(known, dataKey.key));
}

/**
 * It was opened with keys that were read from the database by themselves. Here are those of the log, hashed and folded: whoever reads
 * the entry will verify it with these, and must find every signature to hold.
 */
function hasKnownSigners({ state }: OpenLog, { statement, signers }: Authentic): boolean {
  return signers.every((key) => isNewcomer(statement, key) || state.keys.get(key.id)?.key.publicKey === key.publicKey);
}

function draftOf(
  index: number,
  authentic: Authentic,
  verdict: Verdict,
  equivocates: boolean,
  at: Circumstances,
): Draft {
  const { statement, signers, sha256 } = authentic;
  const judgement = { ...verdict, salt: Buffer.from(at.salt()).toString("hex") };
  const entry: Entry = {
    index,
    received: new Date(at.received).toISOString(),
    state: speaksFor(signers[0]),
    key: signers[0].id,
    sequence: statement.sequence,
    type: statement.type,
    units: statement.type === "tally" ? statement.tallies.length : 0,
    statement: sha256.toString("hex"),
    judgement: commitJudgement(judgement),
  };
  return { authentic, entry, judgement, equivocates, takesSequence: takesSequence(statement, at.register) };
}

/** The lift that ends these drafts, refused after all: Postgres found the gate closed. */
export function refuseLift(drafts: readonly Draft[], at: Circumstances): Draft[] {
  const lift = drafts.at(-1);
  if (lift === undefined) throw new RangeError("there is no lift to refuse");
  const verdict: Verdict = { verdict: "quarantined", findings: [{ code: "F.501" }] };
  return [...drafts.slice(0, -1), draftOf(lift.entry.index, lift.authentic, verdict, lift.equivocates, at)];
}

/** The accepted lift that ends these drafts, if one does. */
export function liftOf(drafts: readonly Draft[]): Draft | undefined {
  const last = drafts.at(-1);
  return last?.entry.type === "lift" && last.judgement.verdict === "accepted" ? last : undefined;
}

/** The tree with these drafts appended, and the rows that they become. */
export function assemble(log: OpenLog, drafts: readonly Draft[]): { frontier: Frontier; entries: EntryRow[] } {
  const frontier = cloneFrontier(log.frontier);
  const { definition } = log.state.register;
  const entries = drafts.map(({ authentic, entry, judgement, takesSequence }): EntryRow => {
    const { sha256, dataKey, sealed, payload, bytes } = authentic;
    const atLeast = leastJudgementBytes(definition, authentic.statement);
    const body = Buffer.from(canonical(entry), "utf8");
    const leaf = leafHash(body);
    appendLeaf(frontier, leaf);
    const judged = Buffer.from(canonical(judgement), "utf8");
    return {
      body,
      leaf,
      received: entry.received,
      type: entry.type,
      state: entry.state,
      key: entry.key,
      sequence: entry.sequence,
      payload,
      takesSequence,
      signed: {
        sha256,
        dataKey: dataKey.id,
        sealed,
        judgement: seal(dataKey.key, "judgement", entry.statement, judged, { atLeast }),
        clear: OPEN_TYPES.has(entry.type) ? bytes : null,
      },
    };
  });
  return { frontier, entries };
}

/** Data keys that these drafts bring first, as they came. */
export function newDataKeys(log: OpenLog, drafts: readonly Draft[]): StatementKey[] {
  const fresh = new Map<string, StatementKey>();
  for (const { dataKey } of drafts.map(({ authentic }) => authentic)) {
    const name = dataKey.id.toString("hex");
    if (!log.dataKeys.has(name) && !fresh.has(name)) fresh.set(name, dataKey);
  }
  return [...fresh.values()];
}

/** Origins that these drafts open, each with its decision. */
export function originsOf(drafts: readonly Draft[]): OriginRow[] {
  return drafts.flatMap(({ authentic: { statement, bytes }, entry: { index }, judgement }) =>
    judgement.verdict === "accepted" && isOriginDecision(statement)
      ? [{ index, origin: statement.origin, statement: bytes }]
      : [],
  );
}

/** What accepted statements say that the gate depends on, in the order of the log. */
export function gateFactsOf(drafts: readonly Draft[]): GateFact[] {
  return drafts.flatMap(({ authentic: { statement }, entry: { index }, judgement }): GateFact[] => {
    if (judgement.verdict !== "accepted") return [];
    if (statement.type === "polls") {
      // As this code understands it: Postgres reads more digits of a second, and must not come to another instant.
      const until = statement.polls === "extended" ? new Date(Date.parse(statement.until)).toISOString() : null;
      const { polls: kind, state, constituency = null } = statement;
      return [{ index, kind, state, constituency, until, voids: null }];
    }
    return statement.type === "decision" ? decisionFacts(index, statement) : [];
  });
}

function decisionFacts(index: number, decision: Extract<Statement, { type: "decision" }>): GateFact[] {
  const fact = { index, constituency: null, until: null, voids: null };
  switch (decision.decision) {
    case "hold":
    case "resume":
    case "override":
      return [{ ...fact, kind: decision.decision, state: decision.about }];
    case "void":
      return [{ ...fact, kind: "void", state: decision.about, voids: decision.entry }];
    case "suspend":
    case "recover":
    case "origin":
    case "draw":
      return [];
  }
}
