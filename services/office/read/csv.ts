/**
 * Takes CSV (RFC 4180) apart on its bytes, without making text of what nobody reads: csv-parse needs five times as long for the German
 * districts as splitting them does, and an office waits for it. `csv.test.ts` holds it against csv-parse.
 */

/** One record. What it shows is only good until the next one: offsets into a buffer that is used again. */
export interface CsvRecord {
  /** Where it begins, from 1. */
  line: number;
  fields: number;
  bytes: Buffer;
  /** Of each field, without its quotation marks. */
  start: Int32Array;
  end: Int32Array;
  /** 1: it was quoted; 2: and holds doubled marks. */
  quoted: Uint8Array;
  /** What digits alone say, below 10^9: read in passing, for most fields are figures. -1 for everything else. */
  figures: Int32Array;
}

/** Why scanning stops, or what is wrong with a record. `line` is where it was found, `field` counts from 1. */
export type CsvTrouble = { code: "row.too-long" | "file.cut" | "row.quotes"; line: number; field: number };

export interface CsvSink {
  /** False stops it. */
  record(record: CsvRecord): boolean | undefined;
  trouble(trouble: CsvTrouble): void;
}

/** No count has a longer row; a quotation mark that is missing would otherwise swallow the rest of the file. */
export const MAX_RECORD_BYTES = 1 << 20;
export const MAX_FIELDS = 4_096;

const [QUOTE, LF, CR, ZERO] = [0x22, 0x0a, 0x0d, 0x30];
const MAX_DIGITS = 9;

/** Scans chunks as they come; keeps at most one record. `write` and `end` answer false once it has stopped. */
export function createCsvScanner(delimiter: string, sink: CsvSink) {
  const separator = delimiter.charCodeAt(0);
  const record: CsvRecord = {
    line: 1,
    fields: 0,
    bytes: Buffer.alloc(0),
    start: new Int32Array(MAX_FIELDS),
    end: new Int32Array(MAX_FIELDS),
    quoted: new Uint8Array(MAX_FIELDS),
    figures: new Int32Array(MAX_FIELDS),
  };
  const { start, end, quoted, figures } = record;
  let rest: Buffer = Buffer.alloc(0);
  /** The line at which `rest` begins. */
  let line = 1;
  let stopped = false;

  const stop = (trouble: CsvTrouble): false => {
    stopped = true;
    sink.trouble(trouble);
    return false;
  };

  /** Scans one record from `at`. Answers where the next begins, -1 if the bytes end first, -2 if it has stopped. */
  const scan = (bytes: Buffer, from: number, isLast: boolean): number => {
    let at = from;
    let fields = 0;
    let lines = 0;
    const { length } = bytes;
    for (;;) {
      if (fields === MAX_FIELDS) {
        stop({ code: "row.too-long", line, field: fields });
        return -2;
      }
      if (bytes[at] === QUOTE) {
        let close = at + 1;
        let kind = 1;
        for (;;) {
          const byte = bytes[close];
          if (close >= length) {
            if (!isLast) return -1;
            stop({ code: "file.cut", line, field: fields + 1 });
            return -2;
          }
          if (byte === QUOTE) {
            if (bytes[close + 1] === QUOTE) {
              kind = 2;
              close += 2;
              continue;
            }
            if (close + 1 >= length && !isLast) return -1;
            break;
          }
          if (byte === LF) lines++;
          close++;
        }
        start[fields] = at + 1;
        end[fields] = close;
        quoted[fields] = kind;
        figures[fields] = -1;
        at = close + 1;
        // After the closing mark only a separator or a line end may stand; the rest of the field is passed over.
        if (at < length && bytes[at] !== separator && bytes[at] !== LF && bytes[at] !== CR) {
          sink.trouble({ code: "row.quotes", line: line + lines, field: fields + 1 });
          while (at < length && bytes[at] !== separator && bytes[at] !== LF) at++;
        }
        if (bytes[at] === CR) at++;
      } else {
        const first = at;
        let figure = 0;
        let isFigure = true;
        let byte = 0;
        for (; at < length; at++) {
          byte = bytes[at] as number;
          if (byte === separator || byte === LF) break;
          const digit = byte - ZERO;
          if (digit >= 0 && digit <= 9) figure = figure * 10 + digit;
          else if (byte !== CR || bytes[at + 1] !== LF) isFigure = false;
        }
        const isEnd = at === length || byte === LF;
        const last = isEnd && at > first && bytes[at - 1] === CR ? at - 1 : at;
        start[fields] = first;
        end[fields] = last;
        figures[fields] = isFigure && last > first && last - first <= MAX_DIGITS ? figure : -1;
        quoted[fields] = 0;
      }
      fields++;
      if (at >= length) {
        if (!isLast) return -1;
        break;
      }
      if (bytes[at++] === LF) {
        lines++;
        break;
      }
    }
    record.fields = fields;
    record.bytes = bytes;
    record.line = line;
    line += lines;
    // A line without anything on it is none.
    if (fields === 1 && start[0] === end[0] && quoted[0] === 0) return at;
    if (sink.record(record) === false) {
      stopped = true;
      return -2;
    }
    return at;
  };

  const run = (bytes: Buffer, isLast: boolean): boolean => {
    let at = 0;
    while (at < bytes.length) {
      const next = scan(bytes, at, isLast);
      if (next === -2) return false;
      if (next === -1) break;
      at = next;
    }
    rest = bytes.subarray(at);
    if (rest.length > MAX_RECORD_BYTES) return stop({ code: "row.too-long", line, field: 1 });
    return true;
  };

  return {
    write(chunk: Uint8Array): boolean {
      if (stopped) return false;
      return run(
        rest.length === 0 ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length) : Buffer.concat([rest, chunk]),
        false,
      );
    },
    end(): boolean {
      return !stopped && (rest.length === 0 || run(rest, true));
    },
  };
}

/** A field's text; the bytes are UTF-8. */
export function textOf({ bytes, start, end, quoted }: CsvRecord, field: number): string {
  const text = bytes.toString("utf8", start[field], end[field]);
  return quoted[field] === 2 ? text.replaceAll('""', '"') : text;
}
