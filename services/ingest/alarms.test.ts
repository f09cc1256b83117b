import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createBursts } from "../../shared/platform/bursts.ts";
import type { Incident } from "../../shared/platform/incidents.ts";
import { BAD_SIGNATURES, createAlarms, REPEATS, UNKNOWN_KEYS } from "./alarms.ts";

function alarmsAt() {
  const raised: Incident[] = [];
  let now = 0;
  const alarms = createAlarms(
    (incident) => raised.push(incident),
    () => now,
  );
  const pass = (ms: number) => {
    now += ms;
  };
  return { alarms, raised, pass };
}
const times = (count: number, work: () => void) => Array.from({ length: count }, work);

describe("the alarms of the door", () => {
  it("tell of a burst of bad signatures by key and by address, once", () => {
    const { alarms, raised } = alarmsAt();
    times(BAD_SIGNATURES.most - 1, () => alarms.refused("signature.invalid", ["AT-1"], "10.0.0.1"));
    expect(raised).toEqual([]);
    times(100, () => alarms.refused("signature.invalid", ["AT-1"], "10.0.0.1"));
    const evidence = { count: BAD_SIGNATURES.most, windowMs: BAD_SIGNATURES.windowMs };
    expect(raised).toEqual([
      { code: "signature.burst", about: "key AT-1", evidence },
      { code: "signature.burst", about: "address 10.0.0.1", evidence },
    ]);
  });

  it("tell of a forger who comes from many addresses, by the key; and of one who claims many keys, by the address", () => {
    const { alarms, raised } = alarmsAt();
    for (let n = 0; n < BAD_SIGNATURES.most; n++) alarms.refused("signature.invalid", ["AT-1"], `10.0.0.${n}`);
    for (let n = 0; n < BAD_SIGNATURES.most; n++) alarms.refused("signature.invalid", [], "10.0.1.1");
    expect(raised.map(({ about }) => about)).toEqual(["key AT-1", "address 10.0.1.1"]);
  });

  it("say nothing of an office that makes a mistake now and then", () => {
    const { alarms, raised, pass } = alarmsAt();
    times(200, () => {
      alarms.refused("signature.invalid", ["AT-1"], "10.0.0.1");
      alarms.repeated("AT-1");
      pass(BAD_SIGNATURES.windowMs / (BAD_SIGNATURES.most - 2));
    });
    expect(raised).toEqual([]);
    times(20, () => alarms.refused("statement.malformed", ["AT-1"], "10.0.0.1"));
    expect(raised).toEqual([]);
  });

  it("tell of keys that nobody knows, of one that has ended at its first word, and of what comes again and again", () => {
    const { alarms, raised } = alarmsAt();
    times(UNKNOWN_KEYS.most, () => alarms.refused("key.unknown", [], "10.0.0.9"));
    times(5, () => alarms.refused("key.ended", ["AT-1"], "10.0.0.1"));
    times(REPEATS.most, () => alarms.repeated("LU-1"));
    expect(raised.map(({ code, about }) => [code, about])).toEqual([
      ["key.unknown", "address 10.0.0.9"],
      ["key.ended", "key AT-1"],
      ["statement.replayed", "key LU-1"],
    ]);
  });
});

describe("bursts", () => {
  it("property: are told of exactly when so many fall into one window, once a window", () => {
    const gaps = fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 200 });
    fc.assert(
      fc.property(gaps, fc.integer({ min: 1, max: 6 }), (steps, most) => {
        const bursts = createBursts({ most, windowMs: 50 });
        let now = 0;
        let since = Number.NEGATIVE_INFINITY;
        let count = 0;
        for (const step of steps) {
          now += step;
          if (now - since >= 50) [since, count] = [now, 0];
          count++;
          expect(bursts.hit("a", now)).toBe(count === most ? most : undefined);
        }
      }),
    );
  });

  it("are bounded, whoever makes keys up", () => {
    const bursts = createBursts({ most: 2, windowMs: 1_000 });
    bursts.hit("first", 0);
    for (let n = 0; n < 20_000; n++) bursts.hit(`made up ${n}`, 0);
    expect(bursts.hit("first", 1)).toBeUndefined(); // forgotten: it begins anew
    expect(bursts.hit("first", 2)).toBe(2);
  });
});
