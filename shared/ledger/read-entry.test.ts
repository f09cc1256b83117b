import { describe, expect, it } from "vitest";
import { canonical, type DefinitionEntry, type Entry } from "./entry.ts";
import { readEntry } from "./read-entry.ts";

const HASH = "a".repeat(64);
const entry: Entry = {
  index: 120,
  received: "2024-06-09T21:40:01.482Z",
  state: "IT",
  key: "IT-1",
  sequence: 17,
  type: "tally",
  units: 1,
  statement: HASH,
  judgement: HASH,
};
const first: DefinitionEntry = {
  index: 0,
  received: "2024-06-09T21:40:01.482Z",
  type: "definition",
  definition: HASH,
  signatures: [{ key: "authority-1", signature: "x" }],
};
const bytes = (text: string) => Buffer.from(text, "utf8");

describe("an entry's bytes", () => {
  it("are read as what was written", () => {
    expect(readEntry(bytes(canonical(entry)))).toEqual(entry);
    expect(readEntry(bytes(canonical(first)))).toEqual(first);
  });

  it.each<[string, string]>([
    ["another order of its members", JSON.stringify(entry)],
    ["a space", `${canonical(entry)} `],
    ["a member twice", canonical(entry).replace('"index":120', '"index":119,"index":120')],
    ["a member more", canonical({ ...entry, votes: 1 })],
    ["a member less", canonical({ ...entry, units: undefined })],
    ["another type", canonical({ ...entry, type: "guess" })],
    ["index 0 without being the definition", canonical({ ...entry, index: 0 })],
    ["the definition at another index", canonical({ ...first, index: 1 })],
    ["no milliseconds", canonical({ ...entry, received: "2024-06-09T21:40:01Z" })],
    ["a hash in capitals", canonical({ ...entry, statement: HASH.toUpperCase() })],
    ["no JSON", "entry"],
  ])("are none with %s", (_, text) => {
    expect(readEntry(bytes(text))).toBeUndefined();
  });
});
