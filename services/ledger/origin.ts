import { z } from "zod";
import {
  type HeadBefore,
  isOriginDecision,
  type LogAuthority,
  type OriginDecision,
  presentAuthority,
  readOriginDecision,
} from "../../shared/ledger/authority.ts";
import type { Finding } from "../../shared/ledger/entry.ts";
import { signersOf } from "../../shared/statement/authentic.ts";
import type { Authentic } from "./delivery.ts";
import { type Given, type Loaded, readGivenFile, refusedBy, StartRefused, sealGiven } from "./given.ts";
import type { LedgerKey } from "./receipts.ts";

/**
 * The log's own key rotates by opening a new origin: two trustees decide it, and the ledger is given their decision at its start together
 * with the new key. It never comes by the bus: whoever can start the ledger holds that key, and nobody else has any use for it.
 */
export type GivenOrigin = Given<OriginDecision>;

export const isGivenOrigin = (given: Authentic): given is GivenOrigin => isOriginDecision(given.statement);

export const SCRUTIN_ORIGIN_DECISION = z
  .string()
  .min(1)
  .optional()
  .describe("Name the file of the trustees' decision to open a new origin of the log, or leave it out.");

const VARIABLE = "SCRUTIN_ORIGIN_DECISION";
const refused = refusedBy(VARIABLE);

/** Reads the file of the decision, if one is named. Rejects with StartRefused. */
export async function readGivenOrigin(
  path: string | undefined,
  loaded: Loaded,
  key: LedgerKey,
): Promise<GivenOrigin | undefined> {
  return path === undefined ? undefined : givenOrigin(await readGivenFile(VARIABLE, path), loaded, key);
}

/** The decision as it will be written: authentic, and for this key. Rejects with StartRefused. */
export async function givenOrigin(jws: Uint8Array, loaded: Loaded, key: LedgerKey): Promise<GivenOrigin> {
  const read = await readOriginDecision(jws, loaded.hash, signersOf(loaded.definition));
  if (typeof read === "string") throw refused(`${read}. Give the decision as two trustees signed it.`);
  const { id: kid, publicKey } = read.decision.key;
  if (!isKeyOf({ kid, publicKey }, key))
    throw refused(`it names the key ${kid}, which SCRUTIN_KEY_FILE is not. Give both, the new ones.`);
  return sealGiven(jws, read, loaded);
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
