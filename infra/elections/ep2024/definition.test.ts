import { beforeAll, describe, expect, it } from "vitest";
import { createRegister, type Register } from "../../../shared/definition/register.ts";
import type { Definition } from "../../../shared/definition/schema.ts";
import { signDefinition } from "../../../shared/definition/sign.ts";
import { readDefinition } from "../../../shared/definition/validate.ts";
import { apportion } from "../../../shared/results/apportionment.ts";
import { AUTHORITY_IDS, demonstrationKey } from "./demonstration-keys.ts";
import { committedDefinition } from "./exercise.ts";
import { type FeedTally, readGermany, readNational, readOfficial, readRomania, readSlovenia } from "./feed.ts";

let definition: Definition;
let register: Register;

beforeAll(() => {
  const { bytes, signatures, anchors } = committedDefinition();
  const read = readDefinition(bytes, signatures, anchors);
  if (read.kind === "invalid") throw new Error(JSON.stringify(read.reasons, null, 1));
  definition = read.definition;
  register = createRegister(definition, read.hash);
});

/** Every unit's last figures; Germany as one unit. */
function finals(): FeedTally[] {
  const { first, corrections } = readRomania();
  const tallies = [...first, ...corrections, ...readSlovenia().events, ...readNational().tallies];
  return [...new Map(tallies.map((tally) => [tally.unit, tally])).values()];
}

interface Sums {
  votes: Record<string, number>;
  ballots: number;
}

function sumsByConstituency(tallies: Iterable<FeedTally>): Map<string, Sums> {
  const sums = new Map<string, Sums>();
  for (const { unit, ballots, votes } of tallies) {
    const constituency = register.unit(unit)!.constituency;
    const sum = sums.get(constituency) ?? { votes: {}, ballots: 0 };
    sum.ballots += ballots;
    for (const [list, n] of Object.entries(votes)) sum.votes[list] = (sum.votes[list] ?? 0) + n;
    sums.set(constituency, sum);
  }
  return sums;
}

describe("the definition of 2024", () => {
  it("has 27 states, 720 seats, 295 lists and every unit that reports", () => {
    expect(definition.states).toHaveLength(27);
    expect(definition.seats).toBe(720);
    expect(definition.states.flatMap((state) => state.lists)).toHaveLength(295);
    const units = definition.states.flatMap((state) => state.units.flatMap((group) => group.ids));
    expect(new Set(units)).toEqual(new Set(finals().map((tally) => tally.unit)));
    expect([register.expectedUnits("RO"), register.expectedUnits("SI"), register.expectedUnits("BE")]).toEqual([
      19_870, 3_078, 3,
    ]);
    expect(definition.mode).toBe("exercise");
  });

  it("closes last in Italy, counting the Canaries and the Azores but not Bonaire and Los Angeles", () => {
    expect(new Date(register.lastClosing()).toISOString()).toBe("2024-06-09T21:00:00.000Z");
    expect(register.closesAt("IT")).toBe(register.lastClosing());
    const closes = (state: string) => new Date(register.closesAt(state)).toISOString().slice(5, 16);
    expect(["NL", "ES", "PT", "HR", "CZ"].map(closes)).toEqual([
      "06-06T19:00",
      "06-09T19:00",
      "06-09T19:00",
      "06-09T17:00",
      "06-08T12:00",
    ]);
  });

  it("carries the groups of the constitutive session", () => {
    const groups: Record<string, number> = {};
    for (const list of definition.states.flatMap((state) => state.lists))
      for (const { id, seats } of list.groups) groups[id] = (groups[id] ?? 0) + seats;
    const published = { EPP: 188, SD: 136, PfE: 84, ECR: 78, Renew: 77, GREENSEFA: 53, Theleft: 46, NI: 33, ESN: 25 };
    expect(groups).toEqual(published);
    expect(readOfficial().seats.groups).toEqual(published);
  });

  it("declares seats in Ireland and Malta only, and names every state's sources and what is doubtful", () => {
    const declared = definition.states.filter((s) => s.constituencies.some((c) => c.allocation.method === "declared"));
    expect(declared.map((state) => state.id)).toEqual(["IE", "MT"]);
    expect(definition.states.every((state) => state.sources.length > 0)).toBe(true);
    const counted = definition.states.filter((state) => state.votesFrom === "counted").map((state) => state.id);
    expect(counted).toEqual(["AT", "DE", "DK", "RO", "SI"]);
    const rebuilt = definition.states.filter((state) => state.votesFrom === "rebuilt");
    expect(rebuilt.every((state) => state.doubts[0]?.startsWith("Votes are rebuilt"))).toBe(true);
    const rules = definition.states.flatMap((state) => state.constituencies);
    const assumed = rules.flatMap(({ alliances = [], links = [] }) => [...alliances, ...links]);
    expect(assumed).toHaveLength(5);
    expect(assumed.every(({ doubt }) => doubt !== undefined)).toBe(true);
  });

  it("is refused with its reason when tampered with, even signed anew", () => {
    const { bytes, signatures, anchors } = committedDefinition();
    const text = Buffer.from(bytes).toString("utf8");
    const tampered = Buffer.from(text.replace('"seats": 76', '"seats": 75'));
    const codes = (signed: unknown) => {
      const read = readDefinition(tampered, signed, anchors);
      return read.kind === "invalid" ? read.reasons.map((reason) => reason.code) : [];
    };
    expect(codes(signatures)).toEqual(["definition.signature-wrong"]);
    const signers = AUTHORITY_IDS.map((id) => ({ id, privateKey: demonstrationKey(id) }));
    expect(codes(signDefinition(tampered, signers))).toEqual(["definition.seats-differ", "definition.seats-differ"]);
  });
});

describe("the seats that follow from the feed", () => {
  it("are the published ones for every list of all 25 computed states", () => {
    const sums = sumsByConstituency(finals());
    const official = new Map(readOfficial().lists.map((list) => [list.id, list.seats]));
    const computed: Record<string, number> = {};
    for (const constituency of definition.states.flatMap((state) => state.constituencies)) {
      if (constituency.allocation.method === "declared") continue;
      const { seats, ties } = apportion(
        constituency,
        [...register.listsOf(constituency.id)],
        sums.get(constituency.id)!,
        [],
      );
      expect(ties).toEqual([]);
      Object.assign(computed, seats);
    }
    const states = new Set(Object.keys(computed).map((list) => list.slice(0, 2)));
    expect(states.size).toBe(25);
    expect(computed).toEqual(Object.fromEntries(Object.keys(computed).map((list) => [list, official.get(list)])));
  });

  it("with what the offices of Ireland and Malta declare are 720, as published", () => {
    const official = readOfficial();
    for (const { seats } of readNational().seats)
      for (const [list, n] of Object.entries(seats)) expect(official.lists.find((l) => l.id === list)?.seats).toBe(n);
    expect(official.seats.total).toBe(720);
    expect(Object.values(official.seats.states).reduce((sum, n) => sum + n, 0)).toBe(720);
  });
});

describe("the limits of warnings", () => {
  /** Share of units, in percent, whose turnout or invalid share passes the limit of their kind. */
  function warned(tallies: FeedTally[], kindOf: (tally: FeedTally) => { turnout?: string; invalid?: string }): number {
    const above = (part: number, whole: number, limit?: string) =>
      limit !== undefined && part * 100 > Number(limit) * whole;
    const hits = tallies.filter((tally) => {
      const { turnout, invalid } = kindOf(tally);
      return (
        above(tally.invalid, tally.ballots, invalid) ||
        (tally.electors > 0 && above(tally.ballots, tally.electors, turnout))
      );
    });
    return (100 * hits.length) / tallies.length;
  }

  it("ask about some units of the real night, and only about some", () => {
    const { first, corrections } = readRomania();
    const limits = (tally: FeedTally) => register.unit(tally.unit)!.kind.limits;
    const german = new Map(definition.states.find((s) => s.id === "DE")!.kinds.map((kind) => [kind.id, kind.limits]));
    const kind = (tally: FeedTally) =>
      german.get(tally.unit.split("-")[2] === "5" ? "postal-district" : "polling-district")!;
    const shares = [
      warned(first, limits),
      warned(corrections, limits),
      warned(readSlovenia().finals, limits),
      warned(readGermany(), kind),
    ];
    for (const share of shares) {
      expect(share).toBeGreaterThan(0.5);
      expect(share).toBeLessThan(6);
    }
  });

  it("make no unit of the final results an error: a register of its own is never exceeded", () => {
    for (const tally of finals())
      if (register.unit(tally.unit)!.kind.register) expect(tally.ballots).toBeLessThanOrEqual(tally.electors);
    const registers = readGermany().filter((tally) => tally.unit.split("-")[2] !== "5");
    expect(registers.filter((tally) => tally.ballots > tally.electors)).toEqual([]);
  });
});
