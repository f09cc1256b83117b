import type { Entry } from "../../shared/ledger/entry.ts";
import { MAX_EVIDENCE_PARTS } from "../../shared/ledger/evidence.ts";
import {
  createGaps,
  type Gap,
  isLastingGap,
  lastingGaps,
  sequenceSeen,
  sequenceUnseen,
} from "../../shared/ledger/gaps.ts";
import { LogBroken } from "../../shared/platform/log-reader.ts";
import type { AskedUses } from "./store.ts";

/**
 * What the entries say of sequence numbers: which are missing, and which were used twice. A statement that was signed for another
 * definition uses none, which its entry does not say: it counts until it is taken back.
 */

export interface Equivocation {
  key: string;
  sequence: number;
  /** The first entries, at most `MAX_EVIDENCE_PARTS`. */
  indexes: readonly number[];
}

export interface Sequences {
  /** The next entry, in the order of the log. `voids`: the number that it voids. May be repeated after it rejected. */
  take(entry: Entry, voids?: number): Promise<void>;
  /** An entry whose statement was signed for another definition; whether it was taken or not. */
  takeBack(entry: Entry): Promise<void>;
  equivocations(): { listed: readonly Equivocation[]; complete: boolean };
  equivocation(key: string, sequence: number): Equivocation | undefined;
  /** Gaps older than a minute at `now` (ms), at most `limit`. */
  gaps(now: number, limit: number): Gap[];
  isGap(gap: Gap, now: number): boolean;
  /** The first entry of this key that uses a number, or else that voids it. */
  takerOf(key: string, sequence: number): Promise<number | undefined>;
}

export interface SequenceSources {
  selectUses: (asked: AskedUses) => Promise<number[]>;
  /** The verified entry. */
  entry: (index: number) => Promise<Entry>;
}

/** Equivocations kept and listed; more than this is one key gone wild, and the list says that it is not complete. */
export const MAX_EQUIVOCATIONS = 10_000;
/** Statements for other definitions under one number, beyond which it is not asked again what is left of it. */
const MAX_FOREIGN = 64;

const slotOf = (key: string, sequence: number) => `${key} ${sequence}`;

export function createSequences({ selectUses, entry: entryAt }: SequenceSources): Sequences {
  const gaps = createGaps();
  const equivocations = new Map<string, Equivocation>();
  const foreign = new Map<string, number[]>();
  const voids = new Map<string, number>();
  let complete = true;
  let size = 0;

  /** Entries that use a number, as the log has them; what the database says of them is compared. */
  const usesOf = async (key: string, sequence: number, below: number, limit: number): Promise<number[]> => {
    const without = foreign.get(slotOf(key, sequence)) ?? [];
    const found = await selectUses({ key, sequence, below, without, limit });
    for (const index of found) {
      const entry = await entryAt(index);
      if (entry.key !== key || entry.sequence !== sequence)
        throw new LogBroken(`entry ${index}: it is filed under another key or sequence number`);
    }
    return found;
  };

  const list = ({ key, sequence, indexes }: Equivocation) => {
    const slot = slotOf(key, sequence);
    if (indexes.length < 2) equivocations.delete(slot);
    else if (equivocations.has(slot) || equivocations.size < MAX_EQUIVOCATIONS)
      equivocations.set(slot, { key, sequence, indexes: indexes.slice(0, MAX_EVIDENCE_PARTS) });
    else complete = false;
  };

  const usedAgain = async ({ key, sequence, index }: Entry) => {
    const known = equivocations.get(slotOf(key, sequence));
    if (known !== undefined && known.indexes.length === MAX_EVIDENCE_PARTS) return;
    const earlier = known?.indexes ?? (await usesOf(key, sequence, index, MAX_EVIDENCE_PARTS));
    list({ key, sequence, indexes: [...new Set([...earlier, index])] });
  };

  return {
    async take(entry, voided) {
      const { key, sequence, index } = entry;
      const at = Date.parse(entry.received);
      // A number that was voided, and is used all the same, was seen before, too: what counts is who used it.
      if (!sequenceSeen(gaps, key, sequence, at)) await usedAgain(entry);
      if (voided !== undefined) {
        sequenceSeen(gaps, key, voided, at);
        const slot = slotOf(key, voided);
        if (!voids.has(slot)) voids.set(slot, index);
      }
      size = index + 1;
    },
    async takeBack({ key, sequence, index, received }) {
      const slot = slotOf(key, sequence);
      const gone = foreign.get(slot) ?? [];
      if (gone.includes(index) || gone.length === MAX_FOREIGN) return;
      foreign.set(slot, [...gone, index]);
      if (index >= size) return;
      const left = await usesOf(key, sequence, size, MAX_EVIDENCE_PARTS);
      list({ key, sequence, indexes: left });
      if (left.length === 0 && !voids.has(slot)) sequenceUnseen(gaps, key, sequence, Date.parse(received));
    },
    equivocations: () => ({ listed: [...equivocations.values()], complete }),
    equivocation: (key, sequence) => equivocations.get(slotOf(key, sequence)),
    gaps: (now, limit) => lastingGaps(gaps, now, limit),
    isGap: (gap, now) => isLastingGap(gaps, gap, now),
    async takerOf(key, sequence) {
      const [first] = await usesOf(key, sequence, size, 1);
      return first ?? voids.get(slotOf(key, sequence));
    },
  };
}
