import { type CsvForm, plainName, type Thousands, thousandsIn } from "./csv-form.ts";
import { type CsvMapping, partsOf } from "./mapping.ts";
import { type SourceProblem, shortened } from "./source.ts";

/** Positions that are added up, and a constant beside them. */
export interface Sum {
  columns: readonly number[];
  constant: number;
}

/** A mapping bound to the columns that a file has: every name is a position. */
export interface Columns {
  names: readonly string[];
  unit: (string | number)[];
  electors: Sum;
  ballots: Sum;
  blank: Sum;
  invalid: Sum;
  version: number | undefined;
  reason: number | undefined;
  /** Wide: the columns of each list, in the mapping's order. */
  lists: { id: string; sum: Sum }[];
  /** Long: where the list and its votes stand. */
  long: { list: number; votes: number; ids: ReadonlyMap<string, string> } | undefined;
  /** A position whose figure is the sum of others, or of all votes. */
  totals: { column: number; of: "votes" | Sum }[];
  skip: { column: number; is: ReadonlySet<string> }[];
  /** Positions of which nothing is read as a figure. */
  texts: number[];
  thousands: Thousands;
}

/** Binds a mapping to a file's first line. Tells everything that does not fit, and answers undefined then. */
export function bindColumns(
  mapping: CsvMapping,
  form: CsvForm,
  problem: (problem: SourceProblem) => void,
): Columns | undefined {
  const { header } = form;
  const position = new Map<string, number>();
  const twice = new Set<string>();
  for (const [n, name] of header.entries()) {
    if (position.has(name)) twice.add(name);
    else position.set(name, n);
  }
  /** All that does not fit is told at once: a mapping of another file misses every column. */
  const missing = new Set<string>();
  const unmapped: number[] = [];
  const used = new Set<number>();
  const find = (given: string): number => {
    const name = plainName(given);
    const at = position.get(name);
    if (at === undefined || twice.has(name)) {
      missing.add(name);
      return 0;
    }
    used.add(at);
    return at;
  };
  const figure = (given: string | string[] | number): Sum =>
    typeof given === "number" ? { columns: [], constant: given } : { columns: [given].flat().map(find), constant: 0 };
  const lists =
    mapping.layout === "wide" ? Object.entries(mapping.votes).map(([id, given]) => ({ id, sum: figure(given) })) : [];
  const columns: Columns = {
    names: header,
    unit: partsOf(mapping.unit).map((part) => (typeof part === "string" ? part : find(part.column))),
    electors: figure(mapping.electors),
    ballots: figure(mapping.ballots),
    blank: figure(mapping.blank),
    invalid: figure(mapping.invalid),
    version: mapping.version === undefined ? undefined : find(mapping.version),
    reason: mapping.reason === undefined ? undefined : find(mapping.reason),
    lists,
    long:
      mapping.layout === "long"
        ? { list: find(mapping.list), votes: find(mapping.votes), ids: new Map(Object.entries(mapping.lists)) }
        : undefined,
    totals: Object.entries(mapping.totals).map(([column, of]) => ({
      column: find(column),
      of: of === "votes" ? of : figure(of),
    })),
    skip: mapping.skip.map(({ column, is }) => ({ column: find(column), is: new Set(is) })),
    texts: [],
    thousands: "",
  };
  if (mapping.layout === "wide" && mapping.ignore !== "all") {
    for (const name of mapping.ignore) find(name);
    for (const [n, name] of header.entries()) if (!used.has(n) && !twice.has(name)) unmapped.push(n);
  }
  const [absent] = missing;
  if (absent !== undefined) {
    const at = position.get(absent);
    const place = { line: 1, name: absent, ...(at !== undefined && { column: at + 1 }) };
    problem({ code: "header.column", place, detail: `It is about ${some([...missing])}.` });
  }
  // A file that has hardly a column of the mapping is not the one that was mapped: what else it has says nothing.
  if (unmapped.length > 0 && missing.size <= used.size) {
    const names = unmapped.map((n) => header[n] ?? "");
    const [first = 0] = unmapped;
    const place = { line: 1, column: first + 1, name: shortened(names[0] ?? "") };
    problem({ code: "header.unmapped", place, detail: `It is about ${some(names)}.` });
  }
  if (missing.size > 0 || unmapped.length > 0) return undefined;
  const { electors, ballots, blank, invalid, long } = columns;
  const figures = [electors, ballots, blank, invalid, ...lists.map(({ sum }) => sum)].flatMap((sum) => sum.columns);
  if (long !== undefined) figures.push(long.votes);
  columns.texts = header.map((_, n) => n).filter((n) => !figures.includes(n));
  columns.thousands = mapping.thousands ?? thousandsIn(form, figures);
  return columns;
}

const MOST_NAMED = 5;

function some(names: readonly string[]): string {
  const named = names.slice(0, MOST_NAMED).map((name) => `"${shortened(name)}"`);
  const more = names.length - named.length;
  return more > 0 ? `${named.join(", ")} and ${more} more` : named.join(", ");
}
