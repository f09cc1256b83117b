import { describe, expect, it } from "vitest";
import { firstDifference } from "./difference.ts";

const document = () => ({
  number: 1,
  union: { groups: { EPP: 3, NI: 1 } },
  states: [
    { state: "AT", lists: [{ id: "AT01", seats: 3 }], constituencies: [{ constituency: "AT", ballots: 7 }] },
    { state: "LU", lists: [], constituencies: [] },
  ],
});

describe("the first difference", () => {
  it("is named by what identifies the members of lists", () => {
    const served = document();
    served.states[0]!.lists[0]!.seats = 4;
    expect(firstDifference(served, document(), "recount")).toBe(
      "states[AT].lists[AT01].seats is 4 as served, 3 by recount",
    );
  });

  it.each<[string, (served: ReturnType<typeof document>) => void, string]>([
    ["a figure", (served) => (served.union.groups.EPP = 2), "union.groups.EPP is 2 as served, 3 by recount"],
    [
      "a constituency",
      (served) => (served.states[0]!.constituencies[0]!.ballots = 8),
      "states[AT].constituencies[AT].ballots is 8 as served, 7 by recount",
    ],
    [
      "what is left out",
      (served) => void served.states.pop(),
      'states[LU] is absent as served, {"state":"LU","lists":[],"constituencies":[]} by recount',
    ],
    [
      "what is too much",
      (served) => Object.assign(served, { extra: null }),
      "extra is null as served, absent by recount",
    ],
  ])("shows %s", (_, change, sentence) => {
    const served = document();
    change(served);
    expect(firstDifference(served, document(), "recount")).toBe(sentence);
  });

  it("is none between equal documents, and the document itself when it is no document", () => {
    expect(firstDifference(document(), document(), "recount")).toBeUndefined();
    expect(firstDifference("x".repeat(100), {}, "recount")).toMatch(
      /^the document is "x+… as served, \{\} by recount$/,
    );
  });
});
