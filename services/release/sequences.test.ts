import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Entry } from "../../shared/ledger/entry.ts";
import { MAX_EVIDENCE_PARTS } from "../../shared/ledger/evidence.ts";
import { GAP_MS } from "../../shared/ledger/gaps.ts";
import { LogBroken } from "../../shared/platform/log-reader.ts";
import { createSequences, MAX_EQUIVOCATIONS, type SequenceSources } from "./sequences.ts";

/** A statement of a key: its number, what it voids, and whether it is of another definition (and when that is found out). */
interface Said {
  key: string;
  sequence: number;
  voids?: number;
  foreign?: "at once" | "later";
}

const entryOf = ({ key, sequence }: Said, index: number): Entry => ({
  index,
  received: "2024-06-09T21:30:00.000Z",
  state: "AT",
  key,
  sequence,
  type: "tally",
  units: 1,
  statement: "",
  judgement: "",
});
const LATER = Date.parse("2024-06-09T21:30:00.000Z") + GAP_MS + 1;

function logOf(said: readonly Said[], change: Partial<SequenceSources> = {}) {
  const entries = said.map((one, n) => entryOf(one, n + 1));
  const sequences = createSequences({
    selectUses: async ({ key, sequence, below, without, limit }) =>
      entries
        .filter((e) => e.key === key && e.sequence === sequence && e.index < below && !without.includes(e.index))
        .slice(0, limit)
        .map(({ index }) => index),
    entry: async (index) => entries[index - 1] as Entry,
    ...change,
  });
  const fold = async () => {
    for (const [n, one] of said.entries()) {
      const entry = entries[n] as Entry;
      if (one.foreign === "at once") await sequences.takeBack(entry);
      else await sequences.take(entry, one.voids);
    }
  };
  return { entries, sequences, fold };
}

/** The same by looking at everything anew. */
function expectedOf(said: readonly Said[]) {
  const own = said.map((one, n) => ({ ...one, index: n + 1 })).filter(({ foreign }) => foreign === undefined);
  const keys = [...new Set(own.map(({ key }) => key))].sort();
  const numbers = (key: string) =>
    own.filter((one) => one.key === key).flatMap((one) => [one.sequence, one.voids ?? 0]);
  const missing = keys.flatMap((key) => {
    const taken = new Set(numbers(key));
    return Array.from({ length: Math.max(...taken) }, (_, n) => n + 1)
      .filter((n) => !taken.has(n))
      .map((n) => `${key} ${n}`);
  });
  const slots = [...new Set(own.map(({ key, sequence }) => `${key} ${sequence}`))].sort();
  const twice = slots.flatMap((slot) => {
    const indexes = own.filter((one) => `${one.key} ${one.sequence}` === slot).map(({ index }) => index);
    return indexes.length < 2 ? [] : [{ slot, indexes: indexes.slice(0, MAX_EVIDENCE_PARTS) }];
  });
  return { missing, twice };
}

const key = fc.constantFrom("AT-1", "LU-1");
const number = fc.integer({ min: 1, max: 6 });
/** A void is open at once, and so is what it was signed for. */
const said: fc.Arbitrary<Said> = fc.oneof(
  fc.record({ key, sequence: number, foreign: fc.constant("later" as const) }, { requiredKeys: ["key", "sequence"] }),
  fc.record(
    { key, sequence: number, voids: number, foreign: fc.constant("at once" as const) },
    { requiredKeys: ["key", "sequence"] },
  ),
);

describe("sequences", () => {
  it("tells of every log what looking at everything tells, once all is open", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(said, { maxLength: 24 }), async (log) => {
        const { sequences, entries, fold } = logOf(log);
        await fold();
        for (const [n, one] of log.entries())
          if (one.foreign === "later") await sequences.takeBack(entries[n] as Entry);
        const { missing, twice } = expectedOf(log);
        const gaps = sequences.gaps(LATER, 100);
        const found = gaps.flatMap(({ key, from, to }) =>
          Array.from({ length: to - from + 1 }, (_, n) => `${key} ${from + n}`),
        );
        expect(found.sort()).toEqual(missing.sort());
        for (const gap of gaps) {
          expect(sequences.isGap(gap, LATER)).toBe(true);
          for (const side of [gap.from - 1, gap.to + 1].filter((n) => n > 0))
            expect(await sequences.takerOf(gap.key, side)).toBeDefined();
        }
        const { listed, complete } = sequences.equivocations();
        const slots = listed.map(({ key, sequence, indexes }) => ({ slot: `${key} ${sequence}`, indexes }));
        expect(slots.sort((a, b) => (a.slot < b.slot ? -1 : 1))).toEqual(twice);
        expect(complete).toBe(true);
      }),
    );
  });

  it("may take an entry again after the database was away", async () => {
    const log: Said[] = [
      { key: "AT-1", sequence: 1 },
      { key: "AT-1", sequence: 1 },
    ];
    let away = true;
    const { sequences, entries } = logOf(log, {
      selectUses: async () => {
        if (away) throw new Error("away");
        return [1];
      },
    });
    await sequences.take(entries[0] as Entry);
    await expect(sequences.take(entries[1] as Entry)).rejects.toThrow("away");
    away = false;
    await sequences.take(entries[1] as Entry);
    expect(sequences.equivocations().listed).toEqual([{ key: "AT-1", sequence: 1, indexes: [1, 2] }]);
  });

  it("does not believe where the database has filed an entry", async () => {
    const log: Said[] = [
      { key: "LU-1", sequence: 1 },
      { key: "AT-1", sequence: 1 },
      { key: "AT-1", sequence: 1 },
    ];
    const { fold } = logOf(log, { selectUses: async () => [1] });
    await expect(fold()).rejects.toThrow(LogBroken);
  });

  it("says that its list is not complete when there are too many", async () => {
    const log: Said[] = Array.from({ length: MAX_EQUIVOCATIONS + 1 }, (_, n) => ({ key: "AT-1", sequence: n + 1 }));
    const { sequences, fold } = logOf([...log, ...log], { selectUses: async ({ sequence }) => [sequence] });
    await fold();
    const { listed, complete } = sequences.equivocations();
    expect([listed.length, complete]).toEqual([MAX_EQUIVOCATIONS, false]);
  });
});
