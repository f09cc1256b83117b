import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { sampleCommon, sampleDefinition, sampleTally } from "../definition/sample.ts";
import type { Statement } from "../statement/types.ts";
import { STATEMENTS } from "../statement/types.ts";
import { judge } from "./judge.ts";
import * as say from "./judge-sample.ts";
import { CLOSE, inputOf, isSignedByKnown, keys, LATER, logOf, SAMPLE, type Sent, step } from "./judge-sample.ts";
import type { KeyBook } from "./keys.ts";
import { acceptedVersion, applyAccepted, createLedgerState, isLifted, type LedgerState } from "./state.ts";
import { loadLedgerState, saveLedgerState } from "./state-save.ts";

const { definition, register, hash } = SAMPLE;
const UNITS = ["AT-1", "AT-2", "AT-3", "AT-4", "AT-P", "LU-11", "LU-12", "LU-21"];
const fresh = () => createLedgerState(definition, register);
const bytesOf = (state: LedgerState) => Buffer.from(saveLedgerState(state)).toString("base64");

/** What two books must agree on. */
const lives = (book: KeyBook) => [...book.records()].map(({ key, from, ended }) => ({ key, from, ended }));

/** Small numbers from few choices, so that statements meet: known and unknown ids, versions that follow and that do not. */
const unit = fc.constantFrom(...UNITS, "AT-9", "XX-1");
const state = fc.constantFrom("AT", "LU", "AT", "LU", "EU", "XX");
const constituency = fc.constantFrom("AT", "LU-N", "LU-S", "XX");
const sequence = fc.integer({ min: 1, max: 40 });
const instant = fc.integer({ min: CLOSE - 5 * 3_600_000, max: CLOSE + 9 * 3_600_000 }).map(say.iso);
const hashes = fc.constantFrom("0".repeat(64), "1".repeat(64));
const figure = fc.oneof(fc.integer({ min: 0, max: 9 }), fc.constantFrom(231, 1_000_000_000));
const list = fc.constantFrom("AT01", "AT02", "LU01", "LU11", "FR01");
const contender = fc.constantFrom("AT01", "AT02", "AT03", "AT-A1", "LU01", "LU02", "x");
const votes = fc.dictionary(list, figure, { maxKeys: 3 });
const reason = fc.option(fc.constant("recounted"), { nil: undefined });
const version = fc.oneof({ weight: 4, arbitrary: fc.integer({ min: 1, max: 30 }) }, fc.integer({ min: 90, max: 220 }));

const anyTally = fc
  .record({ unit, version, electors: figure, ballots: figure, blank: figure, invalid: figure, votes, reason })
  .map(({ reason, ...tally }) => ({ ...tally, status: "final" as const, ...(reason && { reason }) }));
const goodTally = fc.record({ unit, version, add: fc.integer({ min: -3, max: 3 }), reason }).map((of) => {
  const votes: Record<string, number> = of.unit.startsWith("LU-2")
    ? { LU11: 50 + of.add }
    : of.unit.startsWith("LU")
      ? { LU01: 50 + of.add }
      : { AT01: 220 + of.add };
  const changes = { version: of.version, votes, ballots: 231 + of.add, ...(of.reason && { reason: of.reason }) };
  return sampleTally(of.unit, changes);
});
const tallies = fc.array(fc.oneof({ weight: 3, arbitrary: goodTally }, { weight: 1, arbitrary: anyTally }), {
  minLength: 1,
  maxLength: 4,
});

const common = fc.record({
  sequence,
  definition: fc.integer({ min: 0, max: 19 }).map((n) => (n === 0 ? "0".repeat(64) : hash)),
  state,
  nonce: fc.constant("n".repeat(22)),
  issued: fc.constant("2024-06-09T21:30:00Z"),
});
const of = <T extends Statement["type"]>(
  type: T,
  rest: Record<string, fc.Arbitrary<unknown>>,
  weight = 1,
  optional: string[] = [],
) => ({
  weight,
  arbitrary: fc
    .tuple(common, fc.record(rest, { requiredKeys: Object.keys(rest).filter((key) => !optional.includes(key)) }))
    .map(([head, body]) => STATEMENTS[type].parse({ type, ...head, ...body }) as Statement),
});
const text = fc.constant("a reason");
const seats = fc.dictionary(list, fc.constantFrom(0, 2, 4, 20), { maxKeys: 2 });
const about = fc.constantFrom("AT", "LU", "EU", "XX");
/** Every type of statement, each of its schema's shape. */
const statement: fc.Arbitrary<Statement> = fc.oneof(
  of("tally", { tallies }, 8),
  of("polls", { polls: fc.constant("closed"), constituency }, 3, ["constituency"]),
  of("polls", { polls: fc.constant("extended"), until: instant, reason: text, constituency }, 1, ["constituency"]),
  of("seats", { constituency, seats }, 2),
  of("seats", { constituency: fc.constant("AT"), seats: fc.constant({ AT01: 20 }) }),
  of("declaration", { declares: fc.constantFrom("final", "official") }),
  of("void", { voids: sequence, reason: text }),
  of("decision", { decision: fc.constantFrom("hold", "resume", "override"), about, reason: text }, 2),
  of("decision", {
    decision: fc.constant("draw"),
    constituency,
    within: fc.constantFrom("seats", "AT-A1", "x"),
    order: fc.array(contender, { minLength: 2, maxLength: 3 }),
    reason: text,
  }),
  of("lift", { clocks: fc.record({ process: instant, postgres: instant, nats: instant }) }, 2),
  of("release", {
    number: fc.constantFrom(1, 2),
    size: fc.integer({ min: 1, max: 9 }),
    root: fc.constant("r"),
    release: hashes,
    previous: fc.option(hashes),
  }),
);

const signers = fc.constantFrom(
  ...[["AT-1"], ["AT-1", "AT-2"], ["AT-1", "AT-3"], ["LU-1", "LU-2"], ["LU-1"], ["LU-1", "LU-2"]],
  ...[["trustee-1"], ["trustee-1", "trustee-2"], ["tabulate-1", "recount-1"], ["recount-1"], [], ["AT-1", "LU-1"]],
);
const clock = fc.option(fc.constantFrom(CLOSE - 1, CLOSE, LATER, LATER + 500), { freq: 8 });
const sent: fc.Arbitrary<Sent> = fc.record({
  statement,
  by: signers,
  at: fc.constantFrom(CLOSE - 1, LATER, LATER, LATER, LATER + 9 * 3_600_000),
  equivocates: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
  targetUsed: fc.boolean(),
  clocks: fc.oneof(
    fc.record({ process: clock, postgres: clock, nats: clock }),
    fc.constant(say.clocksAt(LATER + 9 * 3_600_000)),
  ),
});
/** Some logs start at the open gate, or with all units in: chance alone gets there too seldom. */
const start = fc.constantFrom<Sent[]>([], [], say.LIFTED, say.LIFTED.slice(0, 2), [say.ALL_OF_AT]);
/** Half of the signers fit, so that a log grows. */
const fitting = sent.chain((s) => {
  const { type, state: of } = s.statement;
  const vault = type === "lift" || type === "release";
  const right = vault ? ["tabulate-1", "recount-1"] : type === "decision" ? ["trustee-1", "trustee-2"] : [];
  const office = of === "LU" ? ["LU-1", "LU-2"] : ["AT-1", "AT-2"];
  const home = right.length > 0 ? { ...s.statement, state: "EU" } : s.statement;
  const fit = { ...s, equivocates: false, statement: home as Statement, by: right.length > 0 ? right : office };
  return fc.constantFrom(s, fit, fit);
});
/** Corrections of a few units with nothing wrong but, now and then, their version or a missing reason. */
const correction: fc.Arbitrary<Sent> = fc
  .uniqueArray(goodTally, { minLength: 1, maxLength: 2, selector: (tally) => tally.unit })
  .map((tallies) => tallies.filter((tally) => tally.unit.startsWith("AT-") && tally.unit !== "AT-9"))
  .map((some) => {
    const tallies = some.length > 0 ? some : [sampleTally("AT-4")];
    return { statement: { type: "tally", ...sampleCommon(SAMPLE, "AT", 1000), tallies }, by: ["AT-1"] };
  });
/** Keys that come and go, and figures by those that may have come: a log keeps the rest out before it is judged. */
const keyChange = fc.constantFrom(
  say.rotates("AT-1", "AT-9"),
  say.rotates("AT-9", "AT-8"),
  say.rotates("LU-1", "LU-9"),
  say.rotates("AT-2", "AT-9"),
  say.revokes("AT-9", CLOSE),
  say.revokes("AT-9", CLOSE - 1, "AT-backup"),
  say.revokes("AT-2", CLOSE, "AT-backup"),
  say.revokes("AT-backup", CLOSE),
  say.enrols("AT-7", "Eva"),
  say.enrols("AT-8", "Eva", { backup: true }),
  say.suspends("trustee-3"),
);
const byNewKeys = fc
  .tuple(correction, fc.constantFrom("AT-9", "AT-8", "AT-7"))
  .map(([sent, kid]) => ({ ...sent, by: [kid] }));
/** The vault's own, which chance seldom puts in order. */
const vault = fc.constantFrom(say.lift(), say.release(1), say.release(2));
/** Extensions that are given and voided, a recovery, and decisions of a trustee who may be suspended. */
const gateChange = fc.constantFrom(
  say.extended("AT", CLOSE + 3_600_000),
  say.extended("LU", CLOSE + 7_200_000, "LU-S"),
  say.voidsExtension("AT", 1),
  say.voidsExtension("LU", 1),
  say.voidsExtension("LU", 2),
  say.recovers(),
  say.decides("hold", "EU", "trustee-3"),
);
const declared = fc.constant(say.declares("AT", "final", ["AT-1", "AT-2"]));
const steps = [
  { weight: 1, arbitrary: declared },
  { weight: 6, arbitrary: fitting },
  { weight: 6, arbitrary: correction },
  { weight: 1, arbitrary: vault },
  { weight: 2, arbitrary: keyChange },
  { weight: 1, arbitrary: byNewKeys },
  { weight: 1, arbitrary: gateChange },
];
const log = fc.array(fc.oneof(...steps), { maxLength: 40, size: "max" });

describe("every log", () => {
  it("is judged without throwing, without a side effect, and whatever the order of the units", () => {
    const seen = { accepted: 0, quarantined: 0 };
    const types = new Set<string>();
    const found = new Set<string>();
    fc.assert(
      fc.property(start, log, (first, rest) => {
        const so = logOf(...first);
        for (const s of rest) {
          if (!isSignedByKnown(s, so.keys)) continue;
          const before = bytesOf(so);
          const given = inputOf(s, so.keys);
          const input = structuredClone(given);
          const verdict = judge(so, given, hash);
          expect(bytesOf(so)).toBe(before);
          expect(given).toEqual(input);
          expect(judge(so, given, hash)).toEqual(verdict);
          if (s.statement.type === "tally") {
            const reversed = { ...s.statement, tallies: [...s.statement.tallies].reverse() };
            expect(judge(so, { ...given, statement: reversed }, hash)).toEqual(verdict);
          }
          const quarantined = verdict.findings.some(({ code }) => code.startsWith("F"));
          expect(verdict.verdict).toBe(quarantined ? "quarantined" : "accepted");
          expect(step(so, s)).toEqual(verdict);
          seen[verdict.verdict] += 1;
          if (verdict.verdict === "accepted") types.add(s.statement.type);
          for (const { code } of verdict.findings) if (/F\.(105|409|41[0-3])/.test(code)) found.add(code);
        }
      }),
      { numRuns: 300 },
    );
    // The generators reach what the test is for.
    for (const times of Object.values(seen)) expect(times).toBeGreaterThan(500);
    expect([...types].sort()).toEqual(Object.keys(STATEMENTS).sort());
    expect([...found].sort()).toEqual(["F.105", "F.409", "F.411"]);
  });

  it("has accepted versions that strictly rise, at most 100 at a time, and never fall without a reason", () => {
    let corrections = 0;
    fc.assert(
      fc.property(log, (rest) => {
        const so = fresh();
        const standing = new Map<string, { version: number; ballots: number }>();
        for (const s of rest) {
          if (!isSignedByKnown(s, so.keys)) continue;
          if (step(so, s).verdict === "quarantined" || s.statement.type !== "tally") continue;
          for (const tally of s.statement.tallies) {
            const last = standing.get(tally.unit);
            if (last !== undefined) corrections += 1;
            expect(tally.version).toBeGreaterThan(last?.version ?? 0);
            expect(tally.version).toBeLessThanOrEqual((last?.version ?? 0) + 100);
            if (tally.reason === undefined) expect(tally.ballots).toBeGreaterThanOrEqual(last?.ballots ?? 0);
            standing.set(tally.unit, tally);
          }
        }
        for (const id of UNITS) expect(acceptedVersion(so, id)).toBe(standing.get(id)?.version ?? 0);
        for (const id of ["AT", "LU"]) {
          const units = [...standing.keys()].filter((name) => name.startsWith(id)).length;
          expect(so.unitsIn.get(id) ?? 0).toBe(units);
        }
      }),
      { numRuns: 300 },
    );
    expect(corrections).toBeGreaterThan(100);
  });

  it("is saved and loaded at any point, and goes on as if it had not been", () => {
    fc.assert(
      fc.property(start, log, log, (first, before, after) => {
        const so = logOf(...first);
        for (const s of before) if (isSignedByKnown(s, so.keys)) step(so, s);
        const bytes = saveLedgerState(so);
        const loaded = loadLedgerState(definition, register, bytes);
        const plain = ({ register: _, keys, ...rest }: LedgerState) => ({ ...rest, keys: lives(keys) });
        expect(plain(loaded)).toEqual(plain(so));
        expect(Buffer.compare(saveLedgerState(loaded), bytes)).toBe(0);
        for (const s of after) {
          expect(isSignedByKnown(s, loaded.keys)).toBe(isSignedByKnown(s, so.keys));
          if (isSignedByKnown(s, so.keys)) expect(step(loaded, s)).toEqual(step(so, s));
        }
        expect(Buffer.compare(saveLedgerState(loaded), saveLedgerState(so))).toBe(0);
      }),
      { numRuns: 200 },
    );
  });
});

describe("a state", () => {
  it("stops at what no log can hold", () => {
    const so = logOf(say.one());
    const apply = (s: Sent) => () => applyAccepted(so, s.statement, { index: 1, key: s.by[0] as string });
    expect(apply(say.one())).toThrow("do not rise");
    expect(apply(say.tally([sampleTally("AT-9")]))).toThrow("unknown unit");
    expect(apply(say.tally([sampleTally("AT-2", { votes: { LU01: 1 } })]))).toThrow("unknown list");
  });

  it("keeps voided numbers by key, and the last release", () => {
    const so = logOf(say.voids(7), ...say.LIFTED, say.release(1), say.release(2));
    expect([...so.voided]).toEqual([["AT-1", new Set([7])]]);
    expect(keys("AT-2")[0]?.id).toBe("AT-2");
    expect(so.release).toMatchObject({ number: 2, size: 20 });
    expect([isLifted(fresh()), isLifted(so)]).toEqual([false, true]);
  });

  it("is not loaded from what was not saved for this definition", () => {
    const bytes = saveLedgerState(logOf(say.one()));
    const other = sampleDefinition({ seed: "another" });
    expect(() => loadLedgerState(other.definition, other.register, bytes)).toThrow("another definition");
    const load = (of: Uint8Array) => () => loadLedgerState(definition, register, of);
    for (const length of [0, 3, 4, 40, bytes.length - 1]) expect(load(bytes.subarray(0, length))).toThrow(RangeError);
    expect(load(Buffer.concat([bytes, Buffer.alloc(4)]))).toThrow("longer");
  });

  it("carries a schedule with a hole over a restart as one", () => {
    const so = fresh();
    for (const poll of so.gate.polls) poll.closesAt = Number.NaN;
    const loaded = loadLedgerState(definition, register, saveLedgerState(so));
    expect(loaded.gate.polls.every((poll) => Number.isNaN(poll.closesAt))).toBe(true);
  });
});
