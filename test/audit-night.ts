import { newSampleKey, sampleTally } from "../shared/definition/sample.ts";
import type { Tally } from "../shared/statement/types.ts";
import { CLOSED, common, createWorld, type EntryTwist, release, say, type World, waitUntil } from "./audit-world.ts";

/** Nights for the audit: who says what, and an honest one from end to end. */

/** Who says what in the sample, ready to be said. */
export function voices(world: World) {
  const { sample } = world;
  const office = (state: string) => (state === "AT" ? ["AT-1"] : ["LU-1", "LU-2"]);
  return {
    tally: (
      unit: string,
      changes: Partial<Tally> = {},
      { sequence, twist }: { sequence?: number; twist?: EntryTwist } = {},
    ) => {
      const state = unit.slice(0, 2);
      const kids = office(state);
      const votes = state === "AT" ? {} : { votes: luxembourgVotes(unit) };
      const tallies = [sampleTally(unit, { ...votes, ...changes })];
      return say(world, { type: "tally", ...common(world, state, kids[0]!, sequence), tallies }, kids, twist);
    },
    closed: (state: string) =>
      say(world, { type: "polls", ...common(world, state, office(state)[0]!), polls: "closed" }, office(state)),
    declare: (state: string, kids: string[]) =>
      say(world, { type: "declaration", ...common(world, state, kids[0]!), declares: "final" }, kids),
    voids: (state: string, voids: number) =>
      say(world, { type: "void", ...common(world, state, office(state)[0]!), voids, reason: "lost" }, office(state)),
    decide: (decision: "hold" | "resume" | "override", about: string) =>
      say(world, { type: "decision", ...common(world, "EU", "trustee-1"), decision, about, reason: "as ordered" }, [
        "trustee-1",
        "trustee-2",
      ]),
    lift: (at: number, twist: EntryTwist = {}) => {
      const clock = new Date(at).toISOString();
      const clocks = { process: clock, postgres: clock, nats: clock };
      return say(
        world,
        { type: "lift", ...common(world, "EU", "tabulate-1"), clocks },
        ["tabulate-1", "recount-1"],
        twist,
      );
    },
    rotate: (from: string, to: string) => {
      const key = { id: to, publicKey: newSampleKey(sample, to).jwk.x };
      return say(
        world,
        { type: "key", ...common(world, from.slice(0, 2), from), change: "rotate", replaces: from, key },
        [from, to],
      );
    },
    revoke: (kid: string, since: number) => {
      const said = { change: "revoke", revokes: kid, since: new Date(since).toISOString(), reason: "stolen" } as const;
      return say(world, { type: "key", ...common(world, kid.slice(0, 2), `${kid.slice(0, 2)}-backup`), ...said }, [
        `${kid.slice(0, 2)}-backup`,
      ]);
    },
  };
}

/** A tally of a unit of LU that no rule objects to. */
export const luxembourgTally = (unit: string) => sampleTally(unit, { votes: luxembourgVotes(unit) });

/** Six votes a ballot: 216 valid ballots hold at most 1,296. */
function luxembourgVotes(unit: string): Record<string, number> {
  return unit.startsWith("LU-1") ? { LU01: 700, LU02: 300 } : { LU11: 400, LU12: 500 };
}

/** A night with everything in it that a night may have, honest from end to end: three releases, 26 seats. */
export async function honestNight(options: { seed?: string } = {}): Promise<World> {
  const world = createWorld(options);
  const { tally, closed, declare, voids, lift, rotate, revoke } = voices(world);
  await tally("AT-1"); // too early: quarantined
  waitUntil(world, CLOSED + 1_000);
  await closed("AT");
  await closed("LU");
  await tally("AT-1", {}, { sequence: 4 });
  await tally("AT-2", { ballots: 230 }); // does not add up
  await tally("AT-2", { votes: { AT01: 20, AT02: 198, AT90: 2 } });
  await tally("AT-3", {}, { sequence: 5 }); // another payload under a used number
  await voids("AT", 3);
  await tally("LU-11");
  await tally("LU-12");
  await lift(CLOSED + 10_000);
  await release(world);
  await tally("LU-21");
  await tally("AT-3");
  await tally("AT-4");
  await release(world);
  await rotate("LU-1", "LU-3");
  await tally("AT-P");
  await declare("AT", ["AT-1", "AT-2"]);
  await revoke("AT-1", Date.parse(world.log[13]!.received));
  await release(world);
  await tally("LU-21", { version: 2 }); // signed by the old key: quarantined, and not released yet
  await closed("AT");
  return world;
}
