import type { UnitPlace } from "../../shared/definition/register.ts";
import { VERDICT_CODES, type VerdictCode } from "../../shared/ledger/codes.ts";
import { closeInForce, type LedgerState, rowOf, type UnitTable } from "../../shared/ledger/state.ts";
import { figureFindings, tallyFindings } from "../../shared/ledger/tally-rules.ts";
import type { Tally } from "../../shared/statement/types.ts";
import type { Office } from "./folder.ts";
import {
  type FieldName,
  type Place,
  type Row,
  type Sink,
  SOURCE_CODES,
  type SourceCode,
  type Totals,
} from "./read/source.ts";

/**
 * Everything that the ledger would say of a file, said before anything is signed, by the ledger's own rules. Figures that were signed before and are the
 * same are nothing new.
 */

export interface Found {
  code: SourceCode | VerdictCode;
  level: "error" | "warning";
  place: Place;
  unit?: string;
  detail?: string;
}

export interface Checked {
  /** Rows that were understood. */
  units: number;
  /** Of these, units whose figures were signed before, to the last. */
  unchanged: number;
  errors: number;
  warnings: number;
  /** How often each code was found. */
  codes: Record<string, number>;
  /** The first of them, at most `MAX_SHOWN` of a code. */
  found: Found[];
  totals: Totals;
  /** What the file itself says that they are, where it does. */
  ownTotals: Totals | undefined;
  /** Units of the state that the file does not hold and that were not signed before; undefined without an election. */
  missing: number | undefined;
}

/** Of each code so many are kept: a file that is wrong everywhere is wrong in one way. */
export const MAX_SHOWN = 20;
/** Without a definition units are remembered by their ids; the Union has half as many. */
const MAX_UNITS = 1_000_000;

export interface Checker extends Sink {
  /** A judgement about the file as a whole. */
  about(code: VerdictCode, detail?: string): void;
  end(): Checked;
}

export interface CheckerOptions {
  /** Without it only what the file itself shows is judged. */
  office?: Office | undefined;
  state?: LedgerState | undefined;
  status: Tally["status"];
  /** Given to every tally that has none of its own. */
  reason?: string | undefined;
  /** ms since the epoch. */
  now: number;
  /** Told of each tally that holds and says something new. */
  tally?: (tally: Tally) => void;
}

export function createChecker({ office, state, status, reason, now, tally: give }: CheckerOptions): Checker {
  const totals: Totals = { electors: 0, ballots: 0, blank: 0, invalid: 0, votes: {} };
  const result: Checked = {
    units: 0,
    unchanged: 0,
    errors: 0,
    warnings: 0,
    codes: {},
    found: [],
    totals,
    ownTotals: undefined,
    missing: undefined,
  };
  const sums = createSums(totals);
  const seen = new Map<UnitTable, Uint8Array>();
  const ids = new Set<string>();

  const add = (found: Found) => {
    const count = (result.codes[found.code] ?? 0) + 1;
    result.codes[found.code] = count;
    result[found.level === "error" ? "errors" : "warnings"]++;
    if (count <= MAX_SHOWN) result.found.push(found);
  };
  const isNew = (unit: string, at: UnitRow): boolean => {
    if (at === undefined) {
      if (ids.has(unit)) return false;
      if (ids.size < MAX_UNITS) ids.add(unit);
      return true;
    }
    const rows = seen.get(at.table) ?? new Uint8Array(at.table.versions.length);
    seen.set(at.table, rows);
    if (rows[at.row] === 1) return false;
    rows[at.row] = 1;
    return true;
  };
  /** An id that the reader numbered, of a unit that is used once: the unit stands twice. */
  const isRepeat = (unit: string) => office?.register.unit(unit.replace(/_\d+$/, "")) !== undefined;
  const judge = (tally: Tally, place: UnitPlace | undefined, at: UnitRow): VerdictCode[] => {
    if (state !== undefined && office !== undefined) return tallyFindings(state, office.state, tally, place, at);
    const codes: VerdictCode[] = [];
    figureFindings(tally, 1, { kind: NO_KIND }, codes);
    return codes;
  };

  return {
    row(row: Row) {
      result.units++;
      const place = office?.register.unit(row.unit);
      const at = state && rowOf(state, row.unit, place);
      const standing = at && standingOf(at, row);
      const tally = tallyOf(row, { version: row.version ?? (standing?.version ?? 0) + 1, status, reason });
      sums.add(row);
      if (!isNew(row.unit, at)) add({ code: "F.203", level: "error", place: row.place("unit"), unit: row.unit });
      else if (standing?.isSame === true) {
        result.unchanged++;
        return;
      }
      let holds = true;
      for (const said of judge(tally, place, at)) {
        const code = said === "F.201" && isRepeat(row.unit) ? "F.203" : said;
        const isError = code.startsWith("F");
        if (isError) holds = false;
        const { field, detail } = whereIs(code, tally, state);
        const where = row.place(field);
        add({ code, level: isError ? "error" : "warning", place: where, unit: row.unit, ...(detail && { detail }) });
      }
      if (holds) give?.(tally);
    },
    problem({ code, place, detail }) {
      const level = "warning" in SOURCE_CODES[code] ? "warning" : "error";
      add({ code, level, place, ...(detail !== undefined && { detail }) });
    },
    total(given) {
      const own = result.ownTotals ?? { electors: 0, ballots: 0, blank: 0, invalid: 0, votes: {} };
      for (const name of ["electors", "ballots", "blank", "invalid"] as const) own[name] += given[name];
      for (const [list, votes] of Object.entries(given.votes)) own.votes[list] = (own.votes[list] ?? 0) + votes;
      result.ownTotals = own;
    },
    about(code, detail) {
      const level = code.startsWith("F") ? "error" : "warning";
      add({ code, level, place: { line: 0 }, ...(detail !== undefined && { detail }) });
    },
    end() {
      sums.store();
      if (state === undefined || office === undefined) return result;
      if (now < closeInForce(state, office.state))
        add({
          code: "F.207",
          level: "warning",
          place: { line: 0 },
          detail: `The polls close at ${new Date(closeInForce(state, office.state)).toISOString()}; sign it after that.`,
        });
      let have = 0;
      for (const place of office.register.state(office.state)?.constituencies ?? []) {
        const table = state.tables.get(place.id);
        const rows = table && seen.get(table);
        table?.versions.forEach((version, n) => {
          if (version > 0 || rows?.[n] === 1) have++;
        });
      }
      result.missing = office.register.expectedUnits(office.state) - have;
      return result;
    },
  };
}

type UnitRow = ReturnType<typeof rowOf>;

/** What is judged of a unit of which nothing is known: that it adds up. */
const NO_KIND = { id: "unknown", name: "Unknown", register: false, limits: {} };

interface Given {
  version: number;
  status: Tally["status"];
  reason: string | undefined;
}

function tallyOf(row: Row, { version, status, reason }: Given): Tally {
  const { unit, electors, ballots, blank, invalid, votes } = row;
  const said = row.reason ?? (version > 1 ? reason : undefined);
  const tally: Tally = { unit, version, status, electors, ballots, blank, invalid, votes };
  return said === undefined ? tally : { ...tally, reason: said };
}

/** What was signed of this unit before, and whether it is the same to the last figure. */
function standingOf({ table, row: n }: NonNullable<UnitRow>, row: Row): { version: number; isSame: boolean } {
  const version = table.versions[n] as number;
  if (version === 0) return { version, isSame: false };
  const start = n * table.width;
  const figures = table.figures;
  const isSame =
    row.electors === figures[start] &&
    row.ballots === figures[start + 1] &&
    row.blank === figures[start + 2] &&
    row.invalid === figures[start + 3] &&
    [...table.columns].every(([list, column]) => (row.votes[list] ?? 0) === figures[start + column]);
  return { version, isSame };
}

/** Adds rows up. Those of one file have the same lists in the same order, nearly always: then nothing is looked up. */
function createSums(totals: Totals) {
  let lists: string[] = [];
  let votes: number[] = [];
  const store = () => {
    for (const [n, list] of lists.entries()) totals.votes[list] = (totals.votes[list] ?? 0) + (votes[n] as number);
  };
  return {
    add(row: Row): void {
      totals.electors += row.electors;
      totals.ballots += row.ballots;
      totals.blank += row.blank;
      totals.invalid += row.invalid;
      let n = 0;
      for (const list in row.votes) {
        if (lists[n] !== list) break;
        n++;
      }
      if (n !== lists.length || Object.keys(row.votes).length !== n) {
        store();
        lists = Object.keys(row.votes);
        votes = lists.map(() => 0);
      }
      n = 0;
      for (const list in row.votes) votes[n++] = (votes[n - 1] as number) + (row.votes[list] as number);
    },
    store,
  };
}

/** The field by which a finding is best looked for, and the figures that contradict each other. */
function whereIs(
  code: VerdictCode,
  tally: Tally,
  state: LedgerState | undefined,
): { field: FieldName; detail?: string } {
  const { ballots, blank, invalid, electors } = tally;
  const sum = Object.values(tally.votes).reduce((total, votes) => total + votes, 0);
  switch (code) {
    case "F.301":
    case "F.302":
      return {
        field: "ballots",
        detail: `Lists ${sum}, blank ${blank} and invalid ${invalid} make ${sum + blank + invalid}; ballots are ${ballots}.`,
      };
    case "F.303":
    case "W.201":
    case "W.202":
      return { field: "ballots", detail: `${ballots} ballots, ${electors} electors.` };
    case "F.204": {
      const columns = state && rowOf(state, tally.unit)?.table.columns;
      const list = Object.keys(tally.votes).find((id) => columns?.has(id) === false);
      return { field: `list ${list ?? ""}`, detail: `The list ${list} does not stand there.` };
    }
    case "F.205":
    case "F.206":
      return { field: "version" };
    case "F.208":
      return { field: "reason", detail: "Give --reason, or a column with reasons." };
    case "W.203":
      return { field: "blank", detail: `${blank} of ${ballots} ballots.` };
    case "W.204":
      return { field: "invalid", detail: `${invalid} of ${ballots} ballots.` };
    case "W.205":
      return { field: "ballots" };
    default:
      return { field: "unit" };
  }
}

/** What a code means and asks for. */
export function meaningOf(code: SourceCode | VerdictCode): { means: string; todo: string } {
  return code in SOURCE_CODES ? SOURCE_CODES[code as SourceCode] : VERDICT_CODES[code as VerdictCode];
}
