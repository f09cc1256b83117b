import { describe, expect, it } from "vitest";
import { newSampleKey, sampleTally, signSample } from "../shared/definition/sample.ts";
import type { Statement } from "../shared/statement/types.ts";
import { luxembourgTally, voices } from "./audit-night.ts";
import { evidenceOf, published } from "./audit-published.ts";
import { auditRun } from "./audit-run.ts";
import { CLOSED, common, createWorld, release, say, type World, waitUntil } from "./audit-world.ts";

/**
 * A statement that is not open may have been signed for another election, and then it used no number up. Whoever holds such a one of an office
 * could otherwise have every auditor believe that the ledger judged wrongly.
 */

const { failureOf, refused } = auditRun();
const OTHER = "ab".repeat(32);
const OWN = undefined;
const NUMBER = 50;

/** Both states' polls are closed. */
async function begun(): Promise<World> {
  const world = createWorld();
  waitUntil(world, CLOSED + 1_000);
  await voices(world).closed("AT");
  await voices(world).closed("LU");
  return world;
}
/** A tally under this number, for this election or another one. */
function tally(world: World, state: "AT" | "LU", definition: string | undefined, sequence = NUMBER): Promise<number> {
  const kids = state === "AT" ? ["AT-1"] : ["LU-1", "LU-2"];
  const tallies = [state === "AT" ? sampleTally() : luxembourgTally("LU-11")];
  const said = { type: "tally", ...common(world, state, kids[0]!, sequence), tallies } as const;
  return say(world, { ...said, definition: definition ?? said.definition }, kids);
}
function rotate(world: World, from: string, to: string, sequence?: number): Promise<number> {
  const key = { id: to, publicKey: (world.sample.keys.get(to) ?? newSampleKey(world.sample, to)).jwk.x };
  const said = { change: "rotate", replaces: from, key } as const;
  return say(world, { type: "key", ...common(world, from.slice(0, 2), from, sequence), ...said }, [from, to]);
}
const closedBy = (world: World, ...kids: [string, ...string[]]) => {
  const state = kids.at(-1)!.slice(0, 2);
  return say(world, { type: "polls", ...common(world, state, kids[0]), polls: "closed" }, kids);
};
const verdictAt = ({ log }: World, index: number) => log[index]?.judgement?.verdict;

describe("above the last release, a number that a closed statement has", () => {
  it("was not used by one of another election: a key that is brought under it signs", async () => {
    const world = await begun();
    await tally(world, "AT", OTHER);
    expect(verdictAt(world, await rotate(world, "AT-1", "AT-8", NUMBER))).toBe("accepted");
    await rotate(world, "AT-8", "AT-9");
    expect(verdictAt(world, await closedBy(world, "AT-9"))).toBe("accepted");
    expect(await failureOf(await published(world))).toBeNull();
  });

  it("was used by one of this election: the old key goes on, and another takes its place", async () => {
    const world = await begun();
    await tally(world, "AT", OWN);
    expect(verdictAt(world, await rotate(world, "AT-1", "AT-8", NUMBER))).toBe("quarantined");
    await closedBy(world, "AT-1");
    expect(verdictAt(world, await rotate(world, "AT-1", "AT-9"))).toBe("accepted");
    await closedBy(world, "AT-9");
    expect(verdictAt(world, await rotate(world, "AT-9", "AT-7"))).toBe("accepted");
    expect(verdictAt(world, await closedBy(world, "AT-7"))).toBe("accepted");
    expect(await failureOf(await published(world))).toBeNull();
  });

  it("was used, and another key comes under the id that was brought in vain", async () => {
    const world = await begun();
    await tally(world, "AT", OWN);
    await rotate(world, "AT-1", "X", NUMBER);
    world.sample.keys.delete("X");
    expect(verdictAt(world, await rotate(world, "LU-1", "X"))).toBe("accepted");
    // So many that what X signs is fetched and verified ahead when the rules have foreseen it as a key of AT.
    for (let n = 0; n < 80; n++) await closedBy(world, "AT-2");
    expect(verdictAt(world, await closedBy(world, "X", "LU-2"))).toBe("accepted");
    expect(await failureOf(await published(world))).toBeNull();
  });

  it("makes no stranger's key known", async () => {
    const world = await begun();
    await tally(world, "AT", OWN);
    await rotate(world, "AT-1", "X", NUMBER);
    const index = await closedBy(world, "LU-1", "LU-2");
    // Signed by a key that nothing in the log has brought.
    newSampleKey(world.sample, "Y");
    const said: Statement = { type: "polls", ...common(world, "AT", "AT-1"), polls: "closed" };
    await say(world, said, ["AT-1"], { jws: signSample(world.sample, said, "Y") });
    await refused(await published(world), { code: "statement.signature", index: index + 1, what: /key\.unknown/ });
  });
});

describe("a number that a withheld statement has", () => {
  /** LU is on hold from the release on; `then` comes under or about the number, and its verdict is open. */
  async function held(
    definition: string | undefined,
    then: (world: World) => Promise<number>,
  ): Promise<[World, number]> {
    const world = await begun();
    const { lift, decide } = voices(world);
    await tally(world, "LU", definition);
    const index = await then(world);
    await lift(CLOSED + 20_000);
    await decide("hold", "LU");
    await release(world);
    return [world, index];
  }
  const polls = (world: World) =>
    say(world, { type: "polls", ...common(world, "LU", "LU-1", NUMBER), polls: "closed" }, ["LU-1", "LU-2"]);
  const voids = (world: World) => voices(world).voids("LU", NUMBER);
  const lied = (world: World) =>
    say(world, { type: "polls", ...common(world, "LU", "LU-1", NUMBER), polls: "closed" }, ["LU-1", "LU-2"], {
      verdict: { verdict: "quarantined", findings: [{ code: "F.104" }] },
    });

  it.each([
    ["another election: it is free", OTHER, polls, "accepted"],
    ["this election: it is taken", OWN, polls, "quarantined"],
    ["another election: it can be voided", OTHER, voids, "accepted"],
    ["this election: it cannot be voided", OWN, voids, "quarantined"],
  ] as const)("for %s", async (_, definition, then, verdict) => {
    const [world, index] = await held(definition, then);
    expect(verdictAt(world, index)).toBe(verdict);
    expect(await failureOf(await published(world))).toBeNull();
  });

  it("excuses no verdict that neither gives", async () => {
    const [world, index] = await held(OTHER, lied);
    const what = /is quarantined \(F\.104\) in the log; the rules give accepted, or quarantined \(F\.102\)/;
    await refused(await published(world), { code: "verdict.differs", index, what });
  });

  it("is known once a statement that is open has it", async () => {
    const [world, index] = await held(OTHER, async (night) => {
      await polls(night);
      const said: Statement = { type: "polls", ...common(night, "LU", "LU-1", NUMBER), polls: "closed" };
      return say(night, { ...said, issued: "2024-06-09T21:41:00Z" }, ["LU-1", "LU-2"], {
        verdict: { verdict: "accepted", findings: [] },
      });
    });
    await refused(await published(world), { code: "verdict.differs", index, what: /the rules give quarantined/ });
  });
});

it("evidence of a gap is not refused for a closed statement that may be another election's", async () => {
  const world = await begun();
  await tally(world, "AT", OWN, 1 + 1);
  await tally(world, "AT", OTHER, 3);
  await tally(world, "AT", OWN, 5);
  const text = await evidenceOf(world, { from: 3, to: 4 }, 3, 5);
  const files = { receipts: [], proofs: [], evidence: [{ file: "brought", text }] };
  expect(await failureOf(await published(world), { files })).toBeNull();
});
