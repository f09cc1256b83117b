import { MAX_FIGURE } from "../../../shared/statement/types.ts";
import { Ends } from "./ends.ts";
import { createLines, createWalk, type Scalar } from "./json-walk.ts";
import type { Place, Sink, SourceCode, Understood } from "./source.ts";
import { shortened } from "./source.ts";
import { type Figure, type Gathered, gather, giveRow } from "./tally-tree.ts";
import type { Text } from "./text.ts";
import { listOf, type TreeMapping, unitOf } from "./tree-mapping.ts";

/**
 * NIST SP 1500-100 (v2), election results in JSON. The format says everything by selection and unit, and names parties and units elsewhere in the file, so one row a
 * unit takes the figures of all units: bounded by their number, not by the file's size.
 */

const MAX_UNITS = 200_000;
const MAX_LISTS = 1_000;

export async function readNist(
  text: Text,
  mapping: TreeMapping,
  sink: Sink,
  before: (understood: Understood) => void = () => undefined,
  pause?: () => Promise<void>,
): Promise<void> {
  before({ format: "nist", encoding: text.encoding, notes: ["NIST SP 1500-100 v2, JSON"] });
  const report = createReport(mapping, sink);
  const lines = createLines();
  const walk = createWalk(report, lines.placeOf);
  let isBroken = false;
  try {
    const chunks = text.chunks((problem) => {
      isBroken = true;
      sink.problem(problem);
    });
    for await (const chunk of chunks) {
      lines.add(chunk);
      walk.write(chunk);
      await pause?.();
    }
    if (isBroken) return;
    walk.end();
    report.end();
  } catch (error) {
    if (!(error instanceof Ends)) throw error;
    if (!isBroken) sink.problem({ code: error.code, place: error.at, detail: error.message });
  }
}

/** What one count says: of which unit, which kind, how many. */
interface Count {
  unit: string;
  type: string;
  figure: Figure | undefined;
}

const BALLOTS: Readonly<Record<string, "ballots" | "blank" | "invalid" | "electors">> = {
  BallotsCast: "ballots",
  BallotsRejected: "invalid",
  Undervotes: "blank",
  Overvotes: "invalid",
};

/** Of a selection's counts those that are its votes: the totals, or where a unit has none, its parts (by post, early, on the day). */
function countedOf(counts: readonly Count[]): Count[] {
  const votes = counts.filter(({ type }) => type !== "seats");
  const totals = new Set(votes.filter(({ type }) => type === "total").map(({ unit }) => unit));
  return votes.filter(({ unit, type }) => type === "total" || !totals.has(unit));
}

/** Gathers a report: figures by unit, named when everything was read. */
function createReport(mapping: TreeMapping, sink: Sink) {
  const units = new Map<string, Gathered>();
  const lists = new Set<string>();
  const names = new Map<string, string[]>();
  const electors = new Map<string, Figure>();
  let type = "";
  /** The selection's own id, and what names it. */
  let selection: { id: string; parties: string[] } = { id: "", parties: [] };
  let selections: { id: string; parties: string[]; counts: Count[] }[] = [];
  let counts: Count[] = [];
  let open: Count = { unit: "", type: "", figure: undefined };
  let other: { unit: string; at: Place; figures: [string, Figure | undefined][] } | undefined;
  let isReport = false;

  const figureOf = (value: Scalar, place: Place): Figure | undefined => {
    const at = { ...place, name: "Count", value: shortened(String(value)) };
    const code: SourceCode | undefined =
      typeof value !== "number"
        ? value === null || value === ""
          ? "figure.empty"
          : "figure.malformed"
        : value < 0
          ? "figure.negative"
          : !Number.isInteger(value)
            ? "figure.fraction"
            : value > MAX_FIGURE
              ? "figure.too-large"
              : undefined;
    if (code !== undefined) {
      sink.problem({ code, place: at });
      return undefined;
    }
    return { value: value as number, place: at };
  };
  const at = (unit: string, place: Place): Gathered => {
    const known = units.get(unit);
    if (known !== undefined) return known;
    if (units.size >= MAX_UNITS) throw new Ends("file.hostile", place, `It has more than ${MAX_UNITS} units.`);
    const made = gather(unit, place);
    units.set(unit, made);
    return made;
  };
  /** A path without its indexes: Election.Contest.ContestSelection. */
  const kind = (path: readonly string[]) => path.filter((part) => !/^\d+$/.test(part)).join(".");

  return {
    open(path: readonly string[], place: Place): void {
      switch (kind(path)) {
        case "Election.Contest":
          selections = [];
          return;
        case "Election.Contest.ContestSelection":
          selection = { id: "", parties: [] };
          counts = [];
          return;
        case "Election.Contest.ContestSelection.VoteCounts":
          open = { unit: "", type: "", figure: undefined };
          return;
        case "Election.Contest.OtherCounts":
        case "Election.BallotCounts":
          other = { unit: "", at: place, figures: [] };
          return;
      }
    },
    scalar(path: readonly string[], value: Scalar, place: Place): void {
      const key = path.at(-1) ?? "";
      const field = /^\d+$/.test(key) ? (path.at(-2) ?? "") : key;
      if (path.length === 1 && key === "@type") isReport = value === "ElectionResults.ElectionReport";
      switch (kind(path)) {
        case "Party.@id":
        case "GpUnit.@id":
        case "Election.Contest.ContestSelection.@id":
          if (kind(path).startsWith("Election")) selection.id = String(value);
          else {
            type = String(value);
            names.set(type, []);
          }
          return;
        case "GpUnit.VotersRegistered": {
          const figure = figureOf(value, place);
          if (figure !== undefined) electors.set(type, figure);
          return;
        }
        case "Party.ExternalIdentifier.Value":
        case "GpUnit.ExternalIdentifier.Value":
          // Before the names: there is a party whose abbreviation looks like a list's id.
          names.get(type)?.unshift(String(value));
          return;
        case "Party.Abbreviation.Text.Content":
        case "Party.Name.Text.Content":
        case "GpUnit.Name.Text.Content":
          names.get(type)?.push(String(value));
          return;
        case "Election.Contest.ContestSelection.PartyIds":
        case "Election.Contest.ContestSelection.EndorsementPartyIds":
          selection.parties.push(String(value));
          return;
        case "Election.Contest.ContestSelection.VoteCounts.GpUnitId":
          open.unit = String(value);
          return;
        case "Election.Contest.ContestSelection.VoteCounts.Type":
          open.type = String(value);
          return;
        case "Election.Contest.ContestSelection.VoteCounts.Count":
          open.figure = figureOf(value, place);
          return;
      }
      if (other === undefined) return;
      const of = kind(path.slice(0, -1));
      if (of !== "Election.Contest.OtherCounts" && of !== "Election.BallotCounts") return;
      if (field === "GpUnitId") other.unit = String(value);
      else if (field in BALLOTS) other.figures.push([field, figureOf(value, place)]);
    },
    close(path: readonly string[], place: Place): void {
      switch (kind(path)) {
        case "Election.Contest.ContestSelection.VoteCounts":
          counts.push(open);
          return;
        case "Election.Contest.ContestSelection":
          selections.push({ ...selection, counts });
          lists.add(selection.id);
          if (lists.size > MAX_LISTS) throw new Ends("file.hostile", place, `It has more than ${MAX_LISTS} lists.`);
          return;
        case "Election.Contest.OtherCounts":
        case "Election.BallotCounts":
          if (other !== undefined) {
            const unit = at(other.unit, other.at);
            for (const [name, figure] of other.figures) {
              const into = BALLOTS[name] as "ballots";
              if (figure === undefined) unit.isGood = false;
              else unit.heads.set(into, { ...figure, value: (unit.heads.get(into)?.value ?? 0) + figure.value });
            }
          }
          other = undefined;
          return;
        case "Election.Contest":
          for (const { id, parties, counts: own } of selections) {
            for (const { unit, figure } of countedOf(own)) {
              const into = at(unit, figure?.place ?? place);
              const list = parties[0] ?? id;
              if (figure === undefined) into.isGood = false;
              else into.votes.set(list, { ...figure, value: (into.votes.get(list)?.value ?? 0) + figure.value });
            }
          }
          selections = [];
          return;
      }
    },
    end(): void {
      if (!isReport && units.size === 0) {
        sink.problem({ code: "file.format", place: { line: 1 }, detail: "It is no NIST 1500-100 election report." });
        return;
      }
      let told = 0;
      for (const [id, gathered] of units) {
        if (gathered.votes.size === 0) continue;
        const known = names.get(id) ?? [];
        const own = known.find((name) => Object.hasOwn(mapping.units, name) || /^[A-Z]{2}-/.test(name)) ?? id;
        gathered.unit = unitOf(mapping, { id: own, contest: "", authority: "" });
        gathered.votes = new Map(
          [...gathered.votes].map(([list, figure]) => [listOf(mapping, list, ...(names.get(list) ?? [])), figure]),
        );
        const registered = electors.get(id);
        if (registered !== undefined) gathered.heads.set("electors", registered);
        told++;
        giveRow(gathered, sink);
      }
      const isBad = [...units.values()].some(({ isGood }) => !isGood);
      if (told === 0 && !isBad) sink.problem({ code: "file.empty", place: { line: 1 } });
    },
  };
}
