import { keyContradictions } from "./key-consistency.ts";
import { type Report, unique } from "./reasons.ts";
import { closingContradictions } from "./schedule.ts";
import type { Constituency, Definition, List, State } from "./schema.ts";

/**
 * What must hold between the parts of a definition whose shape is right. Returns every contradiction, at most `limit`, each
 * with a stable code and a sentence; none means that the definition can be worked with. Never throws.
 */
export function contradictions(definition: Definition, limit: number): { code: string; message: string }[] {
  const reasons: { code: string; message: string }[] = [];
  const report: Report = (code, message) => {
    if (reasons.length < limit) reasons.push({ code, message });
  };
  unionContradictions(definition, report);
  keyContradictions(definition, report);
  const groups = new Set(definition.groups.map((group) => group.id));
  for (const state of definition.states) {
    closingContradictions(state, report);
    seatContradictions(state, report);
    listContradictions(state, groups, report);
    for (const constituency of state.constituencies) ruleContradictions(state, constituency, report);
    kindContradictions(state, report);
    unitContradictions(state, report);
    if (state.votesFrom === "rebuilt" && definition.mode === "live")
      report(
        "definition.rebuilt-live",
        `${state.id}: votes rebuilt from percentages have no place in a live election.`,
      );
  }
  return reasons;
}

/** Sums over the Union, and ids that must be unique in all of it. */
function unionContradictions(definition: Definition, report: Report): void {
  const seats = sum(definition.states.map((state) => state.seats));
  if (seats !== definition.seats)
    report("definition.seats-differ", `The states' seats sum to ${seats}, the definition says ${definition.seats}.`);
  const { states } = definition;
  unique("definition.state-twice", "State", names(states), report);
  if (states.some(({ id }) => id === "EU"))
    report(
      "definition.state-is-the-union",
      "No state may be called EU: that is the Union's name in statements and holds.",
    );
  unique("definition.group-twice", "Group", names(definition.groups), report);
  unique(
    "definition.constituency-twice",
    "Constituency",
    states.flatMap((s) => names(s.constituencies)),
    report,
  );
  unique(
    "definition.list-twice",
    "List",
    states.flatMap((s) => names(s.lists)),
    report,
  );
  const alliances = states.flatMap((s) => s.constituencies.flatMap((c) => names(c.alliances ?? [])));
  unique("definition.alliance-twice", "Alliance", alliances, report);
  // A list without a group sits with the non-attached, so that the groups' seats always sum to all seats.
  if (!definition.groups.some((group) => group.id === "NI"))
    report("definition.group-missing", "The groups must include NI, the non-attached.");
  const stateIds = new Set(names(states));
  for (const state of states)
    for (const { id } of state.constituencies)
      if (stateIds.has(id) && id !== state.id)
        report("definition.constituency-of-another-state", `${state.id}: constituency ${id} has another state's id.`);
  unitsTwice(definition, report);
}

/** Units number half a million: one set, and no list of copies. */
function unitsTwice(definition: Definition, report: Report): void {
  const seen = new Set<string>();
  for (const state of definition.states)
    for (const group of state.units)
      for (const id of group.ids) {
        if (seen.has(id)) report("definition.unit-twice", `Unit ${id} stands twice in the definition.`);
        seen.add(id);
      }
}

function seatContradictions(state: State, report: Report): void {
  const seats = sum(state.constituencies.map((constituency) => constituency.seats));
  if (seats !== state.seats)
    report(
      "definition.seats-differ",
      `${state.id}: the constituencies' seats sum to ${seats}, the state has ${state.seats}.`,
    );
  const declared = state.constituencies.filter((constituency) => constituency.allocation.method === "declared").length;
  if (declared > 0 && declared < state.constituencies.length)
    report("definition.declared-in-part", `${state.id}: either all of its constituencies declare their seats or none.`);
}

function listContradictions(state: State, groups: ReadonlySet<string>, report: Report): void {
  const seats = new Map(state.constituencies.map((constituency) => [constituency.id, constituency.seats]));
  for (const list of state.lists) {
    const available = seats.get(list.constituency);
    if (available === undefined)
      report(
        "definition.list-of-no-constituency",
        `List ${list.id} stands in ${list.constituency}, which is no constituency of ${state.id}.`,
      );
    if (!list.id.startsWith(state.id))
      report("definition.list-of-another-state", `List ${list.id} does not carry the id of its state ${state.id}.`);
    groupContradictions(list, groups, available ?? Number.POSITIVE_INFINITY, report);
  }
  for (const { id } of state.constituencies)
    if (!state.lists.some((list) => list.constituency === id))
      report("definition.constituency-without-lists", `No list stands in constituency ${id}.`);
}

function groupContradictions(list: List, groups: ReadonlySet<string>, available: number, report: Report): void {
  for (const { id } of list.groups)
    if (!groups.has(id)) report("definition.group-unknown", `List ${list.id} names the unknown group ${id}.`);
  unique("definition.group-twice", `List ${list.id}: group`, names(list.groups), report);
  const members = sum(list.groups.map((group) => group.seats));
  const most = list.kind === "list" ? available : list.kind === "independent" ? 1 : 0;
  if (members > most)
    report(
      "definition.group-seats",
      `List ${list.id} has ${members} members in groups, but a list of its kind can win at most ${most} seats there.`,
    );
}

function ruleContradictions(state: State, constituency: Constituency, report: Report): void {
  const { id, allocation, threshold, alliances = [], links = [] } = constituency;
  if (allocation.method === "declared" && (threshold || alliances.length > 0 || links.length > 0))
    report("definition.declared-with-rules", `${id}: declared seats follow no threshold, alliance or link.`);
  if (allocation.method === "divisor" && allocation.first !== undefined) {
    const second = allocation.divisors === "dhondt" ? 2 : 3;
    if (!(Number(allocation.first) > 0 && Number(allocation.first) < second))
      report("definition.first-divisor", `${id}: the first divisor must be above 0 and below the second, ${second}.`);
  }
  for (const share of [threshold?.share, threshold?.independents])
    if (share !== undefined && share !== "1/seats" && Number(share) > 100)
      report("definition.share-above-100", `${id}: a threshold of ${share} % can be met by no list.`);
  membershipContradictions(state, constituency, report);
}

/** Each member of an alliance or a link is a list of this constituency, and in one alliance or link only. */
function membershipContradictions(state: State, constituency: Constituency, report: Report): void {
  const lists = new Map(state.lists.map((list) => [list.id, list]));
  const used = new Set<string>();
  const member = (listId: string, where: string): void => {
    const list = lists.get(listId);
    if (list?.constituency !== constituency.id || list.kind !== "list")
      report("definition.member-does-not-stand", `${where}: ${listId} is no list that stands in ${constituency.id}.`);
    if (used.has(listId))
      report("definition.member-twice", `${where}: ${listId} is already in an alliance or link of ${constituency.id}.`);
    used.add(listId);
  };
  for (const alliance of constituency.alliances ?? []) {
    if (!alliance.id.startsWith(`${state.id}-`))
      report("definition.alliance-of-another-state", `Alliance ${alliance.id} does not carry the id of ${state.id}.`);
    for (const list of alliance.lists) member(list, `Alliance ${alliance.id}`);
  }
  for (const link of constituency.links ?? []) {
    for (const list of [link.list, link.to]) member(list, `Link of ${link.list} to ${link.to}`);
    if (link.seats > constituency.seats)
      report("definition.link-seats", `${constituency.id}: ${link.list} cannot take ${link.seats} seats.`);
  }
}

function kindContradictions(state: State, report: Report): void {
  unique("definition.kind-twice", `${state.id}: kind`, names(state.kinds), report);
  for (const kind of state.kinds)
    for (const [name, limit] of Object.entries(kind.limits))
      if (limit !== undefined && Number(limit) > 100)
        report("definition.share-above-100", `${state.id}: the ${name} limit of ${kind.id} is above 100 %.`);
}

function unitContradictions(state: State, report: Report): void {
  const kinds = new Set(names(state.kinds));
  const covered = new Set<string>();
  const constituencies = new Set(names(state.constituencies));
  const prefix = `${state.id}-`;
  for (const group of state.units) {
    if (!constituencies.has(group.constituency))
      report(
        "definition.units-of-no-constituency",
        `${state.id}: units name the unknown constituency ${group.constituency}.`,
      );
    if (!kinds.has(group.kind))
      report("definition.units-of-no-kind", `${state.id}: units name the unknown kind ${group.kind}.`);
    if (group.ids.length > 0) covered.add(group.constituency);
    for (const id of group.ids)
      if (!id.startsWith(prefix))
        report("definition.unit-of-another-state", `Unit ${id} does not carry the id of its state ${state.id}.`);
  }
  for (const id of constituencies)
    if (!covered.has(id)) report("definition.constituency-without-units", `Constituency ${id} has no units.`);
}

const names = (things: readonly { id: string }[]): string[] => things.map((thing) => thing.id);
const sum = (numbers: readonly number[]): number => numbers.reduce((total, n) => total + n, 0);
