import fc from "fast-check";
import type { Allocation, Constituency, Definition, List, State, Threshold } from "../shared/definition/schema.ts";
import type { StateResult, Tie } from "../shared/formats/release.ts";
import type { Statement } from "../shared/statement/types.ts";

/**
 * Small random elections for the differential test of the two counts. Votes are few and small on purpose: equal quotients and
 * equal remainders are then as common as unequal ones, and every rule about ties is asked in most runs.
 */

export const HASH = "ab".repeat(32);
const KEY = "A".repeat(43);
const RECEIVED = "2024-06-09T21:00:00.000Z";
const GROUPS = ["EPP", "SD", "Renew", "NI"];

const allocation: fc.Arbitrary<Allocation> = fc.oneof(
  fc.record(
    {
      method: fc.constant("divisor" as const),
      divisors: fc.constant("dhondt" as const),
      first: fc.constantFrom("0.5", "1.2"),
    },
    { requiredKeys: ["method", "divisors"] },
  ),
  fc.record(
    {
      method: fc.constant("divisor" as const),
      divisors: fc.constant("sainte-lague" as const),
      first: fc.constantFrom("1.2", "1.4", "2"),
    },
    { requiredKeys: ["method", "divisors"] },
  ),
  fc.record({
    method: fc.constant("quota" as const),
    quota: fc.constantFrom("hare" as const, "droop" as const, "hagenbach-bischoff" as const),
    of: fc.constantFrom("qualified" as const, "valid" as const),
  }),
);

const share = fc.constantFrom("0", "5", "10", "12.5", "20", "33.333333", "1/seats" as const);
const threshold: fc.Arbitrary<Threshold> = fc.record(
  { share, of: fc.constantFrom("valid" as const, "ballots" as const, "lists" as const), independents: share },
  { requiredKeys: ["share", "of"] },
);

const kind = fc.oneof(
  { weight: 6, arbitrary: fc.constant<List["kind"]>("list") },
  { weight: 2, arbitrary: fc.constant<List["kind"]>("independent") },
  { weight: 1, arbitrary: fc.constantFrom<List["kind"]>("others", "none") },
);

const groups = fc.uniqueArray(fc.record({ id: fc.constantFrom(...GROUPS), seats: fc.integer({ min: 1, max: 4 }) }), {
  selector: (group) => group.id,
  maxLength: 3,
});

export interface Place {
  constituency: Constituency;
  lists: List[];
}

/** One constituency; its list ids are the state's, from number `from` on. Nothing stands in two alliances or links. */
export function place(state: string, id: string, from: number): fc.Arbitrary<Place> {
  return fc
    .record({
      seats: fc.integer({ min: 1, max: 12 }),
      allocation,
      threshold: fc.option(threshold, { nil: undefined }),
      members: fc.array(fc.record({ kind, groups, joins: fc.constantFrom(0, 0, 1, 1, 1, 2) }), {
        minLength: 1,
        maxLength: 7,
      }),
      linked: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }),
    })
    .map(({ seats, allocation, threshold, members, linked }) => {
      const lists = members.map(({ kind, groups }, i): List => {
        const list = `${state}${String(from + i).padStart(2, "0")}`;
        return { id: list, constituency: id, kind, acronym: list, name: list, groups };
      });
      // Those that join 1 or 2 stand in that alliance; the first two plain lists that join 0 may be linked.
      const alliances = [2, 1]
        .map((n) => ({ id: `${state}-A${n}`, lists: lists.filter((_, i) => members[i]!.joins === n).map((l) => l.id) }))
        .filter((alliance) => alliance.lists.length > 1);
      const [small, large] = lists.filter((list, i) => list.kind === "list" && members[i]!.joins === 0);
      const links =
        linked && small && large ? [{ list: small.id, to: large.id, seats: linked, condition: "declared" }] : [];
      return { constituency: { id, name: id, seats, allocation, threshold, alliances, links }, lists };
    });
}

function state(id: string): fc.Arbitrary<State> {
  return fc
    .record({
      places: fc
        .integer({ min: 1, max: 3 })
        .chain((n) =>
          fc.tuple(...Array.from({ length: n }, (_, i) => place(id, n === 1 ? id : `${id}-${i + 1}`, 1 + 10 * i))),
        ),
      declared: fc.integer({ min: 0, max: 4 }).map((n) => n === 0),
      votesFrom: fc.constantFrom("counted" as const, "counted" as const, "rebuilt" as const),
      units: fc.integer({ min: 1, max: 3 }),
    })
    .map(({ places, declared, votesFrom, units }) => {
      const constituencies = places.map((p) => ({
        ...p.constituency,
        allocation: declared ? ({ method: "declared" } as const) : p.constituency.allocation,
      }));
      return {
        id,
        name: id,
        timezone: "Europe/Vienna",
        seats: constituencies.reduce((sum, c) => sum + c.seats, 0),
        closings: [{ where: id, local: "2024-06-09T23:00:00+02:00", utc: "2024-06-09T21:00:00Z", counts: true }],
        votesFrom,
        votesPerBallot: 1,
        signaturesRequired: 1,
        constituencies,
        lists: places.flatMap((p) => p.lists),
        kinds: ["station", "postal"].map((kind) => ({ id: kind, name: kind, register: false, limits: {} })),
        // Two blocks of units for each constituency: its rows are not next to each other in the definition.
        units: ["station", "postal"].flatMap((kind) =>
          constituencies.map((c, i) => ({
            constituency: c.id,
            kind,
            ids: Array.from({ length: units }, (_, n) => `${id}-${kind}-${i}-${n}`),
          })),
        ),
        sources: [],
        doubts: [],
      };
    });
}

export const definition: fc.Arbitrary<Definition> = fc
  .integer({ min: 1, max: 3 })
  .chain((n) => fc.tuple(...["AT", "BG", "CY"].slice(0, n).map(state)))
  .map((states) => ({
    type: "definition",
    election: "night",
    title: "A night",
    mode: "exercise",
    origin: "log.example/night",
    seats: states.reduce((sum, s) => sum + s.seats, 0),
    groups: GROUPS.map((id) => ({ id, name: id })),
    authority: ["A-1", "A-2"].map((id) => ({ id, publicKey: KEY })),
    keys: [],
    vault: { publicKey: KEY, recoveryKey: KEY },
    states,
    sources: [],
  }));

/** Few distinct values, so that sums and quotients meet; now and then the largest that a tally may hold. */
export const votes = fc.oneof(
  { weight: 15, arbitrary: fc.integer({ min: 0, max: 6 }) },
  { weight: 25, arbitrary: fc.constantFrom(0, 10, 10, 20, 20, 30, 60) },
  { weight: 1, arbitrary: fc.constantFrom(999_999_999, 1_000_000_000) },
);

const common = { definition: HASH, sequence: 1, nonce: "n".repeat(22), issued: RECEIVED };

function tally(state: State): fc.Arbitrary<Statement> {
  const units = state.units.flatMap(({ constituency, ids }) => ids.map((unit) => ({ unit, constituency })));
  const one = fc.constantFrom(...units).chain(({ unit, constituency }) => {
    const lists = state.lists.filter((list) => list.constituency === constituency);
    const shares = fc.record(Object.fromEntries(lists.map((list) => [list.id, votes])), { requiredKeys: [] });
    return fc.record(
      {
        unit: fc.constant(unit),
        version: fc.integer({ min: 1, max: 5 }),
        status: fc.constant("provisional"),
        electors: fc.constantFrom(0, 7, 90, 1_000_000_000),
        ballots: fc.constantFrom(0, 3, 30, 90, 1_000_000_000),
        blank: fc.integer({ min: 0, max: 3 }),
        invalid: fc.integer({ min: 0, max: 3 }),
        votes: shares as fc.Arbitrary<Record<string, number>>,
        reason: fc.constantFrom("a", "a seal was broken", 'ñ € \u{1f5f3} " \\ \u0001 \u2028'),
      },
      { requiredKeys: ["unit", "version", "status", "electors", "ballots", "blank", "invalid", "votes"] },
    );
  });
  return fc
    .uniqueArray(one, { selector: (t) => t.unit, minLength: 1, maxLength: 6 })
    .map((tallies): Statement => ({ type: "tally", ...common, state: state.id, tallies }));
}

function seats(state: State): fc.Arbitrary<Statement> {
  return fc.constantFrom(...state.constituencies).chain(({ id }) => {
    const lists = state.lists.filter((list) => list.constituency === id);
    const each = fc.record(Object.fromEntries(lists.map((list) => [list.id, fc.integer({ min: 0, max: 5 })])), {
      requiredKeys: [],
    }) as fc.Arbitrary<Record<string, number>>;
    return each.map((won): Statement => ({ type: "seats", ...common, state: state.id, constituency: id, seats: won }));
  });
}

/** What an order that was drawn by lot may be of a tie's contenders. */
export function drawn(tie: Tie, lot: number): Extract<Statement, { type: "decision" }> {
  const turn = lot % tie.between.length;
  const order = [...tie.between.slice(turn), ...tie.between.slice(0, turn)];
  if (lot % 2 === 1) order.reverse();
  const { constituency, within } = tie;
  return { type: "decision", ...common, state: "EU", decision: "draw", constituency, within, order, reason: "lot" };
}

/** The release of the first `size` entries, as the log holds it. */
export function released(size: number): Statement {
  const named = { number: 1, size, root: "cm9vdA==", release: "cd".repeat(32), previous: null };
  return { type: "release", ...common, state: "EU", ...named };
}

/** What an office says of the seats that a release shows: the same, or `off` more for the first list of each constituency. */
export function declaredAs({ state, constituencies }: StateResult, off: number): Statement[] {
  return constituencies.map(({ constituency, lists }) => {
    const won = Object.fromEntries(lists.map(({ id, seats }, i) => [id, seats + (i === 0 ? off : 0)]));
    return { type: "seats", ...common, state, constituency, seats: won };
  });
}

/**
 * One step of a night: a statement with its verdict, an entry that comes again (by how many before), a draw of every tie that is
 * open then, a release of the entries up to so many before, or the office's word on the seats that are computed then, right (0) or so
 * many off.
 */
export type Step =
  | { say: Statement; verdict: "accepted" | "quarantined" }
  | { again: number }
  | { draw: number }
  | { release: number }
  | { declare: number };

export function steps(of: Definition): fc.Arbitrary<Step[]> {
  const decided = { type: "decision" as const, ...common, state: "EU", reason: "r" };
  const anyState = fc.constantFrom(...of.states);
  const about = fc.constantFrom("EU", ...of.states.map((s) => s.id));
  const statement: fc.Arbitrary<Statement> = fc.oneof(
    { weight: 12, arbitrary: anyState.chain(tally) },
    { weight: 2, arbitrary: anyState.chain(seats) },
    {
      weight: 2,
      arbitrary: fc
        .tuple(anyState, fc.constantFrom("final" as const, "official" as const))
        .map(([state, declares]): Statement => ({ type: "declaration", ...common, state: state.id, declares })),
    },
    {
      weight: 2,
      arbitrary: fc
        .tuple(about, fc.constantFrom("hold" as const, "resume" as const, "override" as const))
        .map(([about, decision]): Statement => ({ ...decided, decision, about })),
    },
    {
      weight: 1,
      arbitrary: about.map((about): Statement => ({ ...decided, decision: "void", about, entry: 1 })),
    },
    {
      weight: 1,
      arbitrary: fc.constantFrom<Statement>(
        { ...decided, decision: "recover", about: "EU" },
        { ...decided, decision: "suspend", about: "EU", trustee: "trustee-3" },
      ),
    },
    {
      weight: 1,
      arbitrary: anyState.map((s): Statement => ({ type: "polls", ...common, state: s.id, polls: "closed" })),
    },
    {
      weight: 1,
      arbitrary: anyState.map((s): Statement => ({ type: "void", ...common, state: s.id, voids: 4, reason: "r" })),
    },
  );
  const verdict = fc.constantFrom(
    "accepted" as const,
    "accepted" as const,
    "accepted" as const,
    "quarantined" as const,
  );
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 10, arbitrary: fc.record({ say: statement, verdict }) },
    { weight: 1, arbitrary: fc.record({ again: fc.integer({ min: 1, max: 9 }) }) },
    { weight: 3, arbitrary: fc.record({ draw: fc.nat(11) }) },
    { weight: 3, arbitrary: fc.record({ release: fc.nat(3) }) },
    { weight: 2, arbitrary: fc.record({ declare: fc.nat(2) }) },
  );
  return fc.array(step, { minLength: 3, maxLength: 20, size: "max" });
}
