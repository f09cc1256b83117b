import type { Register } from "../definition/register.ts";
import type { Key } from "../definition/schema.ts";
import { type ClockFloor, type ClockReadings, MAX_EXTENSION_MS, mayLift, type Poll, pollsOf } from "../embargo/gate.ts";
import { refusalOf, tooFewSigned } from "../statement/authentic.ts";
import type { Statement, StatementType } from "../statement/types.ts";
import { fitsHead, type HeadBefore } from "./authority.ts";
import type { VerdictCode } from "./codes.ts";
import type { Finding, Verdict } from "./entry.ts";
import { hasEndedSigner, keyFindings, suspensionFindings } from "./key-rules.ts";
import type { Suspension } from "./keys.ts";
import { closeInForce, drawKey, type LedgerState } from "./state.ts";
import { tallyFindings } from "./tally-rules.ts";

export interface JudgeInput {
  statement: Statement;
  /** The keys whose signatures hold, in the envelope's order; the first one owns the sequence number. */
  signers: readonly Key[];
  /** The ledger's clock, ms UTC: the entry's `received`. */
  received: number;
  /** The first signer's key has used this sequence number for another payload. */
  equivocates: boolean;
  /** For a `void`: its target carries a statement already. */
  targetUsed?: boolean;
  /** For a `lift`: the clocks as the ledger itself read them. Without them the gate stays shut. */
  clocks: ClockReadings | undefined;
  /** For a `lift`: the highest readings of these clocks since this process began, if it has a memory of them. */
  floor?: ClockFloor | undefined;
  /** For a closure: Postgres' clock, ms UTC, if it was asked. Polls are closed by both clocks or not at all. */
  postgres?: number | undefined;
  /** For a decision that opens an origin: the head that it would follow. Without it none is opened. */
  head?: HeadBefore | undefined;
}

type Report = (code: VerdictCode, unit?: string) => void;
type Say<T extends StatementType> = Extract<Statement, { type: T }>;
type Rule<T extends StatementType> = (state: LedgerState, say: Say<T>, report: Report, input: JudgeInput) => void;

/** The rule book: who may say it, then whether it may be said now, then what it says. */
const RULES: { [T in StatementType]: Rule<T>[] } = {
  tally: [byKeysInForce, byOffice, underFreshSequence, afterTheClose, beforeOfficial, ofUnitsOnce, ofGoodTallies],
  polls: [byKeysInForce, byOffice, underFreshSequence, ofOwnConstituency, closedAfterTheClose, extendedByALittle],
  seats: [byKeysInForce, byOffice, underFreshSequence, afterTheClose, beforeOfficial, ofOwnConstituency, ofAllSeats],
  declaration: [byKeysInForce, byOffice, underFreshSequence, afterTheClose, withAllUnits, officialAfterFinal],
  void: [byKeysInForce, byOffice, underFreshSequence, ofAnUnusedSequence],
  key: [ofGoodKeys, underFreshSequence],
  decision: [byKeysInForce, byTrustees, thatChangesSomething, ofAnOpenTie],
  lift: [byKeysInForce, byBothCounts, onceOnly, throughAnOpenGate],
  release: [byKeysInForce, byBothCounts, afterTheLift, inOrder],
};

/**
 * Judges one authentic statement against the log so far; `definitionHash` is the log's own. Pure: reads the state, changes
 * nothing, never throws for a statement that has its schema's shape. Every finding is reported, each code once per unit,
 * sorted by unit and code, so that the order of tallies in a statement does not matter. Only a statement for another
 * definition, or one under a sequence number that carries another payload, is not judged further: nothing that it says
 * can count here.
 *
 * A state's result is `final` when two officials declare it so with all its units in, and `official` by a further declaration of what
 * is final. A tally or seats after `final` take it back; after `official` they are F.209 until two officials declare it `final` again,
 * which opens it for the change. What was changed is declared final, then official, anew.
 */
export function judge(state: LedgerState, input: JudgeInput, definitionHash: string): Verdict {
  const found = new Map<string, Finding>();
  const report: Report = (code, unit) => {
    found.set(`${unit ?? ""} ${code}`, unit === undefined ? { code } : { code, unit });
  };
  const { statement } = input;
  if (statement.definition !== definitionHash) report("F.101");
  if (input.equivocates) report("F.102");
  if (found.size === 0) {
    // The table pairs each type with its own rules; TypeScript cannot follow a union through it.
    const rules = RULES[statement.type] as Rule<StatementType>[];
    for (const rule of rules) rule(state, statement, report, input);
  }
  const findings = [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, finding]) => finding);
  const verdict = findings.some(({ code }) => code.startsWith("F")) ? "quarantined" : "accepted";
  return { verdict, findings };
}

function byKeysInForce(state: LedgerState, say: Statement, report: Report, { signers }: JudgeInput): void {
  if (hasEndedSigner(state.keys, say, signers)) report("F.105");
}

function ofGoodKeys(state: LedgerState, say: Say<"key">, report: Report, { signers, received }: JudgeInput): void {
  const isKnown = (id: string) => isState(state.register, id);
  for (const code of keyFindings(state.keys, say, signers, received, isKnown)) report(code);
}

function byOffice(state: LedgerState, say: Statement, report: Report, { signers }: JudgeInput): void {
  const required = state.register.state(say.state)?.signaturesRequired ?? 1;
  if (signers.length === 0 || refusalOf(say, signers) !== undefined) report("F.104");
  else if (tooFewSigned(say, signers, required)) report("F.103");
}

function byTrustees(_: LedgerState, say: Say<"decision">, report: Report, { signers }: JudgeInput): void {
  if (signers.length === 0 || refusalOf(say, signers) !== undefined) report("F.104");
  else if (tooFewSigned(say, signers, 1)) report("F.103");
}

/** `tabulate` signs first and owns the sequence number; `recount` second, after its own look. */
function byBothCounts(_: LedgerState, say: Statement, report: Report, { signers }: JudgeInput): void {
  const roles = signers.map((key) => key.role).join(" ");
  if (say.state !== "EU") report("F.104");
  else if (roles === "tabulate") report("F.103");
  else if (roles !== "tabulate recount") report("F.104");
}

function underFreshSequence(state: LedgerState, say: Statement, report: Report, { signers }: JudgeInput): void {
  const key = signers[0]?.id;
  if (key !== undefined && state.voided.get(key)?.has(say.sequence)) report("F.407");
}

/** The state's own polls, the last of its constituencies, extensions included. An unknown state never closes. */
function afterTheClose(state: LedgerState, say: Statement, report: Report, { received }: JudgeInput): void {
  if (!(received >= closeInForce(state, say.state))) report("F.207");
}

function beforeOfficial(state: LedgerState, say: Statement, report: Report): void {
  if (state.declared.get(say.state) === "official") report("F.209");
}

function ofUnitsOnce(_: LedgerState, say: Say<"tally">, report: Report): void {
  const units = new Set<string>();
  for (const { unit } of say.tallies) {
    if (units.has(unit)) report("F.203", unit);
    units.add(unit);
  }
}

function ofGoodTallies(state: LedgerState, say: Say<"tally">, report: Report): void {
  for (const tally of say.tallies) for (const code of tallyFindings(state, say.state, tally)) report(code, tally.unit);
}

/** The constituency that the statement names, if it names one, is the state's. */
function ofOwnConstituency(state: LedgerState, say: Say<"polls" | "seats">, report: Report): void {
  if (say.constituency === undefined) return;
  if (state.register.constituency(say.constituency)?.state.id !== say.state) report("F.403");
}

function closedAfterTheClose(state: LedgerState, say: Say<"polls">, report: Report, input: JudgeInput): void {
  if (say.polls !== "closed") return;
  const now = Math.min(input.received, input.postgres ?? input.received);
  for (const poll of pollsOf(state.gate, say.state, say.constituency)) if (!(now >= poll.closesAt)) report("F.401");
}

/**
 * Later than the close in force of each poll it is about, by at most 4 hours, and while the gate is shut. What was extended before is extended
 * further only in its last 4 hours: one stolen key could otherwise put the close off by a year at once.
 */
function extendedByALittle(state: LedgerState, say: Say<"polls">, report: Report, { received }: JudgeInput): void {
  if (say.polls !== "extended") return;
  if (state.gate.lifted) report("F.402");
  const until = Date.parse(say.until);
  for (const { scheduledAt, closesAt } of pollsOf(state.gate, say.state, say.constituency)) {
    const isDue = closesAt === scheduledAt || received >= closesAt - MAX_EXTENSION_MS;
    if (!(until > closesAt && until <= closesAt + MAX_EXTENSION_MS && isDue)) report("F.402");
  }
}

function ofAllSeats(state: LedgerState, say: Say<"seats">, report: Report): void {
  const place = state.register.constituency(say.constituency);
  if (place === undefined || place.state.id !== say.state) return;
  const lists = Object.keys(say.seats);
  const sum = lists.reduce((total, list) => total + (say.seats[list] as number), 0);
  if (sum !== place.constituency.seats || lists.some((list) => !state.register.stands(list, say.constituency)))
    report("F.404");
}

function withAllUnits(state: LedgerState, say: Say<"declaration">, report: Report): void {
  if ((state.unitsIn.get(say.state) ?? 0) < state.register.expectedUnits(say.state)) report("F.405");
}

/** One that is official already may be declared so again: that says nothing new. */
function officialAfterFinal(state: LedgerState, say: Say<"declaration">, report: Report): void {
  if (say.declares === "official" && !state.declared.has(say.state)) report("F.414");
}

/** A void cannot name itself either: its own number is used. */
function ofAnUnusedSequence(_: LedgerState, say: Say<"void">, report: Report, { targetUsed }: JudgeInput): void {
  if (targetUsed === true || say.voids === say.sequence) report("F.406");
}

/** A decision that could change nothing was meant for something else: it is refused, so that nobody relies on it. */
function thatChangesSomething(state: LedgerState, say: Say<"decision">, report: Report, input: JudgeInput): void {
  if (say.decision === "suspend") for (const code of suspensionFindings(state.keys, say, input.signers)) report(code);
  else if (!changesSomething(state, say, input)) report("F.408");
}

type Plain = Exclude<Say<"decision">, Suspension>;

function changesSomething(state: LedgerState, say: Plain, { head }: JudgeInput): boolean {
  const { gate, register } = state;
  switch (say.decision) {
    case "draw":
      return true; // see `ofAnOpenTie`
    case "origin":
      return head !== undefined && fitsHead(state.authorities, state.keys, say, head);
    case "recover":
      return !state.recovered;
    case "void":
      // After the lift an extension says nothing any more.
      return !gate.lifted && isExtension(pollsOf(gate, say.about), say.entry);
    case "resume":
      return gate.held.has(say.about);
    case "hold":
      // After the lift the gate stays open: a hold on the Union would stop nothing.
      return !gate.held.has(say.about) && (isState(register, say.about) || (say.about === "EU" && !gate.lifted));
    case "override": {
      const open = pollsOf(gate, say.about).some((poll) => !poll.closed);
      return isState(register, say.about) && open && !gate.overridden.has(say.about);
    }
  }
}

const isState = (register: Register, id: string) => register.state(id) !== undefined;

/** Whether this entry gave one of these polls an extension that is in force. */
const isExtension = (polls: readonly Poll[], entry: number) =>
  polls.some(({ extensions }) => extensions.some((extension) => extension.entry === entry));

/** What can be said of a tie without counting: its contenders stand there, each once, and it is not drawn yet. */
function ofAnOpenTie({ register, drawn }: LedgerState, say: Say<"decision">, report: Report): void {
  if (say.decision !== "draw") return;
  const place = register.constituency(say.constituency);
  if (place === undefined) {
    report("F.403");
    return;
  }
  const alliances = place.constituency.alliances ?? [];
  const within = alliances.find((alliance) => alliance.id === say.within)?.lists;
  const all = [...place.lists, ...alliances].map(({ id }) => id);
  const contenders = new Set(say.within === "seats" ? all : within);
  const stand = say.order.every((id) => contenders.has(id)) && new Set(say.order).size === say.order.length;
  if (!stand || drawn.has(drawKey(say))) report("F.408");
}

function onceOnly(state: LedgerState, _: Statement, report: Report): void {
  if (state.gate.lifted) report("F.502");
}

/** The ledger's own `mayLift()` on its own clocks: the second wall. What the statement says of clocks opens nothing, but must not contradict it. */
function throughAnOpenGate(state: LedgerState, say: Say<"lift">, report: Report, { clocks, floor }: JudgeInput): void {
  if (state.gate.lifted) return;
  const here = mayLift(state.gate, clocks ?? { process: null, postgres: null, nats: null }, floor);
  // One that was signed before polls were extended, and kept, would say for ever that the gate opened too early.
  if (here.kind === "closed" || mayLift(state.gate, statedClocks(say)).kind === "closed") report("F.501");
}

function statedClocks({ clocks: { process, postgres, nats } }: Say<"lift">): ClockReadings {
  return { process: Date.parse(process), postgres: Date.parse(postgres), nats: Date.parse(nats) };
}

function afterTheLift(state: LedgerState, _: Statement, report: Report): void {
  if (!state.gate.lifted) report("F.501");
}

function inOrder(state: LedgerState, say: Say<"release">, report: Report): void {
  const { number, size, sha256 } = state.release ?? { number: 0, size: 0, sha256: null };
  if (say.number !== number + 1 || say.previous !== sha256 || say.size <= size) report("F.503");
}
