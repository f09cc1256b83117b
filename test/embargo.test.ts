import { createHash } from "node:crypto";
import type { NatsConnection } from "nats";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SAMPLE_CLOSE, type Sample, sampleCommon, sampleDefinition, signSample } from "../shared/definition/sample.ts";
import type { Statement } from "../shared/statement/types.ts";
import { postAt } from "./door.ts";
import { createSayings, post, takePostgresWallAway } from "./embargo.ts";
import { type Harness, startHarness } from "./harness.ts";
import { dataKeyFor, eventually, sealedFor } from "./ledger.ts";
import {
  closures,
  insertProposal,
  liftStatement,
  newestRelease,
  openScenario,
  ownStatement,
  type Scenario,
  sharesOf,
} from "./vault-scenario.ts";
import { openWrittenLog, speakers, type Written } from "./written-log.ts";

/**
 * The table of the gate: what could open it early, row by row, and each wall alone against it, the other two taken away.
 *   wall 1: each count's own gate. The log says accepted to whatever is put into it, and Postgres lets everything through.
 *   wall 2: the ledger's judgement. The lift is signed by both counts' keys, and Postgres lets everything through.
 *   wall 3: Postgres. SQL with no service in between.
 * Here: what statements could do. The other rows of the table:
 *   a definition with an earlier schedule        embargo-definition.test.ts
 *   clocks that lie (walls 1 and 2)              embargo-clocks-counts.test.ts, embargo-clocks-ledger.test.ts
 *   facts, clock and rights (wall 3)             walls.test.ts, embargo-roles.test.ts, infra/migrations/gate-*.test.ts
 *   servers and services gone at the instant     embargo-instant.test.ts
 *   every service's NKEY, on NATS and JetStream  infra/stack/permissions.test.ts
 *   requests of every kind                       embargo-http.test.ts
 *   figures in clear, wherever anything lies     nothing-in-clear.test.ts
 *   two nights that differ in figures only       side-channel.test.ts, npm run timing
 */

const HOUR = 3_600_000;
const sample = sampleDefinition();
/** Other keys under the same names. */
const thief = sampleDefinition({ seed: "thief" });
/** The same keys, for another election. */
const another = sampleDefinition({ edit: (definition) => Object.assign(definition, { title: "Another" }) });

type Common = (state: string) => ReturnType<typeof sampleCommon>;
const closed = (common: ReturnType<Common>): Statement => ({ type: "polls", ...common, polls: "closed" });
const override = (common: Common): Statement => ({
  type: "decision",
  ...common("EU"),
  decision: "override",
  about: "LU",
  reason: "its office is cut off",
});

/** What would stand in the place of Luxembourg's closure; what the door says to it, and the ledger when the door is gone too. */
interface Row {
  name: string;
  statement: (common: Common) => Statement;
  signers: [string, ...string[]];
  by?: Sample;
  door: string;
  /** The code of the verdict; null where the ledger takes no entry of it. */
  ledger: string | null;
}

const ROWS: Row[] = [
  {
    name: "a closure forged: its keys are nobody's",
    statement: (common) => closed(common("LU")),
    signers: ["LU-1", "LU-2"],
    by: thief,
    door: "signature.invalid",
    ledger: null,
  },
  {
    name: "a closure by another state",
    statement: (common) => closed(common("LU")),
    signers: ["AT-1", "AT-2"],
    door: "key.other-state",
    ledger: "F.104",
  },
  {
    name: "a closure by one official of two",
    statement: (common) => closed(common("LU")),
    signers: ["LU-1"],
    door: "signatures.missing",
    ledger: "F.103",
  },
  {
    name: "a closure replayed from another definition",
    statement: (common) => closed({ ...common("LU"), definition: another.hash }),
    signers: ["LU-1", "LU-2"],
    door: "F.101",
    ledger: "F.101",
  },
  {
    name: "an override that one trustee signed twice",
    statement: override,
    signers: ["trustee-1", "trustee-1"],
    door: "jws.signer-twice",
    ledger: null,
  },
  {
    name: "an override by one trustee",
    statement: override,
    signers: ["trustee-2"],
    door: "signatures.missing",
    ledger: "F.103",
  },
  {
    name: "an override by a trustee and an office",
    statement: override,
    signers: ["trustee-3", "LU-1"],
    door: "key.wrong-role",
    ledger: "F.104",
  },
];

describe("wall 1 alone, the counts' own gates", () => {
  let harness: Harness;
  beforeAll(async () => {
    harness = await startHarness({ sample });
  });
  afterAll(() => harness.close());

  /** A log that says accepted to a tally, to `said`, to the lift and to the release; then both counts look again and again. */
  const lied = async (said: (say: Scenario["say"]) => Written[], early = false) => {
    const scenario = await openScenario(harness);
    try {
      const { world, log, say, turn, query } = scenario;
      await takePostgresWallAway(async (sql, values) => (await query(sql, values)).rows);
      await log.append(say.tally());
      await turn();
      if (early) world.now = SAMPLE_CLOSE - HOUR;
      const release = await newestRelease(scenario, 902);
      await log.append(...said(say));
      await insertProposal(scenario, liftStatement(sample, 903));
      for (let n = 0; n < 2; n++) await turn();
      const cosigned = (await query("select from recount.cosignature")).rows.length;
      await log.append(ownStatement(liftStatement(sample, 901), say), ownStatement(release.statement, say));
      for (let n = 0; n < 3; n++) await turn();
      const shares = [...(await sharesOf(scenario, "tabulate")), ...(await sharesOf(scenario, "recount"))];
      const dataKeys = (await query("select from release.data_key_share")).rows.length;
      return { cosigned, proposed: world.posted.length, shares, dataKeys };
    } finally {
      await scenario.close();
    }
  };
  const SHUT = { cosigned: 0, proposed: 0, shares: [], dataKeys: 0 };
  const written = ({ statement, signers, by = sample }: Row): Written => {
    const made = statement((state) => sampleCommon(sample, state, 77));
    return { statement: made, jws: signSample(by, made, ...signers), key: signers[0] };
  };

  it("stays shut with a closure missing", async () => {
    expect(await lied((say) => [say.closed("AT")])).toEqual(SHUT);
  });
  it.each(ROWS.map((row): [string, Row] => [row.name, row]))("stays shut with %s", async (_, row) => {
    expect(await lied((say) => [say.closed("AT"), written(row)])).toEqual(SHUT);
  });
  it("stays shut with an extension that shortens", async () => {
    const said = (say: Scenario["say"]) => [
      say.override("AT"),
      say.override("LU"),
      say.extended("LU", new Date(SAMPLE_CLOSE - 2 * HOUR).toISOString()),
      say.extended("AT", new Date(SAMPLE_CLOSE - 2 * HOUR).toISOString()),
    ];
    expect(await lied(said, true)).toEqual(SHUT);
  });
  it("stays shut with an extension that the states' closures do not follow", async () => {
    expect(await lied((say) => [...closures(say), say.extended("LU", "2024-06-09T22:00:00Z")])).toEqual(SHUT);
  });
  it("opens with every closure", async () => {
    expect(await lied(closures)).toMatchObject({ shares: [1, 1], dataKeys: 2 });
  });
});

describe("wall 2 alone, the ledger's judgement", () => {
  let harness: Harness;
  let ahead: Harness;
  let bus: NatsConnection;
  const doors = new Map<Harness, string>();
  let say: ReturnType<typeof createSayings>;
  beforeAll(async () => {
    harness = await startHarness({ sample });
    ahead = await startHarness({ sample: sampleDefinition({ closesAt: Math.floor(Date.now() / 1000) * 1000 + HOUR }) });
    for (const world of [harness, ahead]) {
      await takePostgresWallAway(world.query);
      const [, ingest] = await Promise.all([world.start("ledger"), world.start("ingest")]);
      doors.set(world, ingest.url);
    }
    bus = await harness.nats("services");
    say = createSayings(harness);
  });
  afterAll(async () => {
    await harness?.close();
    await ahead?.close();
  });

  type Say = ReturnType<typeof createSayings>;
  /** What the door or the ledger says: a code, or "accepted". */
  const told = async (statement: Statement, signers: string[], world = harness) => {
    const { verdict, findings, code } = await post(world, doors.get(world) ?? "", statement, ...signers);
    return verdict === "accepted" ? verdict : (code ?? findings?.map((finding) => finding.code).join(" "));
  };
  const asked = (world = harness, by = say) => told(by.lift(Date.now()), ["tabulate-1", "recount-1"], world);
  const liftsIn = async (world = harness) => (await world.query("select from ledger.lift")).length;
  const entries = async () => (await harness.query("select from ledger.entry")).length;
  /** As by a door that lets everything in. */
  const pastTheDoor = async (jws: Uint8Array) => {
    const sha256 = createHash("sha256").update(jws).digest("hex");
    const { headers, data } = sealedFor(await dataKeyFor(sample), sha256, jws, "receipt.nobody");
    const js = bus.jetstream();
    const { seq } = await js.publish("statement.LU", data, { headers });
    const manager = await (await harness.nats("stack")).jetstreamManager();
    await eventually(async () => {
      const [consumer] = await manager.consumers.list("STATEMENTS").next();
      return (consumer?.ack_floor.stream_seq ?? 0) >= seq;
    });
  };
  const closedBy = (...[state, kids]: [string, string[]]) => told(closed(say.common(state)), kids);
  const extended = (by: Say, state: string, until: number): Statement => {
    return {
      type: "polls",
      ...by.common(state),
      polls: "extended",
      until: new Date(until).toISOString(),
      reason: "a queue",
    };
  };

  it("stays shut with a closure missing", async () => {
    expect(await closedBy("AT", ["AT-1"])).toBe("accepted");
    expect(await asked()).toBe("F.501");
  });
  it.each(ROWS.map((row): [string, Row] => [row.name, row]))("stays shut with %s", async (_, row) => {
    const { statement, signers, by = sample, door, ledger } = row;
    const bytes = signSample(by, statement(say.common), ...signers);
    const { code, findings } = await postAt(doors.get(harness) ?? "", bytes, 20);
    expect(code ?? findings?.[0]?.code).toBe(door);
    const before = await entries();
    await pastTheDoor(bytes);
    expect((await entries()) - before).toBe(ledger === null || door === ledger ? 0 : 1);
    expect(await asked()).toBe("F.501");
    expect(await liftsIn()).toBe(0);
  });
  it("stays shut with a hold, and with an extension that no closure follows", async () => {
    expect(await closedBy("LU", ["LU-1", "LU-2"])).toBe("accepted");
    const decides = (decision: "hold" | "resume"): Statement => {
      return { type: "decision", ...say.common("EU"), decision, about: "EU", reason: "as agreed" };
    };
    expect(await told(decides("hold"), ["trustee-1"])).toBe("accepted");
    expect(await asked()).toBe("F.501");
    // One who holds does not let go alone, nor under two signatures of the same hand.
    expect(await told(decides("resume"), ["trustee-1"])).toBe("signatures.missing");
    expect(await told(decides("resume"), ["trustee-1", "trustee-1"])).toBe("jws.signer-twice");
    expect(await asked()).toBe("F.501");
    expect(await told(decides("resume"), ["trustee-1", "trustee-2"])).toBe("accepted");
    expect(await told(extended(say, "AT", SAMPLE_CLOSE + HOUR), ["AT-1"])).toBe("accepted");
    expect(await asked()).toBe("F.501");
    expect(await liftsIn()).toBe(0);
  });
  it("stays shut before the close with extensions that shorten it, and every state overridden", async () => {
    const by = createSayings(ahead);
    for (const state of ["AT", "LU"])
      expect(await told({ ...override(by.common), about: state } as Statement, ["trustee-1", "trustee-2"], ahead)).toBe(
        "accepted",
      );
    for (const until of [Date.now() - HOUR, Date.now() + HOUR / 2])
      for (const [state, kids] of [
        ["AT", ["AT-1"]],
        ["LU", ["LU-1", "LU-2"]],
      ] as const)
        expect(await told(extended(by, state, until), [...kids], ahead)).toBe("F.402");
    expect(await asked(ahead, by)).toBe("F.501");
    expect(await liftsIn(ahead)).toBe(0);
  });
  it("opens with every closure; an extension to next year does not keep it shut", async () => {
    expect(await closedBy("AT", ["AT-1"])).toBe("accepted");
    expect(await told(extended(say, "LU", SAMPLE_CLOSE + 365 * 24 * HOUR), ["LU-1", "LU-2"])).toBe("F.402");
    expect(await told(extended(say, "LU", Date.now() + 365 * 24 * HOUR), ["LU-1", "LU-2"])).toBe("F.402");
    expect(await asked()).toBe("accepted");
    expect(await liftsIn()).toBe(1);
  });
});

describe("wall 3 alone, Postgres", () => {
  let harness: Harness;
  let ledger: pg.Client;
  const close = Math.floor(Date.now() / 1000) * 1000 + HOUR;
  const at = (ms: number) => new Date(close + ms).toISOString();
  beforeAll(async () => {
    harness = await startHarness({ sample: sampleDefinition({ closesAt: close }) });
    const log = await openWrittenLog(harness.databaseUrl("ledger"), harness.sample);
    const say = speakers(harness.sample);
    await log.append(say.override("AT"), say.override("LU"));
    // Entries that facts may be said to stand in, with no fact of theirs: index 3, 4 and 5.
    for (const written of [
      say.closed("AT"),
      say.extended("AT", at(HOUR)),
      ownStatement(liftStatement(harness.sample, 1), say),
    ])
      await log.append({ ...written, verdict: "quarantined" });
    await log.close();
    ledger = new pg.Client({ connectionString: harness.databaseUrl("ledger") });
    await ledger.connect();
  });
  afterAll(async () => {
    await ledger?.end();
    await harness?.close();
  });

  const FACT = "select ledger.record_gate_fact($1, $2, $3, null, $4, null)";
  it.each<[string, [number, string, string, string | null] | null, string, string]>([
    ["every state overridden before the close", null, "SC002", "close later"],
    ["a closure before the close", [3, "closed", "AT", null], "SC005", "close later"],
    ["a closure by another state", [3, "closed", "LU", null], "SC005", "no statement that says so"],
    ["a closure that nobody signed", [99, "closed", "LU", null], "SC005", "no statement that says so"],
    ["an override in an office's statement", [3, "override", "LU", null], "SC005", "no statement that says so"],
    ["an extension that shortens", [4, "extended", "AT", at(-30 * 60_000)], "SC002", "close later"],
    ["an extension into the past", [4, "extended", "AT", "2000-01-01T00:00:00Z"], "SC002", "close later"],
    ["an extension to next year", [4, "extended", "AT", at(365 * 24 * HOUR)], "SC005", "extended too far"],
  ])("stays shut with %s", async (_, fact, code, why) => {
    await ledger.query("begin");
    try {
      const both = async () => {
        if (fact !== null) await ledger.query(FACT, fact);
        await ledger.query("select ledger.record_lift(5)");
      };
      await expect(both()).rejects.toEqual(expect.objectContaining({ code, message: expect.stringContaining(why) }));
    } finally {
      await ledger.query("rollback");
    }
    expect(await harness.query("select from ledger.lift")).toEqual([]);
  });
});
