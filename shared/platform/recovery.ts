import { createHash, createPrivateKey, createPublicKey, type JsonWebKey, randomBytes } from "node:crypto";
import { combine, split } from "shamir-secret-sharing";
import { z } from "zod";
import { KEY_ID, Key32 } from "../definition/schema.ts";
import { canonical } from "../ledger/entry.ts";
import { decodeBase64url } from "../statement/jws.ts";

/**
 * The recovery key in three shares, one for each of three trustees: any two rebuild it, and one alone says nothing of it (Shamir,
 * "How to share a secret", 1979; in GF(2^8), byte by byte).
 */

export const TRUSTEES_WITH_SHARES = 3;
export const SHARES_NEEDED = 2;

const KEY_BYTES = 32;
/** The library puts the share's place on its polynomial behind the bytes. */
const SHARE_BYTES = KEY_BYTES + 1;
/** Against typing errors and files that were mixed up, not against whoever means to deceive: the rebuilt key is compared anyway. */
const CHECKSUM_BYTES = 8;

const Share = z.strictObject({
  type: z.literal("recovery-share"),
  /** The public half of what was split: `vault.recoveryKey` of the definition. */
  recoveryKey: Key32,
  /** Which split it is of: shares of two splits fit no other. */
  split: z.string().regex(/^[0-9a-f]{16}$/),
  /** Whose it is: a key id. */
  trustee: z.string().regex(KEY_ID),
  of: z.literal(TRUSTEES_WITH_SHARES),
  threshold: z.literal(SHARES_NEEDED),
  share: z.string(),
  /** The first 8 bytes of the SHA-256 of everything else in canonical JSON, base64url. */
  checksum: z.string(),
});
/** One trustee's share, as it lies in the file. */
export type RecoveryShare = z.infer<typeof Share>;

/** What was given is no share, or these shares are none of one key. The message says which and what to do. */
export class RecoveryRefused extends Error {
  override readonly name = "RecoveryRefused";
}

type Unchecked = Omit<RecoveryShare, "checksum">;
type Trustees = readonly [string, string, string];

const checksumOf = (share: Unchecked) =>
  createHash("sha256").update(canonical(share)).digest().subarray(0, CHECKSUM_BYTES).toString("base64url");

/**
 * Splits a private X25519 key (JWK, RFC 8037) among three trustees, by their key ids. Every pair of the shares is joined again before they
 * are answered. Rejects with RecoveryRefused for another key, or for trustees who are not three.
 */
export async function splitRecoveryKey(jwk: JsonWebKey, trustees: Trustees): Promise<RecoveryShare[]> {
  if (trustees.length !== TRUSTEES_WITH_SHARES || new Set(trustees).size !== TRUSTEES_WITH_SHARES)
    throw new RecoveryRefused("The recovery key is split among three trustees. Name three different ones.");
  const secret = decodeBase64url(jwk.d ?? "");
  const recoveryKey = secret === undefined ? undefined : publicKeyOf(secret);
  if (secret === undefined || recoveryKey === undefined || jwk.crv !== "X25519" || recoveryKey !== jwk.x)
    throw new RecoveryRefused("This is no private X25519 key in JWK form. Give the recovery key.");
  const id = randomBytes(8).toString("hex");
  // The library takes nothing but a plain Uint8Array.
  const parts = await split(Uint8Array.from(secret), TRUSTEES_WITH_SHARES, SHARES_NEEDED);
  const shares = trustees.map((trustee, n): RecoveryShare => {
    const unchecked: Unchecked = {
      type: "recovery-share",
      recoveryKey,
      split: id,
      trustee,
      of: TRUSTEES_WITH_SHARES,
      threshold: SHARES_NEEDED,
      share: Buffer.from(parts[n] as Uint8Array).toString("base64url"),
    };
    return { ...unchecked, checksum: checksumOf(unchecked) };
  });
  await checkShares(shares, recoveryKey);
  return shares;
}

/** Rejects with RecoveryRefused unless every pair of these shares rebuilds the key whose public half this is. */
export async function checkShares(shares: readonly RecoveryShare[], recoveryKey: string): Promise<void> {
  for (const [n, one] of shares.entries())
    for (const other of shares.slice(n + 1)) await joinRecoveryShares([one, other], recoveryKey);
}

/** Reads the text of a share's file. Throws RecoveryRefused; `name` names the file in it. */
export function readRecoveryShare(text: string, name: string): RecoveryShare {
  const parsed = Share.safeParse(parseOrUndefined(text));
  if (!parsed.success)
    throw new RecoveryRefused(`${name} is no share of a recovery key. Give the file as it was made.`);
  const { checksum, ...unchecked } = parsed.data;
  if (checksum !== checksumOf(unchecked) || decodeBase64url(unchecked.share)?.length !== SHARE_BYTES)
    throw new RecoveryRefused(
      `${name} is damaged: its checksum does not fit. Compare it with the trustee's copy, or take another trustee's share.`,
    );
  return parsed.data;
}

/**
 * Rebuilds the recovery key from two or three shares (`readRecoveryShare`); answers its private JWK. `recoveryKey` is what the definition
 * names: no other key is ever answered. Rejects with RecoveryRefused, in a sentence that says what to do.
 */
export async function joinRecoveryShares(
  shares: readonly RecoveryShare[],
  recoveryKey: string,
): Promise<JsonWebKey & { kid: string }> {
  const [first, second, ...more] = shares;
  if (first === undefined || second === undefined)
    throw new RecoveryRefused("One share is not enough. Give those of two different trustees.");
  const given = [first, second, ...more];
  for (const { trustee, recoveryKey: of } of given)
    if (of !== recoveryKey)
      throw new RecoveryRefused(
        `The share of ${trustee} is of another recovery key than this definition names. Give the share that was made for this election.`,
      );
  if (new Set(given.map(({ trustee }) => trustee)).size < given.length)
    throw new RecoveryRefused(`Both shares are of ${first.trustee}. Give those of two different trustees.`);
  if (new Set(given.map((share) => share.split)).size > 1)
    throw new RecoveryRefused(
      `The shares of ${given.map(({ trustee }) => trustee).join(" and ")} are of different splits of the key. Give shares that were made together.`,
    );
  const secret = await combined(given);
  if (secret === undefined || publicKeyOf(secret) !== recoveryKey)
    throw new RecoveryRefused(
      "These shares do not give the recovery key of this definition: one of them was changed. Take another trustee's share.",
    );
  const d = Buffer.from(secret).toString("base64url");
  return { kty: "OKP", crv: "X25519", d, x: recoveryKey, kid: "recovery", use: "enc" };
}

/** Undefined for what the library refuses: shares that stand at the same place, or of another length. */
async function combined(shares: readonly RecoveryShare[]): Promise<Uint8Array | undefined> {
  const parts = shares.map(({ share }) => Uint8Array.from(decodeBase64url(share) ?? []));
  if (parts.some((part) => part.length !== SHARE_BYTES)) return undefined;
  try {
    return await combine(parts);
  } catch {
    return undefined; // the caller says what to do
  }
}

/** PKCS #8 header (RFC 8410) of a raw X25519 private key. */
const X25519_PKCS8 = Buffer.from("302e020100300506032b656e04220420", "hex");

function publicKeyOf(secret: Uint8Array): string | undefined {
  if (secret.length !== KEY_BYTES) return undefined;
  const key = createPrivateKey({ key: Buffer.concat([X25519_PKCS8, secret]), format: "der", type: "pkcs8" });
  return createPublicKey(key).export({ format: "jwk" }).x;
}

function parseOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // not JSON is no share: the caller says so
  }
}
