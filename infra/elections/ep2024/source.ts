import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { parse } from "csv-parse/sync";

/** One row of a published table, by column name. */
export type Row = Record<string, string>;

/** Reads a table of the published data, plain or gzipped. `path` is below the folder of published data. */
export function readRows(folder: string, path: string, delimiter = ","): Row[] {
  const bytes = readFileSync(join(folder, path));
  const text = path.endsWith(".gz") ? gunzipSync(bytes) : bytes;
  return parse(text, { columns: true, delimiter, bom: true, skip_empty_lines: true }) as Row[];
}

export function readJson(folder: string, path: string): unknown {
  return JSON.parse(readFileSync(join(folder, path), "utf8"));
}

/** A cell, without the stray spaces of the source; throws if the column is missing. */
export function cell(row: Row, column: string): string {
  const value = row[column];
  if (value === undefined) throw new SyntaxError(`the source has no column ${column}`);
  return value.trim();
}

/** A cell that must hold a whole number. */
export function whole(row: Row, column: string): number {
  const text = cell(row, column);
  if (!/^\d+$/.test(text)) throw new SyntaxError(`${column}: "${text}" is no whole number`);
  return Number(text);
}

/** A percentage with at most two decimals, in hundredths of a percent: "28.3" is 2830. */
export function hundredths(row: Row, column: string): number {
  const text = cell(row, column);
  const parts = /^(\d+)(?:\.(\d{1,2}))?$/.exec(text);
  if (parts === null) throw new SyntaxError(`${column}: "${text}" is no percentage of two decimals`);
  return Number(parts[1]) * 100 + Number((parts[2] ?? "").padEnd(2, "0"));
}
