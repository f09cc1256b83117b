import { setMaxListeners } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { readOfficial } from "../elections/ep2024/feed.ts";
import type { Say } from "./child.ts";
import { withClient } from "./database.ts";
import { makeNightExercise } from "./exercise.ts";
import { planNight, publishedVotes } from "./feeds.ts";
import { peakMemoryMiB } from "./memory.ts";
import { runOffices } from "./offices.ts";
import { type Parliament, runParliament } from "./parliament.ts";
import { curvesOf } from "./plan.ts";
import { recheck } from "./recheck.ts";
import { failures, type Report, writeReport } from "./report.ts";
import { makeSchedule, type Schedule } from "./schedule.ts";
import { type Exercise, freshFolder, removeFolder, type Stack, startStack } from "./stack.ts";
import { startView } from "./view.ts";

/** From the moment the servers stand to the first event: the services still have to come up. */
const LEAD_MS = 6_000;
/** A night that is over has this long to bring its last release. */
const SETTLE_MS = 60_000;

export interface NightOptions {
  full: boolean;
  /** How many times faster than in about a minute. */
  speed: number;
  seed: number;
  say: Say;
  /** Where the view is shown; without it there is none. */
  out?: NodeJS.WriteStream;
  databaseUrl?: string | undefined;
  natsUrl?: string | undefined;
  signal: AbortSignal;
}

/** A night that is prepared: the stack stands, the offices wait for their first close. */
export interface Night {
  /** Everything of it lies there. */
  folder: string;
  stack: Stack;
  schedule: Schedule;
  /** Runs the night to its end; the report says what happened, `broken` every promise that did not hold. */
  run(): Promise<{ report: Report; broken: string[] }>;
  /** Ends every process and removes the night's folder. */
  stop(): Promise<void>;
}

/** Brings up a stack on an exercise of its own, whose closings fall as the schedule says. */
export async function prepareNight(options: NightOptions): Promise<Night> {
  const { say } = options;
  const folder = await freshFolder();
  say(`EXERCISE: the night of 9 June 2024, seed ${options.seed}; data in ${folder}`);
  let exercise: Exercise | undefined;
  let schedule: Schedule | undefined;
  let plan: ReturnType<typeof planNight> = [];
  const stack = await startStack({
    folder,
    makeExercise: async () => {
      schedule = makeSchedule(Date.now() + LEAD_MS, options.speed);
      const { at } = schedule;
      exercise = await makeNightExercise({ full: options.full, closesAt: (utc) => new Date(at(utc)) });
      return exercise;
    },
    // Every office keeps to the plan, as far as anybody knows beforehand.
    curves: () => {
      if (exercise === undefined || schedule === undefined) throw new Error("the folder of a night is always fresh");
      const { read } = exercise.definition;
      plan = planNight(read, schedule, options);
      return curvesOf(plan, read);
    },
    keepData: false,
    say,
    databaseUrl: options.databaseUrl,
    natsUrl: options.natsUrl,
  }).catch(async (error: unknown) => {
    await removeFolder(folder);
    throw error;
  });
  if (exercise === undefined || schedule === undefined) throw new Error("the folder of a night is always fresh");
  const prepared = { stack, exercise, schedule, plan };
  return {
    folder,
    stack,
    schedule,
    run: () => runNight(prepared, options),
    stop: async () => {
      await stack.stop();
      await removeFolder(folder);
    },
  };
}

async function runNight(
  {
    stack,
    exercise,
    schedule,
    plan,
  }: { stack: Stack; exercise: Exercise; schedule: Schedule; plan: ReturnType<typeof planNight> },
  options: NightOptions,
): Promise<{ report: Report; broken: string[] }> {
  const { read: definition, hash } = exercise.definition;
  const start = Date.now();
  const over = new AbortController();
  const ended = AbortSignal.any([options.signal, over.signal]);
  // Every office waits on it; that is not a leak.
  setMaxListeners(100, ended);
  const { pulled: parliament, done: pulling } = runParliament(stack.addresses.release, schedule.lift, ended);
  const { tallying, done } = runOffices({
    ingestUrl: stack.addresses.ingest,
    pins: definition.door?.pins,
    definition: hash,
    plan,
    signal: ended,
    signerOf: (state) => {
      const key = exercise.secrets.keys.find(({ id }) => id === `${state}-1`);
      if (key === undefined) throw new Error(`no key of ${state}`);
      return { kid: key.id, privateKey: key.privateKey };
    },
  });
  const planned = new Map<string, number>();
  const states = plan.map(({ state }) => state).sort();
  for (const state of states) planned.set(state, (planned.get(state) ?? 0) + 1);
  const view = options.out && startView({ lift: schedule.lift, planned, tallying, parliament }, options.out);
  try {
    await done;
    await settled(parliament, tallying.lastIndex, ended);
  } finally {
    over.abort();
    await pulling;
    view?.stop();
  }
  const nightSeconds = Math.round((Date.now() - start) / 100) / 10;
  const official = readOfficial();
  const { full, seed } = options;
  const report = writeReport(
    {
      definition,
      official,
      published: publishedVotes(options),
      tallying,
      parliament,
      seed,
      full,
      nightSeconds,
      liftedAt: await liftedAt(stack),
      recount: await recheck(stack, exercise, parliament),
      peakMemoryMiB: await memoryOf(stack),
    },
    { addresses: stack.addresses, definition: stack.definitionFile, keys: stack.keysFolder },
  );
  return { report, broken: failures(report, official, tallying.surprises) };
}

/** Waits until the Parliament has a release that counts the last entry that a receipt named. */
async function settled(parliament: Parliament, lastIndex: number, signal: AbortSignal): Promise<void> {
  const end = Date.now() + SETTLE_MS;
  while ((parliament.latest?.checkpoint.size ?? 0) <= lastIndex) {
    if (Date.now() > end)
      throw new Error(`no release counts entry ${lastIndex} after ${SETTLE_MS / 1000} s; see the logs`);
    await sleep(100, undefined, { signal });
  }
}

async function liftedAt(stack: Stack): Promise<Date> {
  return withClient(stack.database.adminUrl, async (client) => {
    const { rows } = await client.query<{ at: Date }>("select at from ledger.lift");
    if (rows[0] === undefined) throw new Error("the gate was never lifted");
    return rows[0].at;
  });
}

async function memoryOf(stack: Stack): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const [name, child] of stack.services) {
    const peak = await peakMemoryMiB(child.pid());
    if (peak !== undefined) found[name] = peak;
  }
  return found;
}
