import { createHash } from "node:crypto";
import { isOriginDecision } from "../../shared/ledger/authority.ts";
import { hasEndedSigner } from "../../shared/ledger/key-rules.ts";
import type { KeyBook } from "../../shared/ledger/keys.ts";
import type { Buckets, Room } from "../../shared/platform/bounds.ts";
import { Problem } from "../../shared/platform/http.ts";
import { type Authenticity, authenticate, refusalOf, tooFewSigned } from "../../shared/statement/authentic.ts";
import { type Envelope, openEnvelope } from "../../shared/statement/jws.ts";
import type { Statement } from "../../shared/statement/types.ts";
import type { Alarms } from "./alarms.ts";
import type { Recent } from "./limits.ts";

/** A statement that is well formed and authentic. */
export interface Authentic {
  bytes: Uint8Array;
  /** SHA-256 of the bytes, hex. */
  sha256: string;
  statement: Statement;
  /** In the envelope. */
  signatures: number;
  /** Ids of its keys, in the order of their signatures. */
  kids: string[];
  /** One of its keys has been replaced or revoked: nothing new is taken from it. */
  ended: boolean;
}

export interface Door {
  /** The keys of the log, as far as this door knows them. */
  signers: KeyBook;
  /** How many officials of a state must sign. */
  signaturesRequired(state: string): number;
  /** By address and claimed key: charged before any signature is checked. */
  claims: Buckets;
  /** By key: charged by verified statements only. */
  keys: Buckets;
  /** Payloads that their key has been charged for. */
  charged: Recent;
  verifying: Room;
  now(): number;
  /** Told how long each verification took, in seconds. */
  verified(seconds: number): void;
  alarms: Alarms;
}

/** A moment: the thread pool works off a full queue in some milliseconds. */
const BUSY_RETRY_S = 1;

/**
 * The checks of the door, in order, each before the work that it saves. `address` is the sender's, as `addressName` gives it.
 * Throws a Problem for everything that is not authentic or not well formed.
 */
export async function admit(door: Door, bytes: Uint8Array, address: string): Promise<Authentic> {
  if (bytes.length === 0) throw new Problem("statement.empty");
  const opened = openEnvelope(bytes);
  if (opened.kind === "refused") throw new Problem(opened.code);
  const { envelope } = opened;
  try {
    return await admitEnvelope(door, bytes, envelope, address);
  } catch (error) {
    if (error instanceof Problem) door.alarms.refused(error.code, knownKeys(door, envelope), address);
    throw error;
  }
}

/** Of the keys that an envelope claims, those that there are. */
const knownKeys = (door: Door, envelope: Envelope) =>
  envelope.signatures.map(({ kid }) => kid).filter((kid) => door.signers.has(kid));

async function admitEnvelope(door: Door, bytes: Uint8Array, envelope: Envelope, address: string): Promise<Authentic> {
  chargeClaims(door, envelope, address);
  const authenticity = await verify(door, envelope);
  chargeKeys(door, envelope, authenticity);
  if (authenticity.kind === "refused") throw new Problem(authenticity.code, { detail: authenticity.detail });
  const { statement, signers } = authenticity;
  const keys = signers.map(({ key }) => key);
  const refusal = refusalOf(statement, keys);
  if (refusal !== undefined) throw new Problem(refusal);
  if (tooFewSigned(statement, keys, door.signaturesRequired(statement.state))) throw new Problem("signatures.missing");
  if (isOriginDecision(statement)) throw new Problem("decision.origin-at-start");
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const signatures = envelope.signatures.length;
  const kids = keys.map(({ id }) => id);
  return { bytes, sha256, statement, signatures, kids, ended: hasEndedSigner(door.signers, statement, keys) };
}

/** A forger who floods under another's key id spends the share of the own address, never the key's. */
function chargeClaims(door: Door, envelope: Envelope, address: string): void {
  for (const { kid } of envelope.signatures) {
    // Made-up key ids share one bucket: they must not fill the table.
    const name = door.signers.has(kid) ? `${address} ${kid}` : `${address} ?`;
    charge(door.claims.take(name, door.now()));
  }
}

/** Once for each payload: whoever sends another's bytes again spends the own share, not the key's. */
function chargeKeys(door: Door, envelope: Envelope, authenticity: Authenticity): void {
  const held = authenticity.kind === "authentic" ? authenticity.signers : authenticity.held;
  if (held.length === 0) return;
  const payload = createHash("sha256").update(envelope.payload).digest("hex");
  // A newcomer has no share yet, whatever it calls itself: who makes keys up spends the shares of those who sign for them.
  const known = held.filter((signer) => door.signers.get(signer.key.id) === signer);
  if (!door.charged.has(payload)) for (const { key } of known) charge(door.keys.take(key.id, door.now()));
  else for (const { key } of known) door.alarms.repeated(key.id);
  door.charged.add(payload);
}

export function charge(retryAfterSeconds: number | undefined): void {
  if (retryAfterSeconds !== undefined) throw new Problem("rate.exceeded", { retryAfterSeconds });
}

async function verify(door: Door, envelope: Envelope): Promise<Authenticity> {
  const done = door.verifying.take("", envelope.signatures.length);
  if (done === undefined) throw new Problem("service.busy", { retryAfterSeconds: BUSY_RETRY_S });
  const start = performance.now();
  try {
    return await authenticate(envelope, door.signers);
  } finally {
    done();
    door.verified((performance.now() - start) / 1000);
  }
}
