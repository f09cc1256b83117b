import { MAX_FIGURE } from "../../../shared/statement/types.ts";
import type { FieldName, Place, Row, Sink, SourceCode } from "./source.ts";
import { shortened } from "./source.ts";

/** A figure as a tree of elements or objects holds it: where it stands, and what it is if it is one. */
export interface Figure {
  value: number;
  place: Place;
}

/** The figures of one unit, or of a total, gathered in whatever order they stand. */
export interface Gathered {
  unit: string;
  at: Place;
  heads: Map<"electors" | "ballots" | "blank" | "invalid" | "valid", Figure>;
  votes: Map<string, Figure>;
  isGood: boolean;
}

export const gather = (unit: string, at: Place): Gathered => ({
  unit,
  at,
  heads: new Map(),
  votes: new Map(),
  isGood: true,
});

/** What a text says as a figure, or the code of what is wrong with it. */
export function readFigure(text: string): number | SourceCode {
  const plain = text.trim();
  if (/^\d{1,10}$/.test(plain)) return Number(plain) <= MAX_FIGURE ? Number(plain) : "figure.too-large";
  if (plain === "") return "figure.empty";
  if (/^-\s*\d/.test(plain)) return "figure.negative";
  if (/^[=+@]/.test(plain)) return "figure.formula";
  if (/^\d+$/.test(plain)) return "figure.too-large";
  if (/^\d*[.,]\d+$/.test(plain) || /^\d+([.,]\d*)?e[+-]?\d+$/i.test(plain)) return "figure.fraction";
  return "figure.malformed";
}

/** Tells the sink of a unit as a row. Ballots are what was counted, valid, blank and invalid, unless the file says otherwise. */
export function giveRow(gathered: Gathered, sink: Sink): void {
  const { unit, at, heads, votes, isGood } = gathered;
  if (unit === "") {
    sink.problem({ code: "unit.empty", place: at });
    return;
  }
  if (!isGood) return;
  const figure = (name: Parameters<typeof heads.get>[0]) => heads.get(name)?.value;
  const sum = [...votes.values()].reduce((total, { value }) => total + value, 0);
  const [blank, invalid] = [figure("blank") ?? 0, figure("invalid") ?? 0];
  const valid = heads.get("valid");
  if (valid !== undefined && valid.value !== sum) {
    const detail = `It is ${valid.value}, and the lists have ${sum}.`;
    sink.problem({ code: "total.differs", place: valid.place, detail });
    return;
  }
  const row: Row = {
    unit,
    electors: figure("electors") ?? 0,
    ballots: figure("ballots") ?? sum + blank + invalid,
    blank,
    invalid,
    votes: Object.fromEntries([...votes].map(([list, { value }]) => [list, value])),
    place(field: FieldName) {
      if (field.startsWith("list ")) return votes.get(field.slice(5))?.place ?? at;
      return heads.get(field as "electors")?.place ?? { ...at, ...(field === "unit" && { value: shortened(unit) }) };
    },
  };
  sink.row(row);
}

/** Adds a unit's figures to the sums of its contest, for the file's own total to be compared with. */
export function addUp(sums: Map<string, number>, { heads, votes }: Gathered): void {
  for (const [name, { value }] of [...heads, ...votes]) sums.set(name, (sums.get(name) ?? 0) + value);
}

/**
 * Tells a file's own total, and where it is not what its units add up to. A field that the units do not have is not compared, nor are electors: where one
 * may vote at any station, each of them names them all.
 */
export function compareTotal(total: Gathered, sums: ReadonlyMap<string, number>, sink: Sink): void {
  const figure = (name: "electors" | "blank" | "invalid") => total.heads.get(name)?.value ?? 0;
  const votes = Object.fromEntries([...total.votes].map(([list, { value }]) => [list, value]));
  const valid = Object.values(votes).reduce((sum, value) => sum + value, 0);
  const [electors, blank, invalid] = [figure("electors"), figure("blank"), figure("invalid")];
  sink.total?.({ electors, ballots: valid + blank + invalid, blank, invalid, votes });
  for (const [name, { value, place }] of [...total.heads, ...total.votes]) {
    const sum = sums.get(name);
    if (name === "electors" || sum === undefined || sum === value) continue;
    sink.problem({ code: "total.units", place, detail: `The file's total is ${value}, and its units have ${sum}.` });
  }
}
