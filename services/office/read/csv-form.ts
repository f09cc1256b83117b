import { createCsvScanner, textOf } from "./csv.ts";
import { GROUPED } from "./figures.ts";

/** What the beginning of a CSV file shows of its form. */
export interface CsvForm {
  delimiter: string;
  header: string[];
  /** The rows that were looked at, without the header. */
  rows: string[][];
}

/** The mark between thousands; "" where there is none. */
export type Thousands = "" | "." | "," | "'" | " ";

const DELIMITERS = [",", ";", "\t", "|"];
const LOOKED_AT = 1_000;

/** Looks at the beginning of a file, in UTF-8. `delimiter` is taken as given where it is. */
export function formOf(head: Buffer, delimiter?: string): CsvForm {
  const chosen = delimiter ?? bestDelimiter(head);
  const [header = [], ...rows] = firstRows(head, chosen, LOOKED_AT);
  return { delimiter: chosen, header: header.map(plainName), rows };
}

/** A column's name as it is compared: blanks that nobody sees make no other one. */
export const plainName = (text: string): string =>
  text
    .replaceAll(/[\s\u00a0]+/g, " ")
    .trim()
    .normalize("NFC");

/**
 * The mark that stands between thousands in these columns. "" too where some figures of four digits have it and others do not: then 1.413 may as well
 * be a fraction, and is left to whoever knows.
 */
export function thousandsIn({ rows }: CsvForm, columns: readonly number[]): Thousands {
  const marks = new Map<Thousands, number>();
  let plain = 0;
  for (const row of rows) {
    for (const column of columns) {
      const text = (row[column] ?? "").trim();
      const mark = GROUPED.exec(text)?.[1];
      if (mark !== undefined) marks.set(plainMark(mark), (marks.get(plainMark(mark)) ?? 0) + 1);
      else if (/^\d{4,}$/.test(text)) plain++;
    }
  }
  const [only, ...others] = marks.keys();
  return only === undefined || others.length > 0 || plain > 0 ? "" : only;
}

function plainMark(mark: string): Thousands {
  if (mark === "." || mark === "," || mark === "'") return mark;
  return mark === "\u2019" ? "'" : " ";
}

/** The one by which most rows have as many fields as the first, and more than one. */
function bestDelimiter(head: Buffer): string {
  const scores = DELIMITERS.map((delimiter) => {
    const [header = [], ...others] = firstRows(head, delimiter, 50);
    const alike = others.filter((row) => row.length === header.length).length;
    return { delimiter, fields: header.length, score: header.length > 1 ? 1 + alike : 0 };
  });
  scores.sort((a, b) => b.score - a.score || b.fields - a.fields);
  return scores[0]?.score === 0 ? "," : (scores[0]?.delimiter ?? ",");
}

function firstRows(head: Buffer, delimiter: string, most: number): string[][] {
  const rows: string[][] = [];
  const scanner = createCsvScanner(delimiter, {
    record(record) {
      rows.push(Array.from({ length: record.fields }, (_, n) => textOf(record, n)));
      return rows.length < most;
    },
    trouble: () => undefined,
  });
  // The end of the head may be in the middle of a row, which is not looked at then.
  if (scanner.write(head) && rows.length < 2) scanner.end();
  return rows;
}
