import { readFile } from "node:fs/promises";
import { Refusal } from "../refusal.ts";
import { readCsv } from "./csv-rows.ts";
import { CsvMapping } from "./mapping.ts";
import type { Sink, Understood } from "./source.ts";
import { headOf, openText, type Text } from "./text.ts";

/** A file of figures, opened: its format is known, and how it is to be read. */
export interface CountFile {
  path: string;
  text: Text;
  mapping: CsvMapping;
  /** Told how the file is understood, before its first row. */
  before(understood: Understood): void;
}

/** Opens a file with its mapping. Rejects with a Refusal if either cannot be used. */
export async function openCount(
  path: string,
  mappingPath: string | undefined,
  before: (understood: Understood) => void,
): Promise<CountFile> {
  const mapping = mappingPath === undefined ? undefined : await readMapping(mappingPath);
  await refuseOtherFormats(path);
  if (mapping === undefined)
    throw new Refusal("mapping.missing", `${path} is CSV, and nothing says what its columns are.`);
  return { path, text: await openText(path, mapping.encoding), mapping, before };
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

/** Reads a file from its beginning. `pause` is waited for now and then. */
export async function readCount({ text, mapping, before }: CountFile, sink: Sink, pause?: () => Promise<void>) {
  await readCsv(text, mapping, sink, before, pause);
}

async function readMapping(path: string): Promise<CsvMapping> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new Refusal("file.unreadable", `${path} cannot be read (${error.code ?? error.message}).`);
  });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Refusal("mapping.malformed", `${path} is not JSON: ${(error as Error).message}.`);
  }
  const read = CsvMapping.safeParse(value);
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  throw new Refusal("mapping.malformed", `${path}: ${issue?.path.join(".") || "it"}: ${issue?.message}.`);
}
