import { createHash } from "node:crypto";
import type { Pool } from "pg";
import { type ClockReadings, mayLift } from "../../shared/embargo/gate.ts";
import type { Road } from "../../shared/embargo/road.ts";
import { canonical } from "../../shared/ledger/entry.ts";
import type { LookAtClocks } from "../../shared/platform/clock-readings.ts";
import type { RaiseIncident } from "../../shared/platform/incidents.ts";
import type { ReleaseId } from "../../shared/platform/release-seal.ts";
import type { VaultKeys } from "../../shared/platform/vault-keys.ts";
import { type VerifyKey, verifySignature } from "../../shared/statement/ed25519.ts";
import { compactEnvelope, generalEnvelope } from "../../shared/statement/jws.ts";
import { readStatement } from "../../shared/statement/read.ts";
import type { Statement } from "../../shared/statement/types.ts";
import { openClocks } from "./gate.ts";
import type { AgreedRelease, ReleaseMemory } from "./releases.ts";
import { insertProposal, type StoredProposal, selectCosignature, selectProposals } from "./store.ts";

/**
 * The system's own statements on their way into the log: proposed here, cosigned by recount, posted at the door like
 * everyone's. One at a time, each under the next sequence of this service's key. A proposal that was stored is never replaced by
 * another one that could be posted beside it: after a restart the same bytes are sent again until the log holds them. One is given up
 * only when it cannot be posted any more, whoever wants it: where recount's signature would lie, something else lies for good.
 */

type Own = Extract<Statement, { type: "lift" | "release" }>;

export interface Proposal extends StoredProposal {
  statement: Own;
}

export interface ProposalSources {
  pool: Pool;
  hash: string;
  keys: VaultKeys;
  recountKeys: ReadonlyMap<string, VerifyKey>;
  lookAtClocks: LookAtClocks;
  /** Milliseconds since the epoch. */
  now: () => number;
  /** 16 random bytes. */
  nonce: () => Uint8Array;
  /** Takes bytes to the door, again and again if need be; does not wait. */
  post: (jws: string) => void;
  raise: RaiseIncident;
  /** Tells recount that a release waits for its signature; only a hint. */
  hint: (id: ReleaseId) => void;
}

export interface ProposalMemory {
  pending: Proposal | null;
  /** False until stored proposals were looked up once. */
  loaded: boolean;
  /** Steady ms of the last release proposed, or of the last proposal refused by the ledger or given up. */
  atMs: number;
}

export const noProposals = (): ProposalMemory => ({ pending: null, loaded: false, atMs: -Infinity });

/** Between two releases, and after a proposal that the ledger quarantined or that was given up. */
const PROPOSAL_GAP_MS = 1_000;

/** Moves on whatever is to be moved: settles, posts or withdraws what is pending, or proposes what comes next. */
export async function travel(
  road: Road,
  memory: ProposalMemory,
  releases: ReleaseMemory,
  sources: ProposalSources,
  steadyMs: number,
): Promise<void> {
  if (!memory.loaded) {
    memory.pending = await pendingOf(road, sources);
    memory.loaded = true;
  }
  if (memory.pending !== null) await moveOn(memory.pending, road, memory, sources, steadyMs);
  if (memory.pending !== null || steadyMs - memory.atMs < PROPOSAL_GAP_MS) return;
  const statement = await next(road, releases, sources);
  if (statement === undefined) return;
  memory.pending = await propose(statement, sources);
  if (statement.type === "release") memory.atMs = steadyMs;
}

const nextSequence = (road: Road, kid: string) => (road.sequences[kid] ?? 0) + 1;

/**
 * The stored proposal that the log does not hold yet and that may still be posted; of several (a lift that was withdrawn) the one
 * issued last. All are looked at: whoever has this service's password can write more, and must not hide it behind them.
 */
async function pendingOf(road: Road, sources: ProposalSources): Promise<Proposal | null> {
  let last: Proposal | null = null;
  for await (const stored of selectProposals(sources.pool)) {
    const statement = ownStatement(stored);
    if (statement === undefined || statement.sequence < nextSequence(road, sources.keys.kid)) continue;
    if (last !== null && statement.issued <= last.statement.issued) continue;
    if (!signedHere(stored, sources.keys) || (await cosignedBy(stored, sources)) === "never") continue;
    last = { ...stored, statement };
  }
  return last;
}

function ownStatement({ payload, type }: StoredProposal): Own | undefined {
  const read = readStatement(payload);
  if (read.kind !== "statement" || read.statement.type !== type) return undefined;
  return read.statement as Own;
}

function signedHere({ sha256, payload, signature }: StoredProposal, { kid, own }: VaultKeys): boolean {
  const hash = createHash("sha256").update(payload).digest();
  return Buffer.compare(hash, sha256) === 0 && verifySignature(compactEnvelope(kid, payload).signed, signature, own);
}

async function moveOn(
  pending: Proposal,
  road: Road,
  memory: ProposalMemory,
  sources: ProposalSources,
  steadyMs: number,
): Promise<void> {
  if (pending.statement.sequence < nextSequence(road, sources.keys.kid)) {
    memory.pending = null;
    if (holds(road, pending.statement)) return;
    memory.atMs = steadyMs;
    await sources.raise({ code: `${pending.type}.quarantined`, about: String(pending.statement.sequence) });
    return;
  }
  const cosigned = await cosignedBy(pending, sources);
  if (cosigned === "never") {
    memory.pending = null;
    memory.atMs = steadyMs;
    await sources.raise({ code: "cosignature.broken", about: `${pending.type} ${pending.statement.sequence}` });
    return;
  }
  if (cosigned === undefined) {
    // Polls were extended after the clocks were read: no one will sign that, and nobody has.
    if (pending.statement.type === "lift" && mayLift(road.facts, statedClocks(pending.statement)).kind === "closed")
      memory.pending = null;
    return;
  }
  const { statement } = pending;
  const open =
    statement.type === "lift"
      ? (await openClocks(road.facts, sources.now(), sources.lookAtClocks)) !== undefined
      : road.lift !== null;
  const own = compactEnvelope(sources.keys.kid, pending.payload).assemble(pending.signature);
  // Always the same bytes for the same proposal, for Ed25519 is deterministic: sent again, they get the same receipt.
  if (open) sources.post(generalEnvelope([own, cosigned]));
}

function holds(road: Road, statement: Own): boolean {
  if (statement.type === "lift") return road.lift !== null;
  return road.releases.some(({ number, release }) => number === statement.number && release === statement.release);
}

/** The clock readings that a lift states, in ms. */
export function statedClocks({ clocks }: Extract<Statement, { type: "lift" }>): ClockReadings {
  return {
    process: Date.parse(clocks.process),
    postgres: Date.parse(clocks.postgres),
    nats: Date.parse(clocks.nats),
  };
}

/**
 * recount's envelope; undefined while it has not signed; "never" if what lies in the signature's place is not one. That row can neither
 * be changed nor joined by another, not even by recount: the proposal will never be posted, and another may take its place.
 */
async function cosignedBy(
  { sha256, payload }: StoredProposal,
  { pool, recountKeys }: ProposalSources,
): Promise<string | "never" | undefined> {
  const signature = await selectCosignature(pool, sha256);
  return signature && (cosignedEnvelope(payload, signature, recountKeys) ?? "never");
}

/** recount's signature in its envelope, under whichever of its keys it holds; undefined if under none. */
function cosignedEnvelope(
  payload: Uint8Array,
  signature: Uint8Array,
  recountKeys: ReadonlyMap<string, VerifyKey>,
): string | undefined {
  for (const [kid, key] of recountKeys) {
    const envelope = compactEnvelope(kid, payload);
    if (verifySignature(envelope.signed, signature, key)) return envelope.assemble(signature);
  }
  return undefined;
}

/** What is to be said next; undefined while there is nothing, or while the gate is shut. */
async function next(road: Road, releases: ReleaseMemory, sources: ProposalSources): Promise<Own | undefined> {
  const common = () => ({
    definition: sources.hash,
    state: "EU",
    sequence: nextSequence(road, sources.keys.kid),
    nonce: Buffer.from(sources.nonce()).toString("base64url"),
    issued: new Date(sources.now()).toISOString(),
  });
  if (road.lift === null) {
    const clocks = await openClocks(road.facts, sources.now(), sources.lookAtClocks);
    return clocks === undefined ? undefined : { type: "lift", ...common(), clocks: clocksAsText(clocks) };
  }
  const last = road.releases.at(-1);
  const { agreed } = releases;
  if (agreed === null || !follows(agreed, last)) return undefined;
  // A release whose key was not given yet is not followed by another: shares never pile up.
  if (last !== undefined && (releases.lastShare ?? 0) < last.number) return undefined;
  const { number, size, root, sha256, previous } = agreed;
  return { type: "release", ...common(), number, size, root, release: sha256, previous };
}

function follows(agreed: AgreedRelease, last: Road["releases"][number] | undefined): boolean {
  return (
    agreed.number === (last?.number ?? 0) + 1 &&
    agreed.previous === (last?.release ?? null) &&
    agreed.size > (last?.size ?? 0)
  );
}

function clocksAsText({ process, postgres, nats }: ClockReadings) {
  const text = (ms: number | null) => new Date(ms ?? Number.NaN).toISOString();
  return { process: text(process), postgres: text(postgres), nats: text(nats) };
}

async function propose(statement: Own, sources: ProposalSources): Promise<Proposal> {
  const payload = Buffer.from(canonical(statement), "utf8");
  const signature = sources.keys.sign(compactEnvelope(sources.keys.kid, payload).signed);
  const sha256 = createHash("sha256").update(payload).digest();
  const proposal: Proposal = { sha256, type: statement.type, payload, signature, statement };
  await insertProposal(sources.pool, proposal);
  if (statement.type === "release") sources.hint({ number: statement.number, size: statement.size });
  return proposal;
}
