import { describe, expect, it } from "vitest";
import { sampleTally } from "../definition/sample.ts";
import * as say from "./judge-sample.ts";
import { CLOSE, codes, forDefinition, judged, LATER, logOf, one, type Sent, tally, with_ } from "./judge-sample.ts";

/** What holds for verdicts beyond their codes (`judge.test.ts`). */
describe("a verdict", () => {
  it("names every finding once per unit, by unit and code, whatever the order of the tallies", () => {
    const tallies = [
      sampleTally("AT-3", { ballots: 232, electors: 100 }),
      sampleTally("AT-9"),
      sampleTally("AT-1", { version: 101, votes: { LU01: 1, LU02: 2 } }),
      sampleTally("AT-3", { ballots: 232 }),
      sampleTally("AT-2"),
    ];
    const { verdict, findings } = judged(with_(tally(tallies), { at: CLOSE - 1, by: ["trustee-1"] }));
    expect(verdict).toBe("quarantined");
    expect(findings.map(({ code, unit }) => `${unit ?? ""} ${code}`)).toEqual([
      " F.104",
      " F.207",
      "AT-1 F.204",
      "AT-1 F.206",
      "AT-1 F.301",
      "AT-3 F.203",
      "AT-3 F.301",
      "AT-3 F.303",
      "AT-9 F.201",
    ]);
    const backwards = judged(with_(tally([...tallies].reverse()), { at: CLOSE - 1, by: ["trustee-1"] }));
    expect(backwards.findings).toEqual(findings);
  });

  it("says nothing more of a statement for another definition, or under a used sequence number", () => {
    const wrong = with_(one({ ballots: 1, version: 200 }), { by: ["LU-1"], at: CLOSE - 1 });
    expect(codes(judged(forDefinition(wrong, "0".repeat(64))).findings)).toEqual(["F.101"]);
    expect(codes(judged(with_(wrong, { equivocates: true })).findings)).toEqual(["F.102"]);
    const both = with_(forDefinition(wrong, "0".repeat(64)), { equivocates: true });
    expect(codes(judged(both).findings)).toEqual(["F.101", "F.102"]);
  });

  it("lets a quarantined tally use up no version", () => {
    const state = logOf();
    expect(say.step(state, one({ version: 2, ballots: 1 })).verdict).toBe("quarantined");
    expect(say.step(state, one({ version: 1 })).verdict).toBe("accepted");
    expect(say.step(state, one({ version: 2 })).verdict).toBe("accepted");
  });

  it("compares with the version before only", () => {
    const without = { AT01: 122, AT02: 98 };
    const state = logOf(one(), one({ version: 2, votes: without, reason: "a wrong line" }));
    const again = one({ version: 3, ballots: 232, votes: { ...without, AT90: 1 } });
    expect(say.step(state, again)).toEqual({ verdict: "accepted", findings: [] });
  });

  it("keeps the rules for a statement of no state, or without signers", () => {
    const nowhere = with_(one(), { statement: { ...one().statement, state: "XX" } as Sent["statement"] });
    expect(codes(judged(nowhere).findings)).toEqual(["F.104", "F.207", "F.202"]);
    expect(codes(judged(with_(one(), { by: [] })).findings)).toEqual(["F.104"]);
    expect(codes(judged(with_(say.decides("hold", "AT"), { by: [] })).findings)).toEqual(["F.104"]);
  });

  it("reopens a closure by a later extension, so that the lift waits", () => {
    const log = [say.closed("AT"), say.closed("LU"), with_(say.extended("LU", LATER, "LU-S"), { at: CLOSE + 1 })];
    expect(codes(judged(say.lift(), log).findings)).toEqual(["F.501"]);
    const again = [...log, say.closed("LU", "LU-S", LATER)];
    expect(judged(say.lift(say.clocksAt(LATER)), again).verdict).toBe("accepted");
    expect(codes(judged(say.lift(say.clocksAt(LATER - 1)), again).findings)).toEqual(["F.501"]);
  });

  it("opens the gate by an override, and never with the Union on hold", () => {
    const log = [say.closed("AT"), say.decides("override", "LU")];
    expect(judged(say.lift(), log).verdict).toBe("accepted");
    expect(codes(judged(say.lift(), [...log, say.decides("hold", "EU")]).findings)).toEqual(["F.501"]);
    expect(judged(say.lift(), [...log, say.decides("hold", "EU"), say.decides("resume", "EU")]).verdict).toBe(
      "accepted",
    );
  });
});
