import { createHash } from "node:crypto";
import fc from "fast-check";
import type { Msg, NatsConnection } from "nats";
import type { PoolClient } from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { sampleCommon, sampleTally, signSample } from "../../shared/definition/sample.ts";
import type { DataKey } from "../../shared/platform/seal.ts";
import { generalEnvelope } from "../../shared/statement/jws.ts";
import { type Harness, startHarness } from "../../test/harness.ts";
import { buildSequencer, collectReceipts, dataKeyFor, eventually, sealedFor } from "../../test/ledger.ts";
import type { OpenLog } from "./decide.ts";
import { openLog } from "./rebuild.ts";
import { openAll, writeOpened } from "./sequencer.ts";

/**
 * However deliveries are shuffled, repeated and cut into batches, each statement is in the log once and every delivery of it
 * gets the same receipt. Messages come by real core NATS, since the stream itself would drop repetitions.
 */

let harness: Harness;
let nc: NatsConnection;
let key: DataKey;
let built: ReturnType<typeof buildSequencer>;
let session: PoolClient;
let log: OpenLog;
let base = 0;

beforeAll(async () => {
  harness = await startHarness();
  nc = await harness.nats("services");
  key = await dataKeyFor(harness.sample);
  built = buildSequencer(harness, nc);
  session = await built.sessions.connect();
  log = await openLog(session, built.seq.identity, built.seq.now());
});

afterAll(async () => {
  session.release(true);
  await built.sessions.end();
  await built.pool.end();
  await harness.close();
});

interface Wire {
  bytes: Uint8Array;
  sha256: string;
  /** Which statement it is: a number for the sequence, and one for the payload under it. */
  identity: string;
}

/** Six sequence numbers; each with a second payload, and each payload in two envelopes. */
function wires(first: number): Wire[] {
  return [1, 2, 3, 4, 5, 6].flatMap((n) =>
    [0, 1].flatMap((other) => {
      const common = sampleCommon(harness.sample, "AT", first + n);
      const tallies = [sampleTally("AT-3", { version: n, electors: 800 + other })];
      const compact = signSample(harness.sample, { type: "tally", ...common, tallies }, "AT-1");
      const general = Buffer.from(generalEnvelope([Buffer.from(compact).toString("ascii")]));
      return [compact, general].map((bytes) => {
        return { bytes, sha256: createHash("sha256").update(bytes).digest("hex"), identity: `${n} ${other}` };
      });
    }),
  );
}

async function deliver(batch: readonly Wire[], reply: string): Promise<Msg[]> {
  const subject = `test.${reply}`;
  const messages: Msg[] = [];
  const subscription = nc.subscribe(subject, { callback: (_, msg) => messages.push(msg) });
  for (const { bytes, sha256 } of batch) {
    const { headers, data } = sealedFor(key, sha256, bytes, reply);
    nc.publish(subject, data, { headers });
  }
  await eventually(() => messages.length === batch.length);
  subscription.unsubscribe();
  return messages;
}

it("writes each statement once, whatever is repeated, shuffled and cut", async () => {
  const order = fc.array(fc.integer({ min: 0, max: 23 }), { minLength: 1, maxLength: 60 });
  const cuts = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 10 });
  await fc.assert(
    fc.asyncProperty(order, cuts, async (picks, sizes) => {
      base += 10;
      const all = wires(base);
      const reply = `receipt.run${base}`;
      const receipts = collectReceipts(nc, reply, key);
      const queue = picks.map((n) => all[n] as Wire);
      for (let n = 0, at = 0; at < queue.length; n++) {
        const size = sizes[n % sizes.length] as number;
        const messages = await deliver(queue.slice(at, at + size), reply);
        await writeOpened(built.seq, session, log, await openAll(built.seq, messages));
        at += size;
      }
      const received = () => [...receipts.values()].reduce((sum, list) => sum + list.length, 0);
      await eventually(() => received() === queue.length);

      const identities = new Set(queue.map(({ identity }) => identity));
      const rows = await harness.query(
        "select sequence, payload from ledger.entry where sequence between $1 and $2 order by index",
        [base + 1, base + 6],
      );
      expect(rows).toHaveLength(identities.size);
      for (const identity of identities) {
        const mine = queue.filter((wire) => wire.identity === identity);
        const given = new Set(mine.flatMap(({ sha256 }) => receipts.get(sha256) ?? []));
        expect(given.size, `one receipt for ${identity}`).toBe(1);
      }
      // The first payload under a sequence number stands; only the other one is equivocation.
      for (const n of [1, 2, 3, 4, 5, 6]) {
        const first = queue.find(({ identity }) => identity.startsWith(`${n} `));
        if (first === undefined) continue;
        expect(codesOf(receipts.get(first.sha256))).not.toContain("F.102");
        const other = queue.find(({ identity }) => identity.startsWith(`${n} `) && identity !== first.identity);
        if (other !== undefined) expect(codesOf(receipts.get(other.sha256))).toEqual(["F.102"]);
      }
    }),
    { numRuns: 15 },
  );
  // What memory says is what the database says: the log read anew is the same log.
  const again = await openLog(session, built.seq.identity, built.seq.now());
  expect(Buffer.from(again.root)).toEqual(Buffer.from(log.root));
  expect(again.lastReceived).toBe(log.lastReceived);
  expect(again.dataKeys).toEqual(log.dataKeys);
  expect(plain(again.state)).toEqual(plain(log.state));
  expect(
    [...again.gaps.keys].map(([name, gaps]) => [name, gaps.highest, gaps.missing.map((m) => [m.from, m.to])]),
  ).toEqual([...log.gaps.keys].map(([name, gaps]) => [name, gaps.highest, gaps.missing.map((m) => [m.from, m.to])]));
});

/** Without what the book of keys can do. */
function plain({ keys, ...state }: OpenLog["state"]) {
  return { ...state, keys: [...keys.records()].map(({ key, from, ended }) => ({ key, from, ended })) };
}

function codesOf(receipts: readonly string[] | undefined): string[] {
  const payload = Buffer.from(receipts?.[0]?.split(".")[1] ?? "", "base64url").toString("utf8");
  return (JSON.parse(payload) as { findings: { code: string }[] }).findings.map(({ code }) => code);
}
