/**
 * The means of limits: rates by name, and shares of what there is a bounded amount of. Which limits hold is each service's own.
 */

/** A token bucket's rate (tokens a second) and how many tokens it holds. */
export interface Rate {
  perSecond: number;
  burst: number;
}

/** Buckets kept at most, per kind: about 10 MB. Attackers choose addresses; they must not choose our memory. */
export const MAX_BUCKETS = 65_536;

/** Taken: undefined. Otherwise the seconds, rounded up, until a token is there. */
export interface Buckets {
  take(name: string, now: number): number | undefined;
  readonly size: number;
}

interface Bucket {
  tokens: number;
  at: number;
}

/**
 * Token buckets by name, at most `limit` of them; `now` in ms. When there are too many, one that has filled up again is
 * forgotten first, since it says nothing any more; else the one that was used longest ago.
 */
export function createBuckets(rate: Rate, limit = MAX_BUCKETS): Buckets {
  // In order of last use: the oldest first.
  const buckets = new Map<string, Bucket>();
  const filled = (bucket: Bucket, now: number) =>
    Math.min(rate.burst, bucket.tokens + (Math.max(0, now - bucket.at) * rate.perSecond) / 1000);
  return {
    get size() {
      return buckets.size;
    },
    take(name, now) {
      const known = buckets.get(name);
      const tokens = known === undefined ? rate.burst : filled(known, now);
      const taken = tokens >= 1;
      buckets.delete(name);
      if (buckets.size >= limit) evict(buckets, (bucket) => filled(bucket, now) >= rate.burst);
      buckets.set(name, { tokens: taken ? tokens - 1 : tokens, at: Math.max(now, known?.at ?? now) });
      return taken ? undefined : Math.ceil((1 - tokens) / rate.perSecond);
    },
  };
}

/** How many of the longest unused are looked at for a full one: evicting must cost the same however many there are. */
const LOOKED_AT = 16;

function evict(buckets: Map<string, Bucket>, isFull: (bucket: Bucket) => boolean): void {
  let oldest: string | undefined;
  let looked = 0;
  for (const [name, bucket] of buckets) {
    oldest ??= name;
    if (isFull(bucket)) {
      buckets.delete(name);
      return;
    }
    if (++looked === LOOKED_AT) break;
  }
  if (oldest !== undefined) buckets.delete(oldest);
}

/** What an address counts as: IPv4 as it is, IPv6 by its /64, of which one host has all. */
export function addressName(address: string): string {
  const plain = address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address;
  if (!plain.includes(":")) return plain;
  const [head = "", tail] = plain.split("::");
  const groups = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? 0 : tail.split(":").length;
  if (tail !== undefined) while (groups.length < 8 - after) groups.push("0");
  return groups.slice(0, 4).join(":");
}

/** A share of something limited, which may grow. */
export interface Hold {
  /** False when there is no room for so much more; then nothing has changed. */
  grow(amount: number): boolean;
  /** Gives all of it back; a second time changes nothing. */
  release(): void;
}

export interface Room {
  /** A share that is empty yet. */
  hold(name: string): Hold;
  /** A share of this size: how to give it back, or undefined when there is no room. */
  take(name: string, amount: number): (() => void) | undefined;
  readonly taken: number;
}

/** Room for `limit` in all and `perName` for each name. What is taken must be given back, once. */
export function createRoom(limit: number, perName: number): Room {
  const byName = new Map<string, number>();
  let all = 0;
  const hold = (name: string): Hold => {
    let held = 0;
    return {
      grow(amount) {
        const own = (byName.get(name) ?? 0) + amount;
        if (all + amount > limit || own > perName) return false;
        all += amount;
        held += amount;
        byName.set(name, own);
        return true;
      },
      release() {
        all -= held;
        const left = (byName.get(name) ?? 0) - held;
        held = 0;
        if (left > 0) byName.set(name, left);
        else byName.delete(name);
      },
    };
  };
  return {
    get taken() {
      return all;
    },
    hold,
    take(name, amount) {
      const share = hold(name);
      return share.grow(amount) ? share.release : undefined;
    },
  };
}
