import type { Sample } from "../../shared/definition/sample.ts";
import type { App } from "../../shared/platform/http.ts";
import { createHeardLog } from "../../shared/platform/log-fixture.ts";
import { createMetrics } from "../../shared/platform/metrics.ts";
import { buildApp, type ReleaseDeps } from "./app.ts";
import type { MadeRelease } from "./fixture.ts";
import { createPublicLog } from "./log.ts";
import { memoryLog } from "./log-fixture.ts";
import { trustOf } from "./opened.ts";
import { createOpening, type Stored } from "./opening.ts";
import { createShelf, type Shelf } from "./shelf.ts";
import { createStream } from "./stream.ts";

/** For tests: the whole app over a chain of releases and a log, without servers. */

export async function shelfOf(sample: Sample, chain: readonly MadeRelease[]): Promise<Shelf> {
  const shelf = createShelf({
    trust: trustOf(sample.definition, sample.hash),
    selectAfter: async (number, limit) => chain.slice(number, number + limit),
    selectOne: async (number) => chain[number - 1],
  });
  await shelf.take(() => undefined);
  return shelf;
}

/** A log of 3 entries, looked at once. */
export async function logOf(sample: Sample, change: (sources: ReturnType<typeof memoryLog>) => void = () => {}) {
  const memory = memoryLog(sample);
  await memory.grow(3);
  change(memory);
  const publicLog = createPublicLog(memory.sources);
  await publicLog.round();
  return publicLog;
}

/** A database in which nothing lies. */
const NOTHING: Stored = {
  findStatement: async () => undefined,
  selectFound: async () => undefined,
  selectSealed: async () => undefined,
  selectBodies: async () => [],
  selectJudgements: async () => [],
  selectDataKeys: async () => [],
  selectDataKeyShares: async () => [],
  selectClear: async () => [],
  selectUses: async () => [],
  selectForeign: async () => [],
  selectCosignedOver: async () => [],
  selectBestOver: async () => undefined,
};

export async function appOf(
  sample: Sample,
  chain: readonly MadeRelease[],
  more: Partial<ReleaseDeps> = {},
): Promise<App> {
  const { register, bytes, signatures } = sample;
  const { log } = createHeardLog();
  const shelf = await shelfOf(sample, chain);
  const publicLog = more.publicLog ?? (await logOf(sample));
  const { retrySeconds = () => 3 } = more;
  const opened = { stored: NOTHING, register, publicLog, shelf, authorities: () => [], quorum: 0, retrySeconds, log };
  const metrics = createMetrics("release");
  return buildApp({
    log,
    metrics,
    stream: createStream(shelf.list, metrics),
    register,
    bytes,
    signatures,
    shelf,
    publicLog,
    opening: createOpening({ ...opened, now: () => 0 }),
    findStatement: async () => undefined,
    now: () => 0,
    retrySeconds,
    status: () => ({ looked: true, broken: false }),
    pingNats: async () => undefined,
    ...more,
  });
}
