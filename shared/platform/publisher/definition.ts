import type { Definition } from "../../definition/schema.ts";
import { type Anchor, readDefinition } from "../../definition/validate.ts";
import { firstAuthority, type LogAuthority } from "../../ledger/authority.ts";
import { type Witness, witnessesOf } from "../../ledger/cosignature.ts";
import type { Client } from "./client.ts";
import { Discrepancy, Unreachable } from "./discrepancy.ts";

/** A key of the election authority that the auditor trusts: raw, base64url; with its id if that was given too. */
export interface DefinitionKey {
  id: string | undefined;
  publicKey: string;
}

/** The definition, and everything that follows from it before the log is looked at. */
export interface TrustedDefinition {
  definition: Definition;
  /** As it is served, with the signatures over it. */
  bytes: Buffer;
  signed: Buffer;
  /** SHA-256 of its bytes, hex. */
  hash: string;
  /** Ids of the authority's keys of which the signature was verified. */
  signedBy: string[];
  /** Which of those the auditor brought; empty: the definition is taken on trust. */
  trusted: string[];
  /** Of those keys over the definition: key id and signature, as entry 0 of the log repeats them. */
  signatures: { key: string; signature: string }[];
  authorities: LogAuthority[];
  witnesses: readonly Witness[];
  /** How many of them a checkpoint needs; 0 if the definition names none. */
  quorum: number;
}

const DEFINITION = "/v1/definition";
const SIGNATURES = "/v1/definition/signatures";
const MAX_SIGNATURES_BYTES = 64 * 1024;
/** Every polling station of the Union, 465,000 units, is 12 MB. What makes itself up can sign itself, too: it must fit in little memory. */
const MAX_BYTES = 16 * 1024 * 1024;
/** The list of the authority's keys is read before anything vouches for it. */
const MAX_AUTHORITY_KEYS = 16;
const MAX_AUTHORITY_BYTES = 8 * 1024;
const AUTHORITY = '"authority"';
/** Characters of a reason: it may quote what the publisher wrote. */
const MAX_REASON = 500;

/**
 * Fetches the definition and checks it as every service does: two keys of the authority, strict JSON, shape, no contradiction; and no
 * signature in the authority's name that does not hold. With keys given, all of them must be the authority's and have signed; one alone
 * vouches for the list in which the second signer stands. Without any, the definition's own list is believed.
 */
export async function takeDefinition(client: Client, keys: readonly DefinitionKey[]): Promise<TrustedDefinition> {
  const [bytes, signatures] = await Promise.all([
    fetchOr(client, DEFINITION, MAX_BYTES),
    fetchOr(client, SIGNATURES, MAX_SIGNATURES_BYTES),
  ]);
  const refused = (path: string, what: string) => new Discrepancy("definition.refused", { path }, what);
  if (bytes.length > MAX_BYTES) throw refused(DEFINITION, `${DEFINITION} has more than ${MAX_BYTES} bytes.`);
  const claimed = claimedAuthority(bytes);
  if (claimed.length === 0)
    throw refused(DEFINITION, `${DEFINITION} is no definition: it names no keys of an authority.`);
  const trusted = keys.map((key) => trustedAnchor(key, claimed));
  const signed = jsonOrUndefined(signatures.toString("utf8"));
  const served = detachedParts(signed);
  const absent = trusted.find(({ id }) => !served.some(({ key }) => key === id));
  if (absent !== undefined) throw untrusted(SIGNATURES, `${absent.id}, whose key you trust, has not signed it.`);
  const read = readDefinition(bytes, signed, claimed);
  if (read.kind === "invalid") {
    const [reason] = read.reasons;
    throw refused(DEFINITION, `${reason?.message.slice(0, MAX_REASON) ?? "It is refused."} (${reason?.code})`);
  }
  const { definition, hash, signers } = read;
  const unsigned = trusted.find((anchor) => !signers.some(({ publicKey }) => publicKey === anchor.publicKey));
  if (unsigned !== undefined) throw untrusted(SIGNATURES, `${unsigned.id}, whose key you trust, has not signed it.`);
  const { keys: witnesses, quorum } = witnessesOf(definition);
  return {
    definition,
    bytes,
    signed: signatures,
    hash,
    signedBy: signers.map(({ id }) => id),
    signatures: served.filter(({ key }) => signers.some(({ id }) => id === key)),
    trusted: trusted.map(({ id }) => id),
    authorities: [firstAuthority(definition)],
    witnesses,
    quorum,
  };
}

const untrusted = (path: string, what: string) => new Discrepancy("definition.untrusted", { path }, what);

async function fetchOr(client: Client, path: string, maxBytes: number): Promise<Buffer> {
  const { status, body } = await client.get(path, maxBytes);
  if (status === 200) return body;
  throw new Unreachable(
    `${path} is answered with status ${status}. Is this the address at which the results are published?`,
  );
}

function jsonOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // no JSON has the shape that is asked for
  }
}

/**
 * The keys that the document calls its authority's, before anything vouches for it: only that list is cut out and read, so that whatever else
 * is served takes no memory. A definition that holds in the end has one such list, and it is this one.
 */
function claimedAuthority(bytes: Buffer): Anchor[] {
  // As a name, not as somebody's text.
  const isName = (at: number) => /^"authority"\s*:/.test(bytes.subarray(at, at + 32).toString("latin1"));
  let from = bytes.indexOf(AUTHORITY);
  while (from >= 0 && !isName(from)) from = bytes.indexOf(AUTHORITY, from + AUTHORITY.length);
  if (from < 0) return [];
  const text = bytes.subarray(from, from + MAX_AUTHORITY_BYTES).toString("utf8");
  const document = jsonOrUndefined(`{${text.slice(0, text.indexOf("]") + 1)}}`) as { authority?: unknown } | undefined;
  const list = Array.isArray(document?.authority) ? (document.authority as Partial<Anchor>[]) : [];
  return list.slice(0, MAX_AUTHORITY_KEYS).flatMap((key) => {
    const { id, publicKey } = key ?? {};
    return typeof id === "string" && typeof publicKey === "string" ? [{ id, publicKey }] : [];
  });
}

function trustedAnchor({ id, publicKey }: DefinitionKey, claimed: readonly Anchor[]): Anchor {
  const anchor = claimed.find((key) => key.publicKey === publicKey && (id === undefined || key.id === id));
  if (anchor !== undefined) return anchor;
  const name = id === undefined ? publicKey : `${id}=${publicKey}`;
  throw untrusted(DEFINITION, `The key ${name}, which you trust, is none of the authority's in this definition.`);
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
