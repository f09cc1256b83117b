import { describe, expect, it } from "vitest";
import type { Key } from "../definition/schema.ts";
import { judge } from "./judge.ts";
import { codes, decides, keys, LATER, logOf, SAMPLE } from "./judge-sample.ts";

/** A definition gives each trustee one key; should one ever hold two, they still count as one person. */

describe("a decision that asks for two trustees", () => {
  const say = decides("override", "AT");
  const verdictOf = (signers: Key[]) =>
    judge(
      logOf(),
      { statement: say.statement, signers, received: LATER, equivocates: false, clocks: undefined },
      SAMPLE.hash,
    );

  it("is not signed by one of them with two keys", () => {
    const [first, second] = keys("trustee-1", "trustee-2") as [Key, Key];
    expect(verdictOf([first, second]).verdict).toBe("accepted");
    const sameHand = { ...second, person: first.role === "trustee" ? first.person : "" } as Key;
    expect(codes(verdictOf([first, sameHand]).findings)).toEqual(["F.103"]);
  });

  it("nor by nobody", () => {
    expect(codes(verdictOf([]).findings)).toEqual(["F.104"]);
  });
});
