import type { Definition } from "../../../shared/definition/schema.ts";
import { cell, hundredths, type Row, readRows, whole } from "./source.ts";
import { STATES } from "./states.ts";

/** What the offices without stations report: one tally a constituency, and declared seats where nothing is computed. */
export interface NationalFeed {
  /** Votes that stand for one hundredth of a percent in a tally that is rebuilt; a scale, not a count. */
  votesPerHundredth: number;
  tallies: NationalTally[];
  seats: { state: string; constituency: string; seats: Record<string, number> }[];
}

export interface NationalTally {
  state: string;
  unit: string;
  /** Which of its figures are not published as they stand here. */
  rebuilt: ("votes" | "ballots" | "electors")[];
  electors: number;
  ballots: number;
  blank: number;
  invalid: number;
  votes: Record<string, number>;
}

/**
 * A million votes for all valid votes of a state: enough that no rounding of ours touches the two published decimals,
 * and too round a number to be taken for a count.
 */
const VOTES_PER_HUNDREDTH = 100;

/** The Parliament's list ids of the absolute votes; Germany's are the sums of its districts. */
const ABSOLUTE_LISTS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  AT: { ÖVP: "AT01", SPÖ: "AT02", FPÖ: "AT03", GRÜNE: "AT04", NEOS: "AT05", KPÖ: "AT06", DNA: "AT90" },
  DK: {
    V: "DK01",
    A: "DK02",
    F: "DK03",
    O: "DK04",
    B: "DK05",
    C: "DK06",
    Ø: "DK07",
    Å: "DK08",
    I: "DK09",
    M: "DK10",
    Æ: "DK11",
  },
};

/** The feed of every state but Romania and Slovenia; `germany` is the sum of Germany's districts. */
export function nationalFeed(
  folder: string,
  definition: Pick<Definition, "states">,
  germany: Omit<NationalTally, "state" | "unit" | "rebuilt">,
): NationalFeed {
  const turnout = new Map(
    readRows(folder, "states-official.csv").map((row) => [
      cell(row, "member_state"),
      hundredths(row, "turnout_pct_2024_06_12"),
    ]),
  );
  const shares = publishedShares(folder);
  const tallies: NationalTally[] = [];
  const seats: NationalFeed["seats"] = [];
  for (const state of definition.states) {
    if (state.id === "RO" || state.id === "SI") continue;
    const t = turnout.get(state.id);
    if (t === undefined) throw new SyntaxError(`${state.id} has no published turnout`);
    if (state.id === "DE") tallies.push({ state: "DE", unit: "DE-national", rebuilt: [], ...germany });
    else if (state.id === "AT") tallies.push(austria(folder));
    else if (state.id === "DK") tallies.push(denmark(folder, t));
    else if (state.id === "BE") tallies.push(...belgium(folder, shares, t));
    else tallies.push(rebuilt(state.id, `${state.id}-national`, sharesOf(state, shares), t));
    for (const { id, allocation } of state.constituencies)
      if (allocation.method === "declared")
        seats.push({ state: state.id, constituency: id, seats: declaredSeats(folder, state.id) });
  }
  return { votesPerHundredth: VOTES_PER_HUNDREDTH, tallies, seats };
}

/** Percent of the valid votes per list, in hundredths; members of coalitions have none of their own. */
function publishedShares(folder: string): Map<string, number> {
  const lists = readRows(folder, "lists-official.csv").filter((row) => cell(row, "coalition_id") === "");
  return new Map(lists.map((row) => [cell(row, "list_id"), hundredths(row, "votes_percent")]));
}

function sharesOf(state: Definition["states"][number], shares: Map<string, number>): Map<string, number> {
  return new Map(state.lists.map(({ id }) => [id, shares.get(id) ?? 0]));
}

/** A tally whose every figure is rebuilt. `shares` are hundredths of a percent of the constituency's valid votes. */
function rebuilt(state: string, unit: string, shares: Map<string, number>, turnout: number): NationalTally {
  const perBallot = STATES[state]?.votesPerBallot ?? 1;
  const votes = Object.fromEntries(
    [...shares].map(([id, share]) => [id, Math.round(share * VOTES_PER_HUNDREDTH * perBallot)]),
  );
  const ballots = Math.ceil(sum(votes) / perBallot);
  return { ...all(state, unit), electors: electorsFor(ballots, turnout), ballots, blank: 0, invalid: 0, votes };
}

const all = (state: string, unit: string): Pick<NationalTally, "state" | "unit" | "rebuilt"> => ({
  state,
  unit,
  rebuilt: ["votes", "ballots", "electors"],
});

/** The electorate that gives the published turnout (hundredths of a percent) for these ballots. */
const electorsFor = (ballots: number, turnout: number): number => Math.round((ballots * 10_000) / turnout);

/**
 * Belgium's colleges publish shares of their own votes, and the Parliament shares of all Belgian votes: a college's weight is the sum
 * of its lists' Belgian shares, so that both come out right.
 */
function belgium(folder: string, shares: Map<string, number>, turnout: number): NationalTally[] {
  return ["FBE", "WBE", "GBE"].map((college) => {
    const rows = collegeRows(folder, college);
    const weight = rows.reduce((total, row) => total + (shares.get(cell(row, "PARTY_ID")) ?? 0), 0);
    const weighted = new Map(
      rows.map((row) => [cell(row, "PARTY_ID"), (hundredths(row, "VOTES_PERCENT") * weight) / 10_000]),
    );
    return rebuilt("BE", `BE-${college}-college`, weighted, turnout);
  });
}

/** The Parliament's sheet of a Belgian college. */
export function collegeRows(folder: string, college: string): Row[] {
  return readRows(folder, `parliament-data-sheets/results-parties-${college.toLowerCase()}.csv`, ";");
}

function absoluteVotes(folder: string, state: string): Record<string, number> {
  const ids = ABSOLUTE_LISTS[state] ?? {};
  const rows = readRows(folder, "votes-absolute-partial.csv").filter(
    (row) => cell(row, "member_state") === state && cell(row, "status") === "final",
  );
  const votes: Record<string, number> = {};
  for (const row of rows) {
    const id = ids[cell(row, "name")];
    if (id === undefined) throw new SyntaxError(`${state}: no list for ${cell(row, "name")}`);
    votes[id] = whole(row, "votes");
  }
  return Object.fromEntries(Object.entries(votes).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function totals(folder: string, state: string): Row {
  const rows = readRows(folder, "state-totals-partial.csv");
  const row = rows.find((r) => cell(r, "member_state") === state && cell(r, "status") === "final");
  if (row === undefined) throw new SyntaxError(`${state} has no final totals`);
  return row;
}

function austria(folder: string): NationalTally {
  const votes = absoluteVotes(folder, "AT");
  const electors = whole(totals(folder, "AT"), "electorate");
  return {
    state: "AT",
    unit: "AT-national",
    rebuilt: ["ballots"],
    electors,
    ballots: sum(votes),
    blank: 0,
    invalid: 0,
    votes,
  };
}

function denmark(folder: string, turnout: number): NationalTally {
  const row = totals(folder, "DK");
  const ballots = whole(row, "votes_cast");
  const [blank, invalid] = [whole(row, "blank"), whole(row, "invalid")];
  const votes = absoluteVotes(folder, "DK");
  const electors = electorsFor(ballots, turnout);
  return { state: "DK", unit: "DK-national", rebuilt: ["electors"], electors, ballots, blank, invalid, votes };
}

function declaredSeats(folder: string, state: string): Record<string, number> {
  const lists = readRows(folder, "lists-official.csv").filter(
    (row) => cell(row, "member_state") === state && cell(row, "coalition_id") === "",
  );
  return Object.fromEntries(lists.map((row) => [cell(row, "list_id"), whole(row, "seats")]));
}

const sum = (votes: Record<string, number>): number => Object.values(votes).reduce((total, n) => total + n, 0);
