import { formOf } from "./csv-form.ts";
import { openText } from "./text.ts";

/** What columns of figures are called in the Union's files; the first that matches is taken. */
const NAMES: Readonly<Record<string, RegExp>> = {
  electors:
    /^(a_)?(registered|electors|eligible|wahlberechtigte|inscrits|electores|elettori|kiesgerechtigden|uprawnieni|volilni upravičenci|alegători înscriși)/i,
  ballots:
    /^(ballots|voters|votes cast|cast|wähler|votants|votantes|votanti|opgekomen|glasovalo|voti espressi|b_voters)/i,
  blank: /^(blank|blanc|blanco|bianche|weiß)/i,
  invalid: /^(invalid|null|nuls?|nulos|nulle|ungültig|ongeldig|neveljavn|f_null|spoilt|rejected)/i,
};
const VALID = /^(valid|gültig|exprimés|válidos|valide|geldig|veljavn|e_valid)/i;

/**
 * A mapping to begin with: the form that the file shows, columns whose names say what they are, and every other column that holds figures alone as a
 * list whose id is to be entered. Not complete, and not to be used unread.
 */
export async function draftMapping(path: string): Promise<Record<string, unknown>> {
  const text = await openText(path);
  const { delimiter, header, rows } = formOf(text.head);
  const isFigures = (n: number) => rows.length > 0 && rows.every((row) => /^[\d.,'\s\u00a0]*$/.test(row[n] ?? ""));
  const named = new Map<string, string>();
  for (const [field, pattern] of Object.entries(NAMES)) {
    const found = header.find((name, n) => pattern.test(name) && isFigures(n) && ![...named.values()].includes(name));
    if (found !== undefined) named.set(field, found);
  }
  const valid = header.find((name, n) => VALID.test(name) && isFigures(n));
  const lastHead = Math.max(...[...named.values(), valid ?? ""].map((name) => header.indexOf(name)));
  const lists = header.filter((_, n) => n > lastHead && isFigures(n));
  const keys = header.filter((name, n) => n <= lastHead && ![...named.values(), valid].includes(name));
  return {
    format: "csv",
    delimiter,
    encoding: text.encoding,
    unit: `XX-${keys
      .slice(0, 2)
      .map((name) => `{${name}}`)
      .join("-")}`,
    electors: named.get("electors") ?? "",
    ballots: named.get("ballots") ?? "",
    blank: named.get("blank") ?? 0,
    invalid: named.get("invalid") ?? 0,
    totals: valid === undefined ? {} : { [valid]: "votes" },
    votes: Object.fromEntries(lists.map((name, n) => [`XX${String(n + 1).padStart(2, "0")}`, name])),
    ignore: keys.slice(2),
  };
}
