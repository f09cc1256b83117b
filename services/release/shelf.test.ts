import { describe, expect, it } from "vitest";
import { sampleDefinition } from "../../shared/definition/sample.ts";
import { makeChain, makeRelease } from "./fixture.ts";
import { trustOf } from "./opened.ts";
import { createShelf, KEPT, type Listed, OLDER_KEPT } from "./shelf.ts";
import type { SealedRelease } from "./store.ts";

const sample = sampleDefinition();
const trust = trustOf(sample.definition, sample.hash);

/** A shelf over rows that a test may change; counts how often it reads one again. */
function shelfOver(rows: SealedRelease[]) {
  const read: number[] = [];
  const shelf = createShelf({
    trust,
    selectAfter: async (number, limit) => rows.filter((row) => row.number > number).slice(0, limit),
    selectOne: async (number) => {
      read.push(number);
      return rows.find((row) => row.number === number);
    },
  });
  const taken: Listed[] = [];
  return { shelf, read, taken, take: () => shelf.take((listed) => taken.push(listed)) };
}

describe("the shelf", () => {
  it("is empty before the first release", async () => {
    const { shelf, take } = shelfOver([]);
    await take();
    expect(shelf.latest()).toBeUndefined();
    expect(shelf.list()).toEqual([]);
    expect(await shelf.find(1)).toBeUndefined();
  });

  it("takes each release once, in order", async () => {
    const chain = await makeChain(sample, 3);
    const rows = chain.slice(0, 1);
    const { shelf, taken, take } = shelfOver(rows);
    await take();
    expect(shelf.latest()?.listed.number).toBe(1);
    rows.push(...chain.slice(1));
    await take();
    await take();
    expect(taken.map(({ number, sha256 }) => [number, sha256])).toEqual(chain.map((r) => [r.number, r.sha256]));
    expect(shelf.latest()?.json.sha256).toBe(chain[2]?.sha256);
  });

  it.each<[string, (chain: SealedRelease[]) => SealedRelease[], string]>([
    ["a missing one", ([one, , three]) => [one!, three!], "number 3 comes in its place"],
    ["a first that is not number 1", ([, two]) => [two!], "number 2 comes in its place"],
    ["two that changed places", ([one, two, three]) => [one!, three!, two!], "number 3 comes in its place"],
  ])("stops at %s and keeps what came before", async (_, change, reason) => {
    const { shelf, take } = shelfOver(change(await makeChain(sample, 3)));
    await expect(take()).rejects.toThrow(reason);
    expect(shelf.list().length).toBeLessThan(2);
  });

  it("stops at a release that does not follow the one before it, and never serves it", async () => {
    const [one] = await makeChain(sample, 1);
    const two = await makeRelease(sample, { number: 2, size: 20 }, "f".repeat(64));
    const { shelf, take } = shelfOver([one!, two]);
    await expect(take()).rejects.toThrow("its previous is not the expected one");
    await expect(take()).rejects.toThrow("its previous is not the expected one");
    expect(shelf.list()).toHaveLength(1);
    expect(await shelf.find(2)).toBeUndefined();
  });

  it("opens older ones again, byte for byte, and keeps only some", async () => {
    const chain = await makeChain(sample, KEPT + OLDER_KEPT + 2);
    const { shelf, read, take } = shelfOver(chain);
    await take();
    expect((await shelf.find(chain.length))?.json.sha256).toBe(chain.at(-1)?.sha256);
    expect((await shelf.find(chain.length - KEPT + 1))?.listed.number).toBe(chain.length - KEPT + 1);
    expect(read).toEqual([]);
    const [first, again] = await Promise.all([shelf.find(1), shelf.find(1)]);
    expect(Buffer.from(first!.json.identity)).toEqual(Buffer.from(chain[0]!.bytes));
    expect(again).toBe(first);
    expect(read).toEqual([1]);
    for (let number = 2; number <= OLDER_KEPT + 1; number++) await shelf.find(number);
    await shelf.find(1);
    expect(read.filter((number) => number === 1)).toHaveLength(2);
  });

  it("refuses an older one that was changed since, and serves it again when it is back", async () => {
    const chain = await makeChain(sample, KEPT + 1);
    const rows: SealedRelease[] = [...chain];
    const { shelf, take } = shelfOver(rows);
    await take();
    rows[0] = await makeRelease(sample, { number: 1, size: 10 }, null, {
      says: { asOf: "2024-06-10T00:00:00Z" },
    });
    await expect(shelf.find(1)).rejects.toThrow("it is not the one that was published");
    rows.shift();
    await expect(shelf.find(1)).rejects.toThrow("it has left the database");
    rows.unshift(chain[0]!);
    expect((await shelf.find(1))?.json.sha256).toBe(chain[0]?.sha256);
  });
});
