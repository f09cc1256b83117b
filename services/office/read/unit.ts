import type { CsvRecord } from "./csv.ts";

/** Longer than any id: what is cut off is refused for its length. */
const scratch = Buffer.alloc(256);
const [QUOTE, BLANK, UNDERSCORE] = [0x22, 0x20, 0x5f];

const isKept = new Uint8Array(256);
for (const char of "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-") isKept[char.charCodeAt(0)] = 1;

/**
 * A unit's id by its template (ASCII text, and positions of columns), from the bytes. In what a column holds, every character that no id may have
 * becomes "_" (one beyond the Basic Multilingual Plane two, as UTF-16 counts); blanks around it fall away. Undefined if all columns are empty.
 */
export function writeUnit(record: CsvRecord, parts: readonly (Uint8Array | number)[]): string | undefined {
  const { bytes, quoted } = record;
  let length = 0;
  let isEmpty = true;
  for (const part of parts) {
    if (typeof part !== "number") {
      for (let n = 0; n < part.length && length < scratch.length; n++) scratch[length++] = part[n] as number;
      continue;
    }
    let at = record.start[part] as number;
    let end = record.end[part] as number;
    while (at < end && bytes[at] === BLANK) at++;
    while (end > at && bytes[end - 1] === BLANK) end--;
    for (; at < end && length < scratch.length; at++) {
      const byte = bytes[at] as number;
      isEmpty = false;
      if (isKept[byte] === 1) scratch[length++] = byte;
      // The rest of a character of several bytes.
      else if (byte >= 0x80 && byte < 0xc0) continue;
      else {
        scratch[length++] = UNDERSCORE;
        if (byte >= 0xf0 && length < scratch.length) scratch[length++] = UNDERSCORE;
        if (byte === QUOTE && quoted[part] === 2 && bytes[at + 1] === QUOTE) at++;
      }
    }
  }
  return isEmpty ? undefined : scratch.toString("latin1", 0, length);
}
