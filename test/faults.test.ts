import { describe, expect, it } from "vitest";
import { readOfficial } from "../infra/elections/ep2024/feed.ts";
import type { Child } from "../infra/stack/processes.ts";
import { type Night, prepareNight } from "../infra/stack/run-night.ts";
import { SERVICES } from "../infra/stack/secrets.ts";

/** kill -9 of any one service in mid-night loses and doubles nothing. */

const SPEED = 3;

/** A night in which `strike` is called twice: while statements pour in under embargo, and right after the lift, when releases are made. */
async function struckNight(strike: (night: Night) => Promise<void>): Promise<Night & { said: string[] }> {
  const said: string[] = [];
  const say = (line: string) => void said.push(line);
  const struck: Promise<void>[] = [];
  const night = await prepareNight({ full: false, speed: SPEED, seed: 7, say, signal: new AbortController().signal });
  try {
    for (const at of [night.schedule.lift - 2_000, night.schedule.lift + 400]) {
      setTimeout(() => struck.push(strike(night)), at - Date.now()).unref();
    }
    const { report, broken } = await night.run();
    await Promise.all(struck);
    expect(broken, said.join("\n")).toEqual([]);
    expect(report.seats).toEqual(readOfficial().seats);
    expect(report.units.counted).toBe(report.units.expected);
    expect(report.statements).toMatchObject({ quarantined: 37, refused: 0 });
    expect(report.embargo.servedBeforeLift).toBe(0);
    expect(report.recount).toBe("ok");
    return { ...night, said };
  } finally {
    await night.stop();
  }
}

/** Strikes what runs: on a busy machine the first blow may not be over when the second is due. */
async function killed(child: Child | undefined): Promise<void> {
  await child?.up();
  child?.kill("SIGKILL");
}

// Two nights at a time: each waits for its clock most of the time.
describe.concurrent("kill -9 in mid-night", () => {
  it.each(SERVICES)(
    "%s comes back and the night ends with the same seats",
    async (name) => {
      const { stack } = await struckNight((night) => killed(night.stack.services.get(name)));
      expect(stack.services.get(name)?.restarts()).toBe(2);
    },
    180_000,
  );

  it("both witnesses come back and the night ends with the same seats", async () => {
    const { stack } = await struckNight(async (night) => {
      await Promise.all(night.stack.witnesses.map(killed));
    });
    expect(stack.witnesses.map((witness) => witness.restarts())).toEqual([2, 2]);
  }, 180_000);

  it("Postgres and NATS come back and the night ends with the same seats", async () => {
    const struck: string[] = [];
    const { said } = await struckNight(async ({ stack }) => {
      const name = struck.length === 0 ? "Postgres" : "NATS";
      struck.push(name);
      process.kill(stack.servers.get(name)?.() ?? Number.NaN, "SIGKILL");
    });
    expect(struck).toEqual(["Postgres", "NATS"]);
    for (const name of struck) expect(said.some((line) => line.startsWith(`${name} is up again`))).toBe(true);
  }, 180_000);
});
