import { MAX_FIGURE } from "../../../shared/statement/types.ts";
import { type CsvRecord, textOf } from "./csv.ts";
import type { SourceCode } from "./source.ts";

/** Reads figures from the bytes of a field. */

/** The figure, or -1: then `figureTrouble` says why it is none. Plain digits, blanks around them, and the mark between thousands. */
export function figureOf(record: CsvRecord, field: number, thousands: number): number {
  const plain = record.figures[field] as number;
  if (plain >= 0) return plain;
  return grouped(record.bytes.toString("utf8", record.start[field], record.end[field]), thousands);
}

/** Every mark that a number of thousands is written with; a blank may be a narrow one or one that does not break. */
const BLANKS = /[\u00a0\u202f\u2009]/g;

function grouped(text: string, thousands: number): number {
  const plain = text.replaceAll(BLANKS, " ").trim();
  if (/^\d{1,12}$/.test(plain)) return inRange(Number(plain));
  if (thousands === 0) return -1;
  const mark = String.fromCharCode(thousands);
  const parts = plain.split(mark);
  const [first = "", ...others] = parts;
  if (others.length === 0 || !/^\d{1,3}$/.test(first) || !others.every((part) => /^\d{3}$/.test(part))) return -1;
  return inRange(Number(parts.join("")));
}

const inRange = (value: number) => (value <= MAX_FIGURE ? value : -1);

/** What is wrong with a field that is no figure. */
export function figureTrouble(record: CsvRecord, field: number): { code: SourceCode; detail?: string } {
  const text = textOf(record, field).replaceAll(BLANKS, " ").trim();
  if (text === "") return { code: "figure.empty" };
  if (/^[-\u2212]\s*\d/.test(text)) return { code: "figure.negative" };
  if (/^[=+@\t\r-]/.test(text)) return { code: "figure.formula" };
  if (/^\d+$/.test(text)) return { code: "figure.too-large" };
  if (/^\d*[.,]\d+$/.test(text) || /^\d+([.,]\d*)?e[+-]?\d+$/i.test(text)) return { code: "figure.fraction" };
  return { code: "figure.malformed" };
}

/** A number that is written with this mark between its thousands, such as 1.413. */
export const GROUPED = /^\d{1,3}([., '\u00a0\u202f\u2019])\d{3}(?:\1\d{3})*$/;
