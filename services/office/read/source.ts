/**
 * What every reader of a count file makes of it, whatever its format: one row for each unit, as the file has it, and everything that is
 * wrong with the file by line and column. Readers stream: what they keep does not grow with the file.
 */

/** Where something stands in the file. Lines and columns count from 1; `value` is what stands there, shortened. */
export interface Place {
  line: number;
  column?: number;
  /** The column's or element's name. */
  name?: string;
  value?: string;
}

/** A field of a row: a figure, the unit, or a list by its id. */
export type FieldName = "unit" | "electors" | "ballots" | "blank" | "invalid" | "version" | "reason" | `list ${string}`;

/** One unit's figures as understood: ids of the definition where the mapping gives them, the file's own elsewhere. */
export interface Row {
  unit: string;
  electors: number;
  ballots: number;
  blank: number;
  invalid: number;
  votes: Record<string, number>;
  /** Given by the file itself; else the office counts versions. */
  version?: number;
  reason?: string;
  /** Where a field stands. Only good until `row` returns: what it reads is overwritten by the next row. */
  place(field: FieldName): Place;
}

/** Why a file, or a row of it, cannot be understood. */
export interface SourceProblem {
  /** Stable: `file.encoding`, `row.fields`, `figure.negative` … see SOURCE_CODES. */
  code: SourceCode;
  place: Place;
  /** What is wrong here, in a sentence, where the code's own sentence does not say enough. */
  detail?: string;
}

/** What a reader tells of; both are called in the file's order. */
export interface Sink {
  row(row: Row): void;
  problem(problem: SourceProblem): void;
  /** The file's own total of the units before it, where it has one. */
  total?(total: Totals): void;
}

/** Figures that are added up over units. */
export interface Totals {
  electors: number;
  ballots: number;
  blank: number;
  invalid: number;
  votes: Record<string, number>;
}

/** What is shown before a file is used: how it was understood. */
export interface Understood {
  format: "csv" | "eml" | "nist";
  encoding: string;
  /** For people: "semicolons between columns", "thousands with a point". */
  notes: string[];
}

/** The closed catalogue of what can be wrong with a file. `fatal`: reading ends there. */
export const SOURCE_CODES = {
  "file.empty": { means: "The file holds no row.", todo: "Give the file with the figures.", fatal: true },
  "file.encoding": {
    means: "The file is not text in the encoding that it seems to have.",
    todo: "Save it again as UTF-8, or name its encoding in the mapping.",
    fatal: true,
  },
  "file.cut": {
    means: "The file ends in the middle.",
    todo: "Export it again, and compare its size with the original's.",
    fatal: true,
  },
  "file.format": {
    means: "This is no format that is understood.",
    todo: "Give CSV with a mapping, EML 510, or NIST 1500-100 JSON.",
    fatal: true,
  },
  "file.hostile": {
    means: "The file holds something that no count file needs and that could do harm.",
    todo: "Find out where it comes from. Do not open it elsewhere.",
    fatal: true,
  },
  "row.too-long": {
    means: "A row, or a value, is longer than any count needs.",
    todo: "Look at the line: a quotation mark may be missing, or a line end.",
    fatal: true,
  },
  "header.column": {
    means: "A column that the mapping names is missing, or stands twice.",
    todo: "Compare the first line with the mapping.",
    fatal: true,
  },
  "header.unmapped": {
    means: "The file has a column that the mapping says nothing about.",
    todo: "Map it to a list, or name it under `ignore`.",
    fatal: true,
  },
  "row.fields": {
    means: "The row has more or fewer fields than the first line has.",
    todo: "Look for a delimiter or a quotation mark too many in this line.",
    fatal: false,
  },
  "row.quotes": {
    means: "A quotation mark stands where none belongs.",
    todo: "Quote the whole field and double the marks within it.",
    fatal: false,
  },
  "row.total": {
    means: "This looks like a row of totals, not like a unit.",
    todo: "Remove it, or name it under `skip` in the mapping.",
    fatal: false,
  },
  "unit.empty": { means: "The row names no unit.", todo: "Give the unit's id.", fatal: false },
  "unit.malformed": {
    means: "What the mapping makes of this row is no unit id.",
    todo: "Compare the mapping's `unit` with the definition's ids.",
    fatal: false,
  },
  "list.unknown": {
    means: "The mapping has no list of this name.",
    todo: "Add it to `lists`, spelled as in the file.",
    fatal: false,
  },
  "list.twice": { means: "The unit has two figures for the same list.", todo: "Keep one of them.", fatal: false },
  "figure.empty": { means: "There is no figure.", todo: "Enter it; a zero is a figure, a blank is not.", fatal: false },
  "figure.negative": { means: "A count cannot be negative.", todo: "Compare it with the protocol.", fatal: false },
  "figure.fraction": {
    means: "A count is a whole number.",
    todo: "Compare it with the protocol; if the mark stands between thousands, say so in the mapping.",
    fatal: false,
  },
  "figure.malformed": {
    means: "This is no whole number.",
    todo: "Compare it with the protocol; look for a letter, a blank or a mark too many.",
    fatal: false,
  },
  "figure.formula": {
    means: "This is a formula or a text that a spreadsheet would carry out, not a figure.",
    todo: "Find out who wrote it. Save the values, not the formulas.",
    fatal: false,
  },
  "figure.too-large": {
    means: "No unit of the Union counts that many.",
    todo: "Compare it with the protocol.",
    fatal: false,
  },
  "total.differs": {
    means: "The file's own total is not the sum of what it holds.",
    todo: "Compare both with the protocol: a row or a figure may be missing or stand twice.",
    fatal: false,
  },
  "total.units": {
    means: "The file's own total is not the sum of its units.",
    todo: "Ask whoever made it which of them is right; the units are what is signed.",
    fatal: false,
    warning: true,
  },
} as const satisfies Record<string, { means: string; todo: string; fatal: boolean; warning?: boolean }>;

export type SourceCode = keyof typeof SOURCE_CODES;

const MAX_SHOWN = 60;

/** Somebody else's text as it is shown: no longer than a line. */
export const shortened = (text: string): string => (text.length <= MAX_SHOWN ? text : `${text.slice(0, MAX_SHOWN)}…`);
