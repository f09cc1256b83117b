/**
 * The release document: what the Parliament gets. Written as canonical JSON (RFC 8785), byte for byte a function of the
 * definition, a prefix of the log and the release before it, so that two counts that share no counting code must
 * write the same bytes. Integers and strings only; rows stand in the definition's order.
 */

/** Figures of a constituency, a state or the Union. `valid` is the sum of the votes of all lists. */
export interface Figures {
  /** Units of the definition, and how many of them have an accepted tally. */
  units: { expected: number; counted: number };
  electors: number;
  ballots: number;
  blank: number;
  invalid: number;
  valid: number;
  /** ballots / electors in percent, rounded half up to two decimals ("50.74"); null without electors. */
  turnout: string | null;
}

/**
 * Seats that equal claims leave open until a signed `draw`: `seats` of them, between these contenders (list ids, or
 * alliance ids in the first allocation; sorted by code point), where the tie arose.
 */
export interface Tie {
  constituency: string;
  /** `seats`: between lists (or alliances) of the constituency; an alliance's id: between its lists. */
  within: string;
  between: string[];
  seats: number;
}

export interface ListResult {
  id: string;
  votes: number;
  seats: number;
}

export interface ConstituencyResult extends Figures {
  constituency: string;
  seats: { total: number; allocated: number };
  lists: ListResult[];
}

/** A list of which the office has declared another number of seats than its votes compute to. */
export interface SeatDifference {
  constituency: string;
  list: string;
  computed: number;
  declared: number;
}

/** A tally that changed what a release had shown of its unit: the version that stands now, and the office's reason if it gave one. */
export interface Correction {
  unit: string;
  version: number;
  reason: string | null;
}

/** More corrections than this of one state are only counted: a release stays small, and the log holds them all. */
export const MAX_CORRECTIONS = 100;

export interface StateResult extends Figures {
  state: string;
  /** The Parliament's word for the state of its figures. */
  status: "PROVISIONAL" | "FINAL" | "OFFICIAL";
  /**
   * A held state is published as withheld: every figure of it is 0, `lists`, `constituencies`, `ties`, `differences` and `corrections`
   * are empty, `groups` is {}.
   */
  withheld: boolean;
  seatsFrom: "computed" | "declared";
  votesFrom: "counted" | "rebuilt";
  seats: { total: number; allocated: number };
  /** Seats per political group, groups without a seat left out. */
  groups: Record<string, number>;
  lists: (ListResult & { groups: Record<string, number> })[];
  constituencies: ConstituencyResult[];
  ties: Tie[];
  /**
   * Where the office's declared seats are not the computed ones, by constituency and list in the definition's order. `seats` are the
   * computed ones all the same. Always empty where seats are only declared, and where nothing was declared.
   */
  differences: SeatDifference[];
  /** Units that the last release which showed this state had counted and whose tally has been replaced since. */
  corrected: number;
  /**
   * These tallies, in the log's order: those among the state's last `MAX_CORRECTIONS` units that were ever corrected. Where `corrected` is
   * more, the log says the rest. What a revoked key takes back is no correction: the key's own entry says so.
   */
  corrections: Correction[];
}

export interface Release {
  type: "release";
  election: string;
  mode: "live" | "exercise";
  definition: string;
  number: number;
  status: "PROVISIONAL" | "FINAL" | "OFFICIAL";
  checkpoint: { origin: string; size: number; root: string };
  /** When the last entry of the prefix was received. */
  asOf: string;
  /** SHA-256 of the release before it, null for the first. */
  previous: string | null;
  /**
   * The Union. `units` counts all states that are not withheld; electors, ballots, blank, invalid, valid and turnout only the
   * states in `votesOf`: those whose votes are counted, not rebuilt, and that are not withheld.
   */
  union: Figures & { votesOf: string[]; seats: { total: number; allocated: number }; groups: Record<string, number> };
  states: StateResult[];
}

/** What of a release does not follow from the definition and the entries alone. */
export interface ReleaseHeader {
  number: number;
  checkpoint: { origin: string; size: number; root: string };
  asOf: string;
  previous: string | null;
}
