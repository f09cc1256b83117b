import { z } from "zod";
import type { Register } from "../definition/register.ts";
import type { Definition } from "../definition/schema.ts";
import { verifyKeyOf } from "../statement/authentic.ts";
import { canonical } from "./entry.ts";
import type { KeyBook } from "./keys.ts";
import { createLedgerState, type LedgerState, type UnitTable } from "./state.ts";

/**
 * A ledger state as bytes, for quick restarts: u32 length of a JSON head, the head, then for each row that has an accepted tally
 * its number, version and figures, all 32 bits little-endian, constituency by constituency in the definition's order.
 */

const WORD = 4;
/** Row number and version stand before the figures. */
const ROW_HEAD = 2;

const Index = z.number().int().nonnegative();
const Ended = z.discriminatedUnion("how", [
  z.strictObject({ index: Index, how: z.literal("rotated") }),
  z.strictObject({ index: Index, how: z.literal("revoked"), since: z.number() }),
  z.strictObject({ index: Index, how: z.literal("suspended") }),
]);

const Head = z.strictObject({
  definition: z.string(),
  /** Keys that the log brought, in its order. */
  brought: z.array(
    z.strictObject({
      id: z.string(),
      role: z.literal("office"),
      state: z.string(),
      official: z.string(),
      publicKey: z.string(),
      backup: z.literal(true).optional(),
      from: Index,
    }),
  ),
  /** Origins that the log opened, in its order: the first is the definition's. */
  origins: z.array(z.strictObject({ from: Index, origin: z.string(), kid: z.string(), publicKey: z.string() })),
  /** Keys that ended, those of the definition too. */
  ended: z.array(z.tuple([z.string(), Ended])),
  /** Rotated keys, and the keys that took their places. */
  heirs: z.array(z.tuple([z.string(), z.string()])),
  /** null stands for a schedule with a hole: JSON has no NaN. */
  polls: z.array(
    z.strictObject({
      state: z.string(),
      constituency: z.string(),
      scheduledAt: z.number().nullable(),
      extensions: z.array(z.strictObject({ entry: Index, until: z.number() })),
      closesAt: z.number().nullable(),
      closed: z.boolean(),
    }),
  ),
  overridden: z.array(z.string()),
  held: z.array(z.string()),
  lifted: z.boolean(),
  unitsIn: z.array(z.tuple([z.string(), z.number().int()])),
  declared: z.array(z.tuple([z.string(), z.enum(["final", "official"])])),
  voided: z.array(z.tuple([z.string(), z.array(z.number().int())])),
  drawn: z.array(z.string()),
  recovered: z.boolean(),
  release: z.strictObject({ number: z.number().int(), size: z.number().int(), sha256: z.string() }).nullable(),
  rows: z.array(z.tuple([z.string(), z.number().int().nonnegative()])),
});

/** Everything of a state but its register; `loadLedgerState` gives the same state back. */
export function saveLedgerState(state: LedgerState): Uint8Array {
  const { gate } = state;
  const tables = [...state.tables.values()];
  const counts = tables.map(({ versions }) => versions.reduce((n, version) => n + (version > 0 ? 1 : 0), 0));
  const head: z.infer<typeof Head> = {
    definition: state.register.hash,
    ...savedKeys(state.keys),
    origins: state.authorities.slice(1).map(({ key, ...named }) => ({ ...named, publicKey: base64url(key.raw) })),
    polls: gate.polls.map((poll) => ({
      ...poll,
      scheduledAt: Number.isNaN(poll.scheduledAt) ? null : poll.scheduledAt,
      closesAt: Number.isNaN(poll.closesAt) ? null : poll.closesAt,
    })),
    overridden: [...gate.overridden],
    held: [...gate.held],
    lifted: gate.lifted,
    unitsIn: [...state.unitsIn],
    declared: [...state.declared],
    voided: [...state.voided].map(([key, sequences]) => [key, [...sequences]]),
    drawn: [...state.drawn],
    recovered: state.recovered,
    release: state.release,
    rows: tables.map(({ constituency }, i) => [constituency, counts[i] as number]),
  };
  const headBytes = Buffer.from(canonical(head), "utf8");
  const words = tables.reduce((n, { width }, i) => n + (counts[i] as number) * (ROW_HEAD + width), 0);
  const bytes = Buffer.alloc(WORD + headBytes.length + words * WORD);
  bytes.writeUInt32LE(headBytes.length);
  headBytes.copy(bytes, WORD);
  let at = WORD + headBytes.length;
  for (const table of tables) at = writeTable(table, bytes, at);
  return bytes;
}

const base64url = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64url");

function savedKeys(book: KeyBook): Pick<z.infer<typeof Head>, "brought" | "ended" | "heirs"> {
  const records = [...book.records()];
  return {
    // Only offices' keys come in the log; the definition's are in the definition.
    brought: records.flatMap(({ key, from }) => (from > 0 && key.role === "office" ? [{ ...key, from }] : [])),
    heirs: records.flatMap(({ key, heir }) => (heir === undefined ? [] : [[key.id, heir] as [string, string]])),
    ended: records.flatMap(({ key, ended }) => (ended === null ? [] : [[key.id, ended] as [string, typeof ended]])),
  };
}

function loadKeys(book: KeyBook, { brought, ended, heirs }: z.infer<typeof Head>): void {
  for (const { from, ...key } of brought) {
    const verify = verifyKeyOf(key.publicKey);
    if (verify === undefined) throw new RangeError(`the saved state holds the unusable key ${key.id}`);
    book.add({ key, verify, from, ended: null });
  }
  for (const [id, heir] of heirs) {
    const record = book.get(id);
    if (record === undefined) throw new RangeError(`the saved state has a rotated key ${id} that is not its own`);
    record.heir = heir;
  }
  for (const [id, end] of ended) {
    const record = book.get(id);
    if (record === undefined) throw new RangeError(`the saved state names the unknown key ${id}`);
    record.ended = end;
  }
}

function writeTable({ versions, figures, width }: UnitTable, bytes: Buffer, at: number): number {
  for (let row = 0; row < versions.length; row++) {
    const version = versions[row] as number;
    if (version === 0) continue;
    at = bytes.writeInt32LE(version, bytes.writeInt32LE(row, at));
    for (let i = row * width; i < (row + 1) * width; i++) at = bytes.writeInt32LE(figures[i] as number, at);
  }
  return at;
}

/**
 * The state that was saved. Throws a RangeError for bytes that are no saved state of this definition: then the log is folded from
 * its start instead.
 */
export function loadLedgerState(definition: Definition, register: Register, bytes: Uint8Array): LedgerState {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headLength = buffer.length < WORD ? Number.POSITIVE_INFINITY : buffer.readUInt32LE();
  if (WORD + headLength > buffer.length) throw new RangeError("the saved state is cut short");
  const head = Head.parse(JSON.parse(buffer.toString("utf8", WORD, WORD + headLength)));
  if (head.definition !== register.hash) throw new RangeError("the saved state is of another definition");
  const state = createLedgerState(definition, register);
  loadKeys(state.keys, head);
  for (const { publicKey, ...named } of head.origins) {
    const key = verifyKeyOf(publicKey);
    if (key === undefined) throw new RangeError(`the saved state holds the unusable key ${named.kid}`);
    state.authorities.push({ ...named, key });
    state.keys.reserve({ id: named.kid, publicKey });
  }
  const { gate } = state;
  gate.polls = head.polls.map((poll) => ({
    ...poll,
    scheduledAt: poll.scheduledAt ?? Number.NaN,
    closesAt: poll.closesAt ?? Number.NaN,
  }));
  gate.overridden = new Set(head.overridden);
  gate.held = new Set(head.held);
  gate.lifted = head.lifted;
  for (const [id, units] of head.unitsIn) state.unitsIn.set(id, units);
  for (const [id, declares] of head.declared) state.declared.set(id, declares);
  for (const [key, sequences] of head.voided) state.voided.set(key, new Set(sequences));
  for (const draw of head.drawn) state.drawn.add(draw);
  state.recovered = head.recovered;
  state.release = head.release;
  let at = WORD + headLength;
  for (const [constituency, count] of head.rows) {
    const table = state.tables.get(constituency);
    if (table === undefined) throw new RangeError(`the saved state names the unknown constituency ${constituency}`);
    at = readTable(table, count, buffer, at);
  }
  if (at !== buffer.length) throw new RangeError("the saved state is longer than it says");
  return state;
}

function readTable({ versions, figures, width }: UnitTable, count: number, bytes: Buffer, at: number): number {
  if (at + count * (ROW_HEAD + width) * WORD > bytes.length) throw new RangeError("the saved state is cut short");
  for (let n = 0; n < count; n++) {
    const row = bytes.readInt32LE(at);
    if (row < 0 || row >= versions.length) throw new RangeError(`the saved state names the unknown row ${row}`);
    versions[row] = bytes.readInt32LE(at + WORD);
    at += ROW_HEAD * WORD;
    for (let i = row * width; i < (row + 1) * width; i++, at += WORD) figures[i] = bytes.readInt32LE(at);
  }
  return at;
}
