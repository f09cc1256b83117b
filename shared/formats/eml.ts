import type { Constituency, Definition, List, State } from "../definition/schema.ts";
import type { ConstituencyResult, Release, StateResult } from "./release.ts";

/**
 * A release as Election Markup Language (OASIS EML 5), in the profile of the Dutch Kiesraad: message 510, the count of each constituency, and
 * 520, its result. The profile's ids are numbers: constituencies and lists are numbered in the definition's order, and the EU's codes stand
 * beside them. A state on hold is left out.
 */

/** What a contest is about. */
interface Contest {
  /** Of the constituency, in the definition's order over all states; from 1. */
  number: number;
  constituency: Constituency;
  state: StateResult;
  result: ConstituencyResult;
  /** The constituency's lists in the definition's order: a list's number is its place, from 1. */
  lists: { list: List; votes: number; seats: number }[];
}

/** EML 510: electors, ballots, rejected votes and the votes of every list; undefined while every state is on hold. */
export function eml510(release: Release, definition: Definition): string | undefined {
  const contests = contestsOf(release, definition);
  if (contests.length === 0) return undefined;
  return document("510d", release, [
    "<Count>",
    "<EventIdentifier/>",
    "<Election>",
    ...electionIdentifier(release, definition),
    "<Contests>",
    ...contests.flatMap(countOf),
    "</Contests>",
    "</Election>",
    "</Count>",
  ]);
}

/**
 * EML 520: the lists that have won, each selected once for every seat, for the message knows elected candidates and no number of seats. Undefined
 * while no seat is allocated.
 */
export function eml520(release: Release, definition: Definition): string | undefined {
  const contests = contestsOf(release, definition).filter(({ lists }) => lists.some(({ seats }) => seats > 0));
  if (contests.length === 0) return undefined;
  return document("520", release, [
    "<Result>",
    "<Election>",
    ...electionIdentifier(release, definition),
    ...contests.flatMap(resultOf),
    "</Election>",
    "</Result>",
  ]);
}

function contestsOf(release: Release, { states }: Definition): Contest[] {
  const results = new Map(release.states.map((state) => [state.state, state]));
  const numbered = states.flatMap((state) => state.constituencies.map((constituency) => ({ state, constituency })));
  return numbered.flatMap(({ state, constituency }, n) => {
    const shown = results.get(state.id);
    if (shown === undefined) throw new RangeError(`the release says nothing of ${state.id}`);
    const result = shown.constituencies.find((each) => each.constituency === constituency.id);
    if (result === undefined) return [];
    return [{ number: n + 1, constituency, state: shown, result, lists: listsOf(state, result) }];
  });
}

function listsOf({ lists }: State, result: ConstituencyResult): Contest["lists"] {
  const found = new Map(result.lists.map((list) => [list.id, list]));
  return lists
    .filter(({ constituency }) => constituency === result.constituency)
    .map((list) => ({ list, votes: found.get(list.id)?.votes ?? 0, seats: found.get(list.id)?.seats ?? 0 }));
}

const CANONICAL = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315";

function document(id: string, { number, asOf }: Release, body: string[]): string {
  return `${[
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<EML xmlns="urn:oasis:names:tc:evs:schema:eml" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" xmlns:kr="http://www.kiesraad.nl/extensions" Id="${id}" SchemaVersion="5">`,
    element("TransactionId", String(number)),
    // "CSB" is the profile's word for the authority that states the result of the whole election.
    '<ManagingAuthority><AuthorityIdentifier Id="CSB">European Parliament</AuthorityIdentifier><AuthorityAddress/></ManagingAuthority>',
    element("kr:CreationDateTime", asOf),
    `<ds:CanonicalizationMethod Algorithm="${CANONICAL}"/>`,
    ...body,
    "</EML>",
  ].join("\n")}\n`;
}

function electionIdentifier({ mode }: Release, { title, states }: Definition): string[] {
  const closings = states.flatMap((state) => state.closings.filter(({ counts }) => counts).map(({ utc }) => utc));
  const date = (closings.sort().at(-1) ?? "").slice(0, 10);
  const isExercise = mode === "exercise";
  return [
    `<ElectionIdentifier Id="EP${date.slice(0, 4)}${isExercise ? "_EXERCISE" : ""}">`,
    element("ElectionName", isExercise ? `EXERCISE: ${title}` : title),
    element("ElectionCategory", "EP"),
    element("kr:ElectionSubcategory", "EP"),
    element("kr:ElectionDate", date),
    "</ElectionIdentifier>",
  ];
}

/** Votes that an office rebuilt from percentages are no count, and say so in the contest's name: the message has no other place. */
function contestIdentifier({ number, constituency: { id, name }, state }: Contest): string[] {
  const what = state.votesFrom === "counted" ? "" : " (votes rebuilt from published percentages, not counted)";
  return [`<ContestIdentifier Id="${number}">`, element("ContestName", `${id} ${name}${what}`), "</ContestIdentifier>"];
}

function affiliation({ name }: List, n: number): string {
  return `<AffiliationIdentifier Id="${n + 1}">${element("RegisteredName", name)}</AffiliationIdentifier>`;
}

function countOf(contest: Contest): string[] {
  const { electors, ballots, blank, invalid, valid } = contest.result;
  return [
    "<Contest>",
    ...contestIdentifier(contest),
    "<TotalVotes>",
    ...contest.lists.map(
      ({ list, votes }, n) =>
        `<Selection Category="${escaped(list.id)}">${affiliation(list, n)}${element("ValidVotes", String(votes))}</Selection>`,
    ),
    // As the profile uses them: who could vote, the valid votes, and who came.
    element("Cast", String(electors)),
    element("TotalCounted", String(valid)),
    `<RejectedVotes ReasonCode="blanco">${blank}</RejectedVotes>`,
    `<RejectedVotes ReasonCode="ongeldig">${invalid}</RejectedVotes>`,
    `<UncountedVotes ReasonCode="toegelaten kiezers">${ballots}</UncountedVotes>`,
    "</TotalVotes>",
    "</Contest>",
  ];
}

function resultOf(contest: Contest): string[] {
  const isCounted = contest.state.votesFrom === "counted";
  const selections = contest.lists.flatMap(({ list, votes, seats }, n) => {
    const own = isCounted && votes > 0 ? element("Votes", String(votes)) : "";
    const selection = `<Selection>${affiliation(list, n)}${own}<Elected>yes</Elected></Selection>`;
    return Array.from({ length: seats }, () => selection);
  });
  return ["<Contest>", ...contestIdentifier(contest), ...selections, "</Contest>"];
}

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

/** Text of the definition is anybody's: what XML 1.0 cannot hold at all is left out. */
function escaped(text: string): string {
  const held = text.replaceAll(/[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/gu, "");
  return held.replaceAll(/[&<>"]/g, (mark) => ENTITIES[mark] ?? mark);
}

const element = (name: string, text: string) => `<${name}>${escaped(text)}</${name}>`;
