import { describe, expect, it } from "vitest";
import type { ClockReadings } from "../embargo/gate.ts";
import { createClockWatch } from "./clock-readings.ts";
import type { Incident } from "./incidents.ts";

const at = (ms: number): ClockReadings => ({ process: ms, postgres: ms, nats: ms });

describe("a watch over the clocks", () => {
  it("remembers the highest reading of each, whoever looked, until it is made anew", async () => {
    const readings = [at(5), { ...at(9), nats: null }, { process: 7, postgres: 10, nats: 4 }];
    const { look } = createClockWatch(async () => readings.shift() ?? at(0));
    expect(await look()).toEqual({ clocks: at(5), floor: at(5) });
    expect(await look()).toEqual({ clocks: { ...at(9), nats: null }, floor: { process: 9, postgres: 9, nats: 5 } });
    expect((await look()).floor).toEqual({ process: 9, postgres: 10, nats: 5 });
    expect((await look()).floor).toEqual({ process: 9, postgres: 10, nats: 5 });
    expect((await createClockWatch(async () => at(0)).look()).floor).toEqual(at(0));
  });

  it("tells once of each clock that goes back, and again when it does so again", async () => {
    const told: Incident[] = [];
    const readings = [at(9), { ...at(9), nats: 4 }, { ...at(10), nats: 6 }, at(10), { ...at(7), process: 11 }];
    const { look } = createClockWatch(
      async () => readings.shift() ?? at(0),
      async (incident) => void told.push(incident),
    );
    while (readings.length > 0) await look();
    expect(told).toEqual([
      { code: "clock.went-back", about: "nats 5 ms" },
      { code: "clock.went-back", about: "postgres 3 ms" },
      { code: "clock.went-back", about: "nats 3 ms" },
    ]);
  });

  it("looks once at a time, in the order in which it was asked: a slow answer is no clock that went back", async () => {
    const answers: ((ms: number) => void)[] = [];
    const { look } = createClockWatch(() => new Promise((resolve) => answers.push((ms) => resolve(at(ms)))));
    const looks = [look(), look(), look()];
    for (const ms of [1, 2, 3]) {
      while (answers.length === 0) await Promise.resolve();
      expect(answers).toHaveLength(1);
      answers.shift()?.(ms);
    }
    const seen = await Promise.all(looks);
    expect(seen.map(({ clocks }) => clocks.nats)).toEqual([1, 2, 3]);
    for (const { clocks, floor } of seen) expect(floor).toEqual(clocks);
  });

  it("goes on after a look that failed, and tells whoever asked for it", async () => {
    let asked = 0;
    const { look } = createClockWatch(async () => {
      if (++asked === 1) throw new Error("no clock");
      return at(asked);
    });
    const [first, second] = [look(), look()];
    await expect(first).rejects.toThrow("no clock");
    expect((await second).clocks).toEqual(at(2));
  });

  it("looks by itself from the start, so that a clock that goes back is seen, until it is ended", async () => {
    let asked = 0;
    let woken: () => void = () => undefined;
    const twice = new Promise<void>((resolve) => {
      woken = resolve;
    });
    const watch = createClockWatch(async () => {
      if (++asked === 2) woken();
      return at(asked === 1 ? 100 : 50);
    });
    const failures: unknown[] = [];
    const end = watch.keepLooking((error) => failures.push(error));
    await twice;
    await end();
    const before = asked;
    const { clocks, floor } = await watch.look();
    expect([clocks.nats, floor.nats, asked]).toEqual([50, 100, before + 1]);
    expect(failures).toEqual([]);
  });
});
