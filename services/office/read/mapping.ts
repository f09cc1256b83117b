import { z } from "zod";

/** How a CSV file is to be understood: which of its columns say what. Lists and units get the definition's ids here. */

const Column = z.string().min(1).max(500);
/** A column, several that are added up, or a figure that the file does not have and that is always the same (0 blank ballots). */
const Figure = z.union([Column, z.array(Column).min(1).max(200), z.number().int().nonnegative()]);
const ListId = z.string().regex(/^[A-Z]{2}\d{2,3}$/);

const common = {
  format: z.literal("csv"),
  encoding: z.enum(["utf-8", "windows-1252", "utf-16le", "utf-16be"]).optional(),
  delimiter: z.string().length(1).optional(),
  /** The mark between thousands: "." or "," or "'" or a blank; "" for none. */
  thousands: z.enum([".", ",", "'", " ", ""]).optional(),
  status: z.enum(["provisional", "final"]).default("final"),
  /** The unit's id: text, with columns between braces: `DE-{land}{kreis}-{district}`. What no id may hold becomes "_". */
  unit: z.string().min(1).max(500),
  /** A file may use an id again: from the second time on, `numbered` adds _2, _3. */
  repeated: z.enum(["refused", "numbered"]).default("refused"),
  electors: Figure,
  ballots: Figure,
  blank: Figure.default(0),
  invalid: Figure.default(0),
  version: Column.optional(),
  reason: Column.optional(),
  /** Figures that the file has twice: a column that must be the sum of the votes, or of other columns. */
  totals: z.record(Column, z.union([z.literal("votes"), z.array(Column).min(1)])).default({}),
  /** Rows that are none of a unit: where this column holds one of these texts. */
  skip: z.array(z.strictObject({ column: Column, is: z.array(z.string()).min(1) })).default([]),
};

const Wide = z.strictObject({
  ...common,
  layout: z.literal("wide").default("wide"),
  /** By list: the column of its votes, or several that are added up. */
  votes: z.record(ListId, z.union([Column, z.array(Column).min(1).max(200)])),
  /** Columns that are of no use here; "all": whatever is named nowhere. */
  ignore: z.union([z.literal("all"), z.array(Column)]).default([]),
});

const Long = z.strictObject({
  ...common,
  layout: z.literal("long"),
  /** The column that names the list, and the one that has its votes. Rows of a unit stand together. */
  list: Column,
  votes: Column,
  /** What stands in the column `list`, by the definition's ids. */
  lists: z.record(z.string(), ListId),
});

export const CsvMapping = z.preprocess(
  (value) =>
    typeof value === "object" && value !== null && !("layout" in value) ? { ...value, layout: "wide" } : value,
  z.discriminatedUnion("layout", [Wide, Long]),
);

export type CsvMapping = z.infer<typeof Wide> | z.infer<typeof Long>;
export type WideMapping = z.infer<typeof Wide>;
export type LongMapping = z.infer<typeof Long>;

/** The parts of a unit template: plain text, and columns. */
export function partsOf(template: string): (string | { column: string })[] {
  return template.split(/(\{[^{}]+\})/).flatMap((part): (string | { column: string })[] => {
    if (part === "") return [];
    return part.startsWith("{") && part.endsWith("}") ? [{ column: part.slice(1, -1) }] : [part];
  });
}
