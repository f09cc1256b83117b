import type { Pool } from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Role } from "../infra/stack/database.ts";
import { SAMPLE_CLOSE, sampleDefinition } from "../shared/definition/sample.ts";
import { createHeardLog } from "../shared/platform/log-fixture.ts";
import { openPool } from "../shared/platform/postgres.ts";
import { type Harness, startHarness } from "./harness.ts";
import { cloneDatabase } from "./vault.ts";
import { closures, liftStatement, ownStatement, takeDownLiftWall } from "./vault-scenario.ts";
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
  /** As the ledger writes it, and as whoever gets past the function. */
  const LIFT = "select ledger.record_lift($1)";
  const LIFT_ROW = "insert into ledger.lift (index) values ($1)";
  const SHARE = "select release.give_key_share($1, $2, $3)";
  const SHARE_ROW = "insert into release.key_share (number, size, given_by, share) values ($1, $2, $3, $4)";
  /** Of every data key that the log has: its statements are sealed with one. */
  const DATA_KEY =
    "select release.give_data_key_shares(array_agg(id), array_agg($1::bytea)) from (select distinct data_key as id from ledger.statement) as used";
  const DATA_KEY_ROW =
    "insert into release.data_key_share (id, given_by, share) select id, $1, $2 from ledger.data_key";
  const refused = (code: string) => expect.objectContaining({ code });
  /** An entry of the right type, as a ledger that is not to be trusted would append it. */
  const own = (say: ReturnType<typeof speakers>): Written => ({
    ...ownStatement(liftStatement(past.sample, 1, SAMPLE_CLOSE), say),
    verdict: "quarantined",
  });

  /** The lift in every way in which it can be written; the index of its entry is the log's last. */
  const everyLift = (log: Written[]): [Role | "admin", string, unknown[]][] => [
    ["ledger", LIFT, [log.length]],
    ["admin", LIFT, [log.length]],
    ["admin", LIFT_ROW, [log.length]],
  ];

  it.each<[string, (say: ReturnType<typeof speakers>) => Written[], string]>([
    ["no closure at all", () => [], "no closure"],
    [
      "a closure that an extension took back, though that was voided",
      (say) => [...closures(say), say.extended("LU", "2024-06-09T22:00:00Z"), say.voided("LU", 3)],
      "no closure of LU-N",
    ],
    ["one state's closure missing", (say) => [say.closed("AT")], "no closure of LU-N"],
    [
      "a closure that was taken back by an extension",
      (say) => [...closures(say), say.extended("LU", "2024-06-09T22:00:00Z")],
      "no closure of LU-N",
    ],
    ["a hold on the Union", (say) => [...closures(say), say.hold("EU")], "the Union is on hold"],
  ])("refuses the lift's row with %s", async (_, statements, why) => {
    await behind(
      past,
      (say) => [...statements(say), own(say)],
      async (as, log) => {
        for (const lift of everyLift(log)) {
          await expect(as(...lift)).rejects.toThrow(why);
          await expect(as(...lift)).rejects.toEqual(refused("SC002"));
        }
      },
    );
  });

  it("refuses the lift's row for an entry that is no lift, or is not there", async () => {
    await behind(past, closures, async (as, log) => {
      for (const index of [0, 1, log.length + 1])
        for (const [role, sql] of everyLift(log)) {
          await expect(as(role, sql, [index])).rejects.toThrow(`entry ${index} is no lift`);
          await expect(as(role, sql, [index])).rejects.toEqual(refused("SC002"));
        }
    });
  });

  it("refuses the lift's row while an extension has not passed, and takes it once that is voided", async () => {
    const hour = 3_600_000;
    const closesAt = Math.floor(Date.now() / 1000) * 1000 - hour;
    const recent = await startHarness({ sample: sampleDefinition({ closesAt }) });
    try {
      const until = new Date(closesAt + 3 * hour).toISOString();
      const lift = (say: ReturnType<typeof speakers>): Written => ({
        ...ownStatement(liftStatement(recent.sample, 1, closesAt + hour), say),
        verdict: "quarantined",
      });
      const overridden = (say: ReturnType<typeof speakers>) => [say.closed("AT"), say.override("LU")];
      const extended = (say: ReturnType<typeof speakers>) => [...overridden(say), say.extended("LU", until)];
      await behind(
        recent,
        (say) => [...extended(say), lift(say)],
        async (as, log) => {
          for (const how of everyLift(log)) await expect(as(...how)).rejects.toThrow("close later");
        },
      );
      await behind(
        recent,
        (say) => [...extended(say), say.voided("LU", 3), lift(say)],
        async (as, log) => {
          await as("ledger", LIFT, [log.length]);
        },
      );
    } finally {
      await recent.close();
    }
  });

  it("refuses the lift's row before the close by its own clock, all else being in order", async () => {
    await behind(
      ahead,
      (say) => [say.override("AT"), say.override("LU"), own(say)],
      async (as, log) => {
        for (const lift of everyLift(log)) await expect(as(...lift)).rejects.toThrow("close later");
        await as("admin", "set session_replication_role = 'replica'");
        for (const lift of everyLift(log)) await expect(as(...lift)).rejects.toEqual(refused("SC002"));
      },
    );
  });

  it("lets no role write the lift, a fact of the gate or a key by itself", async () => {
    await behind(
      past,
      (say) => [...closures(say), ownStatement(liftStatement(past.sample, 1, SAMPLE_CLOSE), say)],
      async (as, log) => {
        const fact = "insert into ledger.gate_fact (index, kind, state) values (1, 'resume', 'EU')";
        for (const role of ["ledger", "tabulate", "recount", "release", "watch"] as const) {
          await expect(as(role, LIFT_ROW, [log.length])).rejects.toEqual(refused("42501"));
          await expect(as(role, fact)).rejects.toEqual(refused("42501"));
          await expect(as(role, SHARE_ROW, [1, 2, role, share])).rejects.toEqual(refused("42501"));
          await expect(
            as(role, "insert into release.data_key_share (id, given_by, share) values ($1, $2, $3)", [
              Buffer.alloc(16),
              role,
              share,
            ]),
          ).rejects.toEqual(refused("42501"));
        }
      },
    );
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
    await behind(
      past,
      (say) => [...statements(say), own(say)],
      async (as, log) => {
        await as("ledger", LIFT, [log.length]);
      },
    );
  });

  it("refuses every share before the lift, from whomever", async () => {
    await behind(past, closures, async (as) => {
      for (const role of ["tabulate", "recount", "admin"] as const) {
        await expect(as(role, SHARE, [1, 2, share])).rejects.toEqual(refused("SC002"));
        await expect(as(role, "select release.give_data_key_shares('{}', '{}')")).rejects.toEqual(refused("SC002"));
      }
      const rows = async () => {
        await expect(as("admin", SHARE_ROW, [1, 2, "tabulate", share])).rejects.toEqual(refused("SC002"));
        await expect(as("admin", DATA_KEY_ROW, ["tabulate", share])).rejects.toEqual(refused("SC002"));
      };
      await rows();
      await as("admin", "set session_replication_role = 'replica'");
      await rows();
    });
  });

  it("refuses every share before the close, though a lift stands in the log", async () => {
    await behind(
      ahead,
      (say) => [own(say)],
      async (as, log) => {
        await takeDownLiftWall({ query: ((sql: string) => as("admin", sql)) as Pool["query"] });
        await as("ledger", LIFT, [log.length]);
        for (const by of ["tabulate", "recount"] as const) {
          await expect(as(by, SHARE, [1, 2, share])).rejects.toEqual(refused("SC002"));
          await expect(as(by, DATA_KEY, [share])).rejects.toEqual(refused("SC002"));
        }
        await expect(as("admin", SHARE_ROW, [1, 2, "recount", share])).rejects.toEqual(refused("SC002"));
      },
    );
  });

  it("takes a share after the lift, from the count that holds it only", async () => {
    await behind(
      past,
      (say) => [...closures(say), ownStatement(liftStatement(past.sample, 1, SAMPLE_CLOSE), say)],
      async (as) => {
        // Not even a superuser gives one in a count's name by the function: it asks who called.
        await expect(as("admin", SHARE, [1, 2, share])).rejects.toEqual(refused("SC004"));
        await expect(as("admin", DATA_KEY, [share])).rejects.toEqual(refused("SC004"));
        await expect(as("tabulate", `set role scrutin_recount`)).rejects.toEqual(refused("42501"));
        await as("tabulate", SHARE, [1, 2, share]);
        await as("recount", SHARE, [1, 2, share]);
        await as("tabulate", DATA_KEY, [share]);
        await as("recount", DATA_KEY, [share]);
        // What was given stands.
        await as("recount", SHARE, [1, 3, Buffer.alloc(32)]);
        await as("recount", DATA_KEY, [Buffer.alloc(32)]);
        for (const [table, extra] of [
          ["key_share", ", size::int"],
          ["data_key_share", ""],
        ] as const) {
          const { rows } = (await as("admin", `select given_by, share${extra} from release.${table} order by 1`)) as {
            rows: unknown[];
          };
          const size = extra === "" ? {} : { size: 2 };
          expect(rows).toEqual(["recount", "tabulate"].map((given_by) => ({ given_by, share, ...size })));
        }
        await expect(
          as("recount", "select release.give_data_key_shares(array[$1::bytea], array[$2::bytea])", [
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
          await expect(as(role, SHARE, [1, 2, share])).rejects.toEqual(refused("42501"));
          await expect(as(role, "select release.give_data_key_shares('{}', '{}')")).rejects.toEqual(refused("42501"));
        }
        for (const role of ["ledger", "watch"] as const)
          await expect(as(role, "select from release.data_key_share")).rejects.toEqual(refused("42501"));
        await as("tabulate", SHARE, [1, 2, share]);
        await as("tabulate", DATA_KEY, [share]);
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
          await expect(as(role, LIFT, [0])).rejects.toEqual(refused("42501"));
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
