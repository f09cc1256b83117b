import { parse } from "csv-parse/sync";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { applyEntry, createTabulation } from "../results/fold.ts";
import { buildRelease } from "../results/release.ts";
import { arbitraryStatements, decision, HASH, HEADER, logOf, SAMPLE } from "../results/sample.ts";
import type { Release, StateResult } from "./release.ts";
import { RELEASE_CSV_COLUMNS, releaseCsv } from "./release-csv.ts";

type Row = Record<(typeof RELEASE_CSV_COLUMNS)[number], string>;

const read = (csv: string) => parse(csv, { columns: true, record_delimiter: "\r\n" }) as Row[];
const sum = (rows: Row[], column: "votes" | "seats") => rows.reduce((total, row) => total + Number(row[column]), 0);

function releaseOf(statements: Parameters<typeof logOf>[0]): Release {
  const count = createTabulation(SAMPLE, HASH);
  for (const entry of logOf(statements)) applyEntry(count, entry);
  return buildRelease(count, HEADER);
}

/** The seats per group that rows of this form say. */
function groupsOf(rows: Row[]): Record<string, number> {
  const groups: Record<string, number> = {};
  for (const part of rows.flatMap((row) => (row.groups === "" ? [] : row.groups.split(";")))) {
    const [group = "", seats] = part.split(":");
    groups[group] = (groups[group] ?? 0) + Number(seats);
  }
  return groups;
}

describe("releaseCsv", () => {
  it("keeps every total of the release, whatever was counted", () => {
    fc.assert(
      fc.property(arbitraryStatements(true), (statements) => {
        const release = releaseOf(statements);
        const rows = read(releaseCsv(release));
        for (const state of release.states) {
          const own = rows.filter((row) => row.state === state.state);
          expect(own.map((row) => row.list)).toEqual(state.withheld ? [""] : state.lists.map(({ id }) => id));
          expect(sum(own, "votes")).toBe(state.valid);
          expect(sum(own, "seats")).toBe(state.seats.allocated);
          expect(groupsOf(own)).toEqual(state.groups);
          expect(own.every((row) => row.votesFrom === state.votesFrom && row.seatsFrom === state.seatsFrom)).toBe(true);
          for (const { constituency, valid, seats } of state.constituencies) {
            const there = own.filter((row) => row.constituency === constituency);
            expect([sum(there, "votes"), sum(there, "seats")]).toEqual([valid, seats.allocated]);
          }
        }
        expect(groupsOf(rows)).toEqual(release.union.groups);
      }),
    );
  });

  it("has one header line, CRLF after each line, and says in every row that it is an exercise", () => {
    const csv = releaseCsv(releaseOf([]));
    const lines = csv.split("\r\n");
    expect(lines[0]).toBe(RELEASE_CSV_COLUMNS.join(","));
    expect(lines.pop()).toBe("");
    expect(lines.slice(1).length).toBeGreaterThan(5);
    expect(lines.slice(1).every((line) => line.startsWith("EXERCISE,"))).toBe(true);
    expect(csv.replaceAll("\r\n", "")).not.toMatch(/[\r\n]/);
    expect(read(releaseCsv({ ...releaseOf([]), mode: "live" })).every((row) => row.mode === "LIVE")).toBe(true);
  });

  it("shows a withheld state in one row without a figure", () => {
    const rows = read(releaseCsv(releaseOf([decision("hold", "XA")]))).filter((row) => row.state === "XA");
    expect(rows).toHaveLength(1);
    expect(rows[0]).toMatchObject({ withheld: "yes", list: "", votes: "", seats: "", groups: "" });
  });

  it.each(["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])(
    "lets no spreadsheet take %j for a formula",
    (name) => {
      const [row] = read(releaseCsv(withNames(name)));
      expect([row?.state, row?.list, row?.election]).toEqual([`'${name}`, `'${name}`, `'${name}`]);
    },
  );

  it("gives back any other text as it was", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: "grapheme" }), troublesome), (text) => {
        const name = `x${text}`;
        const [row] = read(releaseCsv(withNames(name)));
        expect([row?.state, row?.list, row?.election]).toEqual([name, name, name]);
      }),
    );
  });
});

/** What CSV itself is made of. */
const troublesome = fc.string({ unit: fc.constantFrom('"', ",", ";", "\r", "\n", " ", "'", "ö"), minLength: 1 });

/** A release whose ids are not what a definition would let pass. */
function withNames(name: string): Release {
  const release = releaseOf([]);
  const [first] = release.states as [StateResult];
  const list = { id: name, votes: 1, seats: 0, groups: {} };
  return { ...release, election: name, states: [{ ...first, state: name, lists: [list] }] };
}
