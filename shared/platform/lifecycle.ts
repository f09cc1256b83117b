import { constants } from "node:os";
import type { Logger } from "pino";
import { createLog } from "./log.ts";
import { createMetrics, type Metrics } from "./metrics.ts";

/** A service that has not stopped by then is ended: its durable work is in Postgres, nothing waits in memory. */
const STOP_MS = 10_000;

/** What a service is given to start with. */
export interface ServiceContext {
  log: Logger;
  metrics: Metrics;
  /** Registers what to do at the end; the last registered runs first. Registered while the end is under way it still runs. */
  onStop(fn: () => Promise<void> | void): void;
  /** Ends the service because it cannot go on: logs why, stops what was opened, exits 1. */
  fail(error: unknown): void;
}

/**
 * Runs a service until a signal. SIGTERM or SIGINT (and, with SCRUTIN_PARENT=1, the end of stdin: the parent is gone) stops it in
 * the reverse order of `onStop` within 10 seconds and exits 0; a second signal exits at once. What nobody caught is logged and
 * exits 1 at once: the state of such a process is unknown, and a restart is safe.
 */
export function runService(service: string, start: (context: ServiceContext) => Promise<void>): void {
  const log = createLog(service);
  const stops: (() => Promise<void> | void)[] = [];
  let stopping: Promise<boolean> | undefined;

  const stop = (reason: string, code: number) => {
    log.info({ reason }, "stopping");
    stopping = withinLimit(runStops(stops, log), log);
    void stopping.then((clean) => {
      log.info("stopped");
      process.exit(clean ? code : 1);
    });
  };
  const fail = (error: unknown) => {
    log.fatal({ err: error }, "cannot go on");
    if (stopping === undefined) stop("failure", 1);
  };
  const die = (error: unknown) => {
    log.fatal({ err: error }, "nobody caught this");
    process.exit(1);
  };
  const onSignal = (signal: "SIGTERM" | "SIGINT") => {
    if (stopping !== undefined) process.exit(128 + constants.signals[signal]);
    stop(signal, 0);
  };

  process.on("uncaughtException", die);
  process.on("unhandledRejection", die);
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
  if (process.env.SCRUTIN_PARENT === "1") endWithParent(() => stopping === undefined && stop("the parent is gone", 0));

  // Pushed while the end is under way it is still taken: the end goes on until nothing is left.
  const onStop = (fn: () => Promise<void> | void) => void stops.push(fn);
  start({ log, metrics: createMetrics(service), onStop, fail }).catch((error: unknown) => {
    // Half-built when the end came: what it was building on is gone, and that is no failure.
    if (stopping === undefined) fail(error);
    else log.warn({ err: error }, "the start was interrupted");
  });
}

/** Empties `stops` from its end; false if one of them failed. */
async function runStops(stops: (() => Promise<void> | void)[], log: Logger): Promise<boolean> {
  let clean = true;
  for (let fn = stops.pop(); fn !== undefined; fn = stops.pop()) {
    try {
      await fn();
    } catch (error) {
      log.error({ err: error }, "a part did not stop cleanly");
      clean = false;
    }
  }
  return clean;
}

function withinLimit(work: Promise<boolean>, log: Logger): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      log.error({ limit_ms: STOP_MS }, "did not stop in time");
      resolve(false);
    }, STOP_MS);
    void work.then((clean) => {
      clearTimeout(timer);
      resolve(clean);
    });
  });
}

/** Whoever holds the other end of our stdin started us; the kernel closes it even after a kill -9. */
function endWithParent(gone: () => void): void {
  process.stdin.once("end", gone);
  process.stdin.once("error", gone);
  process.stdin.resume();
}

/** Says where a service listens, in the one line that whoever started it waits for. */
export function announce(log: Logger, url: string): void {
  log.info({ url }, "listening");
}
