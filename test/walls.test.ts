import type { Pool } from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Role } from "../infra/stack/database.ts";
import { SAMPLE_CLOSE, sampleDefinition } from "../shared/definition/sample.ts";
import { createHeardLog } from "../shared/platform/log-fixture.ts";
import { openPool } from "../shared/platform/postgres.ts";
import { type Harness, startHarness } from "./harness.ts";
import { cloneDatabase } from "./vault.ts";
import { closures, liftStatement, ownStatement } from "./vault-scenario.ts";
import { openWrittenLog, speakers, type Written } from "./written-log.ts";

/**
 * The third wall, alone: Postgres refuses the lift's row and any key's row by its own look, whatever a service believes. SQL as
 * each service's role, with no code of ours in between.
 */

const DAY = 24 * 3_600_000;
const share = Buffer.alloc(32, 7);

describe("Postgres' wall", () => {
  let past: Harness;
  let ahead: Harness;
  beforeAll(async () => {
    past = await startHarness({ sample: sampleDefinition() });
    // Polls that close tomorrow, by any clock.
    const closesAt = Math.floor(Date.now() / 1000) * 1000 + DAY;
    ahead = await startHarness({ sample: sampleDefinition({ closesAt }) });
  });
  afterAll(async () => {
    await past.close();
    await ahead.close();
  });

  type Act = (
    as: (role: Role | "admin", sql: string, values?: unknown[]) => Promise<unknown>,
    log: Written[],
  ) => Promise<void>;

  /** A log with these statements, and SQL as any role. */
  const behind = async (harness: Harness, statements: (say: ReturnType<typeof speakers>) => Written[], act: Act) => {
    const database = await cloneDatabase(harness);
    const log = await openWrittenLog(database.urlOf("ledger"), harness.sample);
    const pools = new Map<string, Pool>();
    try {
      const written = statements(speakers(harness.sample));
      if (written.length > 0) await log.append(...written);
      await act((role, sql, values) => {
        const url = role === "admin" ? database.adminUrl : database.urlOf(role);
        const pool = pools.get(role) ?? openPool({ url, service: role, max: 1, log: createHeardLog().log });
        pools.set(role, pool);
        return pool.query(sql, values);
      }, written);
    } finally {
      for (const pool of pools.values()) await pool.end();
      await log.close();
      await database.drop();
    }
  };
  const LIFT = "insert into ledger.lift (index) values (0)";
  const SHARE = "insert into release.key_share (number, size, given_by, share) values ($1, $2, $3, $4)";
  /** Of every data key that the log has: its statements are sealed with one. */
  const DATA_KEY = "insert into release.data_key_share (id, given_by, share) select id, $1, $2 from ledger.data_key";
  const refused = (code: string) => expect.objectContaining({ code });

  it.each<[string, (say: ReturnType<typeof speakers>) => Written[], string]>([
    ["no closure at all", () => [], "no closure"],
    ["one state's closure missing", (say) => [say.closed("AT")], "no closure of LU-N"],
    [
      "a closure that was taken back by an extension",
      (say) => [...closures(say), say.extended("LU", "2024-06-09T22:00:00Z")],
      "no closure of LU-N",
    ],
    ["a hold on the Union", (say) => [...closures(say), say.hold("EU")], "the Union is on hold"],
    [
      "an extension that has not passed",
      (say) => [say.closed("AT"), say.extended("LU", "2099-01-01T00:00:00Z"), say.closed("LU")],
      "close later",
    ],
  ])("refuses the lift's row with %s", async (_, statements, why) => {
    await behind(past, statements, async (as) => {
      for (const role of ["ledger", "admin"] as const) {
        await expect(as(role, LIFT)).rejects.toThrow(why);
        await expect(as(role, LIFT)).rejects.toEqual(refused("SC002"));
      }
    });
  });

  it("refuses the lift's row before the close by its own clock, all else being in order", async () => {
    await behind(ahead, closures, async (as) => {
      await expect(as("ledger", LIFT)).rejects.toThrow("close later");
      await expect(as("admin", LIFT)).rejects.toEqual(refused("SC002"));
      await as("admin", "set session_replication_role = 'replica'");
      await expect(as("admin", LIFT)).rejects.toEqual(refused("SC002"));
    });
  });

  it.each<[string, (say: ReturnType<typeof speakers>) => Written[]]>([
    ["every closure", closures],
    ["an override in the place of a closure", (say) => [say.closed("AT"), say.override("LU")]],
    ["a hold that was resumed", (say) => [...closures(say), say.hold("EU"), say.resume("EU")]],
    ["a hold on a state", (say) => [...closures(say), say.hold("AT")]],
    [
      "a closure after an extension that has passed",
      (say) => [...closures(say), say.extended("LU", "2024-06-09T22:00:00Z"), say.closed("LU")],
    ],
  ])("takes the lift's row with %s", async (_, statements) => {
    await behind(past, statements, async (as) => {
      await as("ledger", LIFT);
    });
  });

  it("refuses every share before the lift, from whomever", async () => {
    await behind(past, closures, async (as) => {
      for (const [role, by] of [
        ["tabulate", "tabulate"],
        ["recount", "recount"],
        ["admin", "tabulate"],
      ] as const) {
        await expect(as(role, SHARE, [1, 2, by, share])).rejects.toEqual(refused("SC002"));
        await expect(as(role, DATA_KEY, [by, share])).rejects.toEqual(refused("SC002"));
      }
      await as("admin", "set session_replication_role = 'replica'");
      await expect(as("admin", SHARE, [1, 2, "recount", share])).rejects.toEqual(refused("SC002"));
      await expect(as("admin", DATA_KEY, ["recount", share])).rejects.toEqual(refused("SC002"));
    });
  });

  it("refuses every share before the close, though a lift stands in the log", async () => {
    await behind(ahead, closures, async (as) => {
      await as("admin", "alter table ledger.lift disable trigger wall");
      await as("admin", LIFT);
      for (const by of ["tabulate", "recount"] as const) {
        await expect(as(by, SHARE, [1, 2, by, share])).rejects.toEqual(refused("SC002"));
        await expect(as(by, DATA_KEY, [by, share])).rejects.toEqual(refused("SC002"));
      }
    });
  });

  it("takes a share after the lift, from the count that holds it only", async () => {
    await behind(
      past,
      (say) => [...closures(say), ownStatement(liftStatement(past.sample, 1, SAMPLE_CLOSE), say)],
      async (as) => {
        await expect(as("tabulate", SHARE, [1, 2, "recount", share])).rejects.toEqual(refused("SC004"));
        await expect(as("recount", SHARE, [1, 2, "tabulate", share])).rejects.toEqual(refused("SC004"));
        await expect(as("tabulate", `set role scrutin_recount`)).rejects.toEqual(refused("42501"));
        await as("tabulate", SHARE, [1, 2, "tabulate", share]);
        await as("recount", SHARE, [1, 2, "recount", share]);
        await expect(as("recount", SHARE, [1, 3, "recount", share])).rejects.toEqual(refused("23505"));
        await expect(as("tabulate", DATA_KEY, ["recount", share])).rejects.toEqual(refused("SC004"));
        await expect(as("recount", DATA_KEY, ["tabulate", share])).rejects.toEqual(refused("SC004"));
        await as("tabulate", DATA_KEY, ["tabulate", share]);
        await as("recount", DATA_KEY, ["recount", share]);
        await expect(as("recount", DATA_KEY, ["recount", Buffer.alloc(32)])).rejects.toEqual(refused("23505"));
        await expect(
          as("recount", "insert into release.data_key_share (id, given_by, share) values ($1, 'recount', $2)", [
            Buffer.alloc(16), // of no statement
            share,
          ]),
        ).rejects.toEqual(refused("23503"));
      },
    );
  });

  it("lets nobody else near the shares, and nobody change them", async () => {
    await behind(
      past,
      (say) => [...closures(say), ownStatement(liftStatement(past.sample, 1), say)],
      async (as) => {
        for (const role of ["ledger", "release", "watch"] as const) {
          await expect(as(role, SHARE, [1, 2, "tabulate", share])).rejects.toEqual(refused("42501"));
          await expect(as(role, DATA_KEY, ["tabulate", share])).rejects.toEqual(refused("42501"));
        }
        for (const role of ["ledger", "watch"] as const)
          await expect(as(role, "select from release.data_key_share")).rejects.toEqual(refused("42501"));
        await as("tabulate", SHARE, [1, 2, "tabulate", share]);
        await as("tabulate", DATA_KEY, ["tabulate", share]);
        for (const sql of [
          "update release.key_share set share = sha256(share)",
          "delete from release.key_share",
          "truncate release.key_share",
          "update release.data_key_share set share = sha256(share)",
          "delete from release.data_key_share",
          "truncate release.data_key_share",
        ]) {
          await expect(as("tabulate", sql)).rejects.toEqual(refused("42501"));
          await expect(as("admin", sql)).rejects.toEqual(refused("SC001"));
        }
        for (const table of ["tabulate.candidate", "recount.answer"])
          await expect(as("admin", `truncate ${table}`)).rejects.toEqual(refused("SC001"));
      },
    );
  });

  it("keeps each count out of the other's writing", async () => {
    await behind(
      past,
      () => [],
      async (as) => {
        await expect(
          as("recount", "insert into tabulate.candidate (number, size, sealed) values (1, 1, 'x')"),
        ).rejects.toEqual(refused("42501"));
        await expect(
          as("tabulate", "insert into recount.answer (number, size, sealed) values (1, 1, 'x')"),
        ).rejects.toEqual(refused("42501"));
        await expect(
          as("tabulate", "insert into recount.cosignature (proposal, signature) values ('x', 'x')"),
        ).rejects.toEqual(refused("42501"));
        await expect(as("recount", "update tabulate.position set size = 0")).rejects.toEqual(refused("42501"));
        for (const role of ["tabulate", "recount", "release", "watch"] as const) {
          await expect(as(role, LIFT)).rejects.toEqual(refused("42501"));
          await expect(as(role, "update ledger.head set size = 99")).rejects.toEqual(refused("42501"));
        }
        for (const role of ["release", "watch"] as const)
          for (const table of ["tabulate.part", "recount.part"])
            await expect(as(role, `select from ${table}`)).rejects.toEqual(refused("42501"));
        for (const table of ["ledger.statement", "ledger.data_key"])
          await expect(as("watch", `select from ${table}`)).rejects.toEqual(refused("42501"));
      },
    );
  });
});
