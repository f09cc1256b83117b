import nacl from "tweetnacl";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { allBut, NINE } from "../../../test/verify-steps.ts";
import { AT, startVerifyWorld, type Twist, type VerifyWorld } from "../../../test/verify-world.ts";
import { load } from "./fixture.ts";

/** The checks as the page makes them, without a browser around them. */
interface Checks {
  runChecks(
    asked: { file: Uint8Array },
    tools: { get: (path: string) => Promise<{ status: number; bytes: Uint8Array }>; nacl: typeof nacl },
  ): AsyncIterable<{ title: string; state: string }>;
  summaryOf(lines: { title: string; state: string; exercise?: boolean }[]): string;
}
const { runChecks, summaryOf } = await load<Checks>("checks.js");

let world: VerifyWorld;
beforeAll(async () => {
  world = await startVerifyWorld();
});
afterAll(() => world?.close());

const statementBroken = { "The statement": "does not hold" };
const releaseBroken = { "The release": "does not hold" };
const noEntry = {
  "The entry": "does not hold",
  "The statement": "not possible yet",
  "The verdict": "not possible yet",
  "The release": "not possible yet",
};

/** A log that is signed and hashed as it should be, with one entry in it that no honest ledger or count writes. */
const TWISTS: [name: string, twist: Twist, others: Record<string, string>][] = [
  ["an entry of another sequence", { at: AT.tally, entry: { sequence: 9 } }, statementBroken],
  ["an entry of another key", { at: AT.tally, entry: { key: "AT-2" } }, statementBroken],
  ["an entry of more units", { at: AT.tally, entry: { units: 3 } }, statementBroken],
  ["an entry of another type", { at: AT.tally, entry: { type: "seats", units: 0 } }, statementBroken],
  ["an entry of another state", { at: AT.tally, entry: { state: "LU" } }, statementBroken],
  ["an entry without sense", { at: AT.tally, entry: { received: "yesterday" } }, noEntry],
  ["an entry of another index", { at: AT.tally, entry: { index: 3 } }, noEntry],
  ["a statement for another election", { at: AT.tally, statement: { definition: "0".repeat(64) } }, statementBroken],
  ["a statement of a count", { at: AT.tally, kids: ["recount-1"] }, statementBroken],
  ["a verdict that is none", { at: AT.tally, verdict: "perhaps" as never }, { "The verdict": "does not hold" }],
  ["a release of one count", { at: AT.release, kids: ["tabulate-1"] }, releaseBroken],
  ["a release of an office", { at: AT.release, kids: ["tabulate-1", "AT-1"] }, releaseBroken],
  ["another number", { at: AT.release, statement: { number: 2 } }, releaseBroken],
  ["a smaller part of the log", { at: AT.release, statement: { size: 2 } }, releaseBroken],
  ["a part that the log never was", { at: AT.release, statement: { root: "A".repeat(43).concat("=") } }, releaseBroken],
  ["a root that is none", { at: AT.release, statement: { root: "no root" } }, releaseBroken],
  ["another document", { at: AT.release, statement: { release: "0".repeat(64) } }, releaseBroken],
  ["a release of another election", { at: AT.release, statement: { definition: "0".repeat(64) } }, releaseBroken],
];

describe("a log that lies", () => {
  it.for(TWISTS)("is seen: %s", async ([, twist, others]) => {
    world.log = await world.write(twist);
    const get = async (path: string) => {
      const answer = await fetch(world.url + path);
      return { status: answer.status, bytes: new Uint8Array(await answer.arrayBuffer()) };
    };
    const states: Record<string, string> = {};
    const file = Buffer.from(await world.log.proof(AT.tally, 200));
    for await (const { title, state } of runChecks({ file }, { get, nacl })) states[title] = state;
    expect(states).toEqual(allBut(others));
  });
});

describe("the summary", () => {
  const lines = (...states: string[]) => states.map((state, n) => ({ title: NINE[n]!, state }));
  it.each([
    [lines("holds", "holds"), "All 2 checks hold."],
    [lines("holds", "not possible yet"), "1 of 2 checks hold. Not possible yet: the proof."],
    [lines("not possible yet"), "Nothing could be checked."],
    [
      lines("holds", "does not hold", "not possible yet", "does not hold"),
      "Does not hold: the proof, the entry. Do not rely on it, and keep the file: it may be evidence.",
    ],
    [lines("holds").map((line) => ({ ...line, exercise: true })), "EXERCISE, no real result. All 1 checks hold."],
  ])("says %# in a sentence", (given, sentence) => {
    expect(summaryOf(given)).toBe(sentence);
  });
});
