import type { Definition } from "../definition/schema.ts";
import { MAX_CORRECTIONS } from "../formats/release.ts";
import { MAX_REASON } from "../statement/types.ts";
import { type ConstituencyCount, type Count, type StateCount, startCount } from "./count.ts";
import type { Draw } from "./seats.ts";

/**
 * A count as bytes, to be sealed and stored beside its position. Layout: length of the head (4 bytes, big endian), the head as
 * JSON, every state's reasons, then every constituency's cells in the definition's order as LEB128 numbers, a unit without an accepted
 * tally as the single byte 0. Most figures of a polling station take one or two bytes, and the bytes do not depend on the machine.
 */

const FORMAT = "scrutin-recount-2";
/** A 32-bit cell takes at most five bytes of seven bits. */
const MAX_CELL_BYTES = 5;

interface KeptState {
  status: StateCount["status"];
  withheld: boolean;
  holds: StateCount["holds"];
  shownTo: number;
  constituencies: { declared: number[] | null; draws: Draw[] }[];
}

interface Head {
  format: typeof FORMAT;
  definition: string;
  next: number;
  states: KeptState[];
}

const constituenciesOf = (c: Count): ConstituencyCount[] =>
  [...c.states.values()].flatMap((state) => state.constituencies);

function headOf(c: Count): Head {
  const states = [...c.states.values()].map(({ status, withheld, holds, shownTo, constituencies }) => ({
    status,
    withheld,
    holds,
    shownTo,
    constituencies: constituencies.map(({ declared, draws }) => ({ declared, draws })),
  }));
  return { format: FORMAT, definition: c.hash, next: c.next, states };
}

/** LEB128: seven bits a byte, the lowest first. The offset after the number. */
function writeNumber(value: number, into: Uint8Array, at: number): number {
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) into[at++] = (rest & 0x7f) | 0x80;
  into[at++] = rest;
  return at;
}

/** How many reasons, then each unit with its reason, both as UTF-8 after their length; a tally without a reason has an empty one. */
function writeReasons({ reasons }: StateCount, into: Uint8Array, at: number): number {
  at = writeNumber(reasons.size, into, at);
  for (const text of [...reasons].flatMap(([unit, reason]) => [unit, reason ?? ""])) {
    const bytes = new TextEncoder().encode(text);
    at = writeNumber(bytes.length, into, at);
    into.set(bytes, at);
    at += bytes.length;
  }
  return at;
}

/** Writes one constituency's rows from `at` on; the offset after them. */
function writeRows({ cells, width }: ConstituencyCount, into: Uint8Array, at: number): number {
  for (let row = 0; row < cells.length; row += width) {
    const end = cells[row] === 0 ? row + 1 : row + width;
    for (let cell = row; cell < end; cell++) at = writeNumber(cells[cell]!, into, at);
  }
  return at;
}

/** Reads one number at `at`; RangeError where the bytes end or the number leaves 32 bits. */
function readCell(bytes: Uint8Array, at: number): { value: number; next: number } {
  let value = 0;
  for (let i = 0; i < MAX_CELL_BYTES; i++) {
    const byte = bytes[at + i];
    if (byte === undefined) throw new RangeError("a kept count ends too early");
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80 && value < 2 ** 32) return { value, next: at + i + 1 };
  }
  throw new RangeError("a kept count holds a figure out of its bounds");
}

function readReasons({ reasons }: StateCount, bytes: Uint8Array, at: number): number {
  const number = () => {
    const { value, next } = readCell(bytes, at);
    at = next;
    return value;
  };
  const text = () => {
    const length = number();
    if (at + length > bytes.length) throw new RangeError("a kept count ends too early");
    at += length;
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(at - length, at));
  };
  for (let left = number(); left > 0; left--) {
    const unit = text();
    reasons.set(unit, text() || null);
  }
  return at;
}

function readRows({ cells, width }: ConstituencyCount, bytes: Uint8Array, at: number): number {
  for (let row = 0; row < cells.length; row += width) {
    for (let cell = row; cell < row + width; cell++) {
      const { value, next } = readCell(bytes, at);
      cells[cell] = value;
      at = next;
      if (cell === row && value === 0) break;
    }
  }
  return at;
}

const mostCells = (held: readonly ConstituencyCount[]) =>
  held.reduce((sum, { cells }) => sum + cells.length * MAX_CELL_BYTES, 0);

/** As long as `UNIT_ID` allows. */
const MAX_UNIT_ID = 64;
/** A unit's id and its reason, with their lengths: UTF-8 takes at most three bytes for a UTF-16 code unit. */
const MAX_REASON_BYTES = 2 * MAX_CELL_BYTES + MAX_UNIT_ID + 3 * MAX_REASON;

const mostReasons = ({ constituencies }: StateCount) =>
  MAX_CELL_BYTES +
  MAX_REASON_BYTES *
    Math.min(
      MAX_CORRECTIONS,
      constituencies.reduce((n, { rowOf }) => n + rowOf.size, 0),
    );

/** Of the head: digits of declared seats, and the longest word for how far a state is. */
const PER_LIST_BYTES = 3;
const PER_STATE_BYTES = 12;

/** The most bytes that this count can have by any figures: what the definition, the position and the draws alone make of it. */
export function mostBytes(c: Count): number {
  const held = constituenciesOf(c);
  const bare = { ...c, states: new Map([...c.states].map(([id, state]) => [id, undeclared(state)])) };
  const lists = held.reduce((sum, constituency) => sum + constituency.lists.length, 0);
  const head = new TextEncoder().encode(JSON.stringify(headOf(bare))).length;
  const reasons = [...c.states.values()].reduce((sum, state) => sum + mostReasons(state), 0);
  return 4 + head + lists * PER_LIST_BYTES + c.states.size * PER_STATE_BYTES + reasons + mostCells(held);
}

function undeclared(state: StateCount): StateCount {
  const constituencies = state.constituencies.map((each) => ({ ...each, declared: each.lists.map(() => 0) }));
  return { ...state, status: "FINAL", constituencies };
}

/** The count as bytes; `loadCount` makes exactly this count of them. */
export function saveCount(c: Count): Uint8Array {
  const head = new TextEncoder().encode(JSON.stringify(headOf(c)));
  const held = constituenciesOf(c);
  const states = [...c.states.values()];
  const reasons = states.reduce((sum, state) => sum + mostReasons(state), 0);
  const bytes = new Uint8Array(4 + head.length + reasons + mostCells(held));
  new DataView(bytes.buffer).setUint32(0, head.length);
  bytes.set(head, 4);
  let at = 4 + head.length;
  for (const state of states) at = writeReasons(state, bytes, at);
  for (const constituency of held) at = writeRows(constituency, bytes, at);
  return bytes.slice(0, at);
}

function takeHead(c: Count, head: Head): void {
  if (head.format !== FORMAT) throw new Error("this is no kept count of this version; drop it and count the log again");
  if (head.definition !== c.hash) throw new Error("the kept count belongs to another definition");
  c.next = head.next;
  for (const [i, state] of [...c.states.values()].entries()) {
    const kept = head.states[i]!;
    state.status = kept.status;
    state.withheld = kept.withheld;
    state.holds = kept.holds;
    state.shownTo = kept.shownTo;
    for (const [j, constituency] of state.constituencies.entries())
      Object.assign(constituency, kept.constituencies[j]!);
  }
}

/**
 * The count that `saveCount` wrote, under the same definition. Throws when the bytes belong to another definition or another
 * layout, or are longer or shorter than what was written; whether they are authentic is for whoever sealed them.
 */
export function loadCount(definition: Definition, hash: string, bytes: Uint8Array): Count {
  const c = startCount(definition, hash);
  if (bytes.length < 4) throw new RangeError("a kept count ends too early");
  const headEnd = 4 + new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
  takeHead(c, JSON.parse(new TextDecoder().decode(bytes.subarray(4, headEnd))) as Head);
  let at = headEnd;
  for (const state of c.states.values()) at = readReasons(state, bytes, at);
  for (const constituency of constituenciesOf(c)) at = readRows(constituency, bytes, at);
  if (at !== bytes.length) throw new RangeError("a kept count is longer than its definition");
  return c;
}
