import { sign } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Sample, sampleCommon, sampleDefinition, signSample } from "../definition/sample.ts";
import { canonical, commitJudgement, type Entry, type Finding, type Judgement } from "../ledger/entry.ts";
import { judge } from "../ledger/judge.ts";
import { RECEIPT_TYP, receiptPayload } from "../ledger/receipt.ts";
import { createLedgerState, type LedgerState } from "../ledger/state.ts";
import { compactEnvelope, MAX_STATEMENT_BYTES } from "./jws.ts";
import {
  leastAnswerBytes,
  leastJudgementBytes,
  leastReceiptBytes,
  leastStatementBytes,
  MAX_FINDINGS_PER_TALLY,
} from "./least-bytes.ts";
import { MAX_FIGURE, MAX_TALLIES, type Statement, type Tally } from "./types.ts";

/** For any two statements that differ in their figures alone, everything that is made of them has one length. */

const sample = sampleDefinition({
  edit: ({ states }) => states[0]?.units[0]?.ids.push(...Array.from({ length: MAX_TALLIES }, (_, n) => `AT-X${n}`)),
});
const { definition } = sample;
const RECEIVED = Date.parse("2024-06-09T21:40:00.000Z");

const UNITS = { AT: ["AT-1", "AT-2", "AT-3", "AT-P"], LU: ["LU-11", "LU-12", "LU-21"] } as const;
const LISTS = { AT: ["AT01", "AT02", "AT03", "AT90"], LU: ["LU01", "LU02", "LU11", "LU12"] } as const;
const KEYS = { AT: ["AT-1"], LU: ["LU-1", "LU-2"] } as const;
type StateId = keyof typeof UNITS;

/** Small ones as often as large ones, so that digits differ. */
const figure = fc
  .integer({ min: 0, max: 9 })
  .chain((digits) => fc.integer({ min: 0, max: Math.min(10 ** digits, MAX_FIGURE) }));

/** The figures of one unit, with some lists left out, and perhaps a reason. */
const figuresOf = (state: StateId) =>
  fc.record({
    electors: figure,
    ballots: figure,
    blank: figure,
    invalid: figure,
    version: fc.constant(1),
    status: fc.constant("final" as const),
    votes: fc.dictionary(fc.constantFrom(...LISTS[state]), figure),
    reason: fc.option(fc.string({ minLength: 1, maxLength: 60 }), { nil: undefined }),
  });

/** Units of a state, and twice the figures of each. */
const twice = fc.constantFrom<StateId>("AT", "LU").chain((state) =>
  fc
    .array(fc.tuple(fc.constantFrom(...UNITS[state]), figuresOf(state), figuresOf(state)), {
      minLength: 1,
      maxLength: 12,
    })
    .map((rows) => ({ state, rows })),
);

const tallyOf = (state: StateId, tallies: Tally[]): Statement => ({
  type: "tally",
  ...sampleCommon(sample, state, 1),
  tallies: JSON.parse(JSON.stringify(tallies)) as Tally[],
});

function judged(of: Sample, statement: Statement, state: LedgerState): Judgement {
  const signers = KEYS[statement.state as StateId].map((id) => of.register.key(id)!);
  const verdict = judge(
    state,
    { statement, signers, received: RECEIVED, equivocates: false, clocks: undefined },
    of.hash,
  );
  return { ...verdict, salt: "0".repeat(64) };
}

/** What a statement takes in every form: at least as long as what it is made of, and never longer. */
function lengthsOf(statement: Statement) {
  const judgement = judged(sample, statement, createLedgerState(definition, sample.register));
  const kids = KEYS[statement.state as StateId];
  const actual = {
    statement: signSample(sample, statement, ...kids).length,
    judgement: Buffer.byteLength(canonical(judgement)),
    receipt: receiptOf(statement, judgement).length,
  };
  const least = {
    statement: leastStatementBytes(definition, statement, kids.length),
    judgement: leastJudgementBytes(definition, statement),
    receipt: leastReceiptBytes(definition, statement),
  };
  for (const what of ["statement", "judgement", "receipt"] as const)
    expect(actual[what], what).toBeLessThanOrEqual(least[what]);
  return { ...least, answer: leastAnswerBytes(definition, statement) };
}

function receiptOf(statement: Statement, judgement: Judgement): string {
  const entry: Entry = {
    index: 123_456,
    received: new Date(RECEIVED).toISOString(),
    state: statement.state,
    key: "LU-1",
    sequence: statement.sequence,
    type: statement.type,
    units: statement.type === "tally" ? statement.tallies.length : 0,
    statement: "0".repeat(64),
    judgement: commitJudgement(judgement),
  };
  const checkpoint = "x".repeat(300);
  const payload = receiptPayload({
    definition: sample.hash,
    mode: "exercise",
    entry,
    judgement,
    statement,
    checkpoint,
  });
  const { signed, assemble } = compactEnvelope("ledger-1", payload, RECEIPT_TYP);
  return assemble(sign(null, signed, sample.keys.get("ledger-1")!.privateKey));
}

describe("the least length of what is sealed", () => {
  it("is the same for all tallies of the same units, and never below what they need", () => {
    fc.assert(
      fc.property(twice, ({ state, rows }) => {
        const [one, other] = [1, 2].map((n) =>
          tallyOf(
            state,
            rows.map((row) => ({ unit: row[0], ...(n === 1 ? row[1] : row[2]) }) as Tally),
          ),
        );
        expect(lengthsOf(one!)).toEqual(lengthsOf(other!));
      }),
      { numRuns: 300 },
    );
  });

  it("is the same for all declared seats, however many lists they name", () => {
    const seats = fc.dictionary(fc.constantFrom(...LISTS.AT), fc.integer({ min: 0, max: 200 }));
    const saying = (said: Record<string, number>): Statement => {
      return { type: "seats", ...sampleCommon(sample, "AT", 1), constituency: "AT", seats: { ...said } };
    };
    fc.assert(
      fc.property(seats, seats, (one, other) => {
        expect(lengthsOf(saying(one))).toEqual(lengthsOf(saying(other)));
      }),
    );
  });

  it("has room for every finding that one tally can get", () => {
    const unit = "AT-1";
    const state = createLedgerState(definition, sample.register);
    const worst: Tally = {
      unit,
      version: 1_000_000,
      status: "final",
      electors: 1,
      ballots: 2,
      blank: 3,
      invalid: 4,
      votes: { AT99: 0 },
    };
    const { findings } = judged(sample, tallyOf("AT", [worst, worst]), state);
    // And F.208 beside them, for a figure that fell: then there was a version before it.
    const all: Finding[] = [...findings, { code: "F.208", unit }];
    expect(all.filter((finding) => finding.unit === unit).length).toBeLessThanOrEqual(MAX_FINDINGS_PER_TALLY);
    expect(findings.length).toBe(MAX_FINDINGS_PER_TALLY - 1);
    const bytes = Buffer.byteLength(canonical({ findings: all, salt: "0".repeat(64), verdict: "quarantined" }));
    expect(bytes).toBeLessThanOrEqual(leastJudgementBytes(definition, tallyOf("AT", [worst])));
  });

  it("says of a public statement nothing but itself, and of its verdict nothing", () => {
    const declaration: Statement = { type: "declaration", ...sampleCommon(sample, "AT", 1), declares: "final" };
    expect(leastStatementBytes(definition, declaration, 2)).toBe(0);
    const accepted: Judgement = { verdict: "accepted", findings: [], salt: "0".repeat(64) };
    const quarantined: Judgement = { ...accepted, verdict: "quarantined", findings: [{ code: "F.405" }] };
    for (const judgement of [accepted, quarantined]) {
      expect(Buffer.byteLength(canonical(judgement))).toBeLessThanOrEqual(leastJudgementBytes(definition, declaration));
      expect(receiptOf(declaration, judgement).length).toBeLessThanOrEqual(leastReceiptBytes(definition, declaration));
    }
  });

  it("stays within what a statement and a message may have", () => {
    const tallies = Array.from({ length: MAX_TALLIES }, (_, n): Tally => {
      const figures = { electors: 1, ballots: 1, blank: 0, invalid: 0, votes: { AT01: 1 } };
      return { unit: `AT-X${n}`, version: 1, status: "final", ...figures };
    });
    const statement = tallyOf("AT", tallies);
    expect(leastStatementBytes(definition, statement, 1)).toBeLessThanOrEqual(MAX_STATEMENT_BYTES);
    expect(leastReceiptBytes(definition, statement)).toBeLessThanOrEqual(2_000_000);
    const wide = sampleDefinition({
      edit: ({ states: [austria] }) => {
        const more = Array.from({ length: 60 }, (_, n) => ({ ...austria!.lists[0]!, id: `AT${100 + n}` }));
        austria!.lists.push(...more);
      },
    });
    // At the limit all are as long as the limit: what is shorter cannot be told from what is not.
    expect(leastStatementBytes(wide.definition, statement, 1)).toBe(MAX_STATEMENT_BYTES);
  });
});
