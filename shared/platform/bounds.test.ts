import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { addressName, createBuckets, createRoom } from "./bounds.ts";

describe("token buckets", () => {
  it("give the burst, then refuse with the time to wait, then give again", () => {
    const buckets = createBuckets({ perSecond: 2, burst: 3 });
    expect([1, 2, 3].map(() => buckets.take("a", 0))).toEqual([undefined, undefined, undefined]);
    expect(buckets.take("a", 0)).toBe(1);
    expect(buckets.take("a", 499)).toBe(1);
    expect(buckets.take("a", 500)).toBeUndefined();
    expect(buckets.take("a", 500)).toBe(1);
  });

  it("keep names apart", () => {
    const buckets = createBuckets({ perSecond: 1, burst: 1 });
    expect(buckets.take("a", 0)).toBeUndefined();
    expect(buckets.take("b", 0)).toBeUndefined();
    expect(buckets.take("a", 0)).toBe(1);
  });

  it("never hold more than their limit, and forget a full one before one in use", () => {
    const buckets = createBuckets({ perSecond: 1, burst: 2 }, 2);
    buckets.take("used", 0);
    buckets.take("used", 0);
    buckets.take("other", 0);
    // At 1.1 s "other" is full again and "used" is not, though "used" was used longer ago.
    buckets.take("third", 1_100);
    expect(buckets.size).toBe(2);
    expect(buckets.take("used", 1_100)).toBeUndefined();
    expect(buckets.take("used", 1_100)).toBe(1);
  });

  it("are not refilled by a clock that goes back", () => {
    const buckets = createBuckets({ perSecond: 1, burst: 1 });
    expect(buckets.take("a", 10_000)).toBeUndefined();
    expect(buckets.take("a", 0)).toBe(1);
    expect(buckets.take("a", 10_500)).toBe(1);
    expect(buckets.take("a", 11_000)).toBeUndefined();
  });

  it("never give more than burst + rate × time", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 200 }), (pauses) => {
        const buckets = createBuckets({ perSecond: 5, burst: 7 });
        let now = 0;
        let given = 0;
        for (const pause of pauses) {
          now += pause;
          if (buckets.take("a", now) === undefined) given++;
          expect(given).toBeLessThanOrEqual(7 + (5 * now) / 1000);
        }
      }),
    );
  });
});

describe("room", () => {
  it("is limited in all and for each name, and comes back once", () => {
    const room = createRoom(10, 6);
    const a = room.take("a", 6);
    expect(a).toBeDefined();
    expect(room.take("a", 1)).toBeUndefined();
    expect(room.take("b", 5)).toBeUndefined();
    expect(room.take("b", 4)).toBeDefined();
    a?.();
    a?.();
    expect(room.taken).toBe(4);
    expect(room.take("a", 6)).toBeDefined();
  });
});

describe("addresses", () => {
  it.each([
    ["192.0.2.7", "192.0.2.7"],
    ["::ffff:192.0.2.7", "192.0.2.7"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2"],
    ["2001:db8:1:2::9", "2001:db8:1:2"],
    ["2001:db8::1", "2001:db8:0:0"],
    ["::1", "0:0:0:0"],
  ])("%s counts as %s", (address, name) => expect(addressName(address)).toBe(name));
});
