import { sign } from "node:crypto";
import { describe, expect, it } from "vitest";
import { sampleCommon, sampleTally } from "../shared/definition/sample.ts";
import { compactEnvelope } from "../shared/statement/jws.ts";
import { voices } from "./audit-night.ts";
import { published, type Served } from "./audit-published.ts";
import { auditRun, type Expected } from "./audit-run.ts";
import {
  CLOSED,
  createWorld,
  type MadeRelease,
  type ReleaseTwist,
  release,
  say,
  type World,
  waitUntil,
} from "./audit-world.ts";

/** Lies by whoever holds the keys: all hashes and signatures above them are right, and each is refused and named all the same. */

const audits = auditRun();

describe("lies that are signed", () => {
  /** A night up to its first release. */
  async function lying(
    tell: (world: World, said: ReturnType<typeof voices>) => Promise<unknown>,
  ): Promise<Map<string, Served>> {
    const world = createWorld();
    const said = voices(world);
    waitUntil(world, CLOSED + 1_000);
    await said.closed("AT");
    await said.closed("LU");
    await tell(world, said);
    if (!world.state.gate.lifted) await said.lift(CLOSED + 20_000);
    if (world.releases.length === 0) await release(world);
    return published(world);
  }
  const accepted = { verdict: { verdict: "accepted" as const, findings: [] } };
  const quarantined = { verdict: { verdict: "quarantined" as const, findings: [{ code: "F.301" as const }] } };

  it.each<[string, (world: World, said: ReturnType<typeof voices>) => Promise<unknown>, Expected]>([
    [
      "a tally accepted against the rules",
      (_, said) => said.tally("AT-1", { ballots: 230 }, { twist: accepted }),
      {
        code: "verdict.differs",
        index: 3,
        what: /accepted in the log; the rules give quarantined \(F\.301 on AT-1\)/,
        who: /ledger/,
      },
    ],
    [
      "a tally quarantined against the rules",
      (_, said) => said.tally("AT-1", {}, { twist: quarantined }),
      { code: "verdict.differs", index: 3, what: /the rules give accepted/ },
    ],
    [
      "a finding that the rules do not give",
      (_, said) =>
        said.tally("AT-1", {}, { twist: { verdict: { verdict: "accepted", findings: [{ code: "W.205" }] } } }),
      { code: "verdict.differs", index: 3 },
    ],
    [
      "a statement that another key signed",
      (world) => wrongKey(world),
      { code: "statement.signature", index: 3, what: /signature\.invalid/, who: /office of AT/ },
    ],
    [
      "a statement of a key that nobody knows",
      (world) => unknownKey(world),
      { code: "statement.signature", index: 3, what: /key\.unknown/ },
    ],
    [
      "an entry that says another state",
      (_, said) => said.tally("AT-1", {}, { twist: { entry: { state: "LU" } } }),
      { code: "entry.differs", index: 3, what: /state LU.*says AT/, who: /ledger/ },
    ],
    [
      "an entry that says more tallies",
      (_, said) => said.tally("AT-1", {}, { twist: { entry: { units: 2 } } }),
      { code: "entry.differs", index: 3, what: /units 2/ },
    ],
    [
      "an entry that says another number",
      (_, said) => said.tally("AT-1", {}, { twist: { entry: { sequence: 9 } } }),
      { code: "entry.differs", index: 3, what: /sequence 9/ },
    ],
    [
      "a removed entry, hashed and signed anew",
      (_, said) => said.tally("AT-1", {}, { twist: { entry: { index: 4 } } }),
      { code: "entry.index", index: 3, what: /missing.*entry 4/, who: /ledger/ },
    ],
    [
      "an entry received before the one in front of it",
      (_, said) => said.tally("AT-1", {}, { twist: { entry: { received: "2024-06-09T21:00:01.000Z" } } }),
      { code: "entry.received", index: 3 },
    ],
    [
      "an entry that is not canonical",
      (_, said) => said.tally("AT-1", {}, { twist: { body: (text) => text.replace(",", ", ") } }),
      { code: "entry.malformed", index: 3 },
    ],
    [
      "an entry with a field too many",
      (_, said) => said.tally("AT-1", {}, { twist: { body: (text) => text.replace('"units"', '"unit":1,"units"') } }),
      { code: "entry.malformed", index: 3 },
    ],
    [
      "a release with one seat moved",
      (world, said) => released(world, said, { document: moveASeat }),
      {
        code: "release.differs",
        index: 6,
        path: "/v1/releases/1",
        what: /AT0\d.*seats is \d+ as served, \d+ by the rules of `tabulate`/,
        who: /both signed/,
      },
    ],
    [
      "a release of another root",
      (world, said) => released(world, said, { statement: { root: Buffer.alloc(32).toString("base64") } }),
      { code: "release.prefix", what: /root/ },
    ],
    [
      "a release of another size",
      (world, said) => released(world, said, { statement: { size: 4 } }),
      { code: "release.swapped", index: 6 },
    ],
    [
      "a release whose document names another root",
      (world, said) =>
        released(world, said, { document: (doc) => (doc.checkpoint.root = Buffer.alloc(32).toString("base64")) }),
      { code: "release.differs", what: /checkpoint\.root/ },
    ],
    [
      "a release that is served and not in the log",
      (world, said) => twoReleases(world, said, { unannounced: true }),
      { code: "release.unlogged", what: /[Rr]elease 2/, who: /publisher/ },
    ],
    [
      "a release that is in the log and not served",
      (world, said) => twoReleases(world, said, { unlisted: true }),
      { code: "release.hidden", index: 9, what: /release 2/ },
    ],
    [
      "a release that was announced out of order",
      (world, said) => released(world, said, { statement: { number: 2 } }),
      { code: "release.unlogged" },
    ],
  ])("%s", async (_, tell, expected) => {
    await audits.refused(await lying(tell), expected);
  });

  it("a lift before a state has closed", async () => {
    const world = createWorld();
    const { closed, lift, tally } = voices(world);
    waitUntil(world, CLOSED + 1_000);
    await closed("AT");
    await tally("AT-1");
    await lift(CLOSED + 10_000, accepted);
    // Nothing is released yet: the gate is public, and so is this.
    await release(world);
    await audits.refused(await published(world), {
      code: "lift.closed",
      index: 3,
      what: /LU has not signed/,
      who: /ledger.*counts/,
    });
  });

  it.each<[string, number, number, RegExp]>([
    ["by the clocks that it states", CLOSED - 1, CLOSED + 20_000, /by the clocks that it states.*last poll closes at/],
    ["by the time of its receipt", CLOSED + 1, CLOSED - 10_000, /at the time at which the ledger received it/],
  ])("a lift before the last closing, %s", async (_, stated, at, what) => {
    const world = createWorld();
    const { lift, decide } = voices(world);
    waitUntil(world, at - 10_000);
    await decide("override", "AT");
    await decide("override", "LU");
    waitUntil(world, at);
    await lift(stated, accepted);
    await release(world);
    await audits.refused(await published(world), { code: "lift.closed", index: 3, what });
  });

  it("a lift that the ledger's own clocks refused is no lie", async () => {
    const world = createWorld();
    const { lift, closed } = voices(world);
    waitUntil(world, CLOSED + 1_000);
    await closed("AT");
    await closed("LU");
    await lift(CLOSED + 2_000, { verdict: { verdict: "quarantined", findings: [{ code: "F.501" }] } });
    await lift(CLOSED + 3_000);
    await release(world);
    expect(await audits.failureOf(await published(world))).toBeNull();
  });
});

const released = async (world: World, said: ReturnType<typeof voices>, twist: ReleaseTwist) => {
  await said.tally("AT-1");
  await said.lift(CLOSED + 20_000);
  await said.tally("AT-2");
  await release(world, twist);
};
const twoReleases = async (world: World, said: ReturnType<typeof voices>, twist: ReleaseTwist) => {
  await released(world, said, {});
  await said.tally("AT-3");
  await said.tally("AT-4");
  await release(world, twist);
};
type Document = MadeRelease["release"];
function moveASeat({ states }: Document): void {
  const [from, to] = states[0]!.constituencies[0]!.lists;
  from!.seats -= 1;
  to!.seats += 1;
}
const tallyOf = (world: World) => {
  return { type: "tally" as const, ...sampleCommon(world.sample, "AT", 77), tallies: [sampleTally("AT-1")] };
};
function wrongKey(world: World): Promise<number> {
  const statement = tallyOf(world);
  const { signed, assemble } = compactEnvelope("AT-1", Buffer.from(JSON.stringify(statement)));
  const jws = Buffer.from(assemble(sign(null, signed, world.sample.keys.get("AT-2")!.privateKey)));
  return say(world, statement, ["AT-1"], { jws });
}
function unknownKey(world: World): Promise<number> {
  const statement = tallyOf(world);
  const { signed, assemble } = compactEnvelope("AT-9", Buffer.from(JSON.stringify(statement)));
  const jws = Buffer.from(assemble(sign(null, signed, world.sample.keys.get("AT-1")!.privateKey)));
  return say(world, statement, ["AT-1"], { jws });
}
