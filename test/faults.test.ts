import { describe, expect, it } from "vitest";
import { readOfficial } from "../infra/elections/ep2024/feed.ts";
import { isAlive } from "../infra/stack/child.ts";
import type { Child } from "../infra/stack/processes.ts";
import { type Night, prepareNight } from "../infra/stack/run-night.ts";
import { SERVICES, type ServiceName } from "../infra/stack/secrets.ts";
import { eventually } from "./ledger.ts";

/** kill -9 of any service in mid-night loses and doubles nothing, though another one dies while it comes back. */

const SPEED = 3;

/** A part of the stack, and what kills it, `kill -9`. */
interface Struck {
  name: string;
  strike(night: Night): unknown;
}

/** Between the deaths of two parts of one night: the first is on its way up when the second goes. */
const APART_MS = 700;

/** A night in which each of these is killed twice: while statements pour in under embargo, and right after the lift, when releases are made. */
async function struckNight(parts: readonly Struck[]): Promise<Night & { said: string[] }> {
  const said: string[] = [];
  const say = (line: string) => void said.push(line);
  const struck: unknown[] = [];
  const night = await prepareNight({ full: false, speed: SPEED, seed: 7, say, signal: new AbortController().signal });
  try {
    for (const [n, { strike }] of parts.entries())
      for (const at of [night.schedule.lift - 3_000, night.schedule.lift + 400])
        setTimeout(() => struck.push(strike(night)), at + n * APART_MS - Date.now()).unref();
    const { report, broken } = await night.run();
    await Promise.all(struck);
    expect(struck).toHaveLength(2 * parts.length);
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

const service = (name: ServiceName): Struck => {
  return { name, strike: (night) => killed(night.stack.services.get(name)) };
};
const witnesses: Struck = {
  name: "both witnesses",
  strike: (night) => Promise.all(night.stack.witnesses.map(killed)),
};
const server = (name: "Postgres" | "NATS"): Struck => {
  const pidOf = ({ stack }: Night) => stack.servers.get(name)?.() ?? Number.NaN;
  return {
    name,
    async strike(night) {
      await eventually(() => isAlive(pidOf(night)));
      process.kill(pidOf(night), "SIGKILL");
    },
  };
};

// Two nights at a time: each waits for its clock most of the time.
describe.concurrent("kill -9 in mid-night", () => {
  it.each([
    { parts: [service("ledger"), service("watch"), service("ingest"), service("release")] },
    { parts: [service("tabulate"), witnesses, service("recount")] },
    { parts: [server("Postgres"), server("NATS")] },
  ])(
    "$parts.0.name, $parts.1.name and whoever dies with them come back, and the night ends with the same seats",
    async ({ parts }) => {
      const { stack, said } = await struckNight(parts);
      for (const { name } of parts) {
        const child = SERVICES.find((each) => each === name);
        if (child !== undefined) expect(stack.services.get(child)?.restarts(), name).toBe(2);
        else if (name === witnesses.name) expect(stack.witnesses.map((each) => each.restarts())).toEqual([2, 2]);
        else expect(said.filter((line) => line.startsWith(`${name} is up again`))).toHaveLength(2);
      }
    },
    180_000,
  );
});
