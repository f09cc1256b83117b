import { describe, expect, it } from "vitest";
import { ahead } from "./ahead.ts";

/** Work that ends when the test says so. */
function heldWork() {
  const begun: number[] = [];
  const doors = new Map<number, () => void>();
  const work = (item: number) => {
    begun.push(item);
    return new Promise<number>((resolve) => doors.set(item, () => resolve(item * 10)));
  };
  return { begun, work, finish: (item: number) => doors.get(item)?.() };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe("working ahead", () => {
  it("gives results in the source's order, whatever the order in which they are ready", async () => {
    const { begun, work, finish } = heldWork();
    const results = ahead([1, 2, 3], work, { items: 3 });
    const first = results.next();
    await turn();
    expect(begun).toEqual([1, 2, 3]);
    for (const item of [3, 2, 1]) finish(item);
    expect(await first).toEqual({ done: false, value: 10 });
    expect([await results.next(), await results.next(), await results.next()].map(({ value }) => value)).toEqual([
      20,
      30,
      undefined,
    ]);
  });

  it("begins no more than its bounds allow, by number and by bytes", async () => {
    const { begun, work, finish } = heldWork();
    const results = ahead([1, 2, 3, 4, 5, 6], work, { items: 4, bytes: 25, sizeOf: (result) => result });
    const first = results.next();
    await turn();
    expect(begun).toEqual([1, 2, 3, 4]);
    finish(1);
    await first;
    await turn();
    expect(begun).toEqual([1, 2, 3, 4, 5]);
    finish(3); // 30 bytes lie ready: nothing more is begun until they are taken
    await turn();
    finish(2);
    expect((await results.next()).value).toBe(20);
    await turn();
    expect(begun).toEqual([1, 2, 3, 4, 5]);
    expect((await results.next()).value).toBe(30);
    await turn();
    expect(begun).toEqual([1, 2, 3, 4, 5, 6]);
    for (const item of [4, 5, 6]) finish(item);
    await results.return();
  });

  it("tells a failure of the work in its place, and closes the source", async () => {
    let closed = false;
    async function* source() {
      try {
        yield* [1, 2, 3, 4, 5, 6, 7, 8];
      } finally {
        closed = true;
      }
    }
    const given: number[] = [];
    const all = async () => {
      const work = async (item: number) => {
        if (item === 3) throw new Error("the third");
        return item;
      };
      for await (const result of ahead(source(), work, { items: 4 })) given.push(result);
    };
    await expect(all()).rejects.toThrow("the third");
    expect([given, closed]).toEqual([[1, 2], true]);
  });

  it("tells a failure of the source after what came before it", async () => {
    async function* source() {
      yield 1;
      throw new Error("the source");
    }
    const results = ahead(source(), async (item) => item, { items: 4 });
    expect((await results.next()).value).toBe(1);
    await expect(results.next()).rejects.toThrow("the source");
  });
});
