import type { Definition } from "../../shared/definition/schema.ts";
import { type Anchor, MAX_DEFINITION_BYTES, readDefinition } from "../../shared/definition/validate.ts";
import { firstAuthority, type LogAuthority } from "../../shared/ledger/authority.ts";
import type { Witness } from "../../shared/ledger/cosignature.ts";
import { verifyKeyOf } from "../../shared/statement/authentic.ts";
import { Discrepancy, Unreachable } from "./discrepancy.ts";
import type { Client } from "./http.ts";

/** A key of the election authority that the auditor trusts: raw, base64url; with its id if that was given too. */
export interface DefinitionKey {
  id: string | undefined;
  publicKey: string;
}

/** The definition, and everything that follows from it before the log is looked at. */
export interface TrustedDefinition {
  definition: Definition;
  /** SHA-256 of its bytes, hex. */
  hash: string;
  /** Ids of the authority's keys that have signed it. */
  signedBy: string[];
  /** Which of those the auditor brought; empty: the definition is taken on trust. */
  trusted: string[];
  /** Of the definition, as they are served: key id and signature, as entry 0 of the log repeats them. */
  signatures: { key: string; signature: string }[];
  authorities: LogAuthority[];
  witnesses: Witness[];
  /** How many of them a checkpoint needs; 0 if the definition names none. */
  quorum: number;
}

const DEFINITION = "/v1/definition";
const SIGNATURES = "/v1/definition/signatures";
const MAX_SIGNATURES_BYTES = 64 * 1024;

/**
 * Fetches the definition and checks it as every service does: two keys of the authority, strict JSON, shape, no contradiction. With keys
 * given, all of them must be the authority's and have signed; one alone vouches for the list in which the second signer stands.
 * Without any, the definition's own list is believed.
 */
export async function takeDefinition(client: Client, keys: readonly DefinitionKey[]): Promise<TrustedDefinition> {
  const [bytes, signatures] = await Promise.all([
    fetchOr(client, DEFINITION, MAX_DEFINITION_BYTES),
    fetchOr(client, SIGNATURES, MAX_SIGNATURES_BYTES),
  ]);
  const claimed = claimedAuthority(bytes);
  const trusted = keys.map((key) => trustedAnchor(key, claimed));
  const signed = parsed(signatures, SIGNATURES);
  const read = readAs(bytes, signed, trusted, claimed);
  if (read.kind === "invalid") {
    const [reason] = read.reasons;
    throw new Discrepancy(
      "definition.refused",
      { path: DEFINITION },
      `${reason?.message ?? "It is refused."} (${reason?.code})`,
    );
  }
  const { definition, hash } = read;
  const served = detachedParts(signed);
  return {
    definition,
    hash,
    signedBy: definition.authority.map(({ id }) => id).filter((id) => served.some(({ key }) => key === id)),
    signatures: served,
    trusted: trusted.map(({ id }) => id),
    authorities: [firstAuthority(definition)],
    witnesses: witnessesOf(definition),
    quorum: definition.witnesses?.quorum ?? 0,
  };
}

async function fetchOr(client: Client, path: string, maxBytes: number): Promise<Buffer> {
  const { status, body } = await client.get(path, maxBytes);
  if (status === 200) return body;
  throw new Unreachable(
    `${path} is answered with status ${status}. Is this the address at which the results are published?`,
  );
}

function parsed(bytes: Buffer, path: string): unknown {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    throw new Discrepancy("definition.refused", { path }, `${path} is not JSON.`);
  }
}

/** The keys that the document calls its authority's, before anything vouches for it. */
function claimedAuthority(bytes: Buffer): Anchor[] {
  const document = parsed(bytes, DEFINITION) as { authority?: unknown } | null;
  const list = Array.isArray(document?.authority) ? (document.authority as Partial<Anchor>[]) : [];
  return list.flatMap((key) => {
    const { id, publicKey } = key ?? {};
    return typeof id === "string" && typeof publicKey === "string" ? [{ id, publicKey }] : [];
  });
}

function trustedAnchor({ id, publicKey }: DefinitionKey, claimed: readonly Anchor[]): Anchor {
  const anchor = claimed.find((key) => key.publicKey === publicKey && (id === undefined || key.id === id));
  if (anchor !== undefined) return anchor;
  const name = id === undefined ? publicKey : `${id}=${publicKey}`;
  const what = `The key ${name}, which you trust, is none of the authority's in this definition.`;
  throw new Discrepancy("definition.untrusted", { path: DEFINITION }, what);
}

function readAs(bytes: Buffer, signatures: unknown, trusted: readonly Anchor[], claimed: readonly Anchor[]) {
  const [only, ...more] = trusted;
  if (only === undefined) return readDefinition(bytes, signatures, claimed);
  const kids = detachedParts(signatures).map(({ key }) => key);
  for (const { id } of trusted)
    if (!kids.includes(id))
      throw new Discrepancy(
        "definition.untrusted",
        { path: SIGNATURES },
        `${id}, whose key you trust, has not signed it.`,
      );
  if (more.length > 0) return readDefinition(bytes, signatures, trusted);
  const second = claimed.find(({ id }) => id !== only.id && kids.includes(id));
  return readDefinition(bytes, signatures, second === undefined ? [only] : [only, second]);
}

/** Who the detached signatures say that they are by, and what they are. Whether they hold is `readDefinition`'s question. */
function detachedParts(signatures: unknown): { key: string; signature: string }[] {
  const list = (signatures as { signatures?: unknown } | null)?.signatures;
  return (Array.isArray(list) ? list : []).flatMap((part: unknown) => {
    const { protected: header, signature } = (part ?? {}) as { protected?: unknown; signature?: unknown };
    const text = typeof header === "string" ? Buffer.from(header, "base64url").toString("utf8") : "";
    const key = /"kid":"([^"]{1,64})"/.exec(text)?.[1];
    return key === undefined || typeof signature !== "string" ? [] : [{ key, signature }];
  });
}

function witnessesOf({ witnesses }: Definition): Witness[] {
  return (witnesses?.keys ?? []).map(({ name, publicKey }) => {
    const key = verifyKeyOf(publicKey);
    if (key === undefined) throw new RangeError(`a valid definition has no such key of a witness: ${publicKey}`);
    return { name, publicKey: key };
  });
}
