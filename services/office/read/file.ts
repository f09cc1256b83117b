import { readFile } from "node:fs/promises";
import type { z } from "zod";
import type { Tally } from "../../../shared/statement/types.ts";
import { Refusal } from "../refusal.ts";
import { readCsv } from "./csv-rows.ts";
import { readEml } from "./eml.ts";
import { CsvMapping } from "./mapping.ts";
import { readNist } from "./nist.ts";
import type { Sink, Understood } from "./source.ts";
import { headOf, openText, type Text } from "./text.ts";
import { TreeMapping } from "./tree-mapping.ts";

/** A file of figures, opened: its format is known, and how it is to be read. */
export interface CountFile {
  path: string;
  /** What its mapping says of the figures' status. */
  status: Tally["status"];
  /** Tells the sink of every row and problem. `pause` is waited for now and then. */
  read(sink: Sink, pause?: () => Promise<void>): Promise<void>;
}

/** Opens a file with its mapping; `before` is told how it is understood, before its first row. Rejects with a Refusal if either cannot be used. */
export async function openCount(
  path: string,
  mappingPath: string | undefined,
  before: (understood: Understood) => void,
): Promise<CountFile> {
  const given = mappingPath === undefined ? undefined : await readJson(mappingPath);
  await refuseOtherFormats(path);
  const named = (given as { format?: unknown } | undefined)?.format;
  if (named === "csv" || (given === undefined && (await treeOf(path)) === undefined)) {
    if (given === undefined || mappingPath === undefined)
      throw new Refusal("mapping.missing", `${path} is CSV, and nothing says what its columns are.`);
    const mapping = valid(CsvMapping, given, mappingPath);
    const text = await openText(path, mapping.encoding);
    return { path, status: mapping.status, read: (sink, pause) => readCsv(text, mapping, sink, before, pause) };
  }
  const mapping = valid(TreeMapping, given ?? {}, mappingPath ?? "the mapping");
  const format = mapping.format ?? (await treeOf(path));
  if (format === undefined)
    throw new Refusal("mapping.malformed", `${path} is CSV, and its mapping is none for CSV (format).`);
  const text: Text = await openText(path);
  const reader = format === "eml" ? readEml : readNist;
  return { path, status: mapping.status, read: (sink, pause) => reader(text, mapping, sink, before, pause) };
}

/** XML begins with a bracket, JSON with a brace; a table with neither. */
async function treeOf(path: string): Promise<"eml" | "nist" | undefined> {
  const { head } = await openText(path);
  const first = head.toString("utf8", 0, 1_000).trimStart()[0];
  return first === "<" ? "eml" : first === "{" ? "nist" : undefined;
}

/** What clerks have open beside the file that they mean: by its first bytes. */
const OTHERS: [string, number[]][] = [
  ["a workbook (xlsx, ods) or an archive", [0x50, 0x4b, 0x03, 0x04]],
  ["a workbook of an old kind (xls)", [0xd0, 0xcf, 0x11, 0xe0]],
  ["a PDF", [0x25, 0x50, 0x44, 0x46]],
  ["compressed (gzip)", [0x1f, 0x8b]],
];

async function refuseOtherFormats(path: string): Promise<void> {
  const first = await headOf(path, 4);
  const [other] = OTHERS.find(([, magic]) => magic.every((byte, n) => first[n] === byte)) ?? [];
  if (other !== undefined) throw new Refusal("file.other-format", `${path} is ${other}, not a table of text.`);
}

async function readJson(path: string): Promise<unknown> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new Refusal("file.unreadable", `${path} cannot be read (${error.code ?? error.message}).`);
  });
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Refusal("mapping.malformed", `${path} is not JSON: ${(error as Error).message}.`);
  }
}

function valid<T>(shape: z.ZodType<T>, value: unknown, path: string): T {
  const read = shape.safeParse(value);
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  throw new Refusal("mapping.malformed", `${path}: ${issue?.path.join(".") || "it"}: ${issue?.message}.`);
}
