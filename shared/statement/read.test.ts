import { describe, expect, it } from "vitest";
import { sampleCommon, sampleDefinition, sampleTally } from "../definition/sample.ts";
import { readStatement } from "./read.ts";
import { MAX_FIGURE } from "./types.ts";

const sample = sampleDefinition();
const TALLY = { type: "tally", ...sampleCommon(sample, "AT", 1), tallies: [sampleTally()] };
const read = (value: unknown) => readStatement(Buffer.from(typeof value === "string" ? value : JSON.stringify(value)));

describe("a payload", () => {
  it("is read as what it says", () => {
    expect(read(TALLY)).toEqual({ kind: "statement", statement: TALLY });
  });

  it.each<[string, unknown, string]>([
    ["no object", [], "`type` is none of"],
    ["no type", { ...TALLY, type: undefined }, "`type` is none of"],
    ["a type of every object's own", { ...TALLY, type: "constructor" }, "`type` is none of"],
    ["a member too many", { ...TALLY, more: 1 }, "In the payload"],
    [
      "a figure above the limit",
      { ...TALLY, tallies: [sampleTally("AT-1", { electors: MAX_FIGURE + 1 })] },
      "`tallies.0.electors`",
    ],
    ["a negative figure", { ...TALLY, tallies: [sampleTally("AT-1", { blank: -1 })] }, "`tallies.0.blank`"],
    [
      "a negative vote",
      { ...TALLY, tallies: [sampleTally("AT-1", { votes: { AT01: -1 } })] },
      "`tallies.0.votes.AT01`",
    ],
    ["no tally", { ...TALLY, tallies: [] }, "`tallies`"],
    ["no nonce", { ...TALLY, nonce: undefined }, "`nonce`"],
  ])("is refused with %s, and is told where", (_, value, where) => {
    const refused = read(value);
    expect(refused).toMatchObject({ kind: "refused", code: "statement.malformed" });
    expect(refused.kind === "refused" && refused.detail).toContain(where);
  });

  it("is refused by the strict reader before its shape is looked at", () => {
    expect(read('{"type":"tally","type":"tally"}')).toMatchObject({ kind: "refused", code: "json.duplicate-key" });
  });

  it("that is refused shows no figure", () => {
    const refused = read({ ...TALLY, tallies: [sampleTally("AT-1", { electors: 987_654_321_987 })] });
    expect(JSON.stringify(refused)).not.toContain("987");
  });
});
