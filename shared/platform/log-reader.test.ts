import type { Pool } from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Harness, startHarness } from "../../test/harness.ts";
import { openWrittenLog, receivedAt, speakers, type WrittenLog } from "../../test/written-log.ts";
import { type Sample, sampleDefinition } from "../definition/sample.ts";
import { createHeardLog } from "./log-fixture.ts";
import { createLogReader, LogBroken, type LogReader, type ReadEntry } from "./log-reader.ts";
import { openPool } from "./postgres.ts";
import { createKeyring, open, seal } from "./seal.ts";

describe("the log reader", () => {
  let harness: Harness;
  let pool: Pool;
  let log: WrittenLog;
  const sample: Sample = sampleDefinition();

  const options = () => ({
    pool,
    definitionHash: sample.hash,
    vaultPrivateKey: sample.vault.privateKey,
    definition: sample.definition,
  });
  const collect = async (reader: LogReader, to: number) => {
    const entries: ReadEntry[] = [];
    for await (const entry of reader.read(reader.position(), to)) entries.push(entry);
    return entries;
  };

  beforeAll(async () => {
    harness = await startHarness({ sample });
    pool = openPool({ url: harness.databaseUrl("tabulate"), service: "tabulate", log: createHeardLog().log });
    log = await openWrittenLog(harness.databaseUrl("ledger"), sample);
    const say = speakers(sample);
    await log.append(say.tally("AT-1"), { ...say.tally("AT-2"), verdict: "quarantined" });
    await log.append(say.closed("AT"));
    await log.append(say.tally("AT-3"), say.hold("AT"), say.closed("LU"));
  });
  afterAll(async () => {
    await log.close();
    await pool.end();
    await harness.close();
  });

  it("opens every entry, and says where a checkpoint covers them", async () => {
    const reader = createLogReader(options());
    expect((await reader.head())?.size).toBe(7);
    const entries = await collect(reader, 7);
    expect(entries.map(({ statement }) => statement?.type ?? null)).toEqual([
      null,
      "tally",
      "tally",
      "polls",
      "tally",
      "decision",
      "polls",
    ]);
    expect(entries.map(({ verdict }) => verdict === "accepted")).toEqual([true, true, false, true, true, true, true]);
    expect(entries.map(({ checkpoint }) => checkpoint?.size ?? null)).toEqual([1, null, 3, 4, null, null, 7]);
    expect(entries[4]?.received).toBe(receivedAt(4));
    expect(entries[2]?.findings).toEqual([{ code: "F.301" }]);
    expect(reader.position()).toBe(7);
    expect((await reader.checkpointsAfter(3)).map(({ size }) => size)).toEqual([4, 7]);
  });

  it("goes on from any checkpointed size as if it had read from the start", async () => {
    const whole = createLogReader(options());
    const all = await collect(whole, 7);
    for (const start of [0, 1, 3, 4, 7]) {
      const reader = createLogReader(options());
      await reader.startAt(start);
      expect((await collect(reader, 7)).map(({ index }) => index)).toEqual(all.slice(start).map(({ index }) => index));
    }
    const reader = createLogReader(options());
    await expect(reader.startAt(2)).rejects.toThrow(LogBroken);
    await expect(reader.startAt(8)).rejects.toThrow(LogBroken);
    await expect(collect(reader, 2)).rejects.toThrow("no checkpoint covers");
    await expect(collect(createLogReader(options()), 8)).rejects.toThrow(LogBroken);
    const elsewhere = createLogReader(options());
    await expect(async () => {
      for await (const _ of elsewhere.read(1, 3));
    }).rejects.toThrow(RangeError);
  });

  /** What someone with every right on the database could do; each in a transaction that is rolled back. */
  const tampered = async (sql: string, read: (reader: LogReader) => Promise<unknown>) => {
    const admin = openPool({ url: harness.adminUrl, service: "tampering", max: 1, log: createHeardLog().log });
    const client = await admin.connect();
    try {
      await client.query("begin");
      await client.query("set local session_replication_role = 'replica'");
      for (const table of ["entry", "statement", "checkpoint", "data_key"])
        await client.query(`alter table ledger.${table} disable trigger only_grows`);
      await client.query("alter table ledger.head disable trigger only_forward");
      await client.query(sql);
      return await read(createLogReader({ ...options(), pool: client as unknown as Pool }));
    } finally {
      await client.query("rollback");
      client.release();
      await admin.end();
    }
  };

  const flip = (column: string) =>
    `set_byte(${column}, length(${column}) / 2, get_byte(${column}, length(${column}) / 2) # 1)`;

  it.each([
    ["a byte of a body", `update ledger.entry set body = ${flip("body")} where index = 4`],
    [
      "a body with its leaf",
      `update ledger.entry set body = replace(encode(body, 'escape'), '"units":1', '"units":2')::bytea,
        leaf = sha256('\\x00'::bytea || replace(encode(body, 'escape'), '"units":1', '"units":2')::bytea) where index = 4`,
    ],
    ["a leaf", `update ledger.entry set leaf = ${flip("leaf")} where index = 1`],
    ["a sealed statement", `update ledger.statement set sealed = ${flip("sealed")} where index = 1`],
    [
      "another's statement",
      "update ledger.statement set sealed = (select sealed from ledger.statement where index = 4) where index = 1",
    ],
    [
      "another's judgement",
      "update ledger.statement set judgement = (select judgement from ledger.statement where index = 1) where index = 2",
    ],
    ["a judgement", `update ledger.statement set judgement = ${flip("judgement")} where index = 2`],
    ["a statement's hash", `update ledger.statement set sha256 = ${flip("sha256")} where index = 1`],
    ["a data key", "update ledger.data_key set wrapped = set_byte(wrapped, 40, get_byte(wrapped, 40) # 1)"],
    ["an entry that is gone", "delete from ledger.entry where index = 4"],
    ["a statement that is gone", "delete from ledger.statement where index = 4"],
    ["a checkpoint that is gone", "delete from ledger.checkpoint where size = 7"],
    [
      "a checkpoint of another tree",
      "update ledger.checkpoint set note = (select note from ledger.checkpoint where size = 4) where size = 7",
    ],
    [
      "a checkpoint with another signature",
      "update ledger.checkpoint set note = replace(note, 'results.example.eu', 'results.example.xx') where size = 3",
    ],
  ])("refuses %s", async (_, sql) => {
    await expect(tampered(sql, (reader) => collect(reader, 7))).rejects.toThrow(LogBroken);
  });

  it.each(["judgement", "sealed"] as const)("refuses another %s under the same seal", async (column) => {
    const [row] = await harness.query<
      Record<"id" | "wrapped", Buffer> & { sha256: Buffer; other: Buffer; hash: Buffer }
    >(
      `select k.id, k.wrapped, s.sha256, o.sealed as other, o.sha256 as hash
         from ledger.data_key k, ledger.statement s, ledger.statement o where s.index = 1 and o.index = 4`,
    );
    const { privateKey } = sample.vault;
    const key = await createKeyring({ definition: sample.hash, vaultPrivateKey: privateKey }).unwrap(
      row!.id.toString("hex"),
      row!.wrapped,
    );
    const context = row!.sha256.toString("hex");
    const judgement = Buffer.from(JSON.stringify({ verdict: "quarantined", findings: [], salt: "00".repeat(32) }));
    const sealed =
      column === "judgement"
        ? seal(key, "judgement", context, judgement)
        : seal(key, "statement", context, open(key, "statement", row!.hash.toString("hex"), row!.other));
    const sql = `update ledger.statement set ${column} = '\\x${Buffer.from(sealed).toString("hex")}' where index = 1`;
    await expect(tampered(sql, (reader) => collect(reader, 7))).rejects.toThrow("another one than was committed to");
  });

  it("refuses a log that went back, and a start that the leaves do not bear out", async () => {
    const readAll = async (reader: LogReader) => reader.startAt(7).then(() => reader.head());
    await expect(
      tampered("update ledger.head h set size = 4, root = c.root from ledger.checkpoint c where c.size = 4", readAll),
    ).rejects.toThrow("went back");
    await expect(
      tampered(`update ledger.entry set leaf = ${flip("leaf")} where index = 1`, (reader) => reader.startAt(7)),
    ).rejects.toThrow(LogBroken);
    expect(await tampered("select 1", readAll)).toMatchObject({ size: 7 });
  });

  it("refuses the log of another election and of another ledger", async () => {
    const other = sampleDefinition({ seed: "other" });
    await expect(collect(createLogReader({ ...options(), definitionHash: other.hash }), 1)).rejects.toThrow(
      "another definition",
    );
    const keys = sample.definition.keys.map((key) =>
      key.role === "ledger" ? { ...key, publicKey: other.keys.get("ledger-1")!.jwk.x } : key,
    );
    const ofOther = { ...options(), definition: { ...sample.definition, keys } };
    await expect(collect(createLogReader(ofOther), 1)).rejects.toThrow("not signed by the ledger");
    await expect(
      collect(createLogReader({ ...options(), vaultPrivateKey: other.vault.privateKey }), 3),
    ).rejects.toThrow(LogBroken);
  });

  it("refuses a statement that its office did not sign, though the ledger did", async () => {
    const own = await startHarness({ sample });
    const mine = openPool({ url: own.databaseUrl("tabulate"), service: "tabulate", log: createHeardLog().log });
    const written = await openWrittenLog(own.databaseUrl("ledger"), sample);
    const forged = speakers(sampleDefinition({ seed: "other" })).tally("AT-1");
    await written.append(forged);
    const reader = createLogReader({ ...options(), pool: mine });
    await expect(collect(reader, 2)).rejects.toThrow("signature");
    await written.close();
    await mine.end();
    await own.close();
  });

  it("reads a log of many batches in chunks, one checkpoint each", async () => {
    const own = await startHarness({ sample });
    const mine = openPool({ url: own.databaseUrl("tabulate"), service: "tabulate", log: createHeardLog().log });
    const written = await openWrittenLog(own.databaseUrl("ledger"), sample);
    const say = speakers(sample);
    for (let batch = 0; batch < 30; batch++)
      await written.append(...Array.from({ length: 50 }, (_, n) => say.tally("AT-1", { version: batch * 50 + n + 1 })));
    const entries = await collect(createLogReader({ ...options(), pool: mine }), 1501);
    expect(entries.map(({ index }) => index)).toEqual(Array.from({ length: 1501 }, (_, index) => index));
    expect(entries.filter(({ checkpoint }) => checkpoint !== null)).toHaveLength(31);
    await written.close();
    await mine.end();
    await own.close();
  });
});
