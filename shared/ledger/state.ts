import type { Register, UnitPlace } from "../definition/register.ts";
import type { Definition } from "../definition/schema.ts";
import { applyToGate, type GateFacts, gateFacts } from "../embargo/gate.ts";
import type { Statement, Tally } from "../statement/types.ts";
import { authorityBy, firstAuthority, isOriginDecision, type LogAuthority, type OriginDecision } from "./authority.ts";
import type { Entry } from "./entry.ts";
import { applyKey, changesKeys, createKeyBook, type KeyBook } from "./keys.ts";

/**
 * What judging needs to know of the log so far: a fold over its accepted statements. Half a million units fit because their
 * figures lie in typed arrays, one table per constituency; everything else is a few entries per state.
 */

/** Figures of a row before the votes: electors, ballots, blank, invalid. No figure is above 10^9, so 32 bits hold it. */
export const HEAD = 4;

/** The accepted tallies of a constituency's units: row by row, in the definition's order of units. */
export interface UnitTable {
  readonly constituency: string;
  /** Column of a list, after the head. */
  readonly columns: ReadonlyMap<string, number>;
  readonly width: number;
  /** The accepted version of each row; 0: none yet. */
  readonly versions: Int32Array;
  /** `width` figures a row: electors, ballots, blank, invalid, then votes. */
  readonly figures: Int32Array;
}

export interface AcceptedRelease {
  number: number;
  size: number;
  sha256: string;
}

export interface LedgerState {
  readonly register: Register;
  /** Every key that may have signed, with how it ended. */
  readonly keys: KeyBook;
  /** Who signs checkpoints, from which size on. */
  readonly authorities: LogAuthority[];
  /** Closings in force, closures, overrides, holds, and whether the lift is in the log. */
  readonly gate: GateFacts;
  readonly tables: ReadonlyMap<string, UnitTable>;
  /** Row of each unit in its constituency's table. */
  readonly rows: ReadonlyMap<string, number>;
  /** Units of each state that have an accepted tally. */
  readonly unitsIn: Map<string, number>;
  /** What each state last declared, if no figures or seats have come since. */
  readonly declared: Map<string, "final" | "official">;
  /** Sequence numbers that will never be used, by key id. */
  readonly voided: Map<string, Set<number>>;
  /** Ties that are drawn, by `drawKey`. */
  readonly drawn: Set<string>;
  /** Two trustees have decided that the vault goes on with the recovery key: once. */
  recovered: boolean;
  /** The last accepted release. */
  release: AcceptedRelease | null;
}

/** The state of a log that holds nothing but its definition. Holds one map entry per unit and no copy of any id. */
export function createLedgerState(definition: Definition, register: Register): LedgerState {
  const rows = new Map<string, number>();
  const counts = new Map<string, number>();
  for (const state of definition.states) {
    for (const { constituency, ids } of state.units) {
      let row = counts.get(constituency) ?? 0;
      for (const id of ids) rows.set(id, row++);
      counts.set(constituency, row);
    }
  }
  const tables = new Map<string, UnitTable>();
  for (const { id } of definition.states.flatMap((state) => state.constituencies)) {
    const columns = new Map(register.listsOf(id).map((list, i) => [list.id, HEAD + i]));
    const width = HEAD + columns.size;
    const count = counts.get(id) ?? 0;
    const versions = new Int32Array(count);
    tables.set(id, { constituency: id, columns, width, versions, figures: new Int32Array(count * width) });
  }
  return {
    register,
    keys: createKeyBook(definition),
    authorities: [firstAuthority(definition)],
    gate: gateFacts(definition),
    tables,
    rows,
    unitsIn: new Map(),
    declared: new Map(),
    voided: new Map(),
    drawn: new Set(),
    recovered: false,
    release: null,
  };
}

export const isLifted = (state: LedgerState): boolean => state.gate.lifted;

/** Where a unit's accepted tally lies; undefined for a unit that the definition does not hold. `place`: the unit's, for whoever has it already. */
export function rowOf(
  state: LedgerState,
  unit: string,
  place: UnitPlace | undefined = state.register.unit(unit),
): { table: UnitTable; row: number } | undefined {
  const row = state.rows.get(unit);
  const table = place === undefined ? undefined : state.tables.get(place.constituency);
  return table === undefined || row === undefined ? undefined : { table, row };
}

/** The version of the unit's accepted tally; 0 for none, and for an unknown unit. */
export function acceptedVersion(state: LedgerState, unit: string): number {
  const at = rowOf(state, unit);
  return at === undefined ? 0 : (at.table.versions[at.row] as number);
}

/** When the state's last polls close, extensions included, ms UTC; NaN for an unknown state. */
export function closeInForce(state: LedgerState, stateId: string): number {
  const closes = state.gate.polls.filter((poll) => poll.state === stateId).map((poll) => poll.closesAt);
  return closes.length === 0 ? Number.NaN : Math.max(...closes);
}

/** One tie, whatever the order that was drawn: constituency, where it arose, and the set of its contenders. */
export function drawKey(draw: { constituency: string; within: string; order: readonly string[] }): string {
  return JSON.stringify([draw.constituency, draw.within, [...draw.order].sort()]);
}

/**
 * Folds the accepted statement of an entry into the state, in place. Quarantined statements count for nothing and never come
 * here. Throws if the statement could not have been accepted: then the log or this code is broken, and going on would make it
 * worse.
 */
export function applyAccepted(
  state: LedgerState,
  statement: Statement,
  { index, key }: Pick<Entry, "index" | "key">,
): void {
  applyToGate(state.gate, statement, index);
  if (changesKeys(statement)) applyKey(state.keys, index, statement);
  switch (statement.type) {
    case "tally":
      for (const tally of statement.tallies) applyTally(state, statement.state, tally);
      state.declared.delete(statement.state);
      break;
    case "seats":
      state.declared.delete(statement.state);
      break;
    case "declaration":
      state.declared.set(statement.state, statement.declares);
      break;
    case "void":
      state.voided.set(key, (state.voided.get(key) ?? new Set()).add(statement.voids));
      break;
    case "decision":
      if (statement.decision === "draw") state.drawn.add(drawKey(statement));
      if (statement.decision === "recover") state.recovered = true;
      if (isOriginDecision(statement)) openOrigin(state, statement, index);
      break;
    case "release":
      state.release = { number: statement.number, size: statement.size, sha256: statement.release };
      break;
  }
}

function openOrigin(state: LedgerState, decision: OriginDecision, index: number): void {
  const made = authorityBy(index, decision);
  if (made === undefined) throw new Error(`entry ${index} opens an origin with a key that is none`);
  state.authorities.push(made);
  state.keys.reserve(decision.key);
}

function applyTally(state: LedgerState, stateId: string, tally: Tally): void {
  const at = rowOf(state, tally.unit);
  if (at === undefined) throw new Error(`an accepted tally names the unknown unit ${tally.unit}`);
  const { table, row } = at;
  const before = table.versions[row] as number;
  if (tally.version <= before) throw new Error(`accepted versions of ${tally.unit} do not rise`);
  if (before === 0) state.unitsIn.set(stateId, (state.unitsIn.get(stateId) ?? 0) + 1);
  table.versions[row] = tally.version;
  const start = row * table.width;
  table.figures.fill(0, start, start + table.width);
  table.figures.set([tally.electors, tally.ballots, tally.blank, tally.invalid], start);
  for (const list in tally.votes) {
    const column = table.columns.get(list);
    if (column === undefined) throw new Error(`an accepted tally of ${tally.unit} names the unknown list ${list}`);
    table.figures[start + column] = tally.votes[list] as number;
  }
}
