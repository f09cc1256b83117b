import { UNIT_ID } from "../../../shared/definition/schema.ts";
import { MAX_FIGURE } from "../../../shared/statement/types.ts";
import { type CsvRecord, type CsvTrouble, createCsvScanner, textOf } from "./csv.ts";
import { bindColumns, type Columns, type Sum } from "./csv-columns.ts";
import { formOf } from "./csv-form.ts";
import { figureOf, figureTrouble } from "./figures.ts";
import type { CsvMapping } from "./mapping.ts";
import {
  type FieldName,
  type Place,
  type Row,
  type Sink,
  type SourceCode,
  shortened,
  type Understood,
} from "./source.ts";
import type { Text } from "./text.ts";
import { looksLikeTotal } from "./total-rows.ts";
import { writeUnit } from "./unit.ts";

const DELIMITER_NAMES: Readonly<Record<string, string>> = {
  ",": "commas",
  ";": "semicolons",
  "\t": "tabs",
  "|": "bars",
};
const THOUSANDS_NAMES: Readonly<Record<string, string>> = {
  ".": "a point",
  ",": "a comma",
  "'": "an apostrophe",
  " ": "a blank",
};

/**
 * Reads a CSV file by a mapping. Tells the sink of rows and of everything that is wrong, in the file's order; a row with something wrong in it is
 * not told as a row. `before` is shown how the file was understood, before the first row. Keeps one record, and in the long layout one unit.
 */
export async function readCsv(
  text: Text,
  mapping: CsvMapping,
  sink: Sink,
  before: (understood: Understood) => void = () => undefined,
  pause?: () => Promise<void>,
): Promise<void> {
  if (text.head.length === 0 || text.head.includes(0)) {
    const code = text.head.length === 0 ? "file.empty" : "file.format";
    sink.problem({ code, place: { line: 1 } });
    return;
  }
  const form = formOf(text.head, mapping.delimiter);
  const columns = bindColumns(mapping, form, (problem) => sink.problem(problem));
  const { delimiter } = form;
  const notes = [`${DELIMITER_NAMES[delimiter] ?? `"${delimiter}"`} between columns, ${form.header.length} of them`];
  const mark = columns?.thousands ?? "";
  notes.push(
    mark === "" ? "no mark between thousands" : `${THOUSANDS_NAMES[mark]} between thousands`,
    "whole numbers only",
  );
  before({ format: "csv", encoding: text.encoding, notes });
  if (columns === undefined) return;
  const rows = createRows(columns, mapping, sink);
  const scanner = createCsvScanner(delimiter, rows);
  for await (const chunk of text.chunks((problem) => rows.broken(problem))) {
    if (!scanner.write(chunk)) return;
    await pause?.();
  }
  scanner.end();
  rows.end();
}

const HEADS = ["electors", "ballots", "blank", "invalid"] as const;
type Head = (typeof HEADS)[number];

/** Turns records into rows. */
function createRows(columns: Columns, mapping: CsvMapping, sink: Sink) {
  const { names, long } = columns;
  const thousands = columns.thousands === "" ? 0 : columns.thousands.charCodeAt(0);
  const isTotal = looksLikeTotal();
  let record!: CsvRecord;
  let isHeader = true;
  let told = 0;
  let isGood = true;
  let stopped = false;
  /** The record that comes next has its marks in the wrong places. */
  let isTroubled = false;
  /** A record that is too short: the file's end, or a row of its own. */
  let short: Place | undefined;
  let toldOf: SourceCode | undefined;
  let toldAt = 0;
  const unitParts = columns.unit.map((part) => (typeof part === "string" ? Buffer.from(part, "latin1") : part));
  const unitColumn = columns.unit.find((part) => typeof part === "number");
  const isInUnit = names.map((_, n) => columns.unit.includes(n));
  const repeats = mapping.repeated === "numbered" ? new Map<string, number>() : undefined;

  const placeOf = (column: number | undefined): Place =>
    column === undefined
      ? { line: record.line }
      : {
          line: record.line,
          column: column + 1,
          ...(names[column] !== undefined && { name: names[column] }),
          value: shortened(textOf(record, column)),
        };
  const wrong = (code: SourceCode, column: number | undefined, detail?: string) => {
    isGood = false;
    // One of a kind in a row says it: a row without figures has none in every column.
    if (toldOf === code && toldAt === record.line) return;
    toldOf = code;
    toldAt = record.line;
    sink.problem({ code, place: placeOf(column), ...(detail !== undefined && { detail }) });
  };
  const figureAt = (column: number): number => {
    const value = figureOf(record, column, thousands);
    if (value >= 0) return value;
    const { code, detail } = figureTrouble(record, column);
    wrong(code, column, detail);
    return 0;
  };
  const sumOf = ({ columns: of, constant }: Sum): number => {
    let sum = constant;
    for (let n = 0; n < of.length; n++) {
      const plain = record.figures[of[n] as number] as number;
      sum += plain >= 0 ? plain : figureAt(of[n] as number);
    }
    if (sum <= MAX_FIGURE) return sum;
    wrong("figure.too-large", of[0]);
    return 0;
  };
  const unitOf = (): string => {
    const unit = writeUnit(record, unitParts);
    if (unit === undefined) wrong("unit.empty", unitColumn);
    else if (!UNIT_ID.test(unit)) wrong("unit.malformed", unitColumn, `It makes "${shortened(unit)}".`);
    if (unit === undefined) return "";
    if (repeats === undefined) return unit;
    const count = (repeats.get(unit) ?? 0) + 1;
    repeats.set(unit, count);
    return count === 1 ? unit : `${unit}_${count}`;
  };
  const columnOf = (field: FieldName): number | undefined => {
    if (field === "unit") return unitColumn;
    if (field === "version" || field === "reason") return columns[field];
    if (field.startsWith("list "))
      return long?.votes ?? columns.lists.find(({ id }) => field === `list ${id}`)?.sum.columns[0];
    return columns[field as Head].columns[0];
  };
  const place = (field: FieldName): Place => {
    const at = placeOf(columnOf(field));
    const sum = HEADS.includes(field as Head) ? columns[field as Head] : undefined;
    if (sum === undefined || sum.columns.length < 2) return at;
    // What is added up has its sum for a value.
    return { ...at, name: sum.columns.map((n) => names[n]).join(" + "), value: String(sumOf(sum)) };
  };

  /** Copied for each row: an object that grows list by list is made five times. */
  const noVotes = Object.fromEntries(columns.lists.map(({ id }) => [id, 0]));
  const headOf = (unit: string): Row => {
    const row: Row = {
      unit,
      electors: sumOf(columns.electors),
      ballots: sumOf(columns.ballots),
      blank: sumOf(columns.blank),
      invalid: sumOf(columns.invalid),
      votes: { ...noVotes },
      place,
    };
    if (columns.version !== undefined) row.version = figureAt(columns.version);
    const reason = columns.reason === undefined ? "" : textOf(record, columns.reason).trim();
    if (reason !== "") row.reason = reason;
    return row;
  };
  const checkTotals = (votes: number) => {
    for (const { column, of } of columns.totals) {
      const sum = of === "votes" ? votes : sumOf(of);
      const total = figureAt(column);
      if (isGood && total !== sum) wrong("total.differs", column, `It is ${total}, and what it sums up is ${sum}.`);
    }
  };
  const isSkipped = () => columns.skip.some(({ column, is }) => is.has(textOf(record, column)));
  const give = (row: Row) => {
    if (isGood && isTotal.ofFigures(row))
      wrong("row.total", undefined, "Its figures are the sums of the rows above it.");
    if (!isGood) return;
    told++;
    sink.row(row);
  };

  const wide = () => {
    const row = headOf(unitOf());
    let votes = 0;
    for (const { id, sum } of columns.lists) {
      const figure = sumOf(sum);
      row.votes[id] = figure;
      votes += figure;
    }
    checkTotals(votes);
    give(row);
  };

  /** The unit that the last rows were of, in the long layout. */
  let open: { row: Row; isGood: boolean; places: Map<FieldName, Place> } | undefined;
  const close = () => {
    if (open === undefined) return;
    const { row, places } = open;
    isGood = open.isGood;
    open = undefined;
    give({ ...row, place: (field) => places.get(field) ?? places.get("unit") ?? { line: record.line } });
  };
  const longRow = ({ list, votes, ids }: NonNullable<Columns["long"]>) => {
    const unit = unitOf();
    if (open?.row.unit !== unit) close();
    const row = open?.row ?? headOf(unit);
    isGood = isGood && (open?.isGood ?? true);
    if (open === undefined) {
      const fields = ["unit", ...HEADS, "version", "reason"] as const;
      open = { row, isGood, places: new Map(fields.map((field) => [field, place(field)])) };
    } else {
      for (const name of HEADS)
        if (sumOf(columns[name]) !== row[name])
          wrong("total.differs", columnOf(name), "It is not what the unit's first row says.");
    }
    const name = textOf(record, list).trim();
    const id = ids.get(name);
    if (id === undefined) wrong("list.unknown", list);
    else if (Object.hasOwn(row.votes, id)) wrong("list.twice", list);
    else {
      row.votes[id] = figureAt(votes);
      open.places.set(`list ${id}`, placeOf(votes));
    }
    open.isGood = open.isGood && isGood;
  };

  return {
    record(next: CsvRecord): boolean {
      record = next;
      if (isHeader) {
        isHeader = false;
        return true;
      }
      if (short !== undefined) sink.problem({ code: "row.fields", place: short });
      short = undefined;
      isGood = !isTroubled;
      isTroubled = false;
      if (next.fields !== names.length) {
        const detail = `It has ${next.fields} fields, and the first line has ${names.length}.`;
        if (next.fields < names.length) short = { ...placeOf(next.fields - 1) };
        else sink.problem({ code: "row.fields", place: placeOf(names.length), detail });
        return !stopped;
      }
      if (isSkipped()) return true;
      for (const n of columns.texts) {
        const byte = next.bytes[next.start[n] as number] as number;
        if (next.end[n] === next.start[n]) continue;
        if (byte === 0x3d || byte === 0x40) wrong("figure.formula", n);
        else if (byte >= 0x41 && isInUnit[n] && isTotal.ofText(textOf(next, n))) wrong("row.total", n);
      }
      if (!isGood) return !stopped;
      if (long === undefined) wide();
      else longRow(long);
      return !stopped;
    },
    trouble({ code, line, field }: CsvTrouble): void {
      if (short !== undefined) sink.problem({ code: "row.fields", place: short });
      short = undefined;
      const name = names[field - 1];
      sink.problem({ code, place: { line, column: field, ...(name !== undefined && { name }) } });
      isTroubled = true;
    },
    /** The text itself is broken from here on. */
    broken(problem: Parameters<Sink["problem"]>[0]): void {
      stopped = true;
      sink.problem(problem);
    },
    end(): void {
      if (stopped) return;
      if (short !== undefined)
        sink.problem({ code: "file.cut", place: short, detail: "Its last row has too few fields." });
      else if (open !== undefined) close();
      if (told === 0 && isGood && short === undefined) sink.problem({ code: "file.empty", place: { line: 1 } });
    },
  };
}
