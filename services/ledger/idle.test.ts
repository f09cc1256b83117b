import { createHash, randomBytes } from "node:crypto";
import { afterEach, beforeEach, expect, it } from "vitest";
import { sampleCommon, sampleTally, signSample } from "../../shared/definition/sample.ts";
import { type Harness, startHarness } from "../../test/harness.ts";
import { buildSequencer, dataKeyFor, eventually, runLedger, sealedFor } from "../../test/ledger.ts";
import { openLog } from "./rebuild.ts";
import { openAll, writeOpened } from "./sequencer.ts";

/** What the writer looks after without being asked: whether it may write at all, and whether it is the only one. */

let harness: Harness;
beforeEach(async () => {
  harness = await startHarness();
});
afterEach(() => harness.close());

it("a session that Postgres may acknowledge before the disk has it is never written on", async () => {
  const setting = async (sql: string) => {
    const [row] = await harness.query<{ name: string }>("select quote_ident(current_database()) as name");
    await harness.query(`alter role scrutin_ledger in database ${row?.name} ${sql}`);
  };
  await setting("set synchronous_commit = off");
  const ledger = await runLedger(harness);
  try {
    // It tries again and again, and does not write the first entry either.
    await eventually(() => ledger.logged.filter(({ msg }) => msg === "the log is opened anew").length >= 2);
    expect(ledger.writer.role()).not.toBe("writer");
    expect(await harness.query("select from ledger.entry")).toEqual([]);
    await setting("reset synchronous_commit");
    await eventually(() => ledger.writer.role() === "writer");
  } finally {
    await ledger.stop();
  }
});

it("an idle writer notices that another one has written, and reads the log again", async () => {
  const ledger = await runLedger(harness);
  await eventually(() => ledger.writer.role() === "writer");
  const nc = await harness.nats("services");
  const { seq, pool, sessions } = buildSequencer(harness, nc);
  // Without the lock, as if Postgres had given it to both.
  const other = await sessions.connect();
  const tallies = [sampleTally()];
  const bytes = signSample(
    harness.sample,
    { type: "tally", ...sampleCommon(harness.sample, "AT", 1), tallies },
    "AT-1",
  );
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const wire = sealedFor(await dataKeyFor(harness.sample), sha256, bytes, "receipt.x");
  const subject = `test.${randomBytes(8).toString("hex")}`;
  const subscription = nc.subscribe(subject, { max: 1 });
  nc.publish(subject, wire.data, { headers: wire.headers });
  for await (const msg of subscription)
    await writeOpened(seq, other, await openLog(other, seq.identity, seq.now()), await openAll(seq, [msg]));
  expect(await harness.query("select index::int from ledger.entry where index > 0")).toEqual([{ index: 1 }]);
  await eventually(() => ledger.writer.size() === 2);
  expect(ledger.logged.some(({ msg }) => msg === "the log is opened anew")).toBe(true);
  await ledger.stop();
  other.release(true);
  await Promise.all([sessions.end(), pool.end()]);
});
