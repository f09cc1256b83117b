import type { Definition } from "../definition/schema.ts";
import type { Release, StateResult } from "./release.ts";

/** What a reader of the sheets must know and their format has no field for. */
export interface SheetNotes {
  mode: "EXERCISE" | "LIVE";
  election: string;
  definition: string;
  release: number;
  asOf: string;
  /** True of every sheet. */
  general: string[];
  /** By state. */
  states: {
    state: string;
    withheld: boolean;
    votesFrom: StateResult["votesFrom"];
    seatsFrom: StateResult["seatsFrom"];
    units: StateResult["units"];
    notes: string[];
  }[];
}

const GENERAL = [
  "Percentages are shares of the valid votes counted so far, from exact integers, rounded half up to two decimals, Germany's to one as its authority publishes them; seatsPercentEU is of all seats of the Parliament.",
  "The time of every sheet is that of the last entry of the log that the release counts, in Brussels time.",
  "The status of every header is the state's status in the release, and WITHHELD for a state on hold. The groups are those that the definition names for each list.",
  "The definition names no members of coalitions: every list is a PARTY, and its members are null.",
  "The definition names groups in English alone: a group's acronym is its id.",
  "There is no gender-balance.json: candidates are not part of the definition.",
];

/** `sheets/notes.json`. Where a state's figures are not what its national result will be, the definition's doubts say why, and stand here. */
export function sheetNotes(release: Release, definition: Definition): SheetNotes {
  const { mode, election, number, asOf } = release;
  return {
    mode: mode === "exercise" ? "EXERCISE" : "LIVE",
    election,
    definition: release.definition,
    release: number,
    asOf,
    general: GENERAL,
    states: release.states.map((result) => {
      const { state, withheld, votesFrom, seatsFrom, units } = result;
      const doubts = definition.states.find(({ id }) => id === state)?.doubts ?? [];
      return { state, withheld, votesFrom, seatsFrom, units, notes: [...notesOf(result), ...doubts] };
    }),
  };
}

function notesOf({ withheld, votesFrom, seatsFrom, units, constituencies, differences, state }: StateResult): string[] {
  if (withheld) return [`${state} is on hold: its figures are withheld.`];
  const notes: string[] = [];
  if (units.counted < units.expected) notes.push(`${units.counted} of ${units.expected} units are in.`);
  if (votesFrom === "rebuilt")
    notes.push("Percentages are the published ones, from which the office rebuilt votes; no votes were counted here.");
  if (votesFrom === "rebuilt" && constituencies.length > 1)
    notes.push(
      "Rebuilt votes of several constituencies have no common scale: the sheet of the whole state gives no percentages.",
    );
  if (seatsFrom === "declared") notes.push("Seats are those that the office declared.");
  for (const { constituency, list, computed, declared } of differences)
    notes.push(
      `${list} in ${constituency}: the votes compute to ${computed} seats, and the office declared ${declared}.`,
    );
  return notes;
}
