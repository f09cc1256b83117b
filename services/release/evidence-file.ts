import type { Register } from "../../shared/definition/register.ts";
import { authorityOf, type LogAuthority } from "../../shared/ledger/authority.ts";
import { verifierKey } from "../../shared/ledger/checkpoint.ts";
import type { Entry } from "../../shared/ledger/entry.ts";
import { type Evidence, verifyEvidence } from "../../shared/ledger/evidence.ts";
import { LogBroken } from "../../shared/platform/log-reader.ts";
import { verifyKeyOf } from "../../shared/statement/authentic.ts";
import { verifySignature } from "../../shared/statement/ed25519.ts";
import { type EnvelopeSignature, openEnvelope } from "../../shared/statement/jws.ts";
import type { Facts } from "./facts.ts";
import type { PublicLog } from "./log.ts";

/** Makes evidence files of statements that are open; each is verified as its readers will, before it leaves. */

export interface EvidenceSources {
  register: Register;
  publicLog: PublicLog;
  facts: Pick<Facts, "brought">;
  authorities: () => Promise<readonly LogAuthority[]> | readonly LogAuthority[];
}

/** An entry with its statement, opened. */
export interface OpenedPart {
  entry: Entry;
  body: Uint8Array;
  jws: Uint8Array;
}

/** What the file is about: its kind, and the numbers of the key. */
export type EvidenceAbout =
  | { kind: "equivocation"; about: { key: string; sequence: number } }
  | { kind: "gap"; about: { key: string; from: number; to: number } };

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");

/** `parts` stand in the order of the log. Rejects with LogBroken if the file does not hold. */
export async function makeEvidence(
  about: EvidenceAbout,
  parts: readonly [OpenedPart, ...OpenedPart[]],
  sources: EvidenceSources,
): Promise<Evidence> {
  const { publicLog, register } = sources;
  const last = (parts.at(-1) ?? parts[0]).entry.index;
  const checkpoint = publicLog.newestWith(last);
  if (checkpoint === undefined) throw new LogBroken(`no checkpoint that is served holds entry ${last}`);
  const { size, note } = checkpoint;
  const { origin, key } = authorityOf(await sources.authorities(), size);
  const { election, mode } = register.definition;
  const ledgerKey = verifierKey(origin, key.raw);
  const evidence: Evidence = {
    type: "evidence",
    ...about,
    election,
    mode,
    definition: register.hash,
    origin,
    ledgerKey,
    checkpoint: note,
    keys: keysOf(parts, sources),
    parts: await Promise.all(
      parts.map(async ({ entry: { index }, body, jws }) => {
        const proof = await publicLog.inclusion(index, size);
        return { index, body: base64(body), statement: base64(jws), proof: proof.map(base64) };
      }),
    ),
  };
  const reasons = verifyEvidence(evidence, { definition: register.hash, ledgerKey });
  if (reasons.length > 0) throw new LogBroken(`evidence from entry ${last} does not hold: ${reasons.join("; ")}`);
  return evidence;
}

/** Every key that signed, and where it comes from. */
function keysOf(parts: readonly OpenedPart[], sources: EvidenceSources): Evidence["keys"] {
  const keys = new Map<string, Evidence["keys"][number]>();
  for (const { jws, entry } of parts) {
    const opened = openEnvelope(jws);
    if (opened.kind === "refused") throw new LogBroken(`entry ${entry.index}: its envelope is refused`);
    for (const part of opened.envelope.signatures)
      if (!keys.has(part.kid)) keys.set(part.kid, keyOf(part, entry.index, sources));
  }
  return [...keys.values()];
}

/** Of several that were brought under one id, at most one was accepted: the one that the signature holds under. */
function keyOf(part: EnvelopeSignature, index: number, { register, facts }: EvidenceSources): Evidence["keys"][number] {
  const { kid } = part;
  const named = register.key(kid);
  if (named !== undefined) return { id: kid, publicKey: named.publicKey, source: "definition" };
  const brought = facts.brought(kid).find(({ publicKey }) => {
    const key = verifyKeyOf(publicKey);
    return key !== undefined && verifySignature(part.signed, part.signature, key);
  });
  if (brought === undefined) throw new LogBroken(`entry ${index}: nobody brought ${kid}, which signed it`);
  return { id: kid, publicKey: brought.publicKey, source: brought.index };
}
