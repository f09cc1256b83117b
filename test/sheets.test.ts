import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { readNational, readOfficial, readRomania } from "../infra/elections/ep2024/feed.ts";
import { releaseFiles } from "../shared/formats/files.ts";
import type { Release } from "../shared/formats/release.ts";
import { percentOf, sheetCsv, sheetJson, sheetMinute, sheetTime } from "../shared/formats/sheets-form.ts";
import type { SheetNotes } from "../shared/formats/sheets-notes.ts";
import { readDivisionSheet, readEuSheet, readSheetCsv, type SheetTotals } from "../shared/formats/sheets-read.ts";
import { buildRelease } from "../shared/results/release.ts";
import { definition, finalStatements, header, heard, tally } from "./final-figures.ts";

/** The data sheets of the election of 2024 as its offices' final figures make them, against those that the Parliament published. */

/** As the Parliament published them; they lie beside the project where they are kept. */
const published = fileURLToPath(new URL("../../shared/data/ep2024/parliament-data-sheets/", import.meta.url));

const final = buildRelease(heard(finalStatements()), header);
const textsOf = (release: Release) =>
  new Map(releaseFiles(release, definition).map(({ name, text }) => [name, text()]));
const texts = textsOf(final);
const textOf = (name: string, from = texts): string => from.get(`sheets/${name}`) ?? `no file ${name}`;
const sheetOf = (id: string, from = texts): SheetTotals => readDivisionSheet(textOf(`${id.toLowerCase()}.json`, from));
const theirs = (name: string): string => readFileSync(`${published}${name}`, "utf8");
const STATES = definition.states.map(({ id }) => id);
const COLLEGES = ["FBE", "GBE", "WBE"];
const shares = ({ lists }: SheetTotals) => Object.fromEntries(lists.map(({ id, share }) => [id, share]));
const seats = ({ id, seats: total, groups, lists }: SheetTotals) => ({
  id,
  total,
  groups,
  lists: lists.map(({ id: list, seats: own, groups: members }) => ({ list, own, members })),
});
/** Paths of keys, without figures: what two documents of one format have alike. */
const keysOf = (value: unknown): unknown =>
  Array.isArray(value)
    ? value.map(keysOf)
    : value !== null && typeof value === "object"
      ? Object.entries(value).map(([key, inner]) => [key, keysOf(inner)])
      : typeof value;

describe.skipIf(!existsSync(published))("the sheets that the Parliament published in July 2024", () => {
  it.each([...STATES, ...COLLEGES])("have the seats and groups of every list of %s", (id) => {
    expect(seats(sheetOf(id))).toEqual(seats(readDivisionSheet(theirs(`${id.toLowerCase()}.json`))));
  });

  it("have the seats of the Union by group", () => {
    const { status: _, ...ours } = readEuSheet(textOf("eu.json"));
    const { status: __, ...official } = readEuSheet(theirs("eu.json"));
    expect(ours).toEqual(official);
  });

  it("have the same percentages, Romania's from its sections", () => {
    const except = ["SI", "BE", "DE"];
    for (const id of [...STATES, ...COLLEGES].filter((one) => !except.includes(one)))
      expect(shares(sheetOf(id)), id).toEqual(shares(readDivisionSheet(theirs(`${id.toLowerCase()}.json`))));
  });

  it("have Germany's percentages to the one decimal that is published", () => {
    // From the votes: a share rounded to two decimals must not be rounded again (DE12 has 0.648 %).
    const [ours, official] = [shares(sheetOf("DE")), shares(readDivisionSheet(theirs("de.json")))];
    const { DE90: rest, ...others } = official;
    expect(ours).toMatchObject(others);
    expect(Object.keys(others)).toHaveLength(15);
    // "Other parties" have 3.23 % of the votes. What is published is not that, but what the rounded shares leave of 100.
    const left = 100 - Object.values(others).reduce((sum, share) => sum + Number(share), 0);
    expect([Number(ours.DE90), Number(rest)]).toEqual([3.2, Number(left.toFixed(1))]);
  });

  it("have the same keys in the same order, and the same words", () => {
    expect(keysOf(JSON.parse(textOf("eu.json")))).toEqual(keysOf(JSON.parse(theirs("eu.json"))));
    // Of the states without coalitions, whose members the definition does not know.
    const plain = [...STATES, ...COLLEGES].filter((id) => !theirs(`${id.toLowerCase()}.json`).includes("COALITION"));
    expect(plain.length).toBeGreaterThan(8);
    for (const id of plain.filter((one) => one !== "BE")) {
      const [ours, official] = [textOf(`${id.toLowerCase()}.json`), theirs(`${id.toLowerCase()}.json`)];
      expect(keysOf(JSON.parse(ours)), id).toEqual(keysOf(JSON.parse(official)));
    }
    const austria = JSON.parse(theirs("at.json")) as { groupSummary: { title: string } };
    expect(JSON.parse(textOf("at.json"))).toMatchObject({
      groupSummary: { title: `EXERCISE_${austria.groupSummary.title}`, status: "PROVISIONAL" },
    });
  });

  it("are CSV of the same columns, lines and separators", () => {
    for (const id of COLLEGES) {
      const name = `results-parties-${id.toLowerCase()}.csv`;
      const stamped = textOf(name).replaceAll("PROVISIONAL;2024-06-10 06:05", "OFFICIAL;2024-07-16 09:44");
      expect(stamped, name).toBe(theirs(name));
    }
    const [columns] = theirs("parties.csv").split("\n");
    expect(textOf("parties.csv").split("\n")[0]).toBe(columns);
    const divisions = (text: string) => [...new Set(readSheetCsv(text).map((row) => row.DIVISION_ID))];
    expect(divisions(textOf("parties.csv"))).toEqual(divisions(theirs("parties.csv")));
  });

  it("keep all bytes but the time, the status and the title of a state without coalitions", () => {
    const bare = (text: string) =>
      text.replaceAll(/"(title|status|time)": "[^"]*"/g, '"$1"').replaceAll("EXERCISE_", "");
    for (const id of ["fi", "lt", "mt", "se", "fbe", "gbe", "wbe"])
      expect(bare(textOf(`${id}.json`)), id).toBe(bare(theirs(`${id}.json`)));
  });
});

describe("the sheets of the final figures", () => {
  const official = readOfficial();

  it("have the official seats and groups of every list", () => {
    const ours = STATES.flatMap((id) => sheetOf(id).lists);
    expect(ours).toHaveLength(official.lists.length);
    for (const { id, seats: own, groups } of official.lists)
      expect(
        ours.find((list) => list.id === id),
        id,
      ).toMatchObject({ seats: own, groups });
    expect(readEuSheet(textOf("eu.json"))).toMatchObject({ seats: 720, groups: official.seats.groups });
  });

  it("have Romania's percentages as published", () => {
    const expected = official.lists.filter(({ state }) => state === "RO").map(({ id, share }) => [id, Number(share)]);
    const ours = sheetOf("RO").lists.map(({ id, share }) => [id, Number(share)]);
    expect(ours).toEqual(expected);
  });

  it("have the shares of Slovenia's stations, and say so", () => {
    expect(shares(sheetOf("SI")).SI01).toBe("30.76");
    const notes = JSON.parse(textOf("notes.json")) as SheetNotes;
    const slovenia = notes.states.find(({ state }) => state === "SI");
    expect(slovenia).toMatchObject({ votesFrom: "counted", units: { expected: 3078, counted: 3078 } });
    expect(slovenia?.notes.join(" ")).toContain("30.76 % of the stations' votes and 30.59 % as published");
  });

  it("say which percentages are published ones, and give none where they have no common scale", () => {
    const notes = JSON.parse(textOf("notes.json")) as SheetNotes;
    const noted = (id: string) => notes.states.find(({ state }) => state === id)?.notes.join(" ");
    expect(noted("FR")).toContain("the published ones");
    expect(noted("RO")).not.toContain("the published ones");
    expect(noted("IE")).toContain("declared");
    expect(noted("BE")).toContain("no common scale");
    expect(new Set(Object.values(shares(sheetOf("BE"))))).toEqual(new Set([null]));
    expect(notes.mode).toBe("EXERCISE");
  });

  it("survive the round trip", () => {
    for (const state of final.states) {
      const sheet = sheetOf(state.state);
      expect(sheet.groups).toEqual(state.groups);
      const csv = readSheetCsv(textOf(`results-parties-${state.state.toLowerCase()}.csv`));
      for (const list of state.lists) {
        const back = sheet.lists.find(({ id }) => id === list.id);
        expect(back, list.id).toMatchObject({ seats: list.seats, groups: list.groups });
        const inCsv = csv.find((row) => row.PARTY_ID === list.id)?.VOTES_PERCENT;
        expect(inCsv === "" ? null : Number(inCsv).toFixed(2), list.id).toBe(back?.share);
      }
    }
    const names = new Map(readSheetCsv(textOf("parties.csv")).map((row) => [row.ID, row.LABEL]));
    for (const list of definition.states.flatMap(({ lists }) => lists)) expect(names.get(list.id)).toBe(list.name);
  });
});

describe("a sheet before the count is over", () => {
  const some = readNational().tallies.filter(({ state }) => state === "AT");
  const first = readRomania().first.slice(0, 10);

  it("is there for every state, those of which nothing is in too", () => {
    const early = textsOf(buildRelease(heard([tally("AT", some), tally("RO", first)]), header));
    expect([...early.keys()]).toEqual([...texts.keys()]);
    expect(sheetOf("RO", early)).toMatchObject({ status: "PROVISIONAL", seats: 33 });
    expect(sheetOf("FR", early)).toMatchObject({ status: "PROVISIONAL", seats: 81, groups: {} });
    expect(new Set(Object.values(shares(sheetOf("FR", early))))).toEqual(new Set([null]));
    const notes = JSON.parse(textOf("notes.json", early)) as SheetNotes;
    expect(notes.states.find(({ state }) => state === "RO")?.notes).toContain("10 of 19870 units are in.");
  });

  it("says that its state is withheld, and shows no figure", () => {
    const hold = { type: "decision", decision: "hold", about: "BE", reason: "a test" };
    const belgium = readNational().tallies.filter(({ state }) => state === "BE");
    const held = textsOf(buildRelease(heard([...belgium.map((one) => tally("BE", [one])), hold]), header));
    for (const id of ["BE", ...COLLEGES])
      expect(sheetOf(id, held)).toMatchObject({ status: "WITHHELD", groups: {}, lists: [] });
    expect(readSheetCsv(textOf("results-parties-be.csv", held))).toEqual([]);
    const notes = JSON.parse(textOf("notes.json", held)) as SheetNotes;
    expect(notes.states.find(({ state }) => state === "BE")).toMatchObject({ withheld: true });
  });
});

describe("the form of a sheet", () => {
  it("has percentages rounded half up from exact integers, and one decimal at least", () => {
    const shown = (part: number, whole: number) => percentOf(part, whole)?.toString();
    expect([shown(1, 10), shown(132, 1000), shown(1, 1), shown(0, 7), shown(1, 20_000)]).toEqual([
      "10.0",
      "13.2",
      "100.0",
      "0.0",
      "0.01",
    ]);
    expect(shown(99_999, 2_000_000_000)).toBe("0.0");
    expect(shown(9_007_199_254_740_990, 9_007_199_254_740_991)).toBe("100.0");
    expect(percentOf(0, 0)).toBeNull();
    expect(sheetJson({ a: percentOf(1, 2), b: [], c: null })).toBe('{\n  "a": 50.0,\n  "b": [],\n  "c": null\n}');
  });

  it("has Brussels time, in summer and in winter, to the hour of the change", () => {
    expect(sheetTime("2024-07-16T11:26:18.131Z")).toBe("2024-07-16T13:26:18.131+0200");
    expect(sheetTime("2024-03-31T00:59:59.999Z")).toBe("2024-03-31T01:59:59.999+0100");
    expect(sheetTime("2024-03-31T01:00:00.000Z")).toBe("2024-03-31T03:00:00.000+0200");
    expect(sheetTime("2027-10-31T00:59:59.999Z")).toBe("2027-10-31T02:59:59.999+0200");
    expect(sheetTime("2027-10-31T01:00:00.000Z")).toBe("2027-10-31T02:00:00.000+0100");
    expect(sheetMinute("2024-12-31T23:30:00.000Z")).toBe("2025-01-01 00:30");
    expect(() => sheetTime("never")).toThrow(RangeError);
  });

  it("has CSV that comes back, and that no spreadsheet runs", () => {
    const rows = [
      ["A", "B"],
      ["a;b", 'say "x"'],
      [" lead", "two\nlines"],
      ["", "ё ñ"],
    ];
    expect(readSheetCsv(sheetCsv(rows))).toEqual(rows.slice(1).map(([A, B]) => ({ A, B })));
    expect(sheetCsv([["=1+1", "plain"]])).toBe("'=1+1;plain\n");
    expect(() => readSheetCsv('A;B\n"open;x\n')).toThrow(SyntaxError);
    expect(() => readSheetCsv("A;B\n1\n")).toThrow(SyntaxError);
  });
});
