import nacl from "tweetnacl";

/** A trustee's decision as a statement, and its signatures (JWS general JSON, RFC 7515 7.2.1; Ed25519, RFC 8037). */

export interface Decision {
  decision: "hold" | "resume" | "override";
  /** A state, or EU. */
  about: string;
  reason: string;
}

export interface OwnKey {
  kid: string;
  secretKey: Uint8Array;
}

/** What is signed, by whom, and the bytes as they are saved and sent. */
export interface Envelope {
  statement: Decision & Record<string, unknown>;
  signers: string[];
  text: string;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

function base64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}

function fromBase64url(text: string): Uint8Array {
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));
}

/** Reads a private key (JWK, RFC 8037). Throws an Error that quotes nothing of it. */
export function readKey(text: string): OwnKey {
  const none = new Error("This file is no private Ed25519 key as a JWK with its kid.");
  try {
    const { kty, crv, kid, d, x } = JSON.parse(text) as Record<string, string>;
    if (kty !== "OKP" || crv !== "Ed25519" || !kid || !d) throw none;
    const { secretKey, publicKey } = nacl.sign.keyPair.fromSeed(fromBase64url(d));
    if (x !== undefined && x !== base64url(publicKey)) throw none;
    return { kid, secretKey };
  } catch {
    throw none;
  }
}

interface Signed {
  payload: string;
  signatures: { protected: string; signature: string }[];
}

/** A decision without a signature yet. `definition`: its hash; `sequence`: the first number that the key has not used. */
export function writeDecision({ decision, about, reason }: Decision, definition: string, sequence: number): Envelope {
  const statement = {
    type: "decision",
    definition,
    state: "EU",
    sequence,
    nonce: base64url(crypto.getRandomValues(new Uint8Array(16))),
    issued: `${new Date().toISOString().slice(0, 19)}Z`,
    decision,
    about,
    reason,
  };
  const payload = base64url(encoder.encode(JSON.stringify(statement)));
  return { statement, signers: [], text: JSON.stringify({ payload, signatures: [] } satisfies Signed) };
}

/** The same with one more signature. */
export function addSignature({ statement, signers, text }: Envelope, { kid, secretKey }: OwnKey): Envelope {
  const { payload, signatures } = JSON.parse(text) as Signed;
  const head = base64url(encoder.encode(JSON.stringify({ alg: "EdDSA", kid, typ: "scrutin+jws" })));
  const signature = base64url(nacl.sign.detached(encoder.encode(`${head}.${payload}`), secretKey));
  const signed: Signed = { payload, signatures: [...signatures, { protected: head, signature }] };
  return { statement, signers: [...signers, kid], text: JSON.stringify(signed) };
}

/** What another trustee has signed. Throws an Error for anything else, and for a decision of another election. */
export function readEnvelope(text: string, definition: string): Envelope {
  const none = new Error("This file is no decision that a trustee has signed.");
  let statement: Envelope["statement"];
  let signers: string[];
  try {
    const { payload, signatures } = JSON.parse(text) as Signed;
    statement = JSON.parse(decoder.decode(fromBase64url(payload))) as Envelope["statement"];
    signers = signatures.map(
      (one) => (JSON.parse(decoder.decode(fromBase64url(one.protected))) as { kid: string }).kid,
    );
  } catch {
    throw none;
  }
  if (statement.type !== "decision" || signers.length === 0) throw none;
  if (statement.definition !== definition) throw new Error("This decision is about another election.");
  return { statement, signers, text };
}
