import type { Definition, State } from "../definition/schema.ts";
import { MAX_STATEMENT_BYTES } from "./jws.ts";
import { MAX_FIGURE, OPEN_TYPES, type Statement, type Tally } from "./types.ts";

/**
 * How long a sealed thing is made, so that its length follows from what is public of a statement and never from its figures: its type, its
 * state, how many tallies it holds, how many signed. Figures count as wide as they can be, every list that stands as named, every finding
 * as found. What is longer all the same (white space, long reasons, lists that do not stand) shows its own length.
 */

/** Who lowers a figure gives a reason, and whether one was given must not show. For a statement, and for each of its tallies. */
const REASONS_BYTES = 512;
const REASON_BYTES = 96;
/** The longest header with its signature in an envelope of several: `kid` has 64 characters at most. */
const SIGNATURE_BYTES = 320;
/** Codes that one tally can get at most: a list, a version, three sums, a turnout, two shares, no votes, twice in the statement. */
export const MAX_FINDINGS_PER_TALLY = 9;
/** Verdict, salt, and findings that are about no tally: each code once. */
const JUDGEMENT_BYTES = 508;
/** What a receipt says besides: its entry, salt, checkpoint, header and signature. */
const RECEIPT_BYTES = 2_048;
/** A finding in words is two sentences; one of each code for the smallest statement, and about one a tally for the others. */
const WORDS_BYTES = 3_072;
const WORDS_PER_TALLY_BYTES = 256;
const MAX_DECLARED = 200;
/** What base64 leaves of a statement's limit. */
const MAX_PAYLOAD_BYTES = (MAX_STATEMENT_BYTES * 3) / 4;
/** A message of the bus holds 2 MiB, headers and seal among it. */
const MAX_RECEIPT_BYTES = 2_000_000;

const base64 = (bytes: number) => Math.ceil((bytes * 4) / 3);
const jsonBytes = (value: unknown) => Buffer.byteLength(JSON.stringify(value));

/** The widest things of one state, in bytes of JSON. */
interface Widest {
  unit: number;
  tally: number;
  seats: number;
}

/** A state's unit ids are up to 95,000, so they are looked at once. */
const known = new WeakMap<State, Widest>();

function widestOf(definition: Definition, stateId: string): Widest {
  const state = definition.states.find(({ id }) => id === stateId);
  if (state === undefined) return { unit: 0, tally: 0, seats: 0 };
  const widest = known.get(state) ?? measure(state);
  known.set(state, widest);
  return widest;
}

function measure({ units, constituencies, lists }: State): Widest {
  let unit = "";
  for (const { ids } of units) for (const id of ids) if (id.length > unit.length) unit = id;
  const named = constituencies.map(({ id }) => lists.filter((list) => list.constituency === id));
  const all = (value: number) => named.map((standing) => Object.fromEntries(standing.map(({ id }) => [id, value])));
  const tally = (votes: Tally["votes"]): Tally => {
    const figures = { electors: MAX_FIGURE, ballots: MAX_FIGURE, blank: MAX_FIGURE, invalid: MAX_FIGURE };
    return { unit, version: 1_000_000, status: "provisional", ...figures, votes };
  };
  return {
    unit: unit.length,
    tally: Math.max(...all(MAX_FIGURE).map((votes) => jsonBytes(tally(votes)))),
    seats: Math.max(...all(MAX_DECLARED).map(jsonBytes)),
  };
}

/** Bytes of a statement's JSON: as it is if it is public anyway. */
function payloadBytes(definition: Definition, statement: Statement): number {
  const { tally, seats } = widestOf(definition, statement.state);
  if (statement.type === "tally") {
    const { tallies } = statement;
    return jsonBytes({ ...statement, tallies: [] }) + REASONS_BYTES + tallies.length * (tally + 1 + REASON_BYTES);
  }
  return statement.type === "seats" ? jsonBytes({ ...statement, seats: {} }) + seats : jsonBytes(statement);
}

const talliesOf = (statement: Statement) => (statement.type === "tally" ? statement.tallies.length : 0);

/** `,{"code":"F.301","unit":"…"}` for everything that can be found of every tally. */
function findingsBytes(definition: Definition, statement: Statement): number {
  const { unit } = widestOf(definition, statement.state);
  return talliesOf(statement) * MAX_FINDINGS_PER_TALLY * (27 + unit);
}

/**
 * Of the JWS as received, signed `signatures` times. 0 for a statement that is public at once; never above the limit of a statement, so
 * that from there on all have one length.
 */
export function leastStatementBytes(definition: Definition, statement: Statement, signatures: number): number {
  if (OPEN_TYPES.has(statement.type)) return 0;
  const envelope = 64 + signatures * SIGNATURE_BYTES;
  return Math.min(MAX_STATEMENT_BYTES, envelope + base64(payloadBytes(definition, statement)));
}

/** Of a judgement's canonical JSON. A `declaration` is public, and whether it was accepted follows from tallies: so of every type. */
export function leastJudgementBytes(definition: Definition, statement: Statement): number {
  return JUDGEMENT_BYTES + findingsBytes(definition, statement);
}

/** Of a receipt, a compact JWS. */
export function leastReceiptBytes(definition: Definition, statement: Statement): number {
  const payload = Math.min(payloadBytes(definition, statement), MAX_PAYLOAD_BYTES);
  const whole = payload + leastJudgementBytes(definition, statement) + RECEIPT_BYTES;
  return Math.min(MAX_RECEIPT_BYTES, base64(whole));
}

/** Of the door's answer with a receipt: whole KiB. */
export function leastAnswerBytes(definition: Definition, statement: Statement): number {
  const words =
    WORDS_BYTES + talliesOf(statement) * (WORDS_PER_TALLY_BYTES + widestOf(definition, statement.state).unit);
  return Math.ceil((leastReceiptBytes(definition, statement) + words) / 1024) * 1024;
}
