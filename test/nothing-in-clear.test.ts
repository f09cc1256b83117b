import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sampleCommon, sampleTally, signSample } from "../shared/definition/sample.ts";
import { unwrapDataKey } from "../shared/platform/seal.ts";
import { type Harness, startHarness } from "./harness.ts";
import { eventually } from "./ledger.ts";

/**
 * The gate is a key: before the lift nothing that travels or lies anywhere holds a figure, a verdict, or a bare signature, with
 * which small figures could be guessed and checked. Looked for in every message, every row and every file, in the usual codings.
 */

const ELECTORS = 907_654_321;

/** What would give bytes away: as they are, in hex, and in base64 wherever it begins within three bytes. */
function traces(bytes: Uint8Array): Buffer[] {
  const raw = Buffer.from(bytes);
  const coded = [0, 1, 2].flatMap((shift) => {
    const whole = raw.subarray(shift, raw.length - ((raw.length - shift) % 3));
    return [whole.toString("base64"), whole.toString("base64url")];
  });
  return [raw, ...[raw.toString("hex"), ...coded].map((text) => Buffer.from(text, "latin1"))];
}

/** Figures one after the other as a count may keep them: 32 bits each, or seven bits a byte. */
function packed(figures: number[]): Buffer[] {
  const [little, big] = [Buffer.alloc(4 * figures.length), Buffer.alloc(4 * figures.length)];
  const sevens: number[] = [];
  for (const [n, figure] of figures.entries()) {
    little.writeUInt32LE(figure, 4 * n);
    big.writeUInt32BE(figure, 4 * n);
    let rest = figure;
    for (; rest > 0x7f; rest >>>= 7) sevens.push((rest & 0x7f) | 0x80);
    sevens.push(rest);
  }
  return [little, big, Buffer.from(sevens)].flatMap(traces);
}

/** The data key of the log's one statement, as only the vault can unwrap it. */
async function dataKeyOf({ sample, query }: Harness): Promise<Uint8Array> {
  const rows = await query<{ id: Buffer; wrapped: Buffer }>("select id, wrapped from ledger.data_key");
  expect(rows).toHaveLength(1);
  const [{ id, wrapped }] = rows as [(typeof rows)[0]];
  const { privateKey } = sample.vault;
  return unwrapDataKey({ definition: sample.hash, id: id.toString("hex"), wrapped, vaultPrivateKey: privateKey });
}

describe("before the lift", () => {
  let harness: Harness;
  let secrets: [name: string, traces: Buffer[]][];
  const seen: Buffer[] = [];
  const found = (place: Uint8Array) =>
    secrets.filter(([, all]) => all.some((trace) => Buffer.from(place).includes(trace))).map(([name]) => name);

  beforeAll(async () => {
    harness = await startHarness();
    const nc = await harness.nats("stack");
    nc.subscribe(">", {
      callback: (error, msg) => {
        if (error !== null) throw error;
        const head = [...(msg.headers ?? [])].flat(2).join("\n");
        seen.push(Buffer.concat([Buffer.from(`${msg.subject}\n${head}\n`, "latin1"), msg.data]));
      },
    });
    const [, ingest] = await Promise.all([harness.start("ledger"), harness.start("ingest")]);
    const { sample } = harness;
    const tallies = [sampleTally("AT-1", { electors: ELECTORS })];
    const jws = signSample(sample, { type: "tally", ...sampleCommon(sample, "AT", 1), tallies }, "AT-1");
    const post = { method: "POST", headers: { "content-type": "application/jose" }, body: Buffer.from(jws) };
    const response = await fetch(`${ingest.url}/v1/statements`, post);
    const { receipt, verdict } = (await response.json()) as { receipt: string; verdict: string };
    expect([response.status, verdict]).toEqual([201, "accepted"]);
    await Promise.all([harness.start("tabulate", { SCRUTIN_INGEST_URL: ingest.url }), harness.start("recount")]);
    for (const table of ["recount.answer", "recount.part", "tabulate.part"])
      await eventually(async () => (await harness.query(`select from ${table}`)).length > 0);

    const [head = "", payload = "", signature = ""] = Buffer.from(jws).toString("latin1").split(".");
    const raw = (text: string) => Buffer.from(text, "base64url");
    const text = (value: string) => traces(Buffer.from(value, "latin1"));
    secrets = [
      ["the statement's envelope", text(`${head}.${payload}`)],
      ["the statement's payload", traces(raw(payload))],
      ["the office's signature", traces(raw(signature))],
      ["a figure", text(String(ELECTORS))],
      ["the figures", text(JSON.stringify(tallies[0]?.votes).slice(1, -1))],
      ["the figures as a count keeps them", packed([ELECTORS, 231, 4, 7])],
      ["a verdict", text('"verdict":"accepted"')],
      ["the receipt's signature", traces(raw(receipt.split(".")[2] ?? ""))],
      ["the key that the statement is sealed with", traces(await dataKeyOf(harness))],
    ];
  });
  afterAll(() => harness.close());

  it("looks for what it says that it looks for", () => {
    for (const [name, all] of secrets) for (const trace of all) expect(found(trace)).toContain(name);
    const payload = secrets.find(([name]) => name === "the statement's payload")?.[1][0] ?? Buffer.alloc(0);
    const within = Buffer.concat([Buffer.from("xy"), payload, Buffer.from("z")]);
    expect(found(Buffer.from(within.toString("base64")))).toContain("the statement's payload");
  });

  it("no message on the bus holds any of it", () => {
    const subjects = seen.map((message) => message.toString("latin1").split("\n", 1)[0] ?? "");
    for (const prefix of ["statement.AT", "receipt.", "ledger.appended", "release.sealed"])
      expect(
        subjects.some((subject) => subject.startsWith(prefix)),
        prefix,
      ).toBe(true);
    expect(seen.flatMap(found)).toEqual([]);
  });

  it("no row of any table holds any of it", async () => {
    const tables = await harness.query<{ name: string }>(
      `select format('%I.%I', schemaname, tablename) as name from pg_tables
        where schemaname in ('ledger', 'tabulate', 'recount', 'release')`,
    );
    expect(tables.length).toBeGreaterThan(12);
    const filled: string[] = [];
    const leaks: string[] = [];
    for (const { name } of tables) {
      const rows = await harness.query<{ row: string }>(`select t::text as row from ${name} t`);
      if (rows.length > 0) filled.push(name);
      // Bytes as hex; quotes within quotes doubled.
      for (const { row } of rows)
        for (const what of found(Buffer.from(row.replaceAll('""', '"'), "latin1"))) leaks.push(`${name}: ${what}`);
    }
    for (const name of [
      "ledger.entry",
      "ledger.statement",
      "tabulate.candidate",
      "tabulate.part",
      "recount.answer",
      "recount.part",
    ])
      expect(filled).toContain(name);
    for (const name of ["release.key_share", "release.data_key_share"]) expect(filled).not.toContain(name);
    expect(leaks).toEqual([]);
  });

  it("no file of the bus and no log holds any of it", async () => {
    const files = await readdir(harness.folder, { recursive: true, withFileTypes: true });
    const leaks: string[] = [];
    let looked = 0;
    for (const file of files.filter((each) => each.isFile())) {
      const path = join(file.parentPath, file.name);
      for (const what of found(await readFile(path))) leaks.push(`${path}: ${what}`);
      looked++;
    }
    expect(looked).toBeGreaterThan(5);
    expect(leaks).toEqual([]);
  });
});
