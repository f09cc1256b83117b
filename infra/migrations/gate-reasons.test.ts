import fc from "fast-check";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SAMPLE_CLOSE, sampleCommon, sampleDefinition } from "../../shared/definition/sample.ts";
import { applyToGate, gateFacts, mayLift } from "../../shared/embargo/gate.ts";
import type { Statement } from "../../shared/statement/types.ts";
import { type Harness, startHarness } from "../../test/harness.ts";

/**
 * Postgres' own look at the gate, against the one that the services share: two rules in two languages that must say the same of
 * every log. AT has one constituency, LU has two.
 */

const sample = sampleDefinition();
const PASSED = "2024-06-09T22:00:00.000Z";
const AHEAD = "2099-01-01T00:00:00.000Z";

interface Fact {
  kind: "closed" | "extended" | "override" | "hold" | "resume";
  state: string;
  constituency?: string;
  until?: string;
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
const ALL = [closed("AT"), closed("LU")];

function statementOf({ kind, state, constituency, until }: Fact): Statement {
  const common = sampleCommon(sample, state, 1);
  const place = constituency === undefined ? {} : { constituency };
  if (kind === "closed") return { type: "polls", ...common, ...place, polls: "closed" };
  if (kind === "extended")
    return { type: "polls", ...common, ...place, polls: "extended", until: until ?? "", reason: "a queue" };
  return { type: "decision", ...common, state: "EU", decision: kind, about: state, reason: "as ordered" };
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
      [polls.map(([state]) => state), polls.map(([, id]) => id), new Date(SAMPLE_CLOSE)],
    );
    await client.query(
      `insert into ledger.entry (index, body, leaf, received, type, state)
        select n, '', sha256(''), now(), 'polls', 'EU' from generate_series(0, 40) as n`,
    );
  });
  afterAll(async () => {
    await client.end();
    await harness.close();
  });

  /** What stands against the lift after these facts, in this order. */
  const reasons = async (facts: Fact[]): Promise<string[]> => {
    await client.query("begin");
    try {
      for (const [index, { kind, state, constituency = null, until = null }] of facts.entries())
        await client.query(
          "insert into ledger.gate_fact (index, kind, state, constituency, until) values ($1, $2, $3, $4, $5)",
          [index, kind, state, constituency, until],
        );
      const { rows } = await client.query<{ why: string }>("select why from ledger.gate_reasons() as why order by 1");
      return rows.map(({ why }) => why);
    } finally {
      await client.query("rollback");
    }
  };

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
    ["one is extended beyond now", [extended(AHEAD, "LU", "LU-S"), ...ALL], ["polls of LU-S close later"]],
    [
      "a state is extended beyond now",
      [extended(AHEAD, "LU"), ...ALL],
      ["polls of LU-N close later", "polls of LU-S close later"],
    ],
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
      { weight: 1, arbitrary: fc.constant(extended(AHEAD, "LU", "LU-S")) },
    );
    let open = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(fact, { minLength: 2, maxLength: 12 }), async (facts) => {
        const own = gateFacts(sample.definition);
        for (const each of facts) applyToGate(own, statementOf(each));
        const now = Date.now();
        const gate = mayLift(own, { process: now, postgres: now, nats: now });
        if (gate.kind === "open") open++;
        expect((await reasons(facts)).length === 0 ? "open" : "closed").toBe(gate.kind);
      }),
      { numRuns: 200 },
    );
    expect(open).toBeGreaterThan(5);
  });
});
