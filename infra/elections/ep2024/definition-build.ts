import { localTime } from "../../../shared/definition/schedule.ts";
import type { Closing, Constituency, Definition, List, State, Threshold } from "../../../shared/definition/schema.ts";
import { demonstrationKeys } from "./demonstration-keys.ts";
import { collegeRows } from "./national-build.ts";
import { cell, type Row, readJson, readRows, whole } from "./source.ts";
import { COLLEGES, FORMULAS, INDEPENDENTS, kindsOf, STATES } from "./states.ts";
import { strings, type Table } from "./table.ts";

/** One state of `rules.json`, as far as it is used. */
interface Rules {
  seats_2024: number;
  timezone: string;
  formula: string;
  threshold: number | string;
  threshold_base: string;
  notes: string;
  hours_source: string;
  rule_source: string;
}

const UNCONFIRMED = /general knowledge(, no stored copy found)?/;
const PARLIAMENT =
  "European Parliament, data sheets of the 2024 election results, July 2024: lists, shares, seats, groups, turnout";

/** The tables that hold unit ids. */
export interface UnitTables {
  romania: Table;
  slovenia: Table;
}

/** The definition of the 2024 election, made from the folder of published data. */
export function buildDefinition(folder: string, units: UnitTables): Definition {
  const { states: rules } = readJson(folder, "rules.json") as { states: Record<string, Rules> };
  const tables = {
    lists: readRows(folder, "lists-official.csv"),
    closings: readRows(folder, "poll-closings.csv"),
    counts: readRows(folder, "polling-station-counts.csv"),
    totals: readRows(folder, "state-totals-partial.csv"),
  };
  const states = Object.keys(STATES).map((id) => {
    const rule = rules[id];
    if (rule === undefined) throw new SyntaxError(`rules.json has no ${id}`);
    return buildState(folder, id, rule, tables, units);
  });
  return {
    type: "definition",
    election: "ep2024",
    title: "Election to the European Parliament, 6 to 9 June 2024",
    mode: "exercise",
    origin: "scrutin.example/ep2024",
    seats: states.reduce((total, state) => total + state.seats, 0),
    groups: buildGroups(folder),
    ...demonstrationKeys(Object.keys(STATES)),
    states,
    sources: [
      PARLIAMENT,
      "Figures of polling stations and their licences: see SOURCES.md beside this file",
      "Public keys of this file are demonstration keys whose private halves are public knowledge: demonstration-keys.ts",
    ],
  };
}

type Tables = Record<"lists" | "closings" | "counts" | "totals", Row[]>;

function buildState(folder: string, id: string, rule: Rules, tables: Tables, units: UnitTables): State {
  const facts = STATES[id];
  if (facts === undefined) throw new SyntaxError(`no facts about ${id}`);
  const constituencies = buildConstituencies(folder, id, rule);
  const electors = tables.totals.find((row) => ofState(row, id) && /^\d+$/.test(cell(row, "electorate")));
  const inLife = tables.counts.find((row) => ofState(row, id));
  return {
    id,
    name: facts.name,
    timezone: rule.timezone,
    seats: rule.seats_2024,
    closings: buildClosings(id, rule, tables.closings),
    votesFrom: facts.votesFrom ?? "rebuilt",
    votesPerBallot: facts.votesPerBallot ?? 1,
    signaturesRequired: 1,
    ...(electors && { electors: whole(electors, "electorate") }),
    ...(inLife && { unitsInLife: unitsInLife(inLife) }),
    constituencies,
    lists: buildLists(folder, id, tables.lists),
    kinds: kindsOf(id),
    units: buildUnits(id, constituencies, units),
    sources: sourcesOf(rule, electors),
    doubts: doubtsOf(id, rule),
  };
}

const ofState = (row: Row, id: string): boolean => cell(row, "member_state") === id;

function unitsInLife(row: Row): NonNullable<State["unitsInLife"]> {
  const quality = cell(row, "quality") as "exact" | "approx" | "unsourced";
  const source = `${cell(row, "what")}: ${plain(cell(row, "source"))}`;
  return { count: whole(row, "units"), quality, source };
}

/** The sources' own shorthand in words. */
const plain = (text: string): string =>
  text
    .replace(UNCONFIRMED, "general knowledge, not confirmed by a source")
    .replace(/\brecomputed\b/, "recomputed from the published seats")
    .replace(" (git history)", "");

function buildConstituencies(folder: string, id: string, rule: Rules): Constituency[] {
  const allocation = FORMULAS[rule.formula];
  if (allocation === undefined) throw new SyntaxError(`${id}: unknown formula ${rule.formula}`);
  const threshold = allocation.method === "declared" ? undefined : buildThreshold(rule);
  const rules = { allocation, ...(threshold && { threshold }), ...STATES[id]?.rules };
  if (id !== "BE") return [{ id, name: STATES[id]?.name ?? id, seats: rule.seats_2024, ...rules }];
  return Object.entries(COLLEGES).map(([college, name]) => {
    const sheet = readJson(folder, `parliament-data-sheets/${college.toLowerCase()}.json`) as { seatsTotal: number };
    return { id: college, name, seats: sheet.seatsTotal, ...rules };
  });
}

/** `rules.json` says 4, 1.8, 0 (none) or "1/seats (5.88)"; Romania's base names the share that independents need. */
function buildThreshold(rule: Rules): Threshold | undefined {
  const share = String(rule.threshold).startsWith("1/seats") ? "1/seats" : String(rule.threshold);
  if (share === "0") return undefined;
  const base = rule.threshold_base;
  const of = base.startsWith("ballots cast") ? "ballots" : base.includes("I support no one") ? "lists" : "valid";
  return { share, of, ...(base.includes("independents 1/seats") && { independents: "1/seats" as const }) };
}

function buildClosings(id: string, rule: Rules, rows: Row[]): Closing[] {
  const row = rows.find((r) => ofState(r, id));
  if (row === undefined) throw new SyntaxError(`${id} has no closing`);
  const extra = STATES[id]?.closings ?? [];
  const counted = extra.some((closing) => closing.counts);
  const unsure = UNCONFIRMED.test(rule.hours_source) || rule.hours_source.startsWith("conflict");
  const doubt = unsure ? plain(rule.hours_source) : STATES[id]?.closingDoubt;
  const main: Closing = {
    where: counted ? "mainland" : extra.length > 0 ? "European territory" : "everywhere",
    ...instant(rule.timezone, cell(row, "close_utc")),
    counts: true,
    ...(doubt && { doubt }),
  };
  if (!main.local.startsWith(`${cell(row, "last_day")}T${cell(row, "close_local")}`))
    throw new SyntaxError(`${id}: the local closing of the table is not its UTC closing`);
  const others = extra.map(({ utc, ...closing }) => ({
    ...closing,
    ...instant(closing.timezone ?? rule.timezone, utc),
  }));
  return [main, ...others];
}

function instant(timezone: string, utc: string): { local: string; utc: string } {
  return { local: localTime(timezone, Date.parse(utc)), utc };
}

/** Top rows are the lists; rows with a `coalition_id` are their members, whose groups the top row already sums. */
function buildLists(folder: string, state: string, rows: Row[]): List[] {
  const colleges = state === "BE" ? collegeOf(folder) : undefined;
  return rows
    .filter((row) => ofState(row, state) && cell(row, "coalition_id") === "")
    .map((row) => {
      const id = cell(row, "list_id");
      const constituency = colleges === undefined ? state : colleges.get(id);
      if (constituency === undefined) throw new SyntaxError(`${id} stands in no college`);
      const kind = INDEPENDENTS.has(id) ? "independent" : /9[012]$/.test(id) ? "others" : "list";
      return { id, constituency, kind, acronym: cell(row, "acronym"), name: cell(row, "name"), groups: groupsOf(row) };
    });
}

function collegeOf(folder: string): Map<string, string> {
  return new Map(
    Object.keys(COLLEGES).flatMap((college) =>
      collegeRows(folder, college).map((row) => [cell(row, "PARTY_ID"), college] as const),
    ),
  );
}

/** "EPP:1;Renew:2" */
export function groupsOf(row: Row): List["groups"] {
  const text = cell(row, "ep_groups_constitutive");
  if (text === "") return [];
  return text.split(";").map((part) => {
    const [id, seats] = part.split(":");
    if (id === undefined || !/^\d+$/.test(seats ?? "")) throw new SyntaxError(`"${part}" is no share of a group`);
    return { id, seats: Number(seats) };
  });
}

/** The Parliament's groups in its own order, with the English name. */
function buildGroups(folder: string): Definition["groups"] {
  interface Group {
    groupId: string;
    translations: { languageId: string; groupLongName: string }[];
  }
  const { groups } = readJson(folder, "parliament-data-sheets/groups.json") as { groups: Group[] };
  const seated = readJson(folder, "parliament-data-sheets/eu.json") as { groupDistribution: { id: string }[] };
  return seated.groupDistribution.map(({ id }) => {
    const names = groups.find((group) => group.groupId === id)?.translations;
    const name = names?.find((translation) => translation.languageId === "EN")?.groupLongName;
    if (name === undefined) throw new SyntaxError(`group ${id} has no English name`);
    return { id, name };
  });
}

function buildUnits(state: string, constituencies: Constituency[], tables: UnitTables): State["units"] {
  if (state === "SI") return [{ constituency: "SI", kind: "station", ids: [...strings(tables.slovenia, "unit")] }];
  if (state === "RO") {
    const abroad = strings(tables.romania, "abroad");
    const ids = (flag: string): string[] => strings(tables.romania, "unit").filter((_, i) => abroad[i] === flag);
    return [
      { constituency: "RO", kind: "section", ids: ids("0") },
      { constituency: "RO", kind: "section-abroad", ids: ids("1") },
    ];
  }
  return constituencies.map(({ id }) => ({
    constituency: id,
    kind: "constituency",
    ids: [id === state ? `${state}-national` : `${state}-${id}-college`],
  }));
}

function sourcesOf(rule: Rules, electors: Row | undefined): string[] {
  const sources = [PARLIAMENT, `Closing of the polls: ${plain(rule.hours_source)}`];
  if (rule.rule_source !== "") sources.push(`Allocation and threshold: ${plain(rule.rule_source)}`);
  if (electors !== undefined) sources.push(`Electors (${cell(electors, "status")}): ${cell(electors, "source")}`);
  if (rule.notes !== "") sources.push(`Note on polling: ${plain(rule.notes)}`);
  return sources;
}

function doubtsOf(id: string, rule: Rules): string[] {
  const facts = STATES[id];
  const doubts = [...(facts?.doubts ?? [])];
  if (facts?.votesFrom === undefined)
    doubts.unshift(
      "Votes are rebuilt from the published shares of two decimals, on a scale of a million votes; ballots equal the valid ones and electors follow from the turnout published on 12 June 2024. None of them is a count.",
    );
  if (UNCONFIRMED.test(rule.rule_source))
    doubts.push("The threshold or the seats per constituency are general knowledge, not confirmed by a source.");
  return doubts;
}
