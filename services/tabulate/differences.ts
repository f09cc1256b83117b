import type { Road } from "../../shared/embargo/road.ts";
import type { Release } from "../../shared/formats/release.ts";
import { ownRelease, type ReleaseMemory, type ReleaseSources } from "./releases.ts";

/**
 * Raises `seats.differ` for each constituency whose declared seats are not the computed ones in a release and were not compared so in the
 * release before it. Only of releases that this count has given its share of: what is counted and not released yet tells nothing. The
 * last release before a start is told of again, for the process before this one may have ended between its share and its word.
 */
export async function tellDifferences(road: Road, memory: ReleaseMemory, sources: ReleaseSources): Promise<void> {
  const { lastShare } = memory;
  if (lastShare === null) return;
  for (let number = memory.toldTo === null ? lastShare : memory.toldTo + 1; number <= lastShare; number++) {
    const before = await differing(road, number - 1, sources);
    for (const constituency of await differing(road, number, sources))
      if (!before.has(constituency)) await sources.raise({ code: "seats.differ", about: `${number}: ${constituency}` });
    memory.toldTo = number;
  }
}

/** The constituencies of which this release shows differences; none before the first, and of one that the road has forgotten. */
async function differing(road: Road, number: number, sources: ReleaseSources): Promise<Set<string>> {
  const id = road.releases.find((release) => release.number === number);
  const own = id === undefined ? undefined : await ownRelease(id, sources);
  if (own === undefined) return new Set();
  const { states } = JSON.parse(own.text) as Release;
  return new Set(states.flatMap(({ differences }) => differences.map(({ constituency }) => constituency)));
}
