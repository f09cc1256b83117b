import type { Definition, State } from "../definition/schema.ts";
import type { Release } from "./release.ts";
import { collegesOf, type Division, inProtocolOrder } from "./sheets.ts";
import { type SheetValue, sheetCsv, sheetMinute } from "./sheets-form.ts";

/** The sheets that name lists and groups, and the results as CSV. The definition knows no members of a coalition: every list is a PARTY. */

function divisionsWithLists(state: State): { id: string; lists: State["lists"] }[] {
  const lists = [...state.lists].sort((a, b) => (a.id < b.id ? -1 : 1));
  const colleges = collegesOf(state).map((id) => ({
    id,
    lists: lists.filter(({ constituency }) => constituency === id),
  }));
  return [{ id: state.id, lists }, ...colleges];
}

/** `parties.json`. */
export function partiesSheet({ states }: Definition): SheetValue {
  const countries = inProtocolOrder(states).flatMap(divisionsWithLists);
  return {
    countries: countries.map(({ id, lists }) => ({
      countryId: id,
      candidates: lists.map((list) => ({
        candidateId: list.id,
        candidateType: "PARTY",
        candidateAcronym: list.acronym,
        candidateLongName: list.name,
        memberOfCoalition: null,
        coalitionMembers: null,
      })),
    })),
  };
}

export const PARTIES_COLUMNS = [
  "DIVISION_ID",
  "ID",
  "TYPE",
  "ACRONYM",
  "LABEL",
  "MEMBER_OF_COALITION",
  "COALITION_MEMBERS",
];

/** `parties.csv`. */
export function partiesCsv({ states }: Definition): string {
  const rows = inProtocolOrder(states)
    .flatMap(divisionsWithLists)
    .flatMap(({ id, lists }) => lists.map((list) => [id, list.id, "PARTY", list.acronym, list.name, "", ""]));
  return sheetCsv([PARTIES_COLUMNS, ...rows]);
}

/** `groups.json`: in English alone, and with the group's id for its acronym: the definition knows no other. */
export function groupsSheet({ groups }: Definition): SheetValue {
  return {
    groups: groups.map(({ id, name }) => ({
      groupId: id,
      translations: [{ languageId: "EN", groupAcronym: id, groupLongName: name }],
    })),
  };
}

export const RESULTS_COLUMNS = ["PARTY_ID", "TYPE", "VOTES_PERCENT", "UPDATE_STATUS", "UPDATE_TIME"];

/** `results-parties-<division>.csv`. A withheld state's has no rows. */
export function resultsCsv({ lists, status }: Division, { asOf }: Release): string {
  const rows = lists.map(({ list, share }) => [list.id, "PARTY", share?.toString() ?? "", status, sheetMinute(asOf)]);
  return sheetCsv([RESULTS_COLUMNS, ...rows]);
}
