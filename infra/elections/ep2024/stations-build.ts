import { zoneOffset } from "../../../shared/definition/schedule.ts";
import { cell, type Row, readRows, whole } from "./source.ts";
import { tableText } from "./table.ts";

/** The published station files as the feed's tables: the columns that a tally needs, lists under the Parliament's ids. */

const GERMAN_LISTS: Readonly<Record<string, string>> = {
  CDU: "DE01",
  CSU: "DE01",
  SPD: "DE02",
  GRÜNE: "DE03",
  AfD: "DE04",
  "DIE LINKE": "DE05",
  FDP: "DE06",
  "FREIE WÄHLER": "DE07",
  Tierschutzpartei: "DE08",
  BSW: "DE09",
  PIRATEN: "DE10",
  FAMILIE: "DE11",
  ÖDP: "DE12",
  "Die PARTEI": "DE13",
  Volt: "DE14",
  PdF: "DE16",
};
const ROMANIAN_LISTS: Readonly<Record<string, string>> = {
  "ALIANȚA ELECTORALĂ PSD PNL": "RO01",
  "UNIUNEA DEMOCRATĂ MAGHIARĂ DIN ROMÂNIA": "RO03",
  "ALIANȚA AUR": "RO04",
  "PARTIDUL S.O.S. ROMÂNIA": "RO06",
  "ALIANȚA DREAPTA UNITĂ USR - PMP - FORȚA DREPTEI": "RO07",
  "ȘTEFĂNUȚĂ NICOLAE-BOGDĂNEL": "RO08",
};
const SLOVENIAN_LISTS: Readonly<Record<string, string>> = {
  SDS: "SI01",
  SLS: "SI02",
  SD: "SI03",
  NSi: "SI04",
  LEVICA: "SI05",
  SVOBODA: "SI06",
  VESNA: "SI07",
  RESNICA: "SI08",
  DESUS_DD: "SI09",
  ZELENI: "SI10",
};

/** The source's list columns begin after this one. */
const LAST_COLUMN_BEFORE_LISTS = { DE: "valid", RO: "f_null", SI: "invalid" };

/** How often each thing happens in the sources; the build stops when it is not what was found in July 2024. */
export interface StationFacts {
  sections: number;
  corrections: number;
  stations: number;
  events: number;
  districts: number;
}

export const EXPECTED_FACTS: StationFacts = {
  sections: 19_870,
  corrections: 6_905,
  stations: 3_078,
  events: 4_842,
  districts: 91_753,
};

type Columns = Record<string, (string | number)[]>;

/** The tables' text by file name, and what was counted on the way. */
export function stationTables(folder: string): { tables: Map<string, string>; facts: StationFacts } {
  const romania = romanianTables(folder);
  const events = readRows(folder, "stations/si2024_election_night_events.csv.gz");
  const stations = readRows(folder, "stations/si2024_stations_final.csv.gz");
  const districts = readRows(folder, "stations/de2024_wahlbezirke_final.csv.gz");
  const tables = new Map([
    ["ro-first", tableText(romania.first)],
    ["ro-corrections", tableText(romania.corrections)],
    ["si-events", tableText({ ...observed(events), ...slovenian(events) })],
    ["si-final", tableText(slovenian(stations))],
    ["de-final", tableText(german(districts))],
  ]);
  const facts = {
    sections: romania.first.unit?.length ?? 0,
    corrections: romania.corrections.unit?.length ?? 0,
    stations: stations.length,
    events: events.length,
    districts: districts.length,
  };
  return { tables, facts };
}

/** Sums the source's list columns into the Parliament's lists; what it does not tell apart goes to `others`. */
function listColumns(rows: Row[], state: keyof typeof LAST_COLUMN_BEFORE_LISTS, ids: Record<string, string>): Columns {
  const names = Object.keys(rows[0] ?? {});
  const lists = names.slice(names.indexOf(LAST_COLUMN_BEFORE_LISTS[state]) + 1);
  const missing = Object.keys(ids).filter((name) => !lists.includes(name));
  if (missing.length > 0) throw new SyntaxError(`${state}: the source has no list ${missing.join(", ")}`);
  const targets = [...new Set(Object.values(ids))].sort().concat(`${state}90`);
  return Object.fromEntries(
    targets.map((target) => {
      const sources = lists.filter((name) => (ids[name] ?? `${state}90`) === target);
      return [target, rows.map((row) => sumOfCells(row, sources))];
    }),
  );
}

/** Blank cells stay blank: the Slovenian source empties the list votes of a station that it is about to rewrite. */
function sumOfCells(row: Row, columns: string[]): number | "" {
  if (columns.every((column) => cell(row, column) === "")) return "";
  return columns.reduce((sum, column) => sum + whole(row, column), 0);
}

/**
 * A section is corrected when its final protocol differs from the first in registered electors (a), voters (b), valid (e)
 * or null votes (f) or the votes of any list of the source: 6,905 do. A difference in the ballots received or unused (c, d) alone, or
 * a version without any difference, is no correction. A tally has no field for the voters, and the feed sums small lists, so
 * some corrections repeat the figures of the tally before them.
 */
function romanianTables(folder: string): { first: Columns; corrections: Columns } {
  const first = readRows(folder, "stations/ro2024_sections_first_version.csv.gz");
  const final = new Map(
    readRows(folder, "stations/ro2024_sections_final.csv.gz").map((row) => [romanianUnit(row), row]),
  );
  const names = Object.keys(first[0] ?? {});
  const compared = ["a_registered", "b_voters", "e_valid", ...names.slice(names.indexOf("f_null"))];
  const corrected: Row[] = [];
  for (const row of first) {
    const last = final.get(romanianUnit(row));
    if (last === undefined) throw new SyntaxError(`section ${romanianUnit(row)} has no final protocol`);
    if (compared.some((column) => cell(row, column) !== cell(last, column))) corrected.push(last);
  }
  if (first.length !== final.size) throw new SyntaxError("first and final protocols are not of the same sections");
  return { first: romanian(first), corrections: romanian(corrected) };
}

const romanianUnit = (row: Row): string => `RO-${whole(row, "county_nce")}-${whole(row, "precinct_nr")}`;

function romanian(rows: Row[]): Columns {
  return {
    unit: rows.map(romanianUnit),
    abroad: rows.map((row) => (cell(row, "report_type") === "EUP_SV_SR" ? 1 : 0)),
    version: rows.map((row) => whole(row, "report_version")),
    at: rows.map((row) => localSeconds(cell(row, "created_at"), "Europe/Bucharest")),
    electors: rows.map((row) => whole(row, "a_registered")),
    ballots: rows.map((row) => whole(row, "e_valid") + whole(row, "f_null")),
    invalid: rows.map((row) => whole(row, "f_null")),
    ...listColumns(rows, "RO", ROMANIAN_LISTS),
  };
}

/** "2024-06-10 02:28:03" in a zone, as seconds since 1970 UTC. No time of these nights is near a change of the clocks. */
function localSeconds(text: string, timezone: string): number {
  const asIfUtc = Date.parse(`${text.replace(" ", "T")}Z`);
  return Date.parse(`${text.replace(" ", "T")}${zoneOffset(timezone, asIfUtc)}`) / 1000;
}

function observed(rows: Row[]): Columns {
  return { at: rows.map((row) => Date.parse(cell(row, "observed_at")) / 1000) };
}

function slovenian(rows: Row[]): Columns {
  return {
    unit: rows.map((row) => `SI-${cell(row, "district_code")}-${cell(row, "station_code")}`),
    electors: rows.map((row) => whole(row, "registered")),
    ballots: rows.map((row) => whole(row, "ballots")),
    invalid: rows.map((row) => whole(row, "invalid")),
    ...listColumns(rows, "SI", SLOVENIAN_LISTS),
  };
}

function german(rows: Row[]): Columns {
  return {
    unit: germanUnits(rows),
    kind: rows.map((row) => cell(row, "kind")),
    electors: rows.map((row) => whole(row, "registered")),
    ballots: rows.map((row) => whole(row, "voters")),
    invalid: rows.map((row) => whole(row, "invalid")),
    ...listColumns(rows, "DE", GERMAN_LISTS),
  };
}

/**
 * Official regional key of 12 digits, kind, district name with anything but letters, digits, dot and hyphen as "_". Five keys are used twice or
 * three times in the source, and names may become alike: from the second on, in the source's order, "_2", "_3" follows.
 */
export function germanUnits(rows: Row[]): string[] {
  const seen = new Map<string, number>();
  return rows.map((row) => {
    const region = ["land", "regbez", "kreis", "vgem", "gemeinde"].map((column) => cell(row, column)).join("");
    const district = cell(row, "wahlbezirk").replace(/[^A-Za-z0-9.-]/g, "_");
    const id = `DE-${region}-${cell(row, "kind")}-${district}`;
    const count = (seen.get(id) ?? 0) + 1;
    seen.set(id, count);
    return count === 1 ? id : `${id}_${count}`;
  });
}
