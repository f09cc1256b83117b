import { z } from "zod";
import type { Definition } from "../definition/schema.ts";
import { MAX_CORRECTIONS } from "../formats/release.ts";
import { MAX_REASON } from "../statement/types.ts";
import { ELECTORS, VERSION } from "./columns.ts";
import type { Replacement } from "./corrections.ts";
import { type ConstituencyCount, createTabulation, type StateCount, type Tabulation } from "./fold.ts";

/**
 * A tabulation as bytes, to be kept with the position in the log: one part per state and one, "EU", for the whole. Figures in
 * clear: the caller seals them. A state's part is the format, the position, what was declared, drawn and withheld as JSON, the last
 * replaced units, then the rows of its units as variable-length integers (LEB128), 0 for a unit without a tally. Sums are not kept,
 * they follow.
 */

const UNION = "EU";
const FORMAT = 2;
/** Rows hold 32-bit signed integers. */
const MAX_CELL = 2 ** 31 - 1;
const utf8 = new TextEncoder();
const fromUtf8 = new TextDecoder("utf-8", { fatal: true });

const Position = z.number().int().nonnegative();
const UnionPart = z.strictObject({
  format: z.literal(FORMAT),
  definition: z.string(),
  size: Position,
  /** The position of each state's part: parts of different saves are not one tabulation. */
  savedAt: z.record(z.string(), Position),
  /** Here, and not in the states' parts: a release would have all of them saved again. */
  shown: z.record(z.string(), Position),
});
const StateHead = z.strictObject({
  savedAt: Position,
  status: z.enum(["PROVISIONAL", "FINAL", "OFFICIAL"]),
  withheld: z.boolean(),
  holds: z.array(z.strictObject({ at: Position, withheld: z.boolean() })),
  constituencies: z.array(
    z.strictObject({
      constituency: z.string(),
      declared: z.record(z.string(), z.number().int().nonnegative()).nullable(),
      draws: z.array(z.strictObject({ within: z.string(), order: z.array(z.string()) })),
    }),
  ),
});

/**
 * The parts by state id, and "EU". With `changedOnly` those that differ from the last save or load (none if nothing was
 * applied since). It counts as saved when this returns: if the transaction that stores the parts fails, drop the tabulation
 * and load the last committed one, or later parts will not fit the stored ones and `loadTabulation` refuses them.
 */
export function saveTabulation(t: Tabulation, options: { changedOnly?: boolean } = {}): Map<string, Uint8Array> {
  const parts = new Map<string, Uint8Array>();
  if (options.changedOnly && t.savedAt === t.size) return parts;
  for (const state of t.states) {
    if (options.changedOnly && !state.changed) continue;
    state.savedAt = t.size;
    state.changed = false;
    parts.set(state.state.id, encodeState(t, state));
  }
  t.savedAt = t.size;
  const savedAt = Object.fromEntries(t.states.map((state) => [state.state.id, state.savedAt]));
  const shown = Object.fromEntries(t.states.map((state) => [state.state.id, state.shown]));
  const union: z.infer<typeof UnionPart> = { format: FORMAT, definition: t.hash, size: t.size, savedAt, shown };
  parts.set(UNION, utf8.encode(JSON.stringify(union)));
  return parts;
}

/**
 * The tabulation that was saved: `parts` holds the last part of each name that `saveTabulation` gave. A state that no part
 * was ever given for has no figures yet. Throws when a part is missing, damaged, of another save or of another definition.
 */
export function loadTabulation(
  definition: Definition,
  hash: string,
  parts: ReadonlyMap<string, Uint8Array>,
): Tabulation {
  const bytes = parts.get(UNION);
  if (!bytes) throw new Error(`saved part ${UNION} is missing`);
  const union = UnionPart.parse(JSON.parse(fromUtf8.decode(bytes)));
  if (union.definition !== hash) throw new Error(`saved for definition ${union.definition}, not ${hash}`);
  const t = createTabulation(definition, hash);
  t.size = union.size;
  t.savedAt = union.size;
  for (const state of t.states) {
    const { id } = state.state;
    const savedAt = union.savedAt[id];
    const shown = union.shown[id];
    if (savedAt === undefined || shown === undefined) throw new Error(`saved part ${UNION} does not know state ${id}`);
    Object.assign(state, { savedAt, shown });
    const part = parts.get(id);
    if (part) decodeState(t, state, part);
    else if (savedAt > 0) throw new Error(`saved part ${id} is missing`);
  }
  return t;
}

/** An integer of 32 bits takes at most five bytes of seven. */
const MAX_INTEGER_BYTES = 5;
/** UTF-8 takes at most three bytes for a UTF-16 code unit; before a reason stand its length and three integers. */
const MAX_REPLACEMENT_BYTES = 4 * MAX_INTEGER_BYTES + 3 * MAX_REASON;
/** `"":720,` around the id of a list with declared seats. */
const DECLARED_BYTES = 7;

/**
 * The most bytes that the part of this name can have, whatever was counted: from the definition, the position and what the log shows
 * at once. 0 for the Union's part, which holds no figures.
 */
export function mostPartBytes(t: Tabulation, name: string): number {
  const state = t.states.find((each) => each.state.id === name);
  if (state === undefined) return 0;
  const cells = state.constituencies.reduce((sum, { rows }) => sum + rows.length, 0);
  const head = headOf({ ...state, status: "PROVISIONAL" }, () => null);
  const declared = state.state.lists.reduce((sum, { id }) => sum + id.length + DECLARED_BYTES, 0);
  const heads = utf8.encode(JSON.stringify(head)).length + declared;
  const units = state.constituencies.reduce((sum, { expected }) => sum + expected, 0);
  const replaced = Math.min(MAX_CORRECTIONS, units) * MAX_REPLACEMENT_BYTES;
  return 3 * MAX_INTEGER_BYTES + heads + replaced + cells * MAX_INTEGER_BYTES;
}

function headOf(
  { savedAt, status, withheld, holds, constituencies }: StateCount,
  declaredOf: (count: ConstituencyCount) => ConstituencyCount["declared"],
): z.infer<typeof StateHead> {
  return {
    savedAt,
    status,
    withheld,
    holds,
    constituencies: constituencies.map((count) => ({
      constituency: count.constituency.id,
      declared: declaredOf(count),
      draws: count.draws.map(({ within, order }) => ({ within, order })),
    })),
  };
}

function encodeState(t: Tabulation, state: StateCount): Uint8Array {
  const text = utf8.encode(JSON.stringify(headOf(state, ({ declared }) => declared)));
  const writer = new Writer(text.length + 16);
  writer.integer(FORMAT);
  writer.integer(text.length);
  writer.raw(text);
  writer.integer(state.replacements.length);
  for (const replacement of state.replacements) encodeReplacement(t, replacement, writer);
  for (const { rows, width } of state.constituencies) {
    for (let row = 0; row < rows.length; row += width) {
      const cells = rows[row + VERSION] === 0 ? 1 : width;
      for (let column = 0; column < cells; column++) writer.integer(rows[row + column]!);
    }
  }
  return writer.done();
}

/** The unit by its number; a reason has at least one character, so that 0 stands for none. */
function encodeReplacement(t: Tabulation, { at, unit, version, reason }: Replacement, writer: Writer): void {
  const text = utf8.encode(reason ?? "");
  for (const integer of [t.units.get(unit)!, at, version, text.length]) writer.integer(integer);
  writer.raw(text);
}

function decodeReplacement(names: readonly string[], reader: Reader): Replacement {
  const [number, at, version] = [reader.integer(), reader.integer(), reader.integer()];
  const text = fromUtf8.decode(reader.raw(reader.integer()));
  return { at, unit: names[number]!, version, reason: text === "" ? null : text };
}

function decodeState(t: Tabulation, state: StateCount, bytes: Uint8Array): void {
  const { id } = state.state;
  const reader = new Reader(bytes, `saved part ${id}`);
  if (reader.integer() !== FORMAT) throw new Error(`saved part ${id} has another format`);
  const head = StateHead.parse(JSON.parse(fromUtf8.decode(reader.raw(reader.integer()))));
  if (head.savedAt !== state.savedAt) {
    throw new Error(`saved part ${id} is of position ${head.savedAt}, not ${state.savedAt}`);
  }
  if (head.constituencies.length !== state.constituencies.length) {
    throw new Error(`saved part ${id} has other constituencies`);
  }
  state.status = head.status;
  state.withheld = head.withheld;
  state.holds = head.holds;
  const replaced = reader.integer();
  const names = replaced === 0 ? [] : [...t.units.keys()];
  for (let n = 0; n < replaced; n++) state.replacements.push(decodeReplacement(names, reader));
  state.constituencies.forEach((count, i) => {
    const kept = head.constituencies[i]!;
    if (kept.constituency !== count.constituency.id) throw new Error(`saved part ${id} has other constituencies`);
    count.declared = kept.declared;
    count.draws = kept.draws.map((draw) => ({ constituency: kept.constituency, ...draw }));
    decodeRows(count, reader);
  });
  reader.end();
}

function decodeRows(count: ConstituencyCount, reader: Reader): void {
  const { rows, sums, width } = count;
  for (let row = 0; row < rows.length; row += width) {
    const version = reader.integer();
    if (version === 0) continue;
    rows[row + VERSION] = version;
    count.counted++;
    for (let column = VERSION + 1; column < width; column++) {
      const value = reader.integer();
      rows[row + column] = value;
      if (column >= ELECTORS) sums[column]! += value;
    }
  }
}

class Writer {
  private bytes: Uint8Array;
  private at = 0;

  constructor(capacity: number) {
    this.bytes = new Uint8Array(capacity);
  }

  integer(value: number): void {
    this.reserve(MAX_INTEGER_BYTES);
    while (value > 127) {
      this.bytes[this.at++] = (value & 127) | 128;
      value >>>= 7;
    }
    this.bytes[this.at++] = value;
  }

  raw(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.bytes.set(bytes, this.at);
    this.at += bytes.length;
  }

  done(): Uint8Array {
    return this.bytes.slice(0, this.at);
  }

  private reserve(more: number): void {
    if (this.at + more <= this.bytes.length) return;
    const larger = new Uint8Array(2 * this.bytes.length + more);
    larger.set(this.bytes);
    this.bytes = larger;
  }
}

class Reader {
  private readonly bytes: Uint8Array;
  private readonly name: string;
  private at = 0;

  constructor(bytes: Uint8Array, name: string) {
    this.bytes = bytes;
    this.name = name;
  }

  /** At most `MAX_CELL`: larger ones were never written. */
  integer(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.bytes[this.at++];
      if (byte === undefined) throw new Error(`${this.name} ends early`);
      value += (byte & 127) * scale;
      if (value > MAX_CELL || scale > 128 ** 4) throw new Error(`${this.name} holds an integer that is too large`);
      if (byte < 128) return value;
    }
  }

  raw(length: number): Uint8Array {
    if (this.at + length > this.bytes.length) throw new Error(`${this.name} ends early`);
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  end(): void {
    if (this.at !== this.bytes.length) throw new Error(`${this.name} goes on after its last row`);
  }
}
