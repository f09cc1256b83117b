import type { Allocation, Closing, Constituency, State } from "../../../shared/definition/schema.ts";

/**
 * What the published tables do not hold in a form that a machine can read: names, the meaning of their formulas, second
 * closings, alliances and links, and what is doubtful. Everything else comes from the tables.
 */

const DHONDT: Allocation = { method: "divisor", divisors: "dhondt" };
const HARE: Allocation = { method: "quota", quota: "hare", of: "qualified" };
const DECLARED: Allocation = { method: "declared" };

/** The formulas of `rules.json`. Poland and Italy pool their constituencies: the national allocation decides the lists' seats. */
export const FORMULAS: Readonly<Record<string, Allocation>> = {
  dhondt: DHONDT,
  dhondt_with_list_alliances: DHONDT,
  dhondt_national_then_hare_to_13_constituencies: DHONDT,
  // Luxembourg fills what the Hagenbach-Bischoff quota leaves by highest averages, which gives D'Hondt's seats.
  hagenbach_bischoff: DHONDT,
  sainte_lague: { method: "divisor", divisors: "sainte-lague" },
  "modified_sainte_lague_1.2": { method: "divisor", divisors: "sainte-lague", first: "1.2" },
  hare_largest_remainder: HARE,
  hare_largest_remainder_national: HARE,
  droop_quota_all_valid_votes_largest_remainder: { method: "quota", quota: "droop", of: "valid" },
  hagenbach_bischoff_quota_largest_remainder: { method: "quota", quota: "hagenbach-bischoff", of: "qualified" },
  stv_droop: DECLARED,
};

/** The electoral colleges of Belgium, by the Parliament's ids. */
export const COLLEGES = {
  FBE: "Dutch-speaking electoral college",
  WBE: "French-speaking electoral college",
  GBE: "German-speaking electoral college",
} as const;

/** Lists that are one person: the Parliament's table calls every list a party or a coalition. */
export const INDEPENDENTS: ReadonlySet<string> = new Set(["RO08", "CY10"]);

/** A closing beside the one in `poll-closings.csv`. */
type ExtraClosing = Pick<Closing, "where" | "timezone" | "utc" | "counts" | "doubt">;

interface StateFacts {
  name: string;
  votesFrom?: "counted";
  votesPerBallot?: number;
  closings?: ExtraClosing[];
  closingDoubt?: string;
  rules?: Pick<Constituency, "alliances" | "links">;
  doubts?: string[];
}

const DANISH_ALLIANCES =
  "No file of the published data holds the alliance; declared from encyclopaedic sources. The seats of 2024 are the same without it.";

export const STATES: Readonly<Record<string, StateFacts>> = {
  AT: {
    name: "Austria",
    votesFrom: "counted",
    doubts: [
      "The final number of ballots is not in the published data: ballots are given as the sum of the final list votes, invalid as 0, so the turnout shown is below the published 56.30 %.",
    ],
  },
  BE: {
    name: "Belgium",
    doubts: ["A college's turnout is not published: Belgium's is used for each of the three."],
  },
  BG: {
    name: "Bulgaria",
    closingDoubt: "Voters who queue at the close may vote for another hour; no source confirms it.",
    doubts: [
      'BG90 mixes the other parties with "I support no one", which the threshold\'s base leaves out; it is counted as other parties. No list lies between the two possible thresholds.',
    ],
  },
  CY: {
    name: "Cyprus",
    doubts: ["CY10 (Fidias Panayiotou) stood alone and is an independent here; he could take one seat and took one."],
  },
  CZ: { name: "Czechia" },
  DE: {
    name: "Germany",
    votesFrom: "counted",
    doubts: [
      "The Parliament publishes CDU and CSU as one list, DE01; their votes are joined. In law they are two lists (23 and 6 seats); joined they take the same 29.",
      "Kinds 6 and 8 of the source are five special districts that its documentation does not explain.",
    ],
  },
  DK: {
    name: "Denmark",
    votesFrom: "counted",
    rules: {
      alliances: [
        { id: "DK-red", lists: ["DK02", "DK03", "DK08"], doubt: DANISH_ALLIANCES },
        { id: "DK-blue", lists: ["DK06", "DK09"], doubt: DANISH_ALLIANCES },
        { id: "DK-centre", lists: ["DK01", "DK05", "DK10"], doubt: DANISH_ALLIANCES },
        { id: "DK-right", lists: ["DK04", "DK11"], doubt: DANISH_ALLIANCES },
      ],
    },
    doubts: ["The electorate is not in the published data: electors are rebuilt from the published turnout."],
  },
  EE: { name: "Estonia" },
  EL: { name: "Greece" },
  ES: {
    name: "Spain",
    closings: [{ where: "Canary Islands", timezone: "Atlantic/Canary", utc: "2024-06-09T19:00:00Z", counts: true }],
  },
  FI: { name: "Finland" },
  FR: { name: "France" },
  HR: {
    name: "Croatia",
    closings: [
      {
        where: "Los Angeles, the last station abroad",
        timezone: "America/Los_Angeles",
        utc: "2024-06-10T02:00:00Z",
        counts: false,
        doubt: "It closes after the Union's last closing; the practice of Article 10(2) did not wait for it.",
      },
    ],
  },
  HU: { name: "Hungary" },
  IE: {
    name: "Ireland",
    doubts: [
      "Three constituencies, published as one national unit; seats are declared (single transferable vote).",
      "IE03 is the sum of all independents, two of whom were elected; it is a list here.",
    ],
  },
  IT: {
    name: "Italy",
    rules: {
      links: [
        {
          list: "IT08",
          to: "IT04",
          seats: 1,
          condition:
            "A list of a linguistic minority that is linked to a national list takes a seat of the pair if its first candidate has more than 50,000 preferences (law 18/1979, articles 12, 21 and 22); declared as met.",
          doubt: "The number of preferences and the declaration of the link are in no file of the published data.",
        },
      ],
    },
    doubts: ["Five constituencies, pooled nationally and published as one national unit."],
  },
  LT: {
    name: "Lithuania",
    doubts: [
      "The threshold is 5 % of ballots cast, invalid ones too, which are not in the published data: ballots are given as the valid votes. LT08 (5.25 %) may have been below it; it wins no seat either way.",
    ],
  },
  LU: {
    name: "Luxembourg",
    votesPerBallot: 6,
    doubts: ["A voter has six votes; percentages are of list votes, and ballots are rebuilt as a sixth of them."],
  },
  LV: { name: "Latvia" },
  MT: { name: "Malta", doubts: ["Seats are declared (single transferable vote)."] },
  NL: {
    name: "Netherlands",
    closings: [
      {
        where: "Bonaire, Sint Eustatius and Saba",
        timezone: "America/Kralendijk",
        utc: "2024-06-07T01:00:00Z",
        counts: false,
        doubt: "The hour is that of 2019; it lies three days before the Union's last closing and decides nothing.",
      },
    ],
  },
  PL: { name: "Poland", doubts: ["Thirteen constituencies, pooled nationally and published as one national unit."] },
  PT: {
    name: "Portugal",
    closings: [{ where: "Azores", timezone: "Atlantic/Azores", utc: "2024-06-09T19:00:00Z", counts: true }],
  },
  RO: {
    name: "Romania",
    votesFrom: "counted",
    closingDoubt:
      "Voters who queue at the close may vote until 23:59, a minute before the Union's last closing; the scheduled close counts.",
    doubts: [
      "The Parliament publishes one of four independents (RO08); the other three are in RO90 and none reached the share that independents need.",
      "A ballot is a valid or a null vote; in 1,008 final protocols that differs from the number of voters.",
    ],
  },
  SE: { name: "Sweden" },
  SI: {
    name: "Slovenia",
    votesFrom: "counted",
    doubts: [
      "The sum of the stations is below the published national total: postal and special votes are reported by district, not by station. SDS has 30.76 % of the stations' votes and 30.59 % as published; the seats are the same.",
    ],
  },
  SK: { name: "Slovakia" },
};

/** Limits above which a figure is asked about: about one unit in fifty of the real night passes each. */
const NATIONAL: State["kinds"][number] = {
  id: "constituency",
  name: "Whole constituency",
  register: true,
  limits: { turnout: "95", blank: "5", invalid: "5" },
};

export const KINDS: Readonly<Record<string, State["kinds"]>> = {
  RO: [
    { id: "section", name: "Polling section", register: false, limits: { turnout: "90", invalid: "15" } },
    { id: "section-abroad", name: "Polling section abroad", register: false, limits: { invalid: "10" } },
  ],
  SI: [{ id: "station", name: "Polling station", register: false, limits: { turnout: "65", invalid: "12" } }],
  DE: [
    NATIONAL,
    // No district of the final result has more ballots than electors of its own register.
    { id: "polling-district", name: "Polling district", register: true, limits: { turnout: "70", invalid: "4" } },
    { id: "postal-district", name: "Postal voting district", register: false, limits: { invalid: "4" } },
    { id: "special-6", name: "Special district (kind 6)", register: true, limits: { turnout: "70", invalid: "4" } },
    { id: "special-8", name: "Special district (kind 8)", register: true, limits: { turnout: "70", invalid: "4" } },
  ],
};

/** Kinds of a state's units; states without stations of their own report one unit per constituency. */
export const kindsOf = (state: string): State["kinds"] => KINDS[state] ?? [NATIONAL];
