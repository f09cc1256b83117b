import { createHash } from "node:crypto";
import type { NatsConnection } from "nats";
import { describe, expect, it } from "vitest";
import {
  SAMPLE_CLOSE,
  type Sample,
  sampleCommon,
  sampleDefinition,
  sampleTally,
  signSample,
} from "../../shared/definition/sample.ts";
import { type Receipt, readReceipt } from "../../shared/ledger/receipt.ts";
import type { DataKey } from "../../shared/platform/seal.ts";
import type { Statement } from "../../shared/statement/types.ts";
import { startHarness } from "../../test/harness.ts";
import {
  collectReceipts,
  dataKeyFor,
  eventually,
  type LedgerOptions,
  ledgerKeyOf,
  runLedger,
  sealedFor,
} from "../../test/ledger.ts";

/** The second and the third wall: the ledger's own look at the gate, and Postgres'. */

interface World {
  sample: Sample;
  /** Puts statements on the bus before the ledger starts, so that they come in one batch; answers the receipts in order. */
  judged(statements: { statement: Statement; kids: string[] }[], ledger?: LedgerOptions): Promise<Receipt[]>;
  query: Awaited<ReturnType<typeof startHarness>>["query"];
  /** What the ledgers logged. */
  logged: string[];
}

async function inWorld(sample: Sample, work: (world: World) => Promise<void>): Promise<void> {
  const harness = await startHarness({ sample });
  try {
    const nc = await harness.nats("services");
    const key = await dataKeyFor(sample);
    const receipts = collectReceipts(nc, "receipt.lift", key);
    const logged: string[] = [];
    const judged: World["judged"] = async (statements, options = {}) => {
      const hashes: string[] = [];
      for (const { statement, kids } of statements) hashes.push(await put(nc, key, sample, statement, kids));
      const ledger = await runLedger(harness, options);
      try {
        await eventually(() => hashes.every((hash) => receipts.has(hash)));
      } finally {
        await ledger.stop();
        logged.push(...ledger.logged.map(({ msg }) => String(msg)));
      }
      return hashes.map((hash) => readReceipt(receipts.get(hash)?.[0] ?? "", ledgerKeyOf(sample)) as Receipt);
    };
    await work({ sample, judged, query: harness.query, logged });
  } finally {
    await harness.close();
  }
}

async function put(nc: NatsConnection, key: DataKey, sample: Sample, statement: Statement, kids: string[]) {
  const bytes = signSample(sample, statement, ...kids);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const { headers, data } = sealedFor(key, sha256, bytes, "receipt.lift");
  await nc.jetstream().publish(`statement.${statement.state}`, data, { headers });
  return sha256;
}

const closures = (sample: Sample) => [
  { statement: { type: "polls", ...sampleCommon(sample, "AT", 1), polls: "closed" } as Statement, kids: ["AT-1"] },
  {
    statement: { type: "polls", ...sampleCommon(sample, "LU", 1), polls: "closed" } as Statement,
    kids: ["LU-1", "LU-2"],
  },
];

const overrides = (sample: Sample) =>
  ["AT", "LU"].map((about, n) => ({
    statement: {
      type: "decision",
      ...sampleCommon(sample, "EU", n + 1),
      decision: "override",
      about,
      reason: "no line to the office",
    } as Statement,
    kids: ["trustee-1", "trustee-2"],
  }));

/** Polls that close tomorrow, and a ledger whose own clocks are past that. */
function lying() {
  const closesAt = Math.ceil(Date.now() / 1000) * 1000 + 86_400_000;
  const late = closesAt + 1_000;
  const options: LedgerOptions = {
    now: () => late,
    readClocks: async () => ({ process: late, postgres: late, nats: late }),
  };
  return { closesAt, options };
}

/** `at`: what the counts read, ms UTC. */
function lift(sample: Sample, sequence = 1, at = SAMPLE_CLOSE) {
  const clock = new Date(at).toISOString();
  const clocks = { process: clock, postgres: clock, nats: clock };
  const statement: Statement = { type: "lift", ...sampleCommon(sample, "EU", sequence), clocks };
  return { statement, kids: ["tabulate-1", "recount-1"] };
}

const tally = (sample: Sample, sequence: number) => ({
  statement: { type: "tally", ...sampleCommon(sample, "AT", sequence), tallies: [sampleTally()] } as Statement,
  kids: ["AT-2"],
});

const verdicts = (receipts: Receipt[]) =>
  receipts.map(({ verdict, findings }) => [verdict, ...findings.map(({ code }) => code)]);

describe("a lift", () => {
  it("is accepted when all polls are closed, and is a row that Postgres let in", () =>
    inWorld(sampleDefinition(), async ({ sample, judged, query }) => {
      const receipts = await judged([...closures(sample), lift(sample), tally(sample, 1), lift(sample, 2)]);
      expect(verdicts(receipts)).toEqual([
        ["accepted"],
        ["accepted"],
        ["accepted"],
        ["accepted"],
        ["quarantined", "F.502"],
      ]);
      expect(await query("select index::int from ledger.lift")).toEqual([{ index: receipts[2]?.entry.index }]);
      expect(await query("select kind, state from ledger.gate_fact order by index")).toEqual([
        { kind: "closed", state: "AT" },
        { kind: "closed", state: "LU" },
      ]);
    }));

  it("is refused by the ledger's own look while a closure is missing", () =>
    inWorld(sampleDefinition(), async ({ sample, judged, query }) => {
      const receipts = await judged([...closures(sample).slice(0, 1), lift(sample)]);
      expect(verdicts(receipts)).toEqual([["accepted"], ["quarantined", "F.501"]]);
      expect(await query("select 1 from ledger.lift")).toEqual([]);
    }));

  it.each(["process", "postgres", "nats"] as const)("is refused while the clock of %s cannot be read", (clock) =>
    inWorld(sampleDefinition(), async ({ sample, judged }) => {
      const now = Date.now();
      const readClocks = async () => ({ process: now, postgres: now, nats: now, [clock]: null });
      const receipts = await judged([...closures(sample), lift(sample)], { readClocks });
      expect(verdicts(receipts).at(-1)).toEqual(["quarantined", "F.501"]);
    }),
  );

  it("that only Postgres refuses is quarantined, and the rest of its batch is not lost", () => {
    // The ledger's own clocks lie; Postgres' does not, and its polls close tomorrow.
    const { closesAt, options } = lying();
    return inWorld(sampleDefinition({ closesAt }), async ({ sample, judged, query, logged }) => {
      const receipts = await judged([...overrides(sample), lift(sample, 1, closesAt), tally(sample, 1)], options);
      // It was Postgres, not the ledger, that said no.
      expect(logged).toContain("postgres refuses the lift");
      expect(verdicts(receipts)).toEqual([["accepted"], ["accepted"], ["quarantined", "F.501"], ["accepted"]]);
      expect(await query("select 1 from ledger.lift")).toEqual([]);
      const [row] = await query("select count(*)::int as entries, max(index)::int as last from ledger.entry");
      expect(row).toEqual({ entries: 5, last: 4 });
      // What was quarantined is so after a restart as well: judged again, the next lift meets the same wall.
      expect(verdicts(await judged([lift(sample, 2, closesAt)], options))).toEqual([["quarantined", "F.501"]]);
    });
  });
});

describe("a closure", () => {
  it("is accepted by the ledger's clock and Postgres' only", () => {
    const { closesAt, options } = lying();
    return inWorld(sampleDefinition({ closesAt }), async ({ sample, judged, query }) => {
      const receipts = await judged([...closures(sample), tally(sample, 1)], options);
      expect(verdicts(receipts)).toEqual([["quarantined", "F.401"], ["quarantined", "F.401"], ["accepted"]]);
      expect(await query("select 1 from ledger.gate_fact")).toEqual([]);
    });
  });
});
