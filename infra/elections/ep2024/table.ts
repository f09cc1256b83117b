import { brotliCompressSync, brotliDecompressSync, constants } from "node:zlib";

/**
 * The feed's own format: one line of text per column, `name:value,value,…`, compressed with Brotli (RFC 7932). Columns of like
 * values side by side compress to a quarter of what rows do. Values hold neither comma nor line break.
 */
export type Table = ReadonlyMap<string, readonly string[]>;

/** Text of a table; throws on a value or a length that the format cannot hold. */
export function tableText(columns: Record<string, readonly (string | number)[]>): string {
  const lengths = new Set(Object.values(columns).map((values) => values.length));
  if (lengths.size !== 1) throw new RangeError("columns of different lengths");
  return Object.entries(columns)
    .map(([name, values]) => {
      const line = values.join(",");
      if (/[\n:]/.test(line) || line.split(",").length !== values.length)
        throw new RangeError(`column ${name} holds a separator`);
      return `${name}:${line}\n`;
    })
    .join("");
}

/** Reads a table's text; throws when a line is no column or columns differ in length. */
export function parseTable(text: string): Table {
  const table = new Map<string, string[]>();
  for (const line of text.split("\n")) {
    if (line === "") continue;
    const at = line.indexOf(":");
    if (at < 1) throw new SyntaxError("a line of the table is no column");
    table.set(line.slice(0, at), line.slice(at + 1).split(","));
  }
  if (new Set([...table.values()].map((values) => values.length)).size !== 1)
    throw new SyntaxError("the table's columns differ in length");
  return table;
}

/** A column as integers; throws if the table lacks it or a value is none. */
export function integers(table: Table, name: string): number[] {
  return strings(table, name).map((value) => {
    const number = Number(value);
    if (value === "" || !Number.isSafeInteger(number)) throw new SyntaxError(`${name}: ${value} is no integer`);
    return number;
  });
}

/** A column as text; throws if the table lacks it. */
export function strings(table: Table, name: string): readonly string[] {
  const values = table.get(name);
  if (values === undefined) throw new SyntaxError(`the table has no column ${name}`);
  return values;
}

export function compressTable(text: string): Uint8Array {
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
    [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
    [constants.BROTLI_PARAM_SIZE_HINT]: Buffer.byteLength(text),
  };
  return brotliCompressSync(text, { params });
}

export function expandTable(bytes: Uint8Array): string {
  return brotliDecompressSync(bytes).toString("utf8");
}
