import type { Rate } from "../../shared/platform/bounds.ts";

/**
 * Limits come before work. Every one is here with its reason; rates can be set by the environment, sizes cannot.
 */

/** From one address. An office of 95,000 units needs some hundreds a second; one core verifies 9,200. */
export const ADDRESS_RATE: Rate = { perSecond: 2_000, burst: 4_000 };
/** From one address under one claimed key: half of it, so that one key's traffic leaves room for another's. */
export const CLAIM_RATE: Rate = { perSecond: 1_000, burst: 2_000 };
/** Of one key, whatever addresses it is used from: charged by verified statements only, so no forger can spend it. */
export const KEY_RATE: Rate = { perSecond: 1_000, burst: 2_000 };

/** Verifications under way at most: with four threads the last one waits 15 ms. Beyond it the queue would only grow. */
export const MAX_VERIFYING = 512;

/** Bytes of bodies being read or carried at most; with the runtime's own share it stays well below 512 MiB. */
export const MAX_BYTES_IN_HAND = 128 * 1024 * 1024;
/** Of which one address may hold this much, so that slow uploads from one place do not shut out the others. */
export const MAX_BYTES_PER_ADDRESS = 16 * 1024 * 1024;

/** How long an answer waits for the receipt unless the client says otherwise (RFC 7240), and at most. */
export const DEFAULT_WAIT_S = 5;
export const MAX_WAIT_S = 30;

/** Payloads remembered as charged: at the highest rate of one key, those of the last minute. */
export const MAX_CHARGED = 65_536;

/** What was seen lately. */
export interface Recent {
  has(name: string): boolean;
  add(name: string): void;
}

/** Remembers the last `limit` names. */
export function createRecent(limit = MAX_CHARGED): Recent {
  const names = new Set<string>();
  return {
    has: (name) => names.has(name),
    add(name) {
      names.add(name);
      const [oldest] = names;
      if (names.size > limit && oldest !== undefined) names.delete(oldest);
    },
  };
}
