import { isAscii, isUtf8 } from "node:buffer";
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { Refusal } from "../refusal.ts";
import type { Place, SourceProblem } from "./source.ts";

/** Encodings that count files come in. */
export type Encoding = "utf-8" | "windows-1252" | "utf-16le" | "utf-16be";

/** A file's text as bytes in UTF-8, whatever it was in; without a byte order mark. */
export interface Text {
  encoding: Encoding;
  /** Where in the first bytes one can look before anything is read. */
  head: Buffer;
  /** The file from its beginning, each time. Ends early, after telling, where bytes are none of the encoding's. */
  chunks(problem: (problem: SourceProblem) => void): AsyncIterable<Uint8Array>;
}

const [LF, CR] = [0x0a, 0x0d];

/** Carriage returns as line feeds, in place. */
function endLines(bytes: Uint8Array): void {
  for (let at = bytes.indexOf(CR); at >= 0; at = bytes.indexOf(CR, at + 1)) bytes[at] = LF;
}

const HEAD_BYTES = 1 << 20;
const CHUNK_BYTES = 1 << 20;

/**
 * Finds out what a file is encoded in: by its byte order mark, by every other byte being zero, and else UTF-8 if it is that from beginning to
 * end, Windows-1252 if not. A file that is UTF-8 in one place and not in another is in neither. Rejects with `file.unreadable`.
 */
export async function openText(path: string, named?: Encoding): Promise<Text> {
  const bytes = await headOf(path, HEAD_BYTES);
  const [encoding, mark] = named === undefined ? await detect(path, bytes) : [named, markLength(bytes, named)];
  const head = Buffer.from(decoded(bytes.subarray(mark), encoding), "utf8");
  // Line ends of a kind that a few programs write still.
  const isOld = !head.includes(LF) && head.includes(CR);
  if (isOld) endLines(head);
  return {
    encoding,
    head,
    chunks: (problem) =>
      inUtf8(createReadStream(path, { start: mark, highWaterMark: CHUNK_BYTES }), { encoding, isOld }, problem),
  };
}

/** The first bytes of a file, at most so many. Rejects with `file.unreadable`. */
export async function headOf(path: string, most: number): Promise<Buffer> {
  try {
    const handle = await open(path, "r");
    try {
      const { bytesRead, buffer } = await handle.read(Buffer.alloc(most), 0, most, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new Refusal("file.unreadable", `${path} cannot be read (${code ?? message}).`);
  }
}

const MARKS: [Encoding, number[]][] = [
  ["utf-8", [0xef, 0xbb, 0xbf]],
  ["utf-16le", [0xff, 0xfe]],
  ["utf-16be", [0xfe, 0xff]],
];

function markLength(bytes: Buffer, encoding: Encoding): number {
  const mark = MARKS.find(([name]) => name === encoding)?.[1];
  return mark?.every((byte, n) => bytes[n] === byte) ? mark.length : 0;
}

async function detect(path: string, bytes: Buffer): Promise<[Encoding, number]> {
  for (const [name, mark] of MARKS) if (mark.every((byte, n) => bytes[n] === byte)) return [name, mark.length];
  const pairs = Math.min(bytes.length, 512) >> 1;
  const zeros = [0, 1].map(
    (odd) => Array.from({ length: pairs }, (_, n) => bytes[2 * n + odd]).filter((b) => b === 0).length,
  );
  if (pairs > 1 && (zeros[1] as number) > pairs * 0.8) return ["utf-16le", 0];
  if (pairs > 1 && (zeros[0] as number) > pairs * 0.8) return ["utf-16be", 0];
  return [(await isSingleByte(path)) ? "windows-1252" : "utf-8", 0];
}

/** True if no character of the file is one of UTF-8 beyond ASCII, and some byte is beyond it. */
async function isSingleByte(path: string): Promise<boolean> {
  let beyond = false;
  for await (const chunk of createReadStream(path, { highWaterMark: CHUNK_BYTES })) {
    const bytes = chunk as Buffer;
    if (isAscii(bytes)) continue;
    beyond = true;
    for (let n = 0; n < bytes.length; n++) {
      if ((bytes[n] as number) < 0x80) continue;
      // Two bytes that make a character of UTF-8 hardly ever stand side by side in Windows-1252.
      if ((bytes[n] as number) >= 0xc2 && ((bytes[n + 1] ?? 0) & 0xc0) === 0x80) return false;
    }
  }
  return beyond;
}

const decoded = (bytes: Uint8Array, encoding: Encoding) =>
  new TextDecoder(encoding, { ignoreBOM: true }).decode(bytes, { stream: true });

async function* inUtf8(
  source: AsyncIterable<Uint8Array>,
  { encoding, isOld }: { encoding: Encoding; isOld: boolean },
  problem: (problem: SourceProblem) => void,
): AsyncIterable<Uint8Array> {
  const decoder = new TextDecoder(encoding, { fatal: true, ignoreBOM: true });
  let line = 1;
  /** The last chunk may have ended in the middle of a character. */
  let isOpen = false;
  for await (const chunk of source) {
    try {
      if (encoding === "windows-1252") refuseUndefined(chunk);
      // What is whole UTF-8 already needs no text made of it.
      const isWhole: boolean = encoding === "utf-8" && !isOpen && isUtf8(chunk);
      const text = isWhole ? "" : decoder.decode(chunk, { stream: true });
      isOpen = !isWhole && encoding === "utf-8" && !isUtf8(chunk);
      const bytes = encoding === "utf-8" ? chunk : Buffer.from(text, "utf8");
      if (isOld) endLines(bytes);
      for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) line++;
      yield bytes;
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      // What stands before it is read all the same, so that the line is the right one.
      const good = goodPart(chunk, encoding);
      const place: Place = { line: line + good.filter((byte) => byte === 10).length };
      problem({ code: "file.encoding", place, detail: `A byte here is none of ${encoding}.` });
      return;
    }
  }
  try {
    decoder.decode();
  } catch {
    problem({ code: "file.cut", place: { line }, detail: "The last character is not whole." });
  }
}

/** The five bytes that Windows-1252 leaves open; the web's decoder lets them through. */
const UNDEFINED = [0x81, 0x8d, 0x8f, 0x90, 0x9d];

function refuseUndefined(chunk: Uint8Array): void {
  if (UNDEFINED.some((byte) => chunk.includes(byte))) throw new TypeError("a byte that Windows-1252 does not have");
}

/** The lines of a chunk before the first byte that is wrong. */
function goodPart(chunk: Uint8Array, encoding: Encoding): Uint8Array {
  let start = 0;
  for (let end = chunk.indexOf(10) + 1; end > 0; end = chunk.indexOf(10, end) + 1) {
    const part = chunk.subarray(start, end);
    try {
      if (encoding === "windows-1252") refuseUndefined(part);
      else if (encoding === "utf-8" && !isAscii(part)) new TextDecoder("utf-8", { fatal: true }).decode(part);
    } catch {
      break;
    }
    start = end;
  }
  return chunk.subarray(0, start);
}
