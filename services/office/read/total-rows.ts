import type { Row } from "./source.ts";

/** Finds rows of totals that were left among the units: by what they are called, and by being the sum of what stands above. */

/** In the Union's languages, as spreadsheets have it. */
const WORDS =
  /^(grand total|totals?|totale|totaal|total general|summe|gesamt|gesamtsumme|gesamtergebnis|insgesamt|sums?|somme|suma|summa|skupaj|ukupno|celkem|spolu|razem|ogółem|összesen|yhteensä|kokku|kopā|iš viso|i alt|iomlán|σύνολο|общо|всичко)[\s:.]*$/iu;

export function looksLikeTotal() {
  let rows = 0;
  let electors = 0;
  let ballots = 0;
  return {
    ofText: (text: string): boolean => text.length > 1 && !/^[\d-]/.test(text) && WORDS.test(text.trim()),
    /** Two rows alike could be chance; the sum of three that is not small cannot. */
    ofFigures(row: Pick<Row, "electors" | "ballots">): boolean {
      if (rows >= 3 && row.ballots === ballots && row.electors === electors && ballots > 1_000) return true;
      rows++;
      electors += row.electors;
      ballots += row.ballots;
      return false;
    },
  };
}
