import fc from "fast-check";
import { expect, it } from "vitest";
import type { Definition } from "../shared/definition/schema.ts";
import type { Release } from "../shared/formats/release.ts";
import { changesBetween } from "../shared/formats/release-changes.ts";
import { ChangesSchema, ReleaseSchema } from "../shared/formats/release-schema.ts";
import { applyEntry, createTabulation } from "../shared/results/fold.ts";
import { buildRelease } from "../shared/results/release.ts";
import { AS_OF, header } from "./final-figures.ts";
import { definition, HASH, type Step, steps } from "./two-counts-generators.ts";

/** Changes between releases say all that is different, and nothing else: whoever holds the first has the last. */

/** A release after every other statement. */
function chainOf(of: Definition, said: readonly Step[]): Release[] {
  const tabulation = createTabulation(of, HASH);
  const chain: Release[] = [];
  let index = 1;
  for (const [n, step] of said.entries()) {
    if ("say" in step)
      applyEntry(tabulation, { index: index++, received: AS_OF, statement: step.say, verdict: step.verdict });
    const checkpoint = { ...header.checkpoint, size: index };
    if (n % 2 === 1) chain.push(buildRelease(tabulation, { ...header, number: chain.length + 1, checkpoint }));
  }
  return chain;
}

const shownOf = ({ states }: Release) =>
  new Map(
    states.map(
      ({ state, status, withheld, groups, lists, units, electors, ballots, blank, invalid, valid, turnout, seats }) => [
        state,
        {
          ...{ status, withheld, groups },
          figures: { units, electors, ballots, blank, invalid, valid, turnout, seats },
          lists: new Map(lists.map((list) => [list.id, [list.votes, list.seats]])),
        },
      ],
    ),
  );

it("property: with what changed the first release becomes the last", () => {
  fc.assert(
    fc.property(
      definition.chain((of) => fc.tuple(fc.constant(of), steps(of))),
      fc.nat(20),
      ([of, said], from) => {
        const chain = chainOf(of, said).map((release) => ReleaseSchema.parse(release) as Release);
        const [first, last] = [chain[from % chain.length], chain.at(-1)];
        if (first === undefined || last === undefined || first === last) return;
        const changes = ChangesSchema.parse(changesBetween(chain.slice(from % chain.length), false));
        expect([changes.from, changes.to]).toEqual([first.number, last.number]);
        const shown = shownOf(first);
        for (const { state, status, withheld, figures, groups, lists } of changes.states) {
          const held = shown.get(state);
          if (held === undefined) throw new Error(`${state} is in no release`);
          for (const [was, has] of [
            [status, held.status],
            [withheld, held.withheld],
            [figures, held.figures],
            [groups, held.groups],
          ] as const)
            expect(was.before).toEqual(has);
          for (const { id, votes, seats } of lists) {
            expect([votes.before, seats.before]).toEqual(held.lists.get(id) ?? [null, null]);
            held.lists.set(id, [votes.after, seats.after]);
          }
          // A state that is withheld from now on shows no list at all.
          if (withheld.after) held.lists.clear();
          Object.assign(held, {
            status: status.after,
            withheld: withheld.after,
            groups: groups.after,
            figures: figures.after,
          });
        }
        expect(shown).toEqual(shownOf(last));
      },
    ),
    { numRuns: 60 },
  );
});

it("from nothing is everything", () => {
  const [of, said] = fc.sample(
    definition.chain((of) => fc.tuple(fc.constant(of), steps(of))),
    { numRuns: 1, seed: 1 },
  )[0] as [Definition, Step[]];
  const [first] = chainOf(of, said);
  if (first === undefined) throw new Error("no release");
  const changes = changesBetween([first], true);
  expect([changes.from, changes.union.before]).toEqual([0, null]);
  expect(changes.states.map(({ state, status }) => [state, status.before])).toEqual(
    first.states.map(({ state }) => [state, null]),
  );
});
