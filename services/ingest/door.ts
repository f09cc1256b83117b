import { createHash } from "node:crypto";
import { Problem } from "../../shared/platform/http.ts";
import {
  claimedSigners,
  refusalOf,
  type Signer,
  signaturesHold,
  tooFewSigned,
} from "../../shared/statement/authentic.ts";
import { type Envelope, openEnvelope } from "../../shared/statement/jws.ts";
import { readStatement } from "../../shared/statement/read.ts";
import type { Statement } from "../../shared/statement/types.ts";
import type { Buckets, Recent, Room } from "./limits.ts";

/** A statement that is well formed and authentic. */
export interface Authentic {
  bytes: Uint8Array;
  /** SHA-256 of the bytes, hex. */
  sha256: string;
  statement: Statement;
}

export interface Door {
  signers: ReadonlyMap<string, Signer>;
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
  chargeClaims(door, envelope, address);
  const claimed = claimedSigners(envelope, door.signers);
  if (claimed === undefined) throw new Problem("key.unknown");
  await verify(door, envelope, claimed);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  // Once for each payload: whoever sends another's bytes again spends the own share, not the key's.
  const payload = createHash("sha256").update(envelope.payload).digest("hex");
  if (!door.charged.has(payload)) for (const { key } of claimed) charge(door.keys.take(key.id, door.now()));
  door.charged.add(payload);
  // Only now: what nobody signed for is not worth parsing.
  const read = readStatement(envelope.payload);
  if (read.kind === "refused") throw new Problem(read.code, { detail: read.detail });
  const { statement } = read;
  const keys = claimed.map(({ key }) => key);
  const refusal = refusalOf(statement, keys);
  if (refusal !== undefined) throw new Problem(refusal);
  if (tooFewSigned(statement, keys, door.signaturesRequired(statement.state))) throw new Problem("signatures.missing");
  return { bytes, sha256, statement };
}

/** A forger who floods under another's key id spends the share of the own address, never the key's. */
function chargeClaims(door: Door, envelope: Envelope, address: string): void {
  for (const { kid } of envelope.signatures) {
    // Made-up key ids share one bucket: they must not fill the table.
    const name = door.signers.has(kid) ? `${address} ${kid}` : `${address} ?`;
    charge(door.claims.take(name, door.now()));
  }
}

export function charge(retryAfterSeconds: number | undefined): void {
  if (retryAfterSeconds !== undefined) throw new Problem("rate.exceeded", { retryAfterSeconds });
}

async function verify(door: Door, envelope: Envelope, claimed: Signer[]): Promise<void> {
  const done = door.verifying.take("", claimed.length);
  if (done === undefined) throw new Problem("service.busy", { retryAfterSeconds: BUSY_RETRY_S });
  const start = performance.now();
  try {
    if (!(await signaturesHold(envelope, claimed))) throw new Problem("signature.invalid");
  } finally {
    done();
    door.verified((performance.now() - start) / 1000);
  }
}
