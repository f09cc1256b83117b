import { createHash } from "node:crypto";
import type { MsgHdrs } from "nats";
import type { Key } from "../../shared/definition/schema.ts";
import { isOriginDecision } from "../../shared/ledger/authority.ts";
import { type Keyring, open, SealBroken } from "../../shared/platform/seal.ts";
import { authenticate, type Signers } from "../../shared/statement/authentic.ts";
import { decodeBase64url, openEnvelope } from "../../shared/statement/jws.ts";
import type { Statement } from "../../shared/statement/types.ts";

/** A data key as it came with a statement, opened. */
export interface StatementKey {
  /** 16 bytes. */
  id: Buffer;
  wrapped: Buffer;
  key: Uint8Array;
}

/** An authentic statement, opened, with everything that is kept of it. */
export interface Authentic {
  kind: "authentic";
  /** The JWS as received. */
  bytes: Uint8Array;
  sha256: Buffer;
  /** SHA-256 of the payload: with key and sequence the identity of a statement. */
  payload: Buffer;
  statement: Statement;
  /** In the order of the envelope; the first one's sequence it is. */
  signers: [Key, ...Key[]];
  dataKey: StatementKey;
  sealed: Uint8Array;
}

/** `why` names the check that failed; it holds nothing of the content. */
export type Opened = Authentic | { kind: "forged"; why: string };

/** True for what may yet turn out to be authentic: one of its keys is none that the opener knew. */
export const isStranger = (opened: Opened): boolean => opened.kind === "forged" && opened.why === "key.unknown";

export interface Opener {
  signers: Signers;
  keyring: Keyring;
}

const forged = (why: string): Opened => ({ kind: "forged", why });
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest();

/**
 * Opens what the bus brought and checks all of it again: whoever can write to the bus could have made this up. Seal, hash,
 * envelope, every signature, form. Rejects only for what is broken on our own side.
 */
export async function openDelivery(
  delivery: { headers?: MsgHdrs; data: Uint8Array },
  { signers, keyring }: Opener,
): Promise<Opened> {
  const head = readHeaders(delivery.headers);
  if (head === undefined) return forged("headers");
  const unsealed = await unseal(head, delivery.data, keyring);
  if (unsealed === undefined) return forged("seal");
  const { bytes, key } = unsealed;
  const hash = sha256(bytes);
  if (hash.toString("hex") !== head.sha256) return forged("hash");
  const opened = openEnvelope(bytes);
  if (opened.kind === "refused") return forged(opened.code);
  const authenticity = await authenticate(opened.envelope, signers);
  if (authenticity.kind === "refused") return forged(authenticity.code);
  // No door lets it in: it is given to the ledger at its start.
  if (isOriginDecision(authenticity.statement)) return forged("decision.origin-at-start");
  return {
    kind: "authentic",
    bytes,
    sha256: hash,
    payload: sha256(opened.envelope.payload),
    statement: authenticity.statement,
    signers: authenticity.signers.map((signer) => signer.key) as [Key, ...Key[]],
    dataKey: { id: head.id, wrapped: head.wrapped, key },
    sealed: delivery.data,
  };
}

interface Head {
  sha256: string;
  id: Buffer;
  wrapped: Buffer;
}

function readHeaders(headers: MsgHdrs | undefined): Head | undefined {
  const hash = headers?.get("Nats-Msg-Id") ?? "";
  const id = headers?.get("Scrutin-Key") ?? "";
  const wrapped = decodeBase64url(headers?.get("Scrutin-Wrapped") ?? "");
  if (!/^[0-9a-f]{64}$/.test(hash) || !/^[0-9a-f]{32}$/.test(id) || wrapped === undefined) return undefined;
  return { sha256: hash, id: Buffer.from(id, "hex"), wrapped: Buffer.from(wrapped) };
}

async function unseal(head: Head, sealed: Uint8Array, keyring: Keyring) {
  try {
    const key = await keyring.unwrap(head.id.toString("hex"), head.wrapped);
    return { key, bytes: open(key, "statement", head.sha256, sealed) };
  } catch (error) {
    if (error instanceof SealBroken) return undefined;
    throw error;
  }
}

/** Where the receipt goes: only ever to a receipt subject, whatever the message says. */
export function replySubject(headers: MsgHdrs | undefined): string | undefined {
  const subject = headers?.get("Scrutin-Reply") ?? "";
  return /^receipt\.[A-Za-z0-9_-]{1,64}$/.test(subject) ? subject : undefined;
}
