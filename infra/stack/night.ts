import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { inWords } from "./child.ts";
import type { Report } from "./report.ts";
import { type Night, prepareNight } from "./run-night.ts";

const HELP = `Runs the European election night of 2024 on this machine, with real servers and real signatures, as an exercise.

  npm run night -- [--full] [--speed N] [--seed N] [--report FILE] [--keep]

  --full         Germany reports its 91,753 districts instead of one national unit.
  --speed N      how many times faster than in about a minute (default 1; 0.25 to 4).
  --seed N       which states report before the lift and when (default: drawn, and printed).
  --report FILE  write what happened there as JSON.
  --keep         leave the stack up at the end, until Ctrl-C.

  DATABASE_URL and NATS_URL point it at servers that are there already; NATS_SERVER names a nats-server to run.
`;

interface Options {
  full: boolean;
  keep: boolean;
  speed: number;
  seed: number;
  report: string | undefined;
}

function readOptions(): Options | undefined {
  const { values } = parseArgs({
    options: {
      full: { type: "boolean", default: false },
      keep: { type: "boolean", default: false },
      speed: { type: "string", default: "1" },
      seed: { type: "string" },
      report: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return undefined;
  const speed = Number(values.speed);
  if (!(speed >= 0.25 && speed <= 4))
    throw new TypeError(`--speed takes a number from 0.25 to 4, not "${values.speed}"`);
  const seed = values.seed === undefined ? Date.now() % 1_000_000 : Number(values.seed);
  if (!Number.isSafeInteger(seed) || seed < 0) throw new TypeError(`--seed takes a whole number, not "${values.seed}"`);
  return { full: values.full, keep: values.keep, speed, seed, report: values.report };
}

const say = (line: string) => void process.stdout.write(`${line}\n`);

async function main(): Promise<number> {
  const options = readOptions();
  if (options === undefined) {
    process.stdout.write(HELP);
    return 0;
  }
  const stopping = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => stopping.abort());
  const { full, speed, seed } = options;
  const night = await prepareNight({
    full,
    speed,
    seed,
    say,
    out: process.stdout,
    signal: stopping.signal,
    databaseUrl: process.env.DATABASE_URL,
    natsUrl: process.env.NATS_URL,
  });
  say(`Watch it, with a link that signs one operator in, once: ${night.stack.signIn}`);
  try {
    const { report, broken } = await night.run();
    if (options.report !== undefined) await writeFile(options.report, `${JSON.stringify(report, null, 2)}\n`);
    tell(report, broken);
    if (options.keep) await kept(report, night, stopping.signal);
    return broken.length === 0 ? 0 : 1;
  } finally {
    say("stopping");
    await night.stop();
    say("stopped");
  }
}

function tell(report: Report, broken: string[]): void {
  const { units, statements, embargo, seats } = report;
  say("");
  say(
    `The night took ${report.nightSeconds} s. ${statements.sent} statements: ${statements.accepted} accepted, ${statements.quarantined} quarantined, ${statements.refused} refused.`,
  );
  say(`${units.counted} of ${units.expected} units counted, ${units.countedAtLift} of them at the lift.`);
  say(
    `The Parliament asked ${embargo.askedBeforeLift} times before the lift and was served ${embargo.servedBeforeLift} times; the first release came ${embargo.firstReleaseMsAfterLift} ms after it, ${report.releases} in all.`,
  );
  say(
    `${seats.total} seats: ${Object.entries(seats.groups)
      .map(([group, n]) => `${group} ${n}`)
      .join(", ")}.`,
  );
  say(
    `${report.statesMatchingOfficialSeats} of 27 states have the published seats. Recount from scratch by both counts: ${report.recount}.`,
  );
  say(
    `Peak memory, MiB: ${Object.entries(report.peakMemoryMiB)
      .map(([name, n]) => `${name} ${n}`)
      .join(", ")}.`,
  );
  for (const line of broken) say(`BROKEN: ${line}`);
}

async function kept({ addresses }: Report, { folder }: Night, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  say(`Every release lies in ${join(folder, "bundles")} as files for any web server, or none: open latest/index.html.`);
  say(
    `The stack stays up until Ctrl-C: ingest ${addresses.ingest}, release ${addresses.release}, watch ${addresses.watch}`,
  );
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: Error) => {
    const interrupted = error.name === "AbortError";
    process.stderr.write(interrupted ? "interrupted\n" : `${inWords(error)}\n`);
    process.exitCode = interrupted ? 130 : error instanceof TypeError ? 2 : 1;
  },
);
