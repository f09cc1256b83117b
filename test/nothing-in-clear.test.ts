import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sampleCommon, sampleTally, signSample } from "../shared/definition/sample.ts";
import { unwrapDataKey } from "../shared/platform/seal.ts";
import type { Statement } from "../shared/statement/types.ts";
import { createSayings, post } from "./embargo.ts";
import { type Harness, startHarness } from "./harness.ts";
import { eventually } from "./ledger.ts";
import { foundIn, packed, rowBytes, type Sought, textTraces as text, traces } from "./sentinel.ts";

/**
 * The gate is a key: before the lift nothing that travels or lies anywhere holds a figure, a verdict, or a bare signature, with
 * which small figures could be guessed and checked. Looked for in every message, every row and every file, in the usual codings.
 */

const ELECTORS = 907_654_321;

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
  let secrets: Sought;
  let ingestUrl = "";
  let sha256 = "";
  const seen: Buffer[] = [];
  const found = (place: Uint8Array) => foundIn(place, secrets);
  /** Files of a folder that hold any of it; how many were read. */
  const foundInFiles = async (folder: string, only: (path: string) => boolean = () => true) => {
    const files = await readdir(folder, { recursive: true, withFileTypes: true });
    const leaks: string[] = [];
    let looked = 0;
    for (const path of files.filter((each) => each.isFile()).map((each) => join(each.parentPath, each.name))) {
      if (!only(path)) continue;
      for (const what of found(await readFile(path))) leaks.push(`${path}: ${what}`);
      looked++;
    }
    return { leaks, looked };
  };

  beforeAll(async () => {
    harness = await startHarness();
    const nc = await harness.nats("services");
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
    ingestUrl = ingest.url;
    sha256 = createHash("sha256").update(jws).digest("hex");
    const request = { method: "POST", headers: { "content-type": "application/jose" }, body: Buffer.from(jws) };
    const response = await fetch(`${ingest.url}/v1/statements`, request);
    const { receipt, verdict } = (await response.json()) as { receipt: string; verdict: string };
    expect([response.status, verdict]).toEqual([201, "accepted"]);
    await Promise.all([harness.start("tabulate", { SCRUTIN_INGEST_URL: ingest.url }), harness.start("recount")]);
    for (const table of ["recount.answer", "recount.part", "tabulate.part"])
      await eventually(async () => (await harness.query(`select from ${table}`)).length > 0);

    const [head = "", payload = "", signature = ""] = Buffer.from(jws).toString("latin1").split(".");
    const raw = (text: string) => Buffer.from(text, "base64url");
    secrets = [
      ["the statement's envelope", text(`${head}.${payload}`)],
      ["the statement's payload", traces(raw(payload))],
      ["the office's signature", traces(raw(signature))],
      ["a figure", [...text(String(ELECTORS)), ...packed([ELECTORS])]],
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
      for (const { row } of rows) for (const what of found(rowBytes(row))) leaks.push(`${name}: ${what}`);
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
    const { leaks, looked } = await foundInFiles(harness.folder);
    expect(looked).toBeGreaterThan(5);
    expect(leaks).toEqual([]);
  });

  it("no file of the database, its log of changes or its log of events holds any of it", async () => {
    const { query, postgresFolder } = harness;
    // Everything that is in memory is written.
    await query("checkpoint");
    const [row] = await query<{ data: string; oid: number }>(
      "select current_setting('data_directory') as data, oid from pg_database where datname = current_database()",
    );
    const data = row?.data ?? "";
    // Of the databases of this server only this one; the log of changes is of all.
    const ours = (path: string) => !path.includes("/base/") || path.includes(`/base/${row?.oid}/`);
    const { leaks, looked } = await foundInFiles(data, ours);
    expect(looked).toBeGreaterThan(200);
    expect(leaks).toEqual([]);
    expect(found(await readFile(join(postgresFolder, "postgres.log")))).toEqual([]);
    // And would be found if it did.
    await query(`create table public.planted as select ${ELECTORS}::bigint as figure`);
    await query("checkpoint");
    const planted = await foundInFiles(join(data, "base", String(row?.oid)));
    expect(planted.leaks.map((leak) => leak.replace(/^.*: /, ""))).toEqual(["a figure"]);
    await query("drop table public.planted");
  });

  it("and the same search finds it in what is given after the lift", async () => {
    const say = createSayings(harness);
    const closed = async (state: string, ...kids: string[]) => {
      const closure: Statement = { type: "polls", ...say.common(state), polls: "closed" };
      expect(await post(harness, ingestUrl, closure, ...kids)).toMatchObject({ verdict: "accepted" });
    };
    await closed("LU", "LU-1", "LU-2");
    await closed("AT", "AT-1"); // the key's second statement, after the tally
    const { url } = await harness.start("release");
    const given = async (path: string) => {
      const response = await fetch(`${url}${path}`);
      return response.ok ? found(new Uint8Array(await response.arrayBuffer())) : [];
    };
    await eventually(async () => (await given("/v1/releases/1")).includes("a figure"));
    await eventually(async () => (await given(`/statements/${sha256}`)).includes("the statement's payload"));
    const statement = await given(`/statements/${sha256}`);
    expect(statement).toEqual(expect.arrayContaining(["the statement's envelope", "the office's signature"]));
  });
});
