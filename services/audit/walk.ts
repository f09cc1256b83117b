import type { Register } from "../../shared/definition/register.ts";
import type { Release } from "../../shared/formats/release.ts";
import { type HeadBefore, isOriginDecision } from "../../shared/ledger/authority.ts";
import { canonical, type DefinitionEntry, type Entry, type Verdict } from "../../shared/ledger/entry.ts";
import type { KeyBook } from "../../shared/ledger/keys.ts";
import type { Receipt } from "../../shared/ledger/receipt.ts";
import { applyAccepted, createLedgerState, type LedgerState } from "../../shared/ledger/state.ts";
import { TILE_WIDTH } from "../../shared/ledger/tiles.ts";
import type { Client } from "../../shared/platform/publisher/client.ts";
import type { TrustedDefinition } from "../../shared/platform/publisher/definition.ts";
import { Discrepancy, type DiscrepancyCode, type Where } from "../../shared/platform/publisher/discrepancy.ts";
import { requireOrigins } from "../../shared/platform/publisher/origins.ts";
import type { Listed } from "../../shared/platform/publisher/releases.ts";
import { statementAddress } from "../../shared/platform/publisher/tiles.ts";
import { authenticate, type Signer, speaksFor } from "../../shared/statement/authentic.ts";
import type { Statement } from "../../shared/statement/types.ts";
import { createReleaseChain, type ReleaseChain } from "./chain.ts";
import { type BothCounts, createBothCounts } from "./counts.ts";
import type { Figures } from "./figures.ts";
import { createKeptStatements, type KeptStatements } from "./kept.ts";
import { createPerhapsKeys, type PerhapsKeys } from "./perhaps-keys.ts";
import type { SecondOpinion } from "./second.ts";
import { createSequences, type Sequences } from "./sequences.ts";
import type { Spool } from "./spool.ts";
import { judgementsAddress, type OpenedEntry, openEntries } from "./statements.ts";
import type { VerifiedLog } from "./tree.ts";
import { compareVerdicts, type Judged, readJudgement, verdictsOf } from "./verdicts.ts";

export interface WalkSources {
  client: Client;
  spool: Spool;
  log: VerifiedLog;
  trusted: TrustedDefinition;
  register: Register;
  /** The releases as they were listed when the audit began; empty before the lift. */
  list: readonly Listed[];
  /** Receipts that were brought, by the index of their entry. */
  receipts: ReadonlyMap<number, { file: string; receipt: Receipt }[]>;
  second: SecondOpinion;
  /** Whether the signatures of an entry are verified by the second implementation, too. */
  isDrawn(index: number): boolean;
  figures: Figures;
  progress(entries: number): void;
  patienceMs: number;
  signal: AbortSignal;
}

/** What the log says of the night, once all of it holds. */
export interface WalkedLog {
  /** The last release, as it was counted again; undefined before the first. */
  last: Release | undefined;
  lift: { index: number; received: string } | undefined;
  /** States of which statements are withheld, with how many. */
  withheld: ReadonlyMap<string, number>;
  keys: KeyBook;
  sequences: Sequences;
}

/** Everything that grows from entry to entry. */
interface Walk {
  sources: WalkSources;
  openedTo: number;
  state: LedgerState;
  sequences: Sequences;
  perhaps: PerhapsKeys;
  counts: BothCounts;
  chain: ReleaseChain;
  kept: KeptStatements;
  /** Statements by state, the first of each, and the states alone. */
  withheld: Map<string, number>;
  withheldFirst: Map<string, Where>;
  withheldStates: Set<string>;
  lastReceived: string;
  lift: WalkedLog["lift"];
}

/**
 * Goes through the log once, from entry 0 to the checkpoint, and checks each entry with everything that is open of it: what it says of its
 * statement, every signature, the verdict by the rules as of that entry, and each release at the size that it counts. Throws
 * Discrepancy at the first that is wrong.
 */
export async function walkLog(sources: WalkSources): Promise<WalkedLog> {
  const walk = beginWalk(sources);
  const { client, spool, log, patienceMs, signal } = sources;
  const { openedTo, state, kept } = walk;
  try {
    const opening = { client, spool, log, openedTo, signers: state.keys, patienceMs, signal };
    for await (const opened of openEntries(opening)) {
      await takeEntry(walk, opened);
      sources.progress(opened.index + 1);
    }
    await kept.finish();
    requireOrigins(state.authorities, sources.trusted.authorities);
    await walk.chain.finish();
    await requireHolds(walk);
    const { lift, withheld, sequences } = walk;
    return { last: walk.chain.last(), lift, withheld, keys: state.keys, sequences };
  } finally {
    await kept.discard();
  }
}

function beginWalk(sources: WalkSources): Walk {
  const { trusted, register, list, spool, log, client, figures, patienceMs, signal } = sources;
  const { definition, hash } = trusted;
  const kept = createKeptStatements(spool, log);
  const counts = createBothCounts(definition, hash, (size) => kept.replay(size));
  const withheldStates = new Set<string>();
  const chainSources = { client, trusted, log, list, counts, withheld: withheldStates, figures, patienceMs, signal };
  const state = createLedgerState(definition, register);
  return {
    sources,
    openedTo: list.at(-1)?.size ?? 0,
    state,
    sequences: createSequences(),
    perhaps: createPerhapsKeys(state.keys),
    counts,
    chain: createReleaseChain(chainSources),
    kept,
    withheld: new Map(),
    withheldFirst: new Map(),
    withheldStates,
    lastReceived: "",
    lift: undefined,
  };
}

async function takeEntry(walk: Walk, opened: OpenedEntry): Promise<void> {
  const { index, entry } = opened;
  if (entry.received < walk.lastReceived) {
    const what = `Entry ${index} was received at ${entry.received}, the one before it at ${walk.lastReceived}.`;
    throw new Discrepancy("entry.received", { index }, what);
  }
  walk.lastReceived = entry.received;
  const taken =
    entry.type === "definition" ? takeDefinitionEntry(walk, entry) : await takeStatementEntry(walk, entry, opened);
  const jws = opened.statement?.kind === "open" ? opened.statement.jws : new Uint8Array();
  await walk.kept.keep(index, jws, taken.verdict === "accepted");
  if (index < walk.openedTo) walk.counts.take({ index, received: entry.received, ...taken });
  await walk.chain.reached(index + 1, entry.received);
  walk.sources.figures.entries = index + 1;
}

/** What becomes of an entry for both counts. */
interface Taken {
  statement: Statement | null;
  verdict: Verdict["verdict"];
  signers: string[];
}

const NO_VERDICT: Verdict = { verdict: "quarantined", findings: [] };
const NOTHING: Taken = { statement: null, verdict: "quarantined", signers: [] };

function takeDefinitionEntry({ sources }: Walk, entry: DefinitionEntry): Taken {
  const { trusted } = sources;
  const wrong = (what: string) => new Discrepancy("definition.not-of-log", { index: 0 }, what);
  if (entry.definition !== trusted.hash)
    throw wrong(`Entry 0 names the definition ${entry.definition}; published is ${trusted.hash}.`);
  const served = new Set(trusted.signatures.map(({ key, signature }) => `${key} ${signature}`));
  const other = entry.signatures.find(({ key, signature }) => !served.has(`${key} ${signature}`));
  if (other !== undefined || entry.signatures.length === 0)
    throw wrong(`Entry 0 names a signature of the definition by ${other?.key ?? "nobody"} that is not published.`);
  return { ...NOTHING, verdict: "accepted" };
}

async function takeStatementEntry(walk: Walk, entry: Entry, opened: OpenedEntry): Promise<Taken> {
  const { figures } = walk.sources;
  const { statement: found } = opened;
  if (found?.kind !== "open") {
    if (found?.kind === "withheld") withhold(walk, entry, statementAddress(entry.statement));
    figures.statements[found?.kind ?? "closed"]++;
    // Whether it was signed for this election is not open.
    walk.sequences.mayUse(entry.key, entry.sequence);
    return NOTHING;
  }
  const { envelope } = found;
  const known = await walk.perhaps.signersOf(envelope, entry);
  // Keys that entries before this one brought may not have been known when its signatures were verified ahead.
  const isSettled = found.authenticity.kind === "authentic" && entry.type !== "key" && known === walk.state.keys;
  const authenticity = isSettled ? found.authenticity : await authenticate(envelope, known);
  if (authenticity.kind === "refused") throw notAuthentic(entry, authenticity.code, authenticity.detail);
  const { statement, signers } = authenticity;
  figures.statements.open++;
  figures.signatures.first += signers.length;
  if (walk.sources.isDrawn(entry.index)) await verifyAgain(walk, entry.index, envelope.signatures, signers);
  compareWithEntry(entry, statement, signers);
  const head = isOriginDecision(statement) ? await headBefore(walk.sources.log, entry.index) : undefined;
  const judged = { entry, statement, signers: signers.map(({ key }) => key), head };
  const settled = settleVerdict(walk, judged, opened.judgement);
  const { verdict } = settled;
  compareReceipts(walk, entry, statement);
  apply(walk, judged, settled);
  if (verdict === "quarantined") walk.perhaps.bring(statement, signers);
  return { statement, verdict, signers: signers.map(({ key }) => key.id) };
}

async function headBefore(log: VerifiedLog, size: number): Promise<HeadBefore> {
  return { size, root: Buffer.from(await log.rootAt(size)).toString("base64") };
}

/** `path`: what is answered there is that it is withheld. */
function withhold(
  { withheld, withheldFirst, withheldStates, sources }: Walk,
  { index, state }: Entry,
  path: string,
): void {
  withheld.set(state, (withheld.get(state) ?? 0) + 1);
  if (!withheldFirst.has(state)) withheldFirst.set(state, { path, index });
  withheldStates.add(state);
  sources.figures.verdicts.withheld++;
}

function notAuthentic({ index, state, statement }: Entry, code: string, detail: string | undefined): Discrepancy {
  const isSignature = code === "signature.invalid" || code === "key.unknown";
  const found: DiscrepancyCode = isSignature ? "statement.signature" : "statement.envelope";
  const what = `The statement of entry ${index} is not authentic: ${code}.${detail === undefined ? "" : ` ${detail}`}`;
  const whose = state === "EU" ? "whoever signed it for the Union" : `the office of ${state}`;
  return new Discrepancy(
    found,
    { path: statementAddress(statement), index },
    what,
    `${whose}, and the operator of the ledger, who let it in`,
  );
}

async function verifyAgain(
  { sources: { second, figures } }: Walk,
  index: number,
  signatures: readonly { signed: Uint8Array; signature: Uint8Array }[],
  signers: readonly Signer[],
): Promise<void> {
  for (const [n, { signed, signature }] of signatures.entries())
    await second.check(index, { signed, signature, publicKey: (signers[n] as Signer).verify.raw });
  figures.signatures.second += signatures.length;
}

/** The public line says of the statement exactly what the statement says of itself. */
function compareWithEntry(entry: Entry, statement: Statement, [first]: readonly [Signer, ...Signer[]]): void {
  const said: Partial<Record<keyof Entry, string | number>> = {
    type: statement.type,
    key: first.key.id,
    state: speaksFor(first.key),
    sequence: statement.sequence,
    units: statement.type === "tally" ? statement.tallies.length : 0,
  };
  for (const [name, value] of Object.entries(said) as [keyof Entry, string | number][]) {
    if (entry[name] === value) continue;
    const what = `Entry ${entry.index} says ${name} ${entry[name]}; its statement says ${value}.`;
    throw new Discrepancy("entry.differs", { path: statementAddress(entry.statement), index: entry.index }, what);
  }
}

/**
 * The ledger's verdict, compared with those that the rules allow. Where the ledger's is not open yet, the first of the rules' stands in for it:
 * of statements that hold no figures, what is closed can change it only by the number that it has, but for declarations.
 */
function settleVerdict(walk: Walk, judged: Judged, line: string | undefined): Verdict {
  const { entry, statement } = judged;
  const { figures } = walk.sources;
  const rules = verdictsOf(walk.state, walk.sequences, judged);
  const path = judgementsAddress(Math.floor(entry.index / TILE_WIDTH));
  const ledger = line === undefined ? undefined : readJudgement(line, entry, path);
  if (ledger === undefined) {
    if (line !== undefined) withhold(walk, entry, path);
    else figures.foreseen++;
    if (rules.length > 1) walk.perhaps.doubt();
    return statement.type === "declaration" || !walk.perhaps.canFollow(judged) ? NO_VERDICT : rules[0];
  }
  // Whether all units of a state are in cannot be told while its tallies are withheld.
  const isComparable = statement.type !== "declaration" || !walk.withheldStates.has(entry.state);
  if (isComparable) compareVerdicts(walk.state, judged, rules, ledger);
  figures.verdicts.checked += isComparable ? 1 : 0;
  figures.verdicts[ledger.verdict]++;
  return ledger;
}

function compareReceipts({ sources }: Walk, { index }: Entry, statement: Statement): void {
  for (const { file, receipt } of sources.receipts.get(index) ?? [])
    if (canonical(receipt.statement) !== canonical(statement))
      throw new Discrepancy(
        "receipt.differs",
        { path: file, index },
        `The statement in the receipt is another one than entry ${index} has.`,
      );
}

function apply(walk: Walk, { entry, statement }: Judged, { verdict, findings }: Verdict): void {
  const { state, sequences, sources } = walk;
  if (findings.some(({ code }) => code === "F.102")) sources.figures.equivocations++;
  if (statement.definition === state.register.hash) sequences.use(entry.key, entry.sequence);
  if (verdict !== "accepted") return;
  applyAccepted(state, statement, entry);
  const { index, received } = entry;
  if (statement.type === "lift") walk.lift ??= { index, received };
  if (statement.type === "release") walk.chain.announced(statement, index);
  if (statement.type === "key") {
    const changed = { rotate: "rotated", revoke: "revoked", enrol: "enrolled" } as const;
    sources.figures.keys[changed[statement.change]]++;
  }
}

/** Only a hold withholds: one that the last release shows, or one that the log has put in force since. */
async function requireHolds({ state, withheldFirst, chain }: Walk): Promise<void> {
  for (const [id, where] of withheldFirst) {
    const shown = chain.last()?.states.find((found) => found.state === id);
    if (shown?.withheld || state.gate.held.has(id)) continue;
    const what = `Statements of ${id} are withheld, and the log has no hold on ${id} in force. Run the audit again; it may have come this moment.`;
    throw new Discrepancy("withheld.no-hold", where, what);
  }
}
