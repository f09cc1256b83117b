import type { Constituency, Definition, Key, Kind, List, State } from "./schema.ts";

/** Where a unit belongs. One object per group of units, shared by all of its ids. */
export interface UnitPlace {
  readonly state: string;
  readonly constituency: string;
  readonly kind: Kind;
}

/** A constituency with its state and its lists in the definition's order. */
export interface ConstituencyPlace {
  readonly state: State;
  readonly constituency: Constituency;
  readonly lists: readonly List[];
}

/**
 * Look-ups into a valid definition, each in constant time. Ids come from statements, so every look-up by id answers undefined
 * for what the definition does not hold.
 */
export interface Register {
  readonly definition: Definition;
  /** SHA-256 of the definition's bytes, hex. */
  readonly hash: string;
  unit(id: string): UnitPlace | undefined;
  key(id: string): Key | undefined;
  state(id: string): State | undefined;
  constituency(id: string): ConstituencyPlace | undefined;
  /** Lists of a constituency in the definition's order; empty for an unknown one. */
  listsOf(constituencyId: string): readonly List[];
  /** True if the list stands in the constituency. */
  stands(listId: string, constituencyId: string): boolean;
  /** The scheduled close of a state: its last closing that counts, ms UTC. Throws for an unknown state. */
  closesAt(stateId: string): number;
  /** The last of the Union's closings that count (Electoral Act, Article 10(2)), ms UTC. */
  lastClosing(): number;
  /** How many units the definition expects of a state; 0 for an unknown one. */
  expectedUnits(stateId: string): number;
}

/**
 * Builds the register of a definition that `readDefinition` found valid; `hash` is the one that it gave. Holds one map entry
 * per unit, and no copy of any id: half a million units cost about 30 MB.
 */
export function createRegister(definition: Definition, hash: string): Register {
  const units = new Map<string, UnitPlace>();
  const expected = new Map<string, number>();
  const states = new Map<string, State>();
  const closes = new Map<string, number>();
  const constituencies = new Map<string, ConstituencyPlace>();
  const standsIn = new Map<string, string>();
  for (const state of definition.states) {
    states.set(state.id, state);
    closes.set(state.id, lastCounted(state));
    expected.set(state.id, addUnits(units, state));
    for (const list of state.lists) standsIn.set(list.id, list.constituency);
    for (const constituency of state.constituencies) {
      const lists = state.lists.filter((list) => list.constituency === constituency.id);
      constituencies.set(constituency.id, { state, constituency, lists });
    }
  }
  const keys = new Map(definition.keys.map((key) => [key.id, key]));
  const last = Math.max(...closes.values());
  return {
    definition,
    hash,
    unit: (id) => units.get(id),
    key: (id) => keys.get(id),
    state: (id) => states.get(id),
    constituency: (id) => constituencies.get(id),
    listsOf: (id) => constituencies.get(id)?.lists ?? [],
    stands: (listId, constituencyId) => standsIn.get(listId) === constituencyId,
    closesAt: (stateId) => {
      const at = closes.get(stateId);
      if (at === undefined) throw new RangeError(`the definition has no state ${stateId}`);
      return at;
    },
    lastClosing: () => last,
    expectedUnits: (stateId) => expected.get(stateId) ?? 0,
  };
}

/** Adds a state's units; returns how many they are. */
function addUnits(units: Map<string, UnitPlace>, state: State): number {
  const kinds = new Map(state.kinds.map((kind) => [kind.id, kind]));
  let count = 0;
  for (const group of state.units) {
    const kind = kinds.get(group.kind);
    if (kind === undefined) throw new RangeError(`${state.id} has no kind ${group.kind}`);
    const place: UnitPlace = Object.freeze({ state: state.id, constituency: group.constituency, kind });
    for (const id of group.ids) units.set(id, place);
    count += group.ids.length;
  }
  return count;
}

/** A state without a closing that counts never closes: the gate stays shut. A valid definition has none such. */
function lastCounted(state: State): number {
  const counted = state.closings.filter((closing) => closing.counts).map((closing) => Date.parse(closing.utc));
  return counted.length === 0 ? Number.POSITIVE_INFINITY : Math.max(...counted);
}
