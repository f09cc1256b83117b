/**
 * Columns of a unit's row; the votes of the constituency's lists follow, in the definition's order. Version 0: not counted yet. `FIRST`
 * and `REPLACED` are indices of entries: the first tally that was counted, and the last that took another one's place (0 for none).
 */
export const VERSION = 0;
export const FIRST = 1;
export const REPLACED = 2;
/** From here on a column is a figure, and has its sum. */
export const ELECTORS = 3;
export const BALLOTS = 4;
export const BLANK = 5;
export const INVALID = 6;
export const VOTES = 7;
