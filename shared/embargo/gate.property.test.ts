import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SAMPLE_CLOSE } from "../definition/sample.ts";
import { judge } from "../ledger/judge.ts";
import { keys } from "../ledger/judge-sample.ts";
import { applyAccepted, createLedgerState } from "../ledger/state.ts";
import type { Statement } from "../statement/types.ts";
import {
  applyToGate,
  type ClockFloor,
  type ClockReadings,
  type GateReason,
  gateFacts,
  MAX_CLOCK_SPREAD_MS,
  mayLift,
  NO_FLOOR,
  raiseFloor,
} from "./gate.ts";
import { at, closed, decides, extended, SAMPLE, say, voids } from "./gate-sample.ts";

/** The truth table of the gate, row by row, and the gate against a second, naive reading of the whole history. */

const HOUR = 3_600_000;
const CLOCKS = ["process", "postgres", "nats"] as const;
type Clock = (typeof CLOCKS)[number];
const POLLS = [
  ["AT", "AT"],
  ["LU", "LU-N"],
  ["LU", "LU-S"],
] as const;

/** One condition of the table: how it is broken, and the reasons that this alone gives. */
interface Situation {
  said: Statement[];
  clocks: ClockReadings;
  floor: Record<Clock, number | null>;
}
interface Condition {
  name: string;
  spoil(of: Situation): void;
  reasons: GateReason[];
}

/** Everything is in order: an extension, voided; an override and closures after it; a hold that was resumed, and one that stops nothing. */
const inOrder = (): Situation => ({
  said: [
    extended("AT", SAMPLE_CLOSE + 9 * HOUR),
    voids("AT", 1),
    decides("override", "AT"),
    closed("LU", "LU-N"),
    closed("LU", "LU-S"),
    decides("hold", "EU"),
    decides("resume", "EU"),
    decides("hold", "AT"),
  ],
  clocks: at(SAMPLE_CLOSE),
  floor: { process: null, postgres: null, nats: null },
});
const ahead = (until: number): GateReason[] => CLOCKS.map((clock) => ({ code: "closing.ahead", clock, until }));

/** Another statement in the place of one: those after it keep their entries. */
const NOTHING = decides("resume", "LU");
const clockCondition = (
  what: string,
  reason: (clock: Clock) => GateReason,
  spoil: (of: Situation, clock: Clock) => void,
) =>
  CLOCKS.map((clock): Condition => {
    return { name: `${clock} ${what}`, spoil: (of) => spoil(of, clock), reasons: [reason(clock)] };
  });
const CONDITIONS: Condition[] = [
  ...clockCondition(
    "is past",
    (clock) => ({ code: "closing.ahead", clock, until: SAMPLE_CLOSE }),
    ({ clocks }, clock) => {
      clocks[clock] = SAMPLE_CLOSE - 1;
    },
  ),
  ...clockCondition(
    "went forward",
    (clock) => ({ code: "clock.went-back", clock, byMs: 5 }),
    ({ floor }, clock) => {
      floor[clock] = SAMPLE_CLOSE + 5;
    },
  ),
  {
    name: "the clocks agree",
    spoil: ({ clocks }) => {
      clocks.nats = SAMPLE_CLOSE + MAX_CLOCK_SPREAD_MS + 1;
    },
    reasons: [{ code: "clocks.disagree", spreadMs: MAX_CLOCK_SPREAD_MS + 1 }],
  },
  // After those that set a clock: one that is not there has no reading.
  ...clockCondition(
    "is there",
    (clock) => ({ code: "clock.missing", clock }),
    ({ clocks }, clock) => {
      clocks[clock] = null;
    },
  ),
  {
    name: "the extension was voided",
    spoil: ({ said }) => void said.splice(1, 1, NOTHING),
    reasons: ahead(SAMPLE_CLOSE + 9 * HOUR),
  },
  {
    name: "AT was overridden",
    spoil: ({ said }) => void said.splice(2, 1, NOTHING),
    reasons: [{ code: "closure.missing", state: "AT" }],
  },
  {
    name: "LU's closures stand",
    spoil: ({ said }) => void said.push(extended("LU", SAMPLE_CLOSE - HOUR, "LU-S")),
    reasons: [{ code: "closure.missing", state: "LU" }],
  },
  {
    name: "nobody holds the Union",
    spoil: ({ said }) => void said.push(decides("hold", "EU")),
    reasons: [{ code: "hold.union" }],
  },
];

const look = ({ said, clocks, floor }: Situation) => {
  const facts = gateFacts(SAMPLE.definition);
  for (const [n, statement] of said.entries()) applyToGate(facts, statement, n + 1);
  return mayLift(facts, clocks, floor);
};
const spoilt = (names: readonly Condition[]) => {
  const situation = inOrder();
  for (const { spoil } of names) spoil(situation);
  return situation;
};

describe("the truth table", () => {
  it("is open in its one row where every condition holds", () => {
    expect(look(inOrder())).toEqual({ kind: "open" });
  });

  it.each(CONDITIONS.map((condition) => [condition.name, condition] as const))(
    "is shut unless %s, by that reason alone",
    (_, condition) => {
      expect(look(spoilt([condition]))).toEqual({ kind: "closed", reasons: condition.reasons });
    },
  );

  it("property: is shut in every other row, and names each condition that fails", () => {
    fc.assert(
      fc.property(fc.subarray(CONDITIONS, { minLength: 1 }), (failing) => {
        const gate = look(spoilt(failing));
        if (gate.kind === "open") throw new Error(`open, though not: ${failing.map(({ name }) => name).join("; ")}`);
        const found = new Set(gate.reasons.map((reason) => JSON.stringify(named(reason))));
        for (const { name, reasons } of failing)
          for (const reason of reasons)
            if (!isHidden(reason, failing)) expect(found, name).toContain(JSON.stringify(named(reason)));
      }),
      { numRuns: 3_000 },
    );
  });

  /** Which clock, which state; not by how much: one condition changes what another one measures. */
  const named = (reason: GateReason) => [
    reason.code,
    "clock" in reason ? reason.clock : "state" in reason ? reason.state : "",
  ];
  /** What cannot be seen of a clock that is not there, or that another condition has set elsewhere. */
  const isHidden = (reason: GateReason, failing: readonly Condition[]) => {
    const fails = (name: string) => failing.some((condition) => condition.name === name);
    if (reason.code === "clocks.disagree")
      return fails("nats is there") || (fails("process is there") && fails("postgres is there"));
    if (!("clock" in reason) || reason.code === "clock.missing") return false;
    const { clock } = reason;
    const isElsewhere = clock === "nats" && fails("the clocks agree");
    return fails(`${clock} is there`) || isElsewhere;
  };
});

/** What happens, in order: statements that were accepted, and readings of the clocks. */
type Event = { said: Statement } | { read: ClockReadings };

/**
 * Whether the gate is open at the last reading, by nothing but the history: no state is kept, every question looks through all of it
 * again. Shares nothing with the gate.
 */
function shouldBeOpen(history: readonly Event[]): boolean {
  const said = history.flatMap((event, index) => ("said" in event ? [{ index, statement: event.said }] : []));
  const reads = history.flatMap((event) => ("read" in event ? [event.read] : []));
  const now = reads.at(-1);
  if (now === undefined) return false;
  for (const clock of CLOCKS) {
    const reading = now[clock];
    if (reading === null || !Number.isFinite(reading)) return false;
    for (const other of CLOCKS) if (Math.abs(reading - (now[other] ?? Number.NaN)) > 1000) return false;
    for (const before of reads) if (Number.isFinite(before[clock]) && (before[clock] ?? 0) > reading) return false;
  }
  for (const [state, constituency] of POLLS) {
    const of = said.filter(
      ({ statement: s }) =>
        s.type === "polls" && s.state === state && (s.constituency ?? constituency) === constituency,
    );
    for (const { index, statement } of of) {
      if (statement.type !== "polls" || statement.polls !== "extended") continue;
      const wasVoided = said.some(
        ({ index: later, statement: s }) =>
          later > index && s.type === "decision" && s.decision === "void" && s.about === state && s.entry === index,
      );
      if (!wasVoided) for (const clock of CLOCKS) if ((now[clock] ?? 0) < Date.parse(statement.until)) return false;
    }
    for (const clock of CLOCKS) if ((now[clock] ?? 0) < SAMPLE_CLOSE) return false;
    const last = of.at(-1)?.statement;
    const saysClosed = last?.type === "polls" && last.polls === "closed";
    const isOverridden = said.some(
      ({ statement: s }) => s.type === "decision" && s.decision === "override" && s.about === state,
    );
    if (!saysClosed && !isOverridden) return false;
  }
  const holds = said.filter(
    ({ statement: s }) =>
      s.type === "decision" && (s.decision === "hold" || s.decision === "resume") && s.about === "EU",
  );
  const last = holds.at(-1)?.statement;
  return !(last?.type === "decision" && last.decision === "hold");
}

const place = fc.constantFrom<[string, string?]>(["AT"], ["LU"], ["LU", "LU-N"], ["LU", "LU-S"], ["AT", "AT"]);
const anyStatement: fc.Arbitrary<Statement> = fc.oneof(
  { weight: 6, arbitrary: place.map(([state, constituency]) => closed(state, constituency)) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(place, fc.integer({ min: -2, max: 8 }))
      .map(([[state, id], hours]) => extended(state, SAMPLE_CLOSE + hours * HOUR, id)),
  },
  {
    weight: 3,
    arbitrary: fc.tuple(fc.constantFrom("AT", "LU"), fc.nat(16)).map(([about, entry]) => voids(about, entry)),
  },
  fc.constantFrom(decides("hold", "EU"), decides("resume", "EU"), decides("resume", "EU"), decides("hold", "AT")),
  fc.constantFrom(decides("override", "AT"), decides("override", "LU"), decides("override", "EU")),
);
/** Readings near an hour, mostly in agreement; some go back, some are missing. */
const anyReading: fc.Arbitrary<ClockReadings> = fc
  .record({
    hours: fc.integer({ min: -1, max: 8 }),
    offsets: fc.tuple(...CLOCKS.map(() => fc.constantFrom(0, 0, 0, -1, 999, 1000, 1001))),
    missing: fc.option(fc.constantFrom(...CLOCKS), { freq: 8 }),
    odd: fc.constantFrom(null, Number.NaN, Number.POSITIVE_INFINITY),
  })
  .map(({ hours, offsets, missing, odd }) => {
    const clocks = at(SAMPLE_CLOSE + hours * HOUR);
    for (const [n, clock] of CLOCKS.entries())
      clocks[clock] = clock === missing ? odd : (clocks[clock] ?? 0) + (offsets[n] ?? 0);
    return clocks;
  });
const anyEvent: fc.Arbitrary<Event> = fc.oneof(
  { weight: 3, arbitrary: anyStatement.map((said) => ({ said })) },
  { weight: 1, arbitrary: anyReading.map((read) => ({ read })) },
);
const EVENING: Event[] = [{ said: closed("AT") }, { said: closed("LU") }];
const history = fc
  .tuple(fc.constantFrom<Event[]>([], EVENING), fc.array(anyEvent, { maxLength: 16 }), anyReading)
  .map(([first, rest, read]): Event[] => [...first, ...rest, { read }]);

describe("every history of statements and readings", () => {
  it("opens the gate exactly when a naive look at all of it says so, at every reading", () => {
    const seen = { open: 0, closed: 0, wentBack: 0 };
    fc.assert(
      fc.property(history, (events) => {
        const facts = gateFacts(SAMPLE.definition);
        let floor: ClockFloor = NO_FLOOR;
        for (const [index, event] of events.entries()) {
          if ("said" in event) {
            applyToGate(facts, event.said, index);
            continue;
          }
          floor = raiseFloor(floor, event.read);
          const gate = mayLift(facts, event.read, floor);
          expect(gate.kind).toBe(shouldBeOpen(events.slice(0, index + 1)) ? "open" : "closed");
          seen[gate.kind]++;
          if (gate.kind === "closed" && gate.reasons.every(({ code }) => code === "clock.went-back")) seen.wentBack++;
        }
      }),
      { numRuns: 6_000 },
    );
    // The histories reach what the property is about.
    expect(seen.open).toBeGreaterThan(200);
    expect(seen.closed).toBeGreaterThan(200);
    expect(seen.wentBack).toBeGreaterThan(20);
  });

  it("gets its lift into the log exactly then, by the rules of the ledger", () => {
    const office = { AT: ["AT-1"], LU: ["LU-1", "LU-2"] } as Record<string, string[]>;
    const signersOf = (statement: Statement) =>
      keys(
        ...(statement.type === "lift"
          ? ["tabulate-1", "recount-1"]
          : (office[statement.state] ?? ["trustee-1", "trustee-2"])),
      );
    /** As the counts would state it: what was read. */
    const liftAt = ({ process, postgres, nats }: ClockReadings, otherwise: number) => {
      const iso = (ms: number | null) => new Date(ms !== null && Number.isFinite(ms) ? ms : otherwise).toISOString();
      return say({ type: "lift", clocks: { process: iso(process), postgres: iso(postgres), nats: iso(nats) } });
    };
    const seen = { accepted: 0, quarantined: 0 };
    fc.assert(
      fc.property(history, fc.integer({ min: -1, max: 8 }), (events, hours) => {
        const state = createLedgerState(SAMPLE.definition, SAMPLE.register);
        const received = SAMPLE_CLOSE + hours * HOUR;
        const accepted: Event[] = [];
        let floor: ClockFloor = NO_FLOOR;
        for (const [index, event] of events.entries()) {
          const read = "read" in event ? event.read : undefined;
          if (read !== undefined) floor = raiseFloor(floor, read);
          const statement = "said" in event ? event.said : liftAt(event.read, received);
          const input = { statement, signers: signersOf(statement), received, equivocates: false, clocks: read, floor };
          const { verdict } = judge(state, input, SAMPLE.hash);
          // A place in the history that says nothing: an entry that was quarantined counts for nothing.
          const nothing: Event = { said: decides("resume", "XX") };
          if ("said" in event) {
            if (verdict === "accepted") applyAccepted(state, statement, { index, key: "" });
            accepted.push(verdict === "accepted" ? event : nothing);
            continue;
          }
          accepted.push(event);
          expect(verdict).toBe(shouldBeOpen(accepted) ? "accepted" : "quarantined");
          seen[verdict]++;
        }
      }),
      { numRuns: 3_000 },
    );
    expect(seen.accepted).toBeGreaterThan(50);
    expect(seen.quarantined).toBeGreaterThan(200);
  });
});

describe("the floor", () => {
  it("property: only rises, by the highest reading of each clock, and forgets nothing that could not be read", () => {
    fc.assert(
      fc.property(fc.array(anyReading, { maxLength: 12 }), (readings) => {
        let floor: ClockFloor = NO_FLOOR;
        for (const reading of readings) floor = raiseFloor(floor, reading);
        for (const clock of CLOCKS) {
          const good = readings.map((reading) => reading[clock]).filter((ms) => Number.isFinite(ms)) as number[];
          expect(floor[clock]).toBe(good.length === 0 ? null : Math.max(...good));
        }
      }),
    );
  });
});
