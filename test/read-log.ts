import type { Pool } from "pg";
import { afterEach, beforeEach } from "vitest";
import type { Sample } from "../shared/definition/sample.ts";
import { createHeardLog } from "../shared/platform/log-fixture.ts";
import { createLogReader, type LogReader } from "../shared/platform/log-reader.ts";
import { openPool } from "../shared/platform/postgres.ts";
import { type Harness, startHarness } from "./harness.ts";
import { openWrittenLog, speakers, type WrittenLog } from "./written-log.ts";

/** A log that a test writes and reads as the counts do, anew for each test. */
export interface ReadLog {
  sample: Sample;
  harness: Harness;
  /** As `tabulate`. */
  pool: Pool;
  log: WrittenLog;
  say: ReturnType<typeof speakers>;
  readerOf(): LogReader;
}

/** What each test of the file gets; of the test in hand once it runs. */
export function readLog(makeSample: () => Sample): ReadLog {
  const at = {} as ReadLog;
  beforeEach(async () => {
    const sample = makeSample();
    const harness = await startHarness({ sample });
    const pool = openPool({ url: harness.databaseUrl("tabulate"), service: "tabulate", log: createHeardLog().log });
    const log = await openWrittenLog(harness.databaseUrl("ledger"), sample);
    Object.assign(at, { sample, harness, pool, log, say: speakers(sample) });
  });
  afterEach(async () => {
    await at.log.close();
    await at.pool.end();
    await at.harness.close();
  });
  at.readerOf = () => {
    const { definition, hash, vault } = at.sample;
    return createLogReader({ pool: at.pool, definition, definitionHash: hash, vaultPrivateKey: vault.privateKey });
  };
  return at;
}
