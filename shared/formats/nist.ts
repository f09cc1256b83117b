import type { Constituency, Definition, List, State } from "../definition/schema.ts";
import type { ConstituencyResult, Figures, Release, StateResult } from "./release.ts";

/**
 * A release as an election results report of NIST SP 1500-100 version 2, JSON: a contest for each constituency, whose selections are its lists, with
 * their votes (`total`) and seats (`seats`). Votes that an office rebuilt from percentages are `other`: no reader takes them for a count.
 */

const of = <T extends object>(type: string, rest: T) => ({ "@type": `ElectionResults.${type}`, ...rest });
const text = (content: string) =>
  of("InternationalizedText", { Text: [of("LanguageString", { Content: content, Language: "mul" })] });
const code = (value: string) => [
  of("ExternalIdentifier", { Type: "other", OtherType: "European Parliament", Value: value }),
];

export const REBUILT = "rebuilt from published percentages, not counted";
const UNION = "gp-union";
const stateUnit = (id: string) => `gp-state-${id}`;
const unit = (constituency: string) => `gp-${constituency}`;
const party = (list: string) => `party-${list}`;

/** The report as JSON. Throws RangeError for a release of another definition. */
export function nistReport(release: Release, definition: Definition): string {
  const { number, mode, asOf, checkpoint } = release;
  const shown = definition.states.map((state) => ({ state, result: resultOf(release, state) }));
  const report = of("ElectionReport", {
    Format: "summary-contest",
    // The format has no fractions of a second.
    GeneratedDate: `${asOf.slice(0, 19)}Z`,
    Issuer: checkpoint.origin,
    IssuerAbbreviation: release.election,
    SequenceStart: 1,
    SequenceEnd: 1,
    Status: statusOf(release),
    VendorApplicationId: "scrutin",
    IsTest: mode === "exercise",
    ...(mode === "exercise" && { TestType: "exercise" }),
    Notes: notesOf(number, checkpoint.size, shown),
    GpUnit: [
      of("ReportingUnit", {
        "@id": UNION,
        Type: "other",
        OtherType: "union",
        Name: text("European Union"),
        ComposingGpUnitIds: shown.map(({ state }) => stateUnit(state.id)),
        ...unitFigures(release.union),
      }),
      ...shown.flatMap(({ state, result }) => unitsOf(state, result)),
    ],
    Party: shown.flatMap(({ state }) => state.lists.map(partyOf)),
    Election: [electionOf(definition, shown)],
  });
  return `${JSON.stringify(report, null, 1)}\n`;
}

type Shown = { state: State; result: StateResult }[];

function resultOf(release: Release, state: State): StateResult {
  const found = release.states.find((each) => each.state === state.id);
  if (found === undefined) throw new RangeError(`the release says nothing of ${state.id}`);
  return found;
}

/** The Union's units leave out those of a state on hold: while there is one, nothing is complete. */
function statusOf({ status, union, states }: Release): string {
  if (status === "OFFICIAL") return "certified";
  const isComplete = union.units.counted === union.units.expected && states.every(({ withheld }) => !withheld);
  return status === "FINAL" || isComplete ? "unofficial-complete" : "unofficial-partial";
}

function notesOf(number: number, size: number, shown: Shown): string {
  const named = (what: string, holds: (result: StateResult) => boolean) => {
    const ids = shown.filter(({ result }) => holds(result)).map(({ state }) => state.id);
    return ids.length === 0 ? [] : [`${what}: ${ids.join(", ")}.`];
  };
  return [
    `Release ${number}, counting ${size} entries of the log.`,
    ...named("Withheld", ({ withheld }) => withheld),
    ...named(`Votes ${REBUILT}`, ({ votesFrom }) => votesFrom === "rebuilt"),
    ...named("Seats as declared by the office", ({ seatsFrom }) => seatsFrom === "declared"),
  ].join(" ");
}

function unitFigures({ units, electors, ballots }: Figures) {
  return {
    TotalSubUnits: units.expected,
    SubUnitsReported: units.counted,
    ...(electors > 0 && { VotersRegistered: electors }),
    ...(ballots > 0 && { VotersParticipated: ballots }),
    CountStatus: [of("CountStatus", { Type: "total", Status: progressOf(units) })],
  };
}

function progressOf({ expected, counted }: Figures["units"]): string {
  if (counted === 0) return "not-processed";
  return counted < expected ? "in-process" : "completed";
}

function unitsOf(state: State, result: StateResult) {
  const { constituencies } = state;
  const own = of("ReportingUnit", {
    "@id": stateUnit(state.id),
    Type: "country",
    Name: text(state.name),
    ExternalIdentifier: code(state.id),
    ComposingGpUnitIds: constituencies.map(({ id }) => unit(id)),
    ...unitFigures(result),
  });
  const districts = constituencies.map((constituency) => {
    const found = result.constituencies.find((each) => each.constituency === constituency.id);
    return of("ReportingUnit", {
      "@id": unit(constituency.id),
      Type: "other",
      OtherType: "constituency",
      Name: text(constituency.name),
      ExternalIdentifier: code(constituency.id),
      ...(found && unitFigures(found)),
    });
  });
  return [own, ...districts];
}

function partyOf({ id, acronym, name }: List) {
  return of("Party", {
    "@id": party(id),
    Abbreviation: text(acronym),
    Name: text(name),
    ExternalIdentifier: code(id),
  });
}

function electionOf({ title, states }: Definition, shown: Shown) {
  const days = states
    .flatMap(({ closings }) => closings.filter(({ counts }) => counts).map(({ utc }) => utc.slice(0, 10)))
    .sort();
  const contests = shown.flatMap(({ state, result }) =>
    result.constituencies.map((constituency) => ({ state, result, constituency })),
  );
  return of("Election", {
    Name: text(title),
    Type: "general",
    StartDate: days[0] ?? "",
    EndDate: days.at(-1) ?? "",
    ElectionScopeId: UNION,
    Contest: contests.map(({ state, result, constituency }) => contestOf(state, result, constituency)),
    BallotCounts: contests.map(({ constituency }) =>
      of("BallotCounts", {
        GpUnitId: unit(constituency.constituency),
        Type: "total",
        BallotsCast: constituency.ballots,
        BallotsRejected: constituency.invalid,
      }),
    ),
  });
}

function contestOf(state: State, { votesFrom }: StateResult, result: ConstituencyResult) {
  const { constituency: id, units, blank, lists } = result;
  const { name } = state.constituencies.find((each) => each.id === id) as Constituency;
  const kind = votesFrom === "counted" ? { Type: "total" } : { Type: "other", OtherType: REBUILT };
  const where = { GpUnitId: unit(id) };
  return of("PartyContest", {
    "@id": `contest-${id}`,
    Name: name,
    Abbreviation: id,
    ElectionDistrictId: unit(id),
    VoteVariation: "proportional",
    TotalSubUnits: units.expected,
    SubUnitsReported: units.counted,
    CountStatus: [of("CountStatus", { Type: "total", Status: progressOf(units) })],
    OtherCounts: [of("OtherCounts", { ...where, Undervotes: blank })],
    ContestSelection: lists.map((list) =>
      of("PartySelection", {
        "@id": `selection-${list.id}`,
        PartyIds: [party(list.id)],
        VoteCounts: [
          of("VoteCounts", { ...where, ...kind, Count: list.votes }),
          of("VoteCounts", { ...where, Type: "seats", Count: list.seats }),
        ],
      }),
    ),
  });
}
