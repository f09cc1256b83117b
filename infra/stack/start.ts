import { writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { inWords } from "./child.ts";
import { makeNightExercise } from "./exercise.ts";
import { freshFolder, startStack } from "./stack.ts";

const HELP = `Brings the whole system up on this machine for an exercise, until Ctrl-C.

  npm start -- [--lift-in 10m] [--stack FILE] [--data FOLDER] [--full]

  --lift-in TIME   when the last poll closes, from now: 90s, 10m, 2h (default 10m). Every other state's polls
                   have closed a moment ago, so that their offices can send at once.
  --stack FILE     write the addresses, the definition's file and the folder of keys there as JSON;
                   addresses change at every start.
  --data FOLDER    keep everything in FOLDER; a stack that was stopped is taken up where it was left,
                   with the closing times that it had.
  --full           Germany reports its 91,753 districts instead of one national unit.

  DATABASE_URL and NATS_URL point it at servers that are there already.
`;

const UNITS: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000 };

function milliseconds(text: string): number {
  const found = /^(\d{1,6})(s|m|h)$/.exec(text);
  if (found === null) throw new TypeError(`--lift-in takes a number with s, m or h, such as 10m; not "${text}"`);
  return Number(found[1]) * (UNITS[found[2] as string] as number);
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      "lift-in": { type: "string", default: "10m" },
      stack: { type: "string" },
      data: { type: "string" },
      full: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  return { ...values, liftIn: milliseconds(values["lift-in"]) };
}

/** Closings of a practice: all have just passed in their order, but the last, which is `liftIn` ms away. */
function practiceClosings(now: number, liftIn: number): (utc: string) => Date {
  const first = Date.parse("2024-06-06T19:00:00Z");
  const last = Date.parse("2024-06-09T21:00:00Z");
  const before = 60_000;
  return (utc) => {
    const t = Date.parse(utc);
    if (t >= last) return new Date(now + liftIn + (t - last));
    const share = Math.max(0, (t - first) / (last - first));
    return new Date(now - before + Math.round(share * before * 0.9));
  };
}

async function main(): Promise<number> {
  const options = readOptions();
  if (options.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const say = (line: string) => process.stdout.write(`${line}\n`);
  const folder = options.data === undefined ? await freshFolder() : resolve(options.data);
  const interrupted = new Promise<void>((done) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => done());
  });
  const stack = await startStack({
    folder,
    makeExercise: () =>
      makeNightExercise({ full: options.full, closesAt: practiceClosings(Date.now(), options.liftIn) }),
    keepData: true,
    say,
    databaseUrl: process.env.DATABASE_URL,
    natsUrl: process.env.NATS_URL,
  });
  const { addresses, definitionFile, keysFolder, signIn, watchToken } = stack;
  if (options.stack !== undefined) {
    const text = JSON.stringify({ addresses, definition: definitionFile, keys: keysFolder, watchToken }, null, 2);
    await writeFile(options.stack, `${text}\n`);
  }
  say("");
  say("EXERCISE: everything here is practice, and says so.");
  say(`  offices push to      ${addresses.ingest}/v1/statements`);
  say(`  the Parliament pulls ${addresses.release}/`);
  say(`  operators watch      ${addresses.watch}/`);
  say(`  sign in there, once  ${signIn}`);
  say(`  definition           ${definitionFile}`);
  say(`  keys of the offices  ${keysFolder}`);
  say("Ctrl-C ends it.");
  await interrupted;
  say("stopping");
  await stack.stop();
  say(`stopped; its data stays in ${folder} (npm start -- --data ${folder} takes it up again)`);
  return 0;
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: Error) => {
    process.stderr.write(`${inWords(error)}\n`);
    process.exitCode = error instanceof TypeError ? 2 : 1;
  },
);
