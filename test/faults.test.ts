import { describe, expect, it } from "vitest";
import { readOfficial } from "../infra/elections/ep2024/feed.ts";
import { prepareNight } from "../infra/stack/run-night.ts";
import { SERVICES } from "../infra/stack/secrets.ts";

/** kill -9 of any one service in mid-night loses and doubles nothing. */

const SPEED = 3;

describe("kill -9 in mid-night", () => {
  it.each(SERVICES)(
    "%s comes back and the night ends with the same seats",
    async (name) => {
      const said: string[] = [];
      const night = await prepareNight({
        full: false,
        speed: SPEED,
        seed: 7,
        say: (line) => said.push(line),
        signal: new AbortController().signal,
      });
      try {
        const child = night.stack.services.get(name);
        if (child === undefined) throw new Error(`no service ${name}`);
        // Once while statements pour in under embargo, and once right after the lift, when releases are made.
        for (const at of [night.schedule.lift - 2_000, night.schedule.lift + 400]) {
          setTimeout(() => child.kill("SIGKILL"), at - Date.now()).unref();
        }
        const { report, broken } = await night.run();
        expect(broken).toEqual([]);
        expect(child.restarts()).toBe(2);
        expect(report.seats).toEqual(readOfficial().seats);
        expect(report.units.counted).toBe(report.units.expected);
        expect(report.statements).toMatchObject({ quarantined: 37, refused: 0 });
        expect(report.embargo.servedBeforeLift).toBe(0);
        expect(report.recount).toBe("ok");
      } finally {
        await night.stop();
      }
    },
    180_000,
  );
});
