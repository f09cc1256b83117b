/** What a check may find, in the words that the page shows. */
export const HOLDS = "holds";
export const BROKEN = "does not hold";
export const PENDING = "not possible yet";

const line = (state) => (sentence, more) => ({ state, sentence, ...more });

/** A line of the page. `more`: `facts` ([label, value] each), `table` (`{caption, columns, rows}`), `text` (`{label, value}`). */
export const holds = line(HOLDS);
export const broken = line(BROKEN);
export const pending = line(PENDING);

/** The server did not answer, or was too slow. */
export class Unreachable extends Error {}

/** Why the server keeps something back, by the code of its refusal. */
const REFUSALS = {
  "embargo.in-force":
    "The figures are not public yet. No result may be given before the last poll in the Union has closed (1976 Electoral Act, Article 10(2)); come back after the lift.",
  "statement.not-released": "It is not public yet: it opens with the next release.",
  "log.unknown": "It is not public yet: it opens with the next release.",
  "statement.withheld": "It is not public yet: the trustees hold this state's results back.",
};

/** The line for an answer that was not given: `{status, code}` of the server. */
export function keptBack({ status, code }) {
  return pending(
    REFUSALS[code] ?? `The server did not give it (${code ?? `status ${status}`}). Try again in a moment.`,
  );
}
