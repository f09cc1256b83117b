import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { inWords } from "../infra/stack/child.ts";
import { withClient } from "../infra/stack/database.ts";
import { type Night, prepareNight } from "../infra/stack/run-night.ts";
import { answersPerSecond } from "./closed-loop.ts";
import { findK6 } from "./k6.ts";
import { loopback } from "./loopback.ts";

const HELP = `Runs a night with everyone watching, and measures the moment of release.

  npm run loadtest -- [--streams 2000] [--polls 2000] [--speed 1] [--seed N] [--json]

Of the night of 2024 with its offices: so many clients on the stream and so many that ask every second, each from an address of its own
below 127.0.0.0/8, all on this machine. From the lift's COMMIT to the first byte of release 1 on each stream, and from a poll after the last
close to its answer: both p99 within 250 ms, and no error. Then how many answers a second one release service gives, beside a bare Hono
handler with as many bytes. Exit code 1 if a bound does not hold.
`;

const MOST_MS = 250;
const LEAST_RATIO = 0.8;
/** One process reads so many streams without being late itself. */
const STREAMS_PER_PROCESS = 500;
/** k6 needs a while for so many clients, and goes on for so long after the lift. */
const AHEAD_MS = 25_000;
const AFTER_S = 10;
const CONNECTIONS = 256;
const ROUNDS = 5;
const ROUND_SECONDS = 2;
const HERE = fileURLToPath(new URL(".", import.meta.url));
const TSX = ["--import", "tsx"];

interface Figures {
  /** From the lift's COMMIT, in milliseconds: where the time goes. */
  hops: Record<string, number>;
  streams: { count: number; p50: number; p99: number; max: number; failures: number };
  polls: { count: number; p50: number; p99: number; max: number; answered: number };
  throughput: { bare: number; release: number; ratio: number; bare304: number; release304: number; ratio304: number };
}

const quantile = (sorted: readonly number[], q: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
const rounded = (ms: number) => Math.round(ms * 10) / 10;

function readOptions() {
  const { values } = parseArgs({
    options: {
      streams: { type: "string", default: "2000" },
      polls: { type: "string", default: "2000" },
      speed: { type: "string", default: "1" },
      seed: { type: "string", default: "1" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const [streams, polls, speed, seed] = [values.streams, values.polls, values.speed, values.seed].map(Number);
  if (![streams, polls, seed].every((n) => Number.isSafeInteger(n) && (n as number) >= 1))
    throw new TypeError("--streams, --polls and --seed take whole numbers from 1 on");
  if (!((speed as number) >= 0.25 && (speed as number) <= 1))
    throw new TypeError("--speed takes a number from 0.25 to 1");
  return { streams, polls, speed, seed, json: values.json, help: values.help } as {
    streams: number;
    polls: number;
    speed: number;
    seed: number;
    json: boolean;
    help: boolean;
  };
}

const children = new Set<ChildProcess>();

function start(command: string, args: string[]): ChildProcess {
  const child = spawn(command, args, { cwd: HERE, stdio: ["pipe", "pipe", "inherit"] });
  children.add(child);
  child.once("close", () => children.delete(child));
  return child;
}

/** Opens the streams; `seen` ends them and answers when each saw the first byte of release 1. */
async function openStreams(url: string, count: number) {
  const { port } = new URL(url);
  const clients: { child: ChildProcess; said: AsyncIterableIterator<string> }[] = [];
  for (let first = 0; first < count; first += STREAMS_PER_PROCESS) {
    const own = Math.min(STREAMS_PER_PROCESS, count - first);
    const child = start(process.execPath, [
      ...TSX,
      join(HERE, "streams.ts"),
      port,
      String(10_000 + first),
      String(own),
    ]);
    const lines = createInterface(child.stdout as NodeJS.ReadableStream);
    const said = lines[Symbol.asyncIterator]();
    clients.push({ child, said });
  }
  for (const { said } of clients) if ((await said.next()).value !== "open") throw new Error("a stream did not open");
  return async () => {
    const seen: number[] = [];
    const failures: string[] = [];
    for (const { child, said } of clients) {
      child.stdin?.end();
      const { value } = await said.next();
      const told = JSON.parse(String(value)) as { seen: number[]; failures: string[] };
      seen.push(...told.seen);
      failures.push(...told.failures);
    }
    return { seen, failures };
  };
}

/** When the lift could first be read, which is at its COMMIT: asked every millisecond, from a while before it is due. */
async function watchLift({ stack, schedule }: Night): Promise<number> {
  await sleep(Math.max(0, schedule.lift - 500 - Date.now()));
  return withClient(stack.database.adminUrl, async (client) => {
    for (const end = Date.now() + 60_000; Date.now() < end; await sleep(1)) {
      const { rowCount } = await client.query("select from ledger.lift");
      if (rowCount === 1) return performance.timeOrigin + performance.now();
    }
    throw new Error("the gate was not lifted within a minute of the last close");
  });
}

/** The way of release 1 by the database's own clock, which is this machine's. */
async function readHops({ stack }: Night, lifted: number, seen: readonly number[]): Promise<Figures["hops"]> {
  const ms = (at: string) => `extract(epoch from ${at}) * 1000`;
  const { rows } = await withClient(stack.database.adminUrl, (client) =>
    client.query<Record<string, string | null>>(`select
      (select ${ms("min(proposed_at)")} from tabulate.proposal where type = 'release') as proposed,
      (select ${ms("min(received)")} from ledger.entry where type = 'release') as received,
      (select ${ms("given_at")} from release.key_share where number = 1 and given_by = 'tabulate') as "tabulateShare",
      (select ${ms("given_at")} from release.key_share where number = 1 and given_by = 'recount') as "recountShare"`),
  );
  const hops = Object.entries(rows[0] ?? {}).map(([name, at]) => [name, rounded(Number(at ?? Number.NaN) - lifted)]);
  return { ...Object.fromEntries(hops), firstStream: rounded(Math.min(...seen) - lifted) };
}

async function poll(k6: string, url: string, lift: number, clients: number, folder: string): Promise<Figures["polls"]> {
  const out = join(folder, "polls.json");
  const seconds = Math.ceil((lift - Date.now()) / 1_000) + AFTER_S;
  const addresses = `${loopback(0)}-${loopback(clients - 1)}`;
  const environment = { URL: url, LIFT: lift, CLIENTS: clients, SECONDS: seconds, OUT: out };
  const set = Object.entries(environment).flatMap(([name, value]) => ["-e", `${name}=${value}`]);
  const child = start(k6, ["run", "--quiet", "--local-ips", addresses, ...set, join(HERE, "polls.js")]);
  child.stdin?.end();
  child.stdout?.pipe(process.stderr);
  await once(child, "close");
  const { metrics } = JSON.parse(await readFile(out, "utf8")) as {
    metrics: Record<string, { values: Record<string, number> } | undefined>;
  };
  const after = metrics.poll_after_lift?.values ?? {};
  const { med = Number.NaN, "p(99)": p99 = Number.NaN, max = Number.NaN, count = 0 } = after;
  return {
    count,
    p50: rounded(med),
    p99: rounded(p99),
    max: rounded(max),
    answered: metrics.answered?.values.rate ?? 0,
  };
}

/** The two servers in turn, so that whatever else the machine does meets both. */
async function compare(url: string): Promise<Figures["throughput"]> {
  const path = "/v1/releases/latest";
  const bare = start(process.execPath, [...TSX, join(HERE, "bare.ts"), url + path]);
  const [line] = (await once(createInterface(bare.stdout as NodeJS.ReadableStream), "line")) as [string];
  const tag = (await fetch(url + path)).headers.get("etag") ?? "";
  const [own, other] = [Number(new URL(url).port), Number(line)];
  const br = { "Accept-Encoding": "br" };
  const ask = (port: number, at: string, headers: Record<string, string>) =>
    answersPerSecond({ port, path: at, headers, connections: CONNECTIONS, seconds: ROUND_SECONDS });
  const rounds: Record<"bare" | "release" | "bare304" | "release304", number>[] = [];
  for (let n = 0; n < ROUNDS; n++)
    rounds.push({
      bare: await ask(other, path, br),
      release: await ask(own, path, br),
      bare304: await ask(other, "/304", br),
      release304: await ask(own, path, { ...br, "If-None-Match": tag }),
    });
  bare.kill();
  // Whatever else the machine does takes away and never adds: of each, the best round says most.
  const best = (name: keyof (typeof rounds)[number]) => Math.round(Math.max(...rounds.map((round) => round[name])));
  const [bare200, release, bare304, release304] = [best("bare"), best("release"), best("bare304"), best("release304")];
  return {
    bare: bare200,
    release,
    ratio: Math.round((release / bare200) * 100) / 100,
    bare304,
    release304,
    ratio304: Math.round((release304 / bare304) * 100) / 100,
  };
}

async function measure(options: ReturnType<typeof readOptions>, say: (line: string) => void): Promise<Figures> {
  const k6 = await findK6(say);
  const folder = await mkdtemp(join(tmpdir(), "scrutin-loadtest-"));
  const night = await prepareNight({
    full: false,
    speed: options.speed,
    seed: options.seed,
    say,
    signal: new AbortController().signal,
  });
  try {
    const { release } = night.stack.addresses;
    const running = night.run();
    running.catch(() => undefined); // awaited below
    await sleep(Math.max(0, night.schedule.lift - AHEAD_MS - Date.now()));
    say(`opening ${options.streams} streams, and ${options.polls} clients that ask every second`);
    const seenBy = await openStreams(release, options.streams);
    const lifted = watchLift(night);
    const polls = await poll(k6, release, night.schedule.lift, options.polls, folder);
    const liftedAt = await lifted;
    const { seen, failures } = await seenBy();
    const ms = seen.map((at) => at - liftedAt).sort((a, b) => a - b);
    const hops = await readHops(night, liftedAt, seen);
    const missed = options.streams - seen.length + failures.length;
    const { broken } = await running;
    for (const line of broken) say(`BROKEN: ${line}`);
    if (broken.length > 0) throw new Error("the night itself did not hold");
    say("the night is over; now how many answers a second");
    const throughput = await compare(release);
    return {
      hops,
      streams: {
        count: seen.length,
        p50: rounded(quantile(ms, 0.5)),
        p99: rounded(quantile(ms, 0.99)),
        max: rounded(ms.at(-1) ?? Number.NaN),
        failures: missed,
      },
      polls,
      throughput,
    };
  } finally {
    for (const child of children) child.kill("SIGKILL");
    await night.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Every bound, as a sentence, and whether it holds. */
function judge({ streams, polls, throughput }: Figures): [holds: boolean, line: string][] {
  const { bare, release, ratio, release304, bare304, ratio304 } = throughput;
  return [
    [
      streams.p99 <= MOST_MS,
      `streams: lift's COMMIT to first byte of release 1: median ${streams.p50} ms, p99 ${streams.p99} ms, last ${streams.max} ms (p99 at most ${MOST_MS})`,
    ],
    [
      streams.failures === 0,
      `streams that were lost or saw nothing: ${streams.failures} of ${streams.count + streams.failures}`,
    ],
    [
      polls.p99 <= MOST_MS,
      `polls after the last close: ${polls.count}, median ${polls.p50} ms, p99 ${polls.p99} ms, slowest ${polls.max} ms (p99 at most ${MOST_MS})`,
    ],
    [polls.answered === 1, `polls answered as they should be: ${polls.answered * 100} %`],
    [
      ratio >= LEAST_RATIO,
      `answers a second: ${release}, a bare handler with the same bytes ${bare}: ${ratio} (at least ${LEAST_RATIO})`,
    ],
    [
      release304 >= release,
      `304 a second: ${release304}, at least as many as 200 (a bare handler ${bare304}: ${ratio304})`,
    ],
  ];
}

async function main(): Promise<number> {
  const options = readOptions();
  if (options.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const say = (line: string) => void process.stderr.write(`${line}\n`);
  const figures = await measure(options, say);
  const hops = Object.entries(figures.hops).map(([name, at]) => `${name} ${at}`);
  say(`milliseconds after the lift's COMMIT: ${hops.join(", ")}`);
  const judged = judge(figures);
  if (options.json) process.stdout.write(`${JSON.stringify(figures, null, 2)}\n`);
  else for (const [holds, line] of judged) process.stdout.write(`${holds ? "holds " : "BROKEN"}  ${line}\n`);
  return judged.every(([holds]) => holds) ? 0 : 1;
}

main().then(
  (code) => process.exit(code),
  (error: Error) => {
    process.stderr.write(`${inWords(error)}\n`);
    process.exit(error instanceof TypeError ? 2 : 1);
  },
);
