/** How the Parliament's data sheets write figures, times and documents: measured on those of July 2024. */

/** A percentage in exact hundredths: what a sheet writes as `13.2`, `10.0` or `30.59`. */
export class Percent {
  readonly hundredths: bigint;
  constructor(hundredths: bigint) {
    this.hundredths = hundredths;
  }
  /** At least one decimal, at most two, no trailing zero beyond the first. */
  toString(): string {
    const digits = this.hundredths.toString().padStart(3, "0");
    return `${digits.slice(0, -2)}.${digits.slice(-2).replace(/0$/, "")}`;
  }
}

/** `part` of `whole`, rounded half up from the exact integers, once, to one or two decimals; null of nothing. */
export function percentOf(part: number, whole: number, decimals: 1 | 2 = 2): Percent | null {
  if (whole === 0) return null;
  const step = decimals === 2 ? 1n : 10n;
  return new Percent(((BigInt(part) * (20_000n / step) + BigInt(whole)) / (2n * BigInt(whole))) * step);
}

export type SheetValue =
  | string
  | number
  | null
  | Percent
  | readonly SheetValue[]
  | { readonly [key: string]: SheetValue };

/** JSON as the sheets have it: two spaces, no line end after the last brace; percentages keep their decimal (`10.0`). */
export function sheetJson(value: SheetValue, indent = ""): string {
  if (value instanceof Percent) return value.toString();
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const inner = `${indent}  `;
  const [open, close, parts] = Array.isArray(value)
    ? ["[", "]", (value as readonly SheetValue[]).map((item) => sheetJson(item, inner))]
    : ["{", "}", Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}: ${sheetJson(item, inner)}`)];
  return parts.length === 0 ? `${open}${close}` : `${open}\n${inner}${parts.join(`,\n${inner}`)}\n${indent}${close}`;
}

/** A text in quotes when it has a separator, a quote or a line end in it, or a space at an end. */
const NEEDS_QUOTES = /[;"\r\n]|^\s|\s$/;
/** A spreadsheet takes a text that starts so for a formula, and runs it (OWASP, CSV injection). */
const FORMULA = /^[=+\-@\t\r\n]/;

function field(value: string): string {
  const text = FORMULA.test(value) ? `'${value}` : value;
  return NEEDS_QUOTES.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** CSV as the sheets have it: semicolons, a line feed after every line. */
export function sheetCsv(rows: readonly (readonly string[])[]): string {
  return rows.map((row) => `${row.map(field).join(";")}\n`).join("");
}

const HOUR_MS = 3_600_000;

/**
 * Summer time in the Union: from 01:00 UTC on the last Sunday of March to 01:00 UTC on the last of October (Directive 2000/84/EC). Written
 * out, so that the same release makes the same bytes whatever a machine's time zone tables say.
 */
function isSummer(ms: number): boolean {
  const year = new Date(ms).getUTCFullYear();
  const lastSunday = (month: number) => {
    const last = new Date(Date.UTC(year, month, 31, 1));
    return last.getTime() - last.getUTCDay() * 24 * HOUR_MS;
  };
  return ms >= lastSunday(2) && ms < lastSunday(9);
}

/** An instant (`2024-06-09T21:00:01.000Z`) in the sheets' form, Brussels time: `2024-06-09T23:00:01.000+0200`. */
export function sheetTime(instant: string): string {
  const ms = Date.parse(instant);
  if (Number.isNaN(ms)) throw new RangeError(`${instant} is no instant`);
  const hours = isSummer(ms) ? 2 : 1;
  return `${new Date(ms + hours * HOUR_MS).toISOString().slice(0, -1)}+0${hours}00`;
}

/** The same to the minute, as the CSV has it: `2024-06-09 23:00`. */
export function sheetMinute(instant: string): string {
  return sheetTime(instant).slice(0, 16).replace("T", " ");
}
