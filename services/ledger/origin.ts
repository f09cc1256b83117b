import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { z } from "zod";
import type { Definition, Key } from "../../shared/definition/schema.ts";
import {
  type HeadBefore,
  type LogAuthority,
  type OriginDecision,
  presentAuthority,
  readOriginDecision,
} from "../../shared/ledger/authority.ts";
import type { Finding } from "../../shared/ledger/entry.ts";
import { LogBroken } from "../../shared/platform/log-entry.ts";
import { createDataKey, seal } from "../../shared/platform/seal.ts";
import { signersOf } from "../../shared/statement/authentic.ts";
import type { Authentic } from "./delivery.ts";
import type { LedgerKey } from "./receipts.ts";

/**
 * The log's own key rotates by opening a new origin: two trustees decide it, and the ledger is given their decision at its start together
 * with the new key. It never comes by the bus: whoever can start the ledger holds that key, and nobody else has any use for it.
 */
export interface GivenOrigin extends Authentic {
  statement: OriginDecision;
}

export const SCRUTIN_ORIGIN_DECISION = z
  .string()
  .min(1)
  .optional()
  .describe("Name the file of the trustees' decision to open a new origin of the log, or leave it out.");

/** With this decision or this key the ledger must not write. A restart will not help, a person must change something. */
export class StartRefused extends LogBroken {
  override readonly name: string = "StartRefused";
}

const refused = (sentence: string) => new StartRefused(`SCRUTIN_ORIGIN_DECISION: ${sentence} Nothing was written.`);

/** Reads the file of the decision, if one is named. Rejects with StartRefused. */
export async function readGivenOrigin(
  path: string | undefined,
  loaded: { definition: Definition; hash: string },
  key: LedgerKey,
): Promise<GivenOrigin | undefined> {
  if (path === undefined) return undefined;
  const jws = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    throw refused(`${path} cannot be read (${error.code ?? error.message}). Correct the path or the rights.`);
  });
  return givenOrigin(jws, loaded, key);
}

/** The decision as it will be written: authentic, for this key, sealed with a data key of its own. Rejects with StartRefused. */
export async function givenOrigin(
  jws: Uint8Array,
  { definition, hash }: { definition: Definition; hash: string },
  key: LedgerKey,
): Promise<GivenOrigin> {
  const read = await readOriginDecision(jws, hash, signersOf(definition));
  if (typeof read === "string") throw refused(`${read}. Give the decision as two trustees signed it.`);
  const { decision, signers, payload } = read;
  if (!isKeyOf({ kid: decision.key.id, publicKey: decision.key.publicKey }, key))
    throw refused(`it names the key ${decision.key.id}, which SCRUTIN_KEY_FILE is not. Give both, the new ones.`);
  const { publicKey: vaultPublicKey, recoveryKey: recoveryPublicKey } = definition.vault;
  const dataKey = await createDataKey({ definition: hash, vaultPublicKey, recoveryPublicKey });
  const sha256 = createHash("sha256").update(jws).digest();
  return {
    kind: "authentic",
    bytes: jws,
    sha256,
    payload: createHash("sha256").update(payload).digest(),
    statement: decision,
    signers: signers.map((signer) => signer.key) as [Key, ...Key[]],
    dataKey: { id: Buffer.from(dataKey.id, "hex"), wrapped: Buffer.from(dataKey.wrapped), key: dataKey.key },
    sealed: seal(dataKey.key, "statement", sha256.toString("hex"), jws),
  };
}

function isKeyOf(named: { kid: string; publicKey: string }, { kid, own }: LedgerKey): boolean {
  return named.kid === kid && named.publicKey === Buffer.from(own.raw).toString("base64url");
}

/** True if this key signs what is written next. */
export function isPresentKey(authorities: readonly LogAuthority[], key: LedgerKey): boolean {
  const { kid, key: verify } = presentAuthority(authorities);
  return isKeyOf({ kid, publicKey: Buffer.from(verify.raw).toString("base64url") }, key);
}

/** The origin that is still to be opened; undefined without one, and once the log has it. */
export function pendingOrigin(
  authorities: readonly LogAuthority[],
  given: GivenOrigin | undefined,
): GivenOrigin | undefined {
  return authorities.some(({ origin }) => origin === given?.statement.origin) ? undefined : given;
}

/** Throws StartRefused unless this key signs what is written next, or will once the given origin is open. */
export function requireLogKey(
  authorities: readonly LogAuthority[],
  key: LedgerKey,
  given: GivenOrigin | undefined,
): void {
  if (isPresentKey(authorities, key) || pendingOrigin(authorities, given) !== undefined) return;
  const { kid, origin } = presentAuthority(authorities);
  throw new StartRefused(
    `SCRUTIN_KEY_FILE: ${key.kid} is not the key of this log, which goes on as ${origin} under ${kid}. Give that key. Nothing was written.`,
  );
}

export function doesNotFit({ statement }: GivenOrigin, head: HeadBefore, findings: readonly Finding[]): StartRefused {
  const codes = findings.map(({ code }) => code).join(", ");
  return refused(
    `it does not fit this log (${codes}). It follows a head of ${statement.size} entries with the root ${statement.root}; this log has ${head.size} with ${head.root}. ` +
      "Neither its origin, its key nor its sequence number may have been used. Let two trustees decide anew.",
  );
}
