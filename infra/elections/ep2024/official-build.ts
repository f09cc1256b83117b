import { groupsOf } from "./definition-build.ts";
import { cell, readRows, whole } from "./source.ts";

/** The published result, to check a night against. */
export interface Official {
  source: string;
  seats: { total: number; groups: Record<string, number>; states: Record<string, number> };
  /** Every list of the Parliament's table that votes are given for; members of coalitions are summed into theirs. */
  lists: { id: string; state: string; share: string; seats: number; groups: Record<string, number> }[];
}

export function buildOfficial(folder: string): Official {
  const rows = readRows(folder, "lists-official.csv").filter((row) => cell(row, "coalition_id") === "");
  const lists = rows.map((row) => ({
    id: cell(row, "list_id"),
    state: cell(row, "member_state"),
    share: cell(row, "votes_percent"),
    seats: whole(row, "seats"),
    groups: Object.fromEntries(groupsOf(row).map(({ id, seats }) => [id, seats])),
  }));
  const groups: Record<string, number> = {};
  for (const list of lists)
    for (const [id, seats] of Object.entries(list.groups)) groups[id] = (groups[id] ?? 0) + seats;
  const states = Object.fromEntries(
    readRows(folder, "states-official.csv").map((row) => [cell(row, "member_state"), whole(row, "seats")]),
  );
  return {
    source: "European Parliament, data sheets of the 2024 election results, July 2024",
    seats: { total: lists.reduce((total, list) => total + list.seats, 0), groups, states },
    lists,
  };
}
