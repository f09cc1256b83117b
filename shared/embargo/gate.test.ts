import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SAMPLE_CLOSE, sampleDefinition } from "../definition/sample.ts";
import type { Statement } from "../statement/types.ts";
import {
  applyToGate,
  type ClockReadings,
  type GateFacts,
  gateFacts,
  lastClose,
  MAX_CLOCK_SPREAD_MS,
  mayLift,
  NO_FLOOR,
  raiseFloor,
} from "./gate.ts";
import { at, closed, decides, extended, SAMPLE, voids } from "./gate-sample.ts";

const HOUR = 3_600_000;
const CLOCKS = ["process", "postgres", "nats"] as const;
const late = at(SAMPLE_CLOSE + HOUR);

const factsAfter = (...statements: Statement[]): GateFacts => {
  const facts = gateFacts(SAMPLE.definition);
  for (const [n, statement] of statements.entries()) applyToGate(facts, statement, n + 1);
  return facts;
};
const ready = () => factsAfter(closed("AT"), closed("LU"));
const codes = (facts: GateFacts, clocks: ClockReadings) => {
  const gate = mayLift(facts, clocks);
  return gate.kind === "open" ? [] : gate.reasons.map(({ code }) => code);
};

describe("the gate", () => {
  it("opens when the last poll has closed on every clock, every state has said so, and nobody holds it", () => {
    expect(mayLift(ready(), late)).toEqual({ kind: "open" });
    expect(mayLift(ready(), at(SAMPLE_CLOSE))).toEqual({ kind: "open" });
  });

  it("names every reason at once", () => {
    const clocks = { process: SAMPLE_CLOSE - 5000, postgres: null, nats: SAMPLE_CLOSE };
    expect(mayLift(factsAfter(decides("hold", "EU")), clocks)).toEqual({
      kind: "closed",
      reasons: [
        { code: "closing.ahead", clock: "process", until: SAMPLE_CLOSE },
        { code: "clock.missing", clock: "postgres" },
        { code: "clocks.disagree", spreadMs: 5000 },
        { code: "closure.missing", state: "AT" },
        { code: "closure.missing", state: "LU" },
        { code: "hold.union" },
      ],
    });
  });

  /**
   * The whole truth table: each condition holds or not, in every combination, and the reasons are exactly those of the conditions
   * that fail. The gate is open in one row of it.
   */
  it("is open in exactly one row of its truth table", () => {
    const conditions = [
      ...CLOCKS.flatMap((clock) => [`${clock} past`, `${clock} there`]),
      "clocks agree",
      "AT closed",
      "LU closed",
      "not held",
      "schedule",
    ] as const;
    let open = 0;
    for (let row = 0; row < 2 ** conditions.length; row++) {
      const holds = (name: (typeof conditions)[number]) => (row >> conditions.indexOf(name)) % 2 === 1;
      const facts = factsAfter(
        ...(holds("AT closed") ? [closed("AT")] : []),
        ...(holds("LU closed") ? [closed("LU")] : []),
        ...(holds("not held") ? [] : [decides("hold", "EU")]),
      );
      if (!holds("schedule")) facts.polls[0]!.closesAt = Number.NaN;
      // Past or ahead by less than the spread that is allowed; the process alone is far off where they must not agree.
      const clocks = Object.fromEntries(
        CLOCKS.map((clock) => [
          clock,
          holds(`${clock} there`) ? SAMPLE_CLOSE + (holds(`${clock} past`) ? 400 : -400) : null,
        ]),
      ) as unknown as ClockReadings;
      const others = [clocks.postgres, clocks.nats].some((reading) => reading !== null);
      if (!holds("clocks agree") && clocks.process !== null) clocks.process += holds("process past") ? 10_000 : -10_000;
      const disagree = !holds("clocks agree") && clocks.process !== null && others;

      const expected: string[] = [];
      if (!holds("schedule")) expected.push("schedule.missing");
      for (const clock of CLOCKS) {
        if (!holds(`${clock} there`)) expected.push("clock.missing");
        else if (!holds("schedule") || !holds(`${clock} past`)) expected.push("closing.ahead");
      }
      if (disagree) expected.push("clocks.disagree");
      if (!holds("AT closed")) expected.push("closure.missing");
      if (!holds("LU closed")) expected.push("closure.missing");
      if (!holds("not held")) expected.push("hold.union");
      expect(codes(facts, clocks), `row ${row}`).toEqual(expected);
      if (expected.length === 0) open++;
    }
    expect(open).toBe(1);
  });

  it.each([
    [
      "a clock one ms before the close",
      { ...late, postgres: SAMPLE_CLOSE - 1, process: SAMPLE_CLOSE - 1, nats: SAMPLE_CLOSE },
    ],
    ["a clock that is no number", { ...late, nats: Number.NaN }],
    ["a clock at infinity", { ...late, process: Number.POSITIVE_INFINITY }],
    ["a missing clock", { ...late, process: null }],
    ["no clock at all", { process: null, postgres: null, nats: null }],
    ["clocks one ms too far apart", { ...late, nats: SAMPLE_CLOSE + HOUR + MAX_CLOCK_SPREAD_MS + 1 }],
  ])("stays shut with %s", (_, clocks) => {
    expect(mayLift(ready(), clocks).kind).toBe("closed");
  });

  it("lets clocks differ by exactly a second", () => {
    expect(mayLift(ready(), { ...late, nats: SAMPLE_CLOSE + HOUR + MAX_CLOCK_SPREAD_MS }).kind).toBe("open");
  });

  it("fails closed without a schedule", () => {
    expect(codes({ ...ready(), polls: [] }, late)).toContain("schedule.missing");
    const uncounted = sampleDefinition({ edit: (d) => (d.states[1]!.closings[0]!.counts = false) });
    const facts = gateFacts(uncounted.definition);
    for (const [n, statement] of [closed("AT"), closed("LU")].entries()) applyToGate(facts, statement, n + 1);
    expect(codes(facts, late)).toContain("schedule.missing");
  });

  it("takes the last closing that counts, and only those", () => {
    const two = sampleDefinition({
      edit: (d) => {
        const [first] = d.states[0]!.closings;
        const utc = (ms: number) => new Date(SAMPLE_CLOSE + ms).toISOString();
        d.states[0]!.closings = [
          { ...first!, utc: utc(0) },
          { ...first!, utc: utc(2 * HOUR) },
          { ...first!, utc: utc(9 * HOUR), counts: false },
        ];
      },
    });
    expect(lastClose(gateFacts(two.definition))).toBe(SAMPLE_CLOSE + 2 * HOUR);
  });

  it("waits for an extension, and for the closure after it", () => {
    const facts = factsAfter(closed("AT"), closed("LU"), extended("LU", SAMPLE_CLOSE + 2 * HOUR));
    expect(codes(facts, late)).toEqual([...CLOCKS.map(() => "closing.ahead"), "closure.missing"]);
    applyToGate(facts, closed("LU"), 9);
    expect(codes(facts, late)).toEqual(CLOCKS.map(() => "closing.ahead"));
    expect(mayLift(facts, at(SAMPLE_CLOSE + 2 * HOUR)).kind).toBe("open");
  });

  it("gives up an extension that was voided, wherever it reached, and never comes below the schedule", () => {
    const facts = factsAfter(extended("LU", SAMPLE_CLOSE + 2 * HOUR), extended("LU", SAMPLE_CLOSE + 5 * HOUR, "LU-S"));
    expect(lastClose(facts)).toBe(SAMPLE_CLOSE + 5 * HOUR);
    applyToGate(facts, voids("LU", 2), 3);
    expect(facts.polls.map(({ closesAt }) => (closesAt - SAMPLE_CLOSE) / HOUR)).toEqual([0, 2, 2]);
    applyToGate(facts, voids("AT", 1), 4);
    expect(lastClose(facts)).toBe(SAMPLE_CLOSE + 2 * HOUR);
    applyToGate(facts, voids("LU", 1), 5);
    expect(lastClose(facts)).toBe(SAMPLE_CLOSE);
    applyToGate(facts, extended("LU", SAMPLE_CLOSE - HOUR), 6);
    expect(lastClose(facts)).toBe(SAMPLE_CLOSE);
  });

  it("asks for a closure anew after an extension, though that was voided", () => {
    const facts = factsAfter(closed("AT"), closed("LU"), extended("LU", SAMPLE_CLOSE + 2 * HOUR), voids("LU", 3));
    expect(codes(facts, late)).toEqual(["closure.missing"]);
    applyToGate(facts, closed("LU"), 5);
    expect(codes(facts, late)).toEqual([]);
  });

  it.each(CLOCKS)("stays shut while %s reads less than it did before, and says by how much", (clock) => {
    let floor = raiseFloor(NO_FLOOR, { ...late, [clock]: (late[clock] ?? 0) + 300 });
    floor = raiseFloor(floor, late);
    expect(mayLift(ready(), late, floor)).toEqual({
      kind: "closed",
      reasons: [{ code: "clock.went-back", clock, byMs: 300 }],
    });
    const later = { ...late, [clock]: (late[clock] ?? 0) + 300 };
    expect(mayLift(ready(), later, raiseFloor(floor, later)).kind).toBe("open");
    expect(mayLift(ready(), late).kind).toBe("open");
  });

  it("counts each constituency's closure, and a state's for all of them", () => {
    expect(codes(factsAfter(closed("AT"), closed("LU", "LU-N")), late)).toEqual(["closure.missing"]);
    expect(codes(factsAfter(closed("AT"), closed("LU", "LU-N"), closed("LU", "LU-S")), late)).toEqual([]);
    expect(codes(factsAfter(closed("AT"), closed("LU"), extended("LU", SAMPLE_CLOSE, "LU-S")), late)).toEqual([
      "closure.missing",
    ]);
  });

  it("lets an override stand in for a closure, of that state only and not for the clock", () => {
    expect(codes(factsAfter(closed("AT"), decides("override", "LU")), late)).toEqual([]);
    expect(codes(factsAfter(decides("override", "LU")), late)).toEqual(["closure.missing"]);
    expect(codes(factsAfter(closed("AT"), decides("override", "LU")), at(SAMPLE_CLOSE - 1))).toHaveLength(3);
  });

  it("is held by a hold on the Union until it is resumed; a hold on a state is no matter of the gate", () => {
    const facts = factsAfter(closed("AT"), closed("LU"), decides("hold", "AT"));
    expect(codes(facts, late)).toEqual([]);
    applyToGate(facts, decides("hold", "EU"), 9);
    expect(codes(facts, late)).toEqual(["hold.union"]);
    applyToGate(facts, decides("resume", "AT"), 10);
    expect(codes(facts, late)).toEqual(["hold.union"]);
    applyToGate(facts, decides("resume", "EU"), 11);
    expect(codes(facts, late)).toEqual([]);
  });

  const anyStatement = fc.oneof(
    fc.constantFrom("AT", "LU").map((state) => closed(state)),
    fc.constantFrom("LU-N", "LU-S").map((c) => closed("LU", c)),
    fc
      .tuple(fc.constantFrom("AT", "LU"), fc.integer({ min: -2, max: 6 }))
      .map(([s, h]) => extended(s, SAMPLE_CLOSE + h * HOUR)),
    fc
      .tuple(fc.constantFrom("hold", "resume", "override"), fc.constantFrom("AT", "LU", "EU"))
      .map(([d, about]) => decides(d, about)),
  );
  const anyClock = fc.oneof(
    fc.constant(null),
    fc.constant(Number.NaN),
    fc.integer({ min: -3000, max: 3000 }).map((ms) => SAMPLE_CLOSE + ms),
    fc.integer({ min: 0, max: 8 }).map((h) => SAMPLE_CLOSE + h * HOUR),
  );
  const anyClocks = fc.record({ process: anyClock, postgres: anyClock, nats: anyClock });

  it("property: is open if and only if every condition holds, by a second look at the statements", () => {
    fc.assert(
      fc.property(fc.array(anyStatement, { maxLength: 12 }), anyClocks, (statements, clocks) => {
        const readings = CLOCKS.map((clock) => clocks[clock]);
        const held = statements.findLast(
          (s) => s.type === "decision" && "about" in s && s.about === "EU" && s.decision !== "override",
        );
        const spoke = (s: Statement, state: string, constituency: string) =>
          s.type === "polls" && s.state === state && (s.constituency === undefined || s.constituency === constituency);
        const polls = [
          ["AT", "AT"],
          ["LU", "LU-N"],
          ["LU", "LU-S"],
        ] as const;
        const ok = polls.every(([state, constituency]) => {
          const last = statements.findLast((s) => spoke(s, state, constituency));
          const isClosed = last?.type === "polls" && last.polls === "closed";
          const isOverridden = statements.some(
            (s) => s.type === "decision" && s.decision === "override" && s.about === state,
          );
          const until = statements
            .filter((s) => spoke(s, state, constituency))
            .map((s) => (s.type === "polls" && s.polls === "extended" ? Date.parse(s.until) : SAMPLE_CLOSE));
          const close = Math.max(SAMPLE_CLOSE, ...until);
          return (isClosed || isOverridden) && readings.every((r) => r !== null && r >= close);
        });
        const numbers = readings as number[];
        const agree = Math.max(...numbers) - Math.min(...numbers) <= MAX_CLOCK_SPREAD_MS;
        const isHeld = held?.type === "decision" && held.decision === "hold";
        expect(mayLift(factsAfter(...statements), clocks).kind === "open").toBe(ok && agree && !isHeld);
      }),
      { numRuns: 5_000 },
    );
  });

  it("property: looking changes nothing, and no reading but a later one ever helps", () => {
    fc.assert(
      fc.property(fc.array(anyStatement, { maxLength: 8 }), anyClocks, (statements, clocks) => {
        const facts = factsAfter(...statements);
        const before = structuredClone(facts);
        const first = mayLift(facts, clocks);
        expect(mayLift(facts, clocks)).toEqual(first);
        expect(facts).toEqual(before);
        if (first.kind === "open")
          for (const clock of CLOCKS) expect(mayLift(facts, { ...clocks, [clock]: null }).kind).toBe("closed");
      }),
      { numRuns: 2_000 },
    );
  });
});
