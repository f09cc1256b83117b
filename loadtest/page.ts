import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { chromium } from "playwright-core";
import { builtPage } from "../infra/stack/page.ts";
import { watchOf } from "../services/watch/fixture.ts";
import { readShell } from "../services/watch/shell.ts";
import { serve } from "../shared/platform/http.ts";
import { createHeardLog } from "../shared/platform/log-fixture.ts";

/**
 * What the operators' page costs a browser: 27 feeds, each of them other at every one of 30 updates a second, for half a minute. Processor time of
 * all of Chromium's processes, and frames by the browser's own tracing.
 *
 *   npx tsx loadtest/page.ts
 */

const UPDATES_PER_SECOND = 30;
const SECONDS = 30;
const MOST_SHARE = 0.6;
const MOST_FRAME_MS = 100;
const NAMES = "AT BE BG CY CZ DE DK EE EL ES FI FR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK".split(" ");
const TICKS_PER_SECOND = 100;

/** Processor seconds of a process and everything below it, so far. */
async function processorSeconds(pids: readonly number[]): Promise<number> {
  let ticks = 0;
  for (const pid of pids) {
    const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => ""); // it has ended meanwhile
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    ticks += Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
  }
  return ticks / TICKS_PER_SECOND;
}

interface TraceEvent {
  name: string;
  ph: string;
  dur?: number;
}

async function main(): Promise<number> {
  let round = 0;
  const feedOf = (state: string, n: number) => ({
    state,
    name: `State ${state}`,
    lastHeard: new Date().toISOString(),
    statements: round * (n + 1),
    tallies: Math.min(10_000, round * (n + 1)),
    units: 10_000,
    polls: "closed" as const,
    feed: "reporting" as const,
    closesAt: new Date(Date.now() - 3_600_000).toISOString(),
    earlyTally: null,
    perMinute: round % 60,
    recent: Array.from({ length: 36 }, (_, slice) => (round * (n + 3) + slice * 7) % 50),
    expected: { now: 0.5, momentAgo: 0.5, whenLastHeard: 0.5 },
  });
  const scene = {
    record: {
      get feeds() {
        return NAMES.map(feedOf);
      },
    },
  };
  const shell = await readShell(await builtPage(() => undefined));
  const watch = watchOf(scene, { shell, live: true });
  const served = await serve(watch.app, { host: "127.0.0.1", port: 0, log: createHeardLog().log });
  const browser = await chromium.launchServer({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: process.getuid?.() === 0 ? ["--no-sandbox"] : [],
  });
  try {
    const connected = await chromium.connect(browser.wsEndpoint());
    const context = await connected.newContext({ viewport: { width: 1920, height: 1080 } });
    const { cookie = "" } = watch.signIn("operator");
    const [name = "", value = ""] = cookie.split("=");
    await context.addCookies([{ name, value, url: served.url }]);
    const page = await context.newPage();
    await page.goto(served.url);
    await page.locator("tr[data-state=SK]").waitFor();
    const events: TraceEvent[] = [];
    const root = await connected.newBrowserCDPSession();
    root.on("Tracing.dataCollected", ({ value: some }) => void events.push(...(some as unknown as TraceEvent[])));
    const { processInfo } = await root.send("SystemInfo.getProcessInfo");
    const pids = processInfo.map(({ id }) => id);
    const ringing = setInterval(() => {
      round++;
      watch.ring();
    }, 1000 / UPDATES_PER_SECOND);
    await sleep(2_000); // what is compiled and laid out once is not what it costs
    await root.send("Tracing.start", {
      transferMode: "ReportEvents",
      traceConfig: {
        includedCategories: [
          "devtools.timeline",
          "disabled-by-default-devtools.timeline",
          "disabled-by-default-devtools.timeline.frame",
        ],
      },
    });
    const before = await processorSeconds(pids);
    const seen = round;
    const started = performance.now();
    await sleep(SECONDS * 1000);
    const took = (performance.now() - started) / 1000;
    const spent = (await processorSeconds(pids)) - before;
    const updates = (round - seen) / took;
    const shown = await page.locator("tr[data-state=AT] td.n").nth(1).innerText();
    const atThatTime = round;
    clearInterval(ringing);
    const done = new Promise((resolve) => root.once("Tracing.tracingComplete", resolve));
    await root.send("Tracing.end");
    await done;
    const behind = atThatTime - Number(/^[\d,]+/.exec(shown)?.[0].replaceAll(",", "") ?? 0);
    const longest = Math.max(...events.filter(({ name }) => name === "RunTask").map(({ dur = 0 }) => dur / 1000));
    const frames = events.filter(({ name }) => name === "DrawFrame").length;
    const judged: [boolean, string][] = [
      [
        updates >= 0.95 * UPDATES_PER_SECOND,
        `${updates.toFixed(1)} updates a second of 27 feeds each (at least ${UPDATES_PER_SECOND}, less a twentieth)`,
      ],
      [
        spent / took < MOST_SHARE,
        `${(100 * (spent / took)).toFixed(0)} % of one core, all of Chromium's processes together (below ${100 * MOST_SHARE} %)`,
      ],
      [
        longest < MOST_FRAME_MS,
        `the longest task between two frames took ${longest.toFixed(1)} ms (below ${MOST_FRAME_MS}); ${frames} frames in ${took.toFixed(0)} s`,
      ],
      [behind < UPDATES_PER_SECOND, `what is shown is ${behind} updates behind (less than a second's)`],
    ];
    for (const [holds, line] of judged) process.stdout.write(`${holds ? "holds " : "BROKEN"}  ${line}\n`);
    return judged.every(([holds]) => holds) ? 0 : 1;
  } finally {
    await browser.close();
    await served.close();
  }
}

process.exitCode = await main();
