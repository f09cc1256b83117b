/** Things of one kind that come too often: `hit` says so once, at the moment at which there are too many within the window. */
export interface Bursts {
  /** How many there were within the window, if that has just become too many; `now` in ms. */
  hit(key: string, now: number): number | undefined;
}

/** Whoever makes keys up pushes out the oldest, and never fills the memory. */
const MOST_KEYS = 10_000;

interface Counted {
  /** Beginning of the window, ms. */
  since: number;
  count: number;
}

/** `most` within `windowMs` is too many; a burst that goes on is told of again in each window. */
export function createBursts({ most, windowMs }: { most: number; windowMs: number }): Bursts {
  const counted = new Map<string, Counted>();
  return {
    hit(key, now) {
      const found = counted.get(key);
      const current = found !== undefined && now - found.since < windowMs ? found : { since: now, count: 0 };
      current.count++;
      counted.delete(key); // and in again, as the newest
      counted.set(key, current);
      const [oldest] = counted.keys();
      if (counted.size > MOST_KEYS && oldest !== undefined) counted.delete(oldest);
      return current.count === most ? current.count : undefined;
    },
  };
}
