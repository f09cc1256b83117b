import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { build } from "./build.ts";
import { cell, hundredths, type Row, whole } from "./source.ts";
import { germanUnits } from "./stations-build.ts";
import { compressTable, expandTable, integers, parseTable, strings, tableText } from "./table.ts";

const here = new URL(".", import.meta.url);
/** The published data lie beside the project where they are kept; without them the committed files stand for themselves. */
const published = fileURLToPath(new URL("../../../../shared/data/ep2024/", here));

describe.skipIf(!existsSync(published))("the build", () => {
  it("makes the committed files from the published data, byte for byte", () => {
    const { files, tables } = build(published);
    for (const [name, text] of files) expect(readFileSync(new URL(name, here), "utf8") === text, name).toBe(true);
    for (const [name, text] of tables)
      expect(expandTable(readFileSync(new URL(`feed/${name}.br`, here))) === text, name).toBe(true);
    expect([...tables.keys()]).toEqual(["ro-first", "ro-corrections", "si-events", "si-final", "de-final"]);
  });
});

describe("cells of the sources", () => {
  const row: Row = { a: "1.413", b: " 12 ", c: "28.3", d: "", e: "12,5" };

  it("are whole numbers or refused: a thousands point is never read as a decimal", () => {
    expect(whole(row, "b")).toBe(12);
    for (const column of ["a", "c", "d", "e"]) expect(() => whole(row, column)).toThrow(SyntaxError);
    expect(() => cell(row, "f")).toThrow(/no column f/);
  });

  it("are percentages of two decimals or refused", () => {
    expect(hundredths(row, "c")).toBe(2_830);
    expect(hundredths({ x: "0.07" }, "x")).toBe(7);
    for (const column of ["a", "d", "e"]) expect(() => hundredths(row, column)).toThrow(SyntaxError);
  });
});

describe("ids of German districts", () => {
  const district = (wahlbezirk: string, kind = "0"): Row => {
    return { land: "14", regbez: "6", kreis: "26", vgem: "5203", gemeinde: "903", kind, wahlbezirk };
  };

  it("hold no character that a unit id may not hold, and stay apart", () => {
    const ids = germanUnits([
      district('070d"'),
      district("070d'"),
      district("1/2, Süd"),
      district("013-1"),
      district("013-1", "5"),
    ]);
    expect(ids).toEqual([
      "DE-146265203903-0-070d_",
      "DE-146265203903-0-070d__2",
      "DE-146265203903-0-1_2__S_d",
      "DE-146265203903-0-013-1",
      "DE-146265203903-5-013-1",
    ]);
    expect(germanUnits([district("000999", "5"), district("000999", "5"), district("000999", "5")])).toEqual([
      "DE-146265203903-5-000999",
      "DE-146265203903-5-000999_2",
      "DE-146265203903-5-000999_3",
    ]);
  });
});

describe("a table", () => {
  it("comes back as it was", () => {
    const text = tableText({ unit: ["A-1", "A-2"], votes: [3, ""] });
    expect(text).toBe("unit:A-1,A-2\nvotes:3,\n");
    const table = parseTable(expandTable(compressTable(text)));
    expect(strings(table, "unit")).toEqual(["A-1", "A-2"]);
    expect(strings(table, "votes")).toEqual(["3", ""]);
  });

  it("refuses what it cannot hold or does not have", () => {
    expect(() => tableText({ a: ["1,2"] })).toThrow(RangeError);
    expect(() => tableText({ a: ["x\ny"] })).toThrow(RangeError);
    expect(() => tableText({ a: [1], b: [1, 2] })).toThrow(RangeError);
    expect(() => parseTable("a:1,2\nb:1\n")).toThrow(SyntaxError);
    expect(() => parseTable("1,2\n")).toThrow(SyntaxError);
    const table = parseTable("a:1,x\n");
    expect(() => integers(table, "a")).toThrow(SyntaxError);
    expect(() => strings(table, "b")).toThrow(SyntaxError);
  });
});
