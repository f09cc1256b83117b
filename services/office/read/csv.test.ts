import { parse } from "csv-parse/sync";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type CsvTrouble, createCsvScanner, textOf } from "./csv.ts";

/** The scanner says what csv-parse says, in any pieces. */

function scan(bytes: Buffer, delimiter: string, cuts: readonly number[] = []) {
  const rows: string[][] = [];
  const lines: number[] = [];
  const figures: number[][] = [];
  const troubles: CsvTrouble[] = [];
  const scanner = createCsvScanner(delimiter, {
    record(record) {
      rows.push(Array.from({ length: record.fields }, (_, n) => textOf(record, n)));
      figures.push(Array.from({ length: record.fields }, (_, n) => record.figures[n] as number));
      lines.push(record.line);
      return true;
    },
    trouble: (trouble) => void troubles.push(trouble),
  });
  const at = [0, ...[...cuts].sort((a, b) => a - b), bytes.length];
  for (const [n, end] of at.slice(1).entries()) scanner.write(bytes.subarray(at[n], end));
  scanner.end();
  return { rows, lines, figures, troubles };
}

const cell = fc.oneof(
  fc.nat(2_000_000_000).map(String),
  fc.constantFrom(
    "",
    " ",
    "GRÜNE",
    '070d"',
    "a,b",
    "a;b",
    "two\nlines",
    "two\r\nlines",
    '""',
    "Köln\u00a0",
    "😀",
    "007",
  ),
);
const table = fc
  .record({
    delimiter: fc.constantFrom(",", ";", "\t", "|"),
    end: fc.constantFrom("\n", "\r\n"),
    last: fc.boolean(),
    rows: fc.integer({ min: 1, max: 6 }).chain((width) =>
      // A row of one empty field is an empty line, which is none.
      fc.array(fc.array(cell, { minLength: width, maxLength: width }), { minLength: 1, maxLength: 8 }),
    ),
  })
  .map(({ delimiter, end, last, rows }) => {
    const quoted = (text: string, alone: boolean) =>
      /[",;\t|\r\n]/.test(text) || (alone && text === "") ? `"${text.replaceAll('"', '""')}"` : text;
    const lines = rows.map((row) => row.map((text) => quoted(text, row.length === 1)).join(delimiter));
    return { delimiter, rows, text: lines.join(end) + (last ? end : "") };
  });

describe("the scanner", () => {
  it("property: what csv-parse reads, in any pieces", () => {
    fc.assert(
      fc.property(table, fc.array(fc.nat(500), { maxLength: 6 }), ({ delimiter, rows, text }, cuts) => {
        const bytes = Buffer.from(text);
        const found = scan(
          bytes,
          delimiter,
          cuts.map((cut) => Math.min(cut, bytes.length)),
        );
        expect(found.troubles).toEqual([]);
        expect(found.rows).toEqual(rows);
        expect(found.rows).toEqual(parse(bytes, { delimiter, relax_column_count: true }));
      }),
      { numRuns: 500 },
    );
  });

  it("property: a figure is what its digits say, and nothing else is one", () => {
    fc.assert(
      fc.property(table, ({ delimiter, rows, text }) => {
        const { figures } = scan(Buffer.from(text), delimiter);
        const expected = rows.map((row) => row.map((one) => (/^\d{1,9}$/.test(one) ? Number(one) : -1)));
        // What is quoted is read when it is asked for.
        expect(figures.map((row, r) => row.map((one, c) => (one === -1 ? -1 : expected[r]?.[c])))).toEqual(figures);
      }),
      { numRuns: 300 },
    );
  });

  it("counts the lines of quoted line ends", () => {
    expect(scan(Buffer.from('a,b\n"1\n2\n3",4\n5,6\n'), ",").lines).toEqual([1, 2, 5]);
  });

  it("names the line and field of what is broken", () => {
    expect(scan(Buffer.from('a,b\n1,"2"x\n3,4\n'), ",").troubles).toEqual([{ code: "row.quotes", line: 2, field: 2 }]);
    expect(scan(Buffer.from('a,b\n1,"2\n3,4\n'), ",").troubles).toEqual([{ code: "file.cut", line: 2, field: 2 }]);
  });
});
