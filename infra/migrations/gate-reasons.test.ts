import fc from "fast-check";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sampleCommon, sampleDefinition } from "../../shared/definition/sample.ts";
import { applyToGate, gateFacts, mayLift } from "../../shared/embargo/gate.ts";
import type { Statement } from "../../shared/statement/types.ts";
import { type Harness, startHarness } from "../../test/harness.ts";

/**
 * Postgres' own look at the gate, against the one that the services share: two rules in two languages that must say the same of
 * every log. AT has one constituency, LU has two.
 */

const HOUR = 3_600_000;
// An hour ago: an extension reaches no further than four hours.
const CLOSE = Math.floor(Date.now() / 1000) * 1000 - HOUR;
const sample = sampleDefinition({ closesAt: CLOSE });
const PASSED = new Date(CLOSE + HOUR / 2).toISOString();
const AHEAD = new Date(CLOSE + 3 * HOUR).toISOString();

interface Fact {
  kind: "closed" | "extended" | "override" | "hold" | "resume" | "void";
  state: string;
  constituency?: string;
  until?: string;
  /** The place of the extension among the facts. */
  voids?: number;
}

const closed = (state: string, constituency?: string): Fact => ({
  kind: "closed",
  state,
  ...(constituency && { constituency }),
});
const extended = (until: string, state: string, constituency?: string): Fact => ({
  ...closed(state, constituency),
  kind: "extended",
  until,
});
const says = (kind: "override" | "hold" | "resume", state: string): Fact => ({ kind, state });
const voided = (voids: number, state: string): Fact => ({ kind: "void", state, voids });
const ALL = [closed("AT"), closed("LU")];

function statementOf({ kind, state, constituency, until, voids = 0 }: Fact): Statement {
  const common = sampleCommon(sample, state, 1);
  const place = constituency === undefined ? {} : { constituency };
  if (kind === "closed") return { type: "polls", ...common, ...place, polls: "closed" };
  if (kind === "extended")
    return { type: "polls", ...common, ...place, polls: "extended", until: until ?? "", reason: "a queue" };
  const decision = { type: "decision" as const, ...common, state: "EU", about: state, reason: "as ordered" };
  return kind === "void" ? { ...decision, decision: kind, entry: voids } : { ...decision, decision: kind };
}

describe("Postgres' reasons against the lift", () => {
  let harness: Harness;
  let client: pg.Client;

  beforeAll(async () => {
    harness = await startHarness({ sample });
    client = new pg.Client({ connectionString: harness.adminUrl });
    await client.connect();
    const polls = sample.definition.states.flatMap(({ id, constituencies }) => constituencies.map((c) => [id, c.id]));
    await client.query(
      "insert into ledger.poll (state, constituency, closes_at) select *, $3::timestamptz from unnest($1::text[], $2::text[])",
      [polls.map(([state]) => state), polls.map(([, id]) => id), new Date(CLOSE)],
    );
  });
  afterAll(async () => {
    await client.end();
    await harness.close();
  });

  /** Puts a fact behind an entry that may say it; false if Postgres refuses it. */
  const isTaken = async (index: number, fact: Fact): Promise<boolean> => {
    const { kind, state, constituency = null, until = null, voids = null } = fact;
    const isPolls = kind === "closed" || kind === "extended";
    await client.query(
      `insert into ledger.entry (index, body, leaf, received, type, state) values ($1, '', sha256(''), now(), $2, $3)`,
      [index, isPolls ? "polls" : "decision", isPolls ? state : "EU"],
    );
    await client.query("savepoint fact");
    try {
      const values = [index, kind, state, constituency, until, voids];
      await client.query("select ledger.record_gate_fact($1, $2, $3, $4, $5, $6)", values);
      return true;
    } catch (error) {
      const { code } = error as pg.DatabaseError;
      if (code !== "SC005" && code !== "23505") throw error;
      await client.query("rollback to savepoint fact");
      return false;
    }
  };

  /** What stands against the lift after these facts, in this order, and which of them were taken. */
  const look = async (facts: Fact[]): Promise<{ why: string[]; taken: boolean[] }> => {
    await client.query("begin");
    try {
      const taken: boolean[] = [];
      for (const [index, fact] of facts.entries()) taken.push(await isTaken(index, fact));
      const { rows } = await client.query<{ why: string }>("select why from ledger.gate_reasons() as why order by 1");
      return { why: rows.map(({ why }) => why), taken };
    } finally {
      await client.query("rollback");
    }
  };
  const reasons = async (facts: Fact[]) => (await look(facts)).why;

  it.each<[string, Fact[], string[]]>([
    ["nothing was said", [], ["no closure of AT", "no closure of LU-N", "no closure of LU-S"]],
    ["all is closed", ALL, []],
    ["each constituency is closed", [closed("AT"), closed("LU", "LU-N"), closed("LU", "LU-S")], []],
    ["one constituency is closed", [closed("AT"), closed("LU", "LU-N")], ["no closure of LU-S"]],
    ["one was extended since", [...ALL, extended(PASSED, "LU", "LU-S")], ["no closure of LU-S"]],
    [
      "the other closed after that",
      [...ALL, extended(PASSED, "LU", "LU-S"), closed("LU", "LU-N")],
      ["no closure of LU-S"],
    ],
    ["it closed after that", [...ALL, extended(PASSED, "LU", "LU-S"), closed("LU", "LU-S")], []],
    ["its state closed after that", [...ALL, extended(PASSED, "LU", "LU-S"), closed("LU")], []],
    [
      "one is extended beyond now",
      [closed("AT"), says("override", "LU"), extended(AHEAD, "LU", "LU-S")],
      ["polls of LU-S close later"],
    ],
    [
      "a state is extended beyond now",
      [closed("AT"), says("override", "LU"), extended(AHEAD, "LU")],
      ["polls of LU-N close later", "polls of LU-S close later"],
    ],
    ["that extension was voided", [closed("AT"), says("override", "LU"), extended(AHEAD, "LU"), voided(2, "LU")], []],
    [
      "another extension was voided",
      [closed("AT"), says("override", "LU"), extended(PASSED, "LU"), extended(AHEAD, "LU", "LU-S"), voided(2, "LU")],
      ["polls of LU-S close later"],
    ],
    [
      "an extension was voided, which had taken closures back",
      [...ALL, extended(AHEAD, "LU", "LU-S"), voided(2, "LU")],
      ["no closure of LU-S"],
    ],
    ["its state closed after that", [...ALL, extended(AHEAD, "LU"), voided(2, "LU"), closed("LU")], []],
    [
      "another state is overridden",
      [closed("AT"), says("override", "AT")],
      ["no closure of LU-N", "no closure of LU-S"],
    ],
    ["the missing state is overridden", [closed("AT"), says("override", "LU")], []],
    ["the Union is on hold", [...ALL, says("hold", "EU")], ["the Union is on hold"]],
    ["a state is on hold", [...ALL, says("hold", "AT")], []],
    ["a state's hold came after", [...ALL, says("hold", "EU"), says("hold", "AT")], ["the Union is on hold"]],
    ["a state was resumed after", [...ALL, says("hold", "EU"), says("resume", "AT")], ["the Union is on hold"]],
    ["the Union was resumed", [...ALL, says("hold", "EU"), says("resume", "EU")], []],
    [
      "it is on hold again",
      [...ALL, says("hold", "EU"), says("resume", "EU"), says("hold", "EU")],
      ["the Union is on hold"],
    ],
  ])("when %s", async (_, facts, expected) => {
    expect(await reasons(facts)).toEqual(expected);
  });

  it("property: there is one exactly when mayLift() finds one", async () => {
    const place = fc.constantFrom<[string, string?]>(["AT"], ["AT", "AT"], ["LU"], ["LU", "LU-N"], ["LU", "LU-S"]);
    const fact = fc.oneof(
      { weight: 5, arbitrary: place.map(([state, id]) => closed(state, id)) },
      place.map(([state, id]) => extended(PASSED, state, id)),
      { weight: 1, arbitrary: fc.constantFrom("AT", "LU").map((state) => says("override", state)) },
      fc.constantFrom("hold", "resume", "resume").map((kind) => says(kind as "hold", "EU")),
      fc.constantFrom("hold", "resume").map((kind) => says(kind as "hold", "AT")),
      fc.constant(extended(AHEAD, "LU", "LU-S")),
      fc.tuple(fc.nat(11), fc.constantFrom("AT", "LU", "LU")).map(([n, state]) => voided(n, state)),
    );
    let open = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(fact, { minLength: 2, maxLength: 12 }), async (facts) => {
        const { why, taken } = await look(facts);
        const own = gateFacts(sample.definition);
        // What Postgres refuses the ledger's rules refuse as well: it never comes to the gate.
        for (const [n, each] of facts.entries()) if (taken[n]) applyToGate(own, statementOf(each), n);
        const now = Date.now();
        const gate = mayLift(own, { process: now, postgres: now, nats: now });
        if (gate.kind === "open") open++;
        expect(why.length === 0 ? "open" : "closed").toBe(gate.kind);
      }),
      { numRuns: 200 },
    );
    expect(open).toBeGreaterThan(5);
  });
});
