import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Ajv } from "ajv";
import addFormats from "ajv-formats";
import fc from "fast-check";
import { XMLParser } from "fast-xml-parser";
import { describe, expect, it } from "vitest";
import { validateXML } from "xmllint-wasm";
import type { Definition } from "../shared/definition/schema.ts";
import { eml510, eml520 } from "../shared/formats/eml.ts";
import { nistReport, REBUILT } from "../shared/formats/nist.ts";
import type { Release } from "../shared/formats/release.ts";
import { applyEntry, createTabulation } from "../shared/results/fold.ts";
import { buildRelease } from "../shared/results/release.ts";
import { AS_OF, definition, finalStatements, header, heard } from "./final-figures.ts";
import { definition as arbitraryDefinition, HASH, steps } from "./two-counts-generators.ts";

/** Election Markup Language and NIST's report: totals come back from both, and both are what their schemas ask for. */

/** As the Kiesraad and NIST publish them; they lie beside the project where they are kept. */
const schemas = fileURLToPath(new URL("../../shared/data/schemas/", import.meta.url));
const final = buildRelease(heard(finalStatements()), header);
const hold = { type: "decision", decision: "hold", about: "BE", reason: "a test" };
const withheld = buildRelease(heard([...finalStatements(), hold]), header);
const empty = buildRelease(heard([]), header);

const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: "",
  parseTagValue: false,
  isArray: (name) => name === "Contest" || name === "Selection",
});

interface Selection {
  Category?: string;
  AffiliationIdentifier: { Id: string; RegisteredName: string };
  ValidVotes?: string;
  Votes?: string;
}
interface Contest {
  ContestIdentifier: { Id: string; ContestName: string };
  TotalVotes: {
    Selection: Selection[];
    Cast: string;
    TotalCounted: string;
    RejectedVotes: { "#text": string; ReasonCode: string }[];
    UncountedVotes: { "#text": string };
  };
  Selection: Selection[];
}

function contestsIn(xml: string | undefined, message: "Count" | "Result"): Contest[] {
  if (xml === undefined) return [];
  const { Election } = (parser.parse(xml) as { EML: Record<string, { Election: Record<string, unknown> }> }).EML[
    message
  ] as { Election: { Contests?: { Contest: Contest[] }; Contest?: Contest[] } };
  return Election.Contests?.Contest ?? Election.Contest ?? [];
}

/** What a release says, in the terms of the round trip. */
const figuresOf = ({ states }: Release) =>
  states.flatMap(({ constituencies }) =>
    constituencies.map(({ electors, ballots, blank, invalid, valid, lists }) => {
      return { electors, ballots, blank, invalid, valid, votes: lists.map(({ id, votes }) => [id, votes]) };
    }),
  );

const readEml510 = (xml: string | undefined) =>
  contestsIn(xml, "Count").map(({ TotalVotes: total }) => {
    const [blank, invalid] = total.RejectedVotes.map((rejected) => Number(rejected["#text"]));
    return {
      electors: Number(total.Cast),
      ballots: Number(total.UncountedVotes["#text"]),
      blank,
      invalid,
      valid: Number(total.TotalCounted),
      votes: total.Selection.map(({ Category, ValidVotes }) => [Category, Number(ValidVotes)]),
    };
  });

/** Seats of each list, by its constituency's number and its own. */
const readEml520 = (xml: string | undefined) => {
  const seats: Record<string, number> = {};
  for (const { ContestIdentifier: contest, Selection } of contestsIn(xml, "Result"))
    for (const { AffiliationIdentifier: list } of Selection)
      seats[`${contest.Id}/${list.Id}`] = (seats[`${contest.Id}/${list.Id}`] ?? 0) + 1;
  return seats;
};

function seatsOf({ states }: Release, of: Definition): Record<string, number> {
  const numbered = of.states.flatMap((state) => state.constituencies.map(({ id }) => ({ state, id })));
  const seats: Record<string, number> = {};
  for (const [n, { state, id }] of numbered.entries()) {
    const own = state.lists.filter(({ constituency }) => constituency === id);
    const result = states
      .flatMap(({ constituencies }) => constituencies)
      .find(({ constituency }) => constituency === id);
    for (const list of result?.lists ?? [])
      if (list.seats > 0) seats[`${n + 1}/${own.findIndex((each) => each.id === list.id) + 1}`] = list.seats;
  }
  return seats;
}

interface Report {
  IsTest: boolean;
  Status: string;
  Notes: string;
  GpUnit: { "@id": string; VotersRegistered?: number }[];
  Election: {
    Contest: {
      ElectionDistrictId: string;
      OtherCounts: { Undervotes: number }[];
      ContestSelection: { PartyIds: string[]; VoteCounts: { Type: string; OtherType?: string; Count: number }[] }[];
    }[];
    BallotCounts: { BallotsCast: number; BallotsRejected: number }[];
  }[];
}

function readNist(json: string) {
  const report = JSON.parse(json) as Report;
  const units = new Map(report.GpUnit.map((unit) => [unit["@id"], unit]));
  const [election] = report.Election;
  return (election?.Contest ?? []).map(({ ElectionDistrictId, OtherCounts, ContestSelection }, n) => ({
    electors: units.get(ElectionDistrictId)?.VotersRegistered ?? 0,
    ballots: election?.BallotCounts[n]?.BallotsCast,
    blank: OtherCounts[0]?.Undervotes,
    invalid: election?.BallotCounts[n]?.BallotsRejected,
    lists: ContestSelection.map(({ PartyIds, VoteCounts: [votes, seats] }) => [
      PartyIds[0]?.replace("party-", ""),
      votes?.Count,
      seats?.Count,
    ]),
  }));
}

const nistFigures = ({ states }: Release) =>
  states.flatMap(({ constituencies }) =>
    constituencies.map(({ electors, ballots, blank, invalid, lists }) => {
      return { electors, ballots, blank, invalid, lists: lists.map(({ id, votes, seats }) => [id, votes, seats]) };
    }),
  );

describe.skipIf(!existsSync(schemas))("by their own schemas", () => {
  const folder = join(schemas, "eml-nl");
  const filesIn = (below: string) =>
    readdirSync(join(folder, below))
      .filter((name) => name.endsWith(".xsd"))
      .map((name) => join(below, name))
      .map((fileName) => ({ fileName, contents: readFileSync(join(folder, fileName), "utf8") }));
  const wrongIn = async (xml: string | undefined, schema: string) => {
    const preload = [...filesIn("."), ...filesIn("external")];
    const { errors } = await validateXML({
      xml: [{ fileName: "message.xml", contents: xml ?? "" }],
      schema: [readFileSync(join(folder, schema), "utf8")],
      preload,
    });
    return errors.map(({ rawMessage }) => rawMessage);
  };

  it.each([
    ["the final figures", final],
    ["a state on hold", withheld],
    ["no figures", empty],
  ])("messages 510 and 520 are valid: %s", async (_, release) => {
    expect(await wrongIn(eml510(release, definition), "510-count-kiesraad-strict.xsd")).toEqual([]);
    const result = eml520(release, definition);
    if (release !== empty || result !== undefined)
      expect(await wrongIn(result, "520-result-kiesraad-strict.xsd")).toEqual([]);
  });

  it("and the schema would find what is wrong", async () => {
    const spoilt = eml510(final, definition)?.replace(/<Cast>\d+/, "<Cast>-1");
    expect(await wrongIn(spoilt, "510-count-kiesraad-strict.xsd")).not.toEqual([]);
  });

  it.each([
    ["the final figures", final],
    ["a state on hold", withheld],
    ["no figures", empty],
  ])("the report is valid: %s", (_, release) => {
    const file = join(schemas, "nist-1500-100", "election_results_reporting_v2.0.3.json");
    // Of draft 4 it uses nothing that later ones read otherwise.
    const { $schema: _draft, ...schema } = JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>;
    const ajv = new Ajv({ strict: false, allErrors: true });
    addFormats.default(ajv);
    const validate = ajv.compile(schema);
    const report = JSON.parse(nistReport(release, definition)) as Report;
    validate(report);
    expect(validate.errors ?? []).toEqual([]);
    validate({ ...report, Status: "certain" });
    expect(validate.errors).not.toBeNull();
  });
});

describe("the final figures", () => {
  it("come back from message 510, 520 and from the report", () => {
    expect(readEml510(eml510(final, definition))).toEqual(figuresOf(final));
    expect(readEml520(eml520(final, definition))).toEqual(seatsOf(final, definition));
    expect(Object.values(seatsOf(final, definition)).reduce((sum, seats) => sum + seats, 0)).toBe(720);
    expect(readNist(nistReport(final, definition))).toEqual(nistFigures(final));
  });

  it("show rebuilt votes as no count, and a state on hold as nothing", () => {
    const named = contestsIn(eml510(final, definition), "Count").map(
      ({ ContestIdentifier: { ContestName } }) => ContestName,
    );
    const rebuilt = final.states.filter(({ votesFrom }) => votesFrom === "rebuilt");
    expect(rebuilt.length).toBeGreaterThan(5);
    expect(named.filter((name) => name.includes("not counted"))).toHaveLength(
      rebuilt.flatMap(({ constituencies }) => constituencies).length,
    );
    for (const { Votes, AffiliationIdentifier: list } of contestsIn(eml520(final, definition), "Result")
      .filter(({ ContestIdentifier: { ContestName } }) => ContestName.includes("not counted"))
      .flatMap(({ Selection }) => Selection))
      expect([list.RegisteredName, Votes]).toEqual([list.RegisteredName, undefined]);
    const report = JSON.parse(nistReport(withheld, definition)) as Report;
    expect(report.IsTest).toBe(true);
    expect(report.Notes).toContain("Withheld: BE.");
    expect(report.Status).toBe("unofficial-partial");
    expect(JSON.parse(nistReport(final, definition))).toMatchObject({ Status: "unofficial-complete" });
    const kinds = report.Election[0]?.Contest.map(({ ContestSelection: [first] }) => first?.VoteCounts[0]?.OtherType);
    expect(kinds?.filter((kind) => kind === REBUILT)).not.toHaveLength(0);
    for (const text of [eml510(withheld, definition), eml520(withheld, definition)])
      for (const college of ["FBE", "GBE", "WBE"]) expect(text).not.toContain(`<ContestName>${college}`);
  });

  it("are text that breaks no XML, whatever a name holds", () => {
    const strange = structuredClone(definition);
    const [state] = strange.states;
    const list = state?.lists.find(({ id }) => id === final.states[0]?.lists[0]?.id);
    if (list === undefined) throw new Error("no list");
    list.name = `<x a="1">&amp;]]></x>\u0000\uD800 é`;
    const [selection] = contestsIn(eml510(final, strange), "Count")[0]?.TotalVotes.Selection ?? [];
    expect(selection?.AffiliationIdentifier.RegisteredName).toBe('<x a="1">&amp;]]></x> é');
  });
});

it("property: totals of any election come back from all three", () => {
  fc.assert(
    fc.property(
      arbitraryDefinition.chain((of) => fc.tuple(fc.constant(of), steps(of))),
      ([of, said]) => {
        const tabulation = createTabulation(of, HASH);
        let index = 1;
        for (const step of said)
          if ("say" in step)
            applyEntry(tabulation, { index: index++, received: AS_OF, statement: step.say, verdict: step.verdict });
        const release = buildRelease(tabulation, { ...header, checkpoint: { ...header.checkpoint, size: index } });
        expect(readEml510(eml510(release, of))).toEqual(figuresOf(release));
        expect(readEml520(eml520(release, of))).toEqual(seatsOf(release, of));
        expect(readNist(nistReport(release, of))).toEqual(nistFigures(release));
      },
    ),
    { numRuns: 50 },
  );
});
