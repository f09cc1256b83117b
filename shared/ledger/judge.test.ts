import { describe, expect, it } from "vitest";
import { sampleTally } from "../definition/sample.ts";
import { VERDICT_CODES } from "./codes.ts";
import { GATE_ROWS } from "./gate-rows.ts";
import * as say from "./judge-sample.ts";
import {
  CLOSE,
  codes,
  forDefinition,
  judged,
  LATER,
  LIFTED,
  of,
  one,
  type Row,
  type Sent,
  tally,
  with_,
} from "./judge-sample.ts";
import { KEY_ROWS } from "./key-rows.ts";

const HOUR = 3_600_000;
const sequence = (sent: Sent, n: number): Sent =>
  with_(sent, { statement: { ...sent.statement, sequence: n } as Sent["statement"] });
const votes = { AT01: 120, AT02: 98, AT90: 2 };
const final = [say.ALL_OF_AT, say.declares("AT", "final", ["AT-1", "AT-2"])];
const isOfficial = say.declares("AT", "official", ["AT-3", "AT-2"]);
const official = [...final, isOfficial];
const reopened = [...official, say.declares("AT", "final", ["AT-1", "AT-2"])];
const all = { AT01: 10, AT02: 10 };

const ROWS: Row[] = [
  ["F.101", "another election", forDefinition(one(), "0".repeat(64)), one()],
  ["F.102", "a second payload", with_(one(), { equivocates: true }), one()],
  ["F.103", "one official of two", with_(say.luxembourg("LU-11"), { by: ["LU-1"] }), say.luxembourg("LU-11")],
  [
    "F.103",
    "one official with two keys",
    say.declares("AT", "final", ["AT-1", "AT-3"]),
    say.declares("AT", "final", ["AT-1", "AT-2"]),
    [say.ALL_OF_AT],
  ],
  [
    "F.103",
    "a declaration by one",
    say.declares("AT", "final", ["AT-1"]),
    say.declares("AT", "final", ["AT-2", "AT-3"]),
    [say.ALL_OF_AT],
  ],
  [
    "F.103",
    "a decision by one trustee",
    say.decides("override", "AT", "trustee-1"),
    say.decides("override", "AT", "trustee-3", "trustee-1"),
  ],
  ["F.103", "a lift by tabulate alone", say.lift(undefined, ["tabulate-1"]), say.lift(), LIFTED.slice(0, 2)],
  ["F.104", "an office for another state", with_(one(), { by: ["LU-1"] }), one()],
  [
    "F.104",
    "a cosigner of another state",
    with_(one(), { by: ["AT-1", "LU-1"] }),
    with_(one(), { by: ["AT-1", "AT-2"] }),
  ],
  ["F.104", "a tally by a trustee", with_(one(), { by: ["trustee-1"] }), one()],
  ["F.104", "a hold by an office", say.decides("hold", "AT", "AT-1"), say.decides("hold", "AT", "trustee-2")],
  ["F.104", "recount first", say.lift(undefined, ["recount-1", "tabulate-1"]), say.lift(), LIFTED.slice(0, 2)],
  ["F.104", "a lift by offices", say.lift(undefined, ["AT-1", "LU-1"]), say.lift(), LIFTED.slice(0, 2)],
  ["F.104", "trustees for a state", of(say.decides("hold", "AT"), "AT"), say.decides("hold", "AT")],
  ["F.104", "a lift for a state", of(say.lift(), "AT"), say.lift(), LIFTED.slice(0, 2)],
  ["F.201", "no such unit", tally([sampleTally("AT-5")]), tally([sampleTally("AT-4")])],
  ["F.202", "another state's unit", tally([sampleTally("LU-11")]), tally([sampleTally("AT-2")])],
  [
    "F.203",
    "a unit twice",
    tally([sampleTally("AT-1"), sampleTally("AT-1")]),
    tally([sampleTally("AT-1"), sampleTally("AT-2")]),
  ],
  ["F.204", "another state's list", one({ votes: { AT01: 120, AT02: 98, LU01: 2 } }), one({ votes })],
  [
    "F.204",
    "another constituency's list",
    say.luxembourg("LU-11", { votes: { LU11: 300 } }),
    say.luxembourg("LU-11", { votes: { LU01: 300 } }),
  ],
  ["F.205", "the same version again", one({ version: 3 }), one({ version: 4 }), [one({ version: 3 })]],
  ["F.206", "a first version of 101", one({ version: 101 }), one({ version: 100 })],
  ["F.206", "101 ahead", one({ version: 108 }), one({ version: 107 }), [one({ version: 7 })]],
  ["F.207", "a tally before the close", with_(one(), { at: CLOSE - 1 }), with_(one(), { at: CLOSE })],
  [
    "F.207",
    "a tally before an extended close",
    with_(say.luxembourg("LU-21"), { at: LATER - 1 }),
    with_(say.luxembourg("LU-21"), { at: LATER }),
    [say.extended("LU", LATER, "LU-N")],
  ],
  [
    "F.207",
    "seats before the close",
    with_(say.seats("AT", "AT", all), { at: CLOSE - 1 }),
    with_(say.seats("AT", "AT", all), { at: CLOSE }),
  ],
  [
    "F.207",
    "a declaration before an extended close",
    say.declares("AT", "final", ["AT-1", "AT-2"]),
    with_(say.declares("AT", "final", ["AT-1", "AT-2"]), { at: LATER + HOUR }),
    [say.ALL_OF_AT, say.extended("AT", LATER + HOUR)],
  ],
  [
    "F.208",
    "a list that falls",
    one({ version: 2, votes: { AT01: 119, AT02: 99, AT90: 2 } }),
    one({ version: 2, votes: { AT01: 119, AT02: 99, AT90: 2 }, reason: "recounted" }),
    [one()],
  ],
  [
    "F.208",
    "a list that is left out",
    one({ version: 2, votes: { AT01: 122, AT02: 98 } }),
    one({ version: 2, ballots: 233, votes: { AT01: 122, AT02: 98, AT90: 2 } }),
    [one()],
  ],
  ["F.208", "fewer electors", one({ version: 2, electors: 811 }), one({ version: 2, electors: 813 }), [one()]],
  ...["ballots", "blank", "invalid"].map((name): Row => {
    const figures = { ballots: 100, blank: 4, invalid: 7 };
    const but = (by: number) =>
      say.luxembourg("LU-11", { ...figures, version: 2, [name]: figures[name as "ballots"] + by });
    return ["F.208", `fewer ${name}`, but(-1), but(1), [say.luxembourg("LU-11", figures)]];
  }),
  ["F.209", "a tally after official", one({ version: 2 }), one({ version: 2 }), official],
  ["F.209", "seats after official", say.seats("AT", "AT", all), say.seats("AT", "AT", all), official],
  ["F.301", "one ballot too many", one({ ballots: 232 }), one({ ballots: 231 })],
  ["F.301", "one ballot too few", one({ ballots: 230 }), one({ ballots: 231 })],
  [
    "F.301",
    "more blank and invalid than ballots",
    say.luxembourg("LU-11", { ballots: 10, votes: { LU01: 6 } }),
    say.luxembourg("LU-11", { ballots: 12, votes: { LU01: 6 } }),
  ],
  [
    "F.302",
    "more votes than six a ballot",
    say.luxembourg("LU-11", { votes: { LU01: 535 } }),
    say.luxembourg("LU-11", { votes: { LU01: 534 } }),
  ],
  ["F.303", "more ballots than its register", one({ electors: 230 }), one({ electors: 244 })],
  ["F.303", "a register without electors", one({ electors: 0 }), one({ electors: 812 })],
  ["F.401", "a closure before the close", say.closed("AT", undefined, CLOSE - 1), say.closed("AT", undefined, CLOSE)],
  [
    "F.401",
    "a closure before the extended close",
    say.closed("LU"),
    say.closed("LU", "LU-S"),
    [say.extended("LU", CLOSE + HOUR, "LU-N")],
  ],
  ["F.402", "an extension to the same close", say.extended("AT", CLOSE), say.extended("AT", CLOSE + 1)],
  ["F.402", "more than four hours", say.extended("AT", CLOSE + 4 * HOUR + 1), say.extended("AT", CLOSE + 4 * HOUR)],
  [
    "F.402",
    "more than four hours after the last one",
    say.extended("AT", CLOSE + 5 * HOUR + 1),
    say.extended("AT", CLOSE + 5 * HOUR),
    [say.extended("AT", CLOSE + HOUR)],
  ],
  ["F.402", "an extension after the lift", say.extended("AT", LATER), say.closed("AT"), LIFTED],
  ["F.403", "another state's constituency", say.closed("AT", "LU-N"), say.closed("AT", "AT")],
  ["F.403", "seats of no constituency", say.seats("AT", "AT-X", all), say.seats("AT", "AT", all)],
  [
    "F.403",
    "a draw in no constituency",
    say.draws("XX", "seats", "AT01", "AT02"),
    say.draws("AT", "seats", "AT01", "AT02"),
  ],
  ["F.404", "a seat too few", say.seats("AT", "AT", { AT01: 10, AT02: 9 }), say.seats("AT", "AT", all)],
  ["F.404", "a list of elsewhere", say.seats("AT", "AT", { AT01: 10, LU01: 10 }), say.seats("AT", "AT", all)],
  [
    "F.404",
    "a list of another constituency, with no seat",
    say.seats("LU", "LU-N", { LU01: 4, LU11: 0 }),
    say.seats("LU", "LU-N", { LU01: 4, LU02: 0 }),
  ],
  [
    "F.405",
    "a unit missing",
    say.declares("LU", "final", ["LU-1", "LU-2"]),
    say.declares("AT", "final", ["AT-1", "AT-2"]),
    [say.ALL_OF_AT, say.luxembourg("LU-11"), say.luxembourg("LU-12")],
  ],
  ["F.406", "a number that is used", say.voids(900_000, true), say.voids(900_000)],
  ["F.406", "its own number", sequence(say.voids(900_001), 900_001), sequence(say.voids(900_001), 900_002)],
  ["F.407", "a voided number", sequence(one(), 900_000), sequence(one(), 900_001), [say.voids(900_000)]],
  [
    "F.407",
    "a rotation under a voided number",
    sequence(say.rotates("AT-1", "AT-9"), 900_000),
    say.rotates("AT-1", "AT-9"),
    [say.voids(900_000)],
  ],
  ["F.407", "polls under a voided number", sequence(say.closed("AT"), 900_000), say.closed("AT"), [say.voids(900_000)]],
  ["F.408", "another origin", say.opensOrigin("log.example/2"), say.decides("hold", "EU")],
  [
    "F.408",
    "a second override",
    say.decides("override", "AT"),
    say.decides("override", "LU"),
    [say.decides("override", "AT")],
  ],
  ["F.408", "a second hold", say.decides("hold", "AT"), say.decides("hold", "LU"), [say.decides("hold", "AT")]],
  ["F.408", "a hold on nothing", say.decides("hold", "XX"), say.decides("hold", "EU")],
  ["F.408", "a hold on the Union after the lift", say.decides("hold", "EU"), say.decides("hold", "AT"), LIFTED],
  ["F.408", "no hold to resume", say.decides("resume", "LU"), say.decides("resume", "AT"), [say.decides("hold", "AT")]],
  [
    "F.408",
    "an override of a closure",
    say.decides("override", "AT"),
    say.decides("override", "LU"),
    [say.closed("AT")],
  ],
  [
    "F.408",
    "an override of one constituency's closure only",
    say.decides("override", "EU"),
    say.decides("override", "LU"),
    [say.closed("LU", "LU-N")],
  ],
  [
    "F.408",
    "a second draw of the same tie",
    say.draws("AT", "seats", "AT02", "AT01"),
    say.draws("AT", "seats", "AT02", "AT03"),
    [say.draws("AT", "seats", "AT01", "AT02")],
  ],
  ["F.408", "a contender twice", say.draws("AT", "seats", "AT01", "AT01"), say.draws("AT", "seats", "AT01", "AT-A1")],
  [
    "F.408",
    "a contender of elsewhere",
    say.draws("LU-N", "seats", "LU01", "LU11"),
    say.draws("LU-N", "seats", "LU01", "LU02"),
  ],
  [
    "F.408",
    "a list outside the alliance",
    say.draws("AT", "AT-A1", "AT01", "AT03"),
    say.draws("AT", "AT-A1", "AT01", "AT02"),
  ],
  [
    "F.408",
    "a draw within nothing",
    say.draws("AT", "AT-A2", "AT01", "AT02"),
    say.draws("AT", "AT-A1", "AT02", "AT01"),
  ],
  ["F.501", "a closure missing", say.lift(), say.decides("override", "LU"), [say.closed("AT")]],
  [
    "F.501",
    "a clock before the close",
    say.lift(say.clocksAt(CLOSE - 1)),
    say.lift(say.clocksAt(CLOSE)),
    LIFTED.slice(0, 2),
  ],
  ["F.501", "no clocks", with_(say.lift(), { clocks: undefined }), say.lift(), LIFTED.slice(0, 2)],
  ["F.501", "a release before the lift", say.release(1), say.lift(), LIFTED.slice(0, 2)],
  ["F.502", "a second lift", say.lift(), say.release(1), LIFTED],
  ["F.502", "a second lift with a stopped clock", with_(say.lift(), { clocks: undefined }), say.release(1), LIFTED],
  ["F.503", "a number left out", say.release(2, 10, null), say.release(1), LIFTED],
  ["F.503", "a break in the chain", say.release(2, 20, "0".repeat(64)), say.release(2), [...LIFTED, say.release(1)]],
  ["F.503", "a first release with one before it", say.release(1, 10, "0".repeat(64)), say.release(1), LIFTED],
  ["F.503", "a log that did not grow", say.release(2, 10), say.release(2, 11), [...LIFTED, say.release(1, 10)]],
  [
    "W.201",
    "more ballots than electors without a register",
    tally([sampleTally("AT-P", { electors: 230 })]),
    tally([sampleTally("AT-P", { electors: 244 })]),
  ],
  [
    "W.201",
    "fewer electors than ballots, but some",
    tally([sampleTally("AT-P", { electors: 1 })]),
    tally([sampleTally("AT-P", { electors: 0 })]),
  ],
  ["W.202", "turnout above 95 %", one({ electors: 243 }), one({ electors: 244 })],
  [
    "W.203",
    "blank above 3.5 %",
    one({ electors: 2000, ballots: 1000, blank: 36, invalid: 0, votes: { AT01: 964 } }),
    one({ electors: 2000, ballots: 1000, blank: 35, invalid: 0, votes: { AT01: 965 } }),
  ],
  [
    "W.204",
    "invalid above 3.5 %",
    one({ electors: 2000, ballots: 1000, blank: 0, invalid: 36, votes: { AT01: 964 } }),
    one({ electors: 2000, ballots: 1000, blank: 0, invalid: 35, votes: { AT01: 965 } }),
  ],
  [
    "W.205",
    "no votes",
    tally([sampleTally("AT-P", { ballots: 11, votes: {} })]),
    tally([sampleTally("AT-P", { ballots: 12, votes: { AT01: 1 } })]),
  ],
  ["F.414", "official at once", isOfficial, say.declares("AT", "final", ["AT-1", "AT-2"]), [say.ALL_OF_AT]],
  ...KEY_ROWS,
  ...GATE_ROWS,
];

describe("what a state declares", () => {
  const verdicts = (...log: Sent[]) => log.map((sent, n) => codes(judged(sent, log.slice(0, n)).findings));
  const changes = [one({ version: 2 }), say.seats("AT", "AT", all)];

  it("is official after it was final, and may be said again", () =>
    expect(verdicts(...official, isOfficial, ...final.slice(1))).toEqual([[], [], [], [], []]));

  it.each(changes)("after a change has to be final again before it is official: $statement.type", (change) => {
    expect(codes(judged(isOfficial, [...final, change]).findings)).toEqual(["F.414"]);
    expect(verdicts(...final, change, final[1]!, isOfficial)).toEqual([[], [], [], [], []]);
  });

  it.each(changes)("once official takes a new declaration, the change, and both anew: $statement.type", (change) => {
    expect(codes(judged(change, official).findings)).toEqual(["F.209"]);
    expect(codes(judged(isOfficial, [...reopened, change]).findings)).toEqual(["F.414"]);
    expect(verdicts(...reopened, change, final[1]!, isOfficial)).toEqual(Array(7).fill([]));
  });
});

describe("each code", () => {
  it("has a row", () => {
    expect([...new Set(ROWS.map(([code]) => code))].sort()).toEqual(Object.keys(VERDICT_CODES));
  });

  it.each(ROWS)("%s: %s", (code, _, wrong, right, log = []) => {
    const verdict = judged(wrong, log);
    expect(codes(verdict.findings)).toEqual([code]);
    expect(verdict.verdict).toBe(code.startsWith("F") ? "quarantined" : "accepted");
    // The one code that only a declaration, not another figure, takes away.
    const neighbour = judged(right, code === "F.209" ? reopened : log);
    expect(neighbour).toEqual({ verdict: "accepted", findings: [] });
  });
});
