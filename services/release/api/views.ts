import type { Release, StateResult } from "../../../shared/formats/release.ts";
import { changesBetween } from "../../../shared/formats/release-changes.ts";
import { type App, Problem } from "../../../shared/platform/http.ts";
import { type Caching, JSON_TYPE, prepare, type Representation, respond } from "../representation.ts";
import type { Shelf, Shown } from "../shelf.ts";

/** Parts of a release, and what changed between two: for whoever does not want all of it. The signed document is the release. */
export interface ViewRoutes {
  shelf: Pick<Shelf, "list" | "latest" | "find">;
}

const RESULTS = "/v1/releases";
const FOR_EVER: Caching = { cacheControl: "public, max-age=31536000, immutable" };
const A_SECOND: Caching = { cacheControl: "public, max-age=1" };
/** Releases between the two that are compared, each of which is opened. */
export const MAX_APART = 50;
/** Of one release: 27 states, their constituencies, and the deltas to it. */
const MAX_KEPT = 256;

export function addViews(app: App, { shelf }: ViewRoutes): void {
  // Kept as long as the shelf keeps the release, and no longer.
  const made = new WeakMap<Shown, Map<string, Promise<Representation>>>();
  const view = (shown: Shown, name: string, make: () => Promise<object>): Promise<Representation> => {
    const ofRelease = made.get(shown) ?? new Map<string, Promise<Representation>>();
    made.set(shown, ofRelease);
    const known = ofRelease.get(name);
    if (known !== undefined) return known;
    if (ofRelease.size >= MAX_KEPT) ofRelease.clear();
    const making = make().then((document) => prepare(JSON_TYPE, JSON.stringify(document)));
    ofRelease.set(name, making);
    making.catch(() => ofRelease.delete(name)); // whoever asked is told; the next one tries again
    return making;
  };
  const find = async (which: string): Promise<Shown> => {
    const isNumber = /^[1-9]\d{0,8}$/.test(which);
    const shown = which === "latest" ? shelf.latest() : isNumber ? await shelf.find(Number(which)) : undefined;
    if (shown === undefined) throw new Problem("release.unknown");
    return shown;
  };
  const cachingOf = (which: string, { listed }: Shown, below: string): Caching =>
    which === "latest" ? { ...A_SECOND, contentLocation: `${RESULTS}/${listed.number}${below}` } : FOR_EVER;

  app.get(`${RESULTS}/:which/states`, async (c) => {
    const which = c.req.param("which");
    const shown = await find(which);
    const list = await view(shown, "states", async () => listOf(shown));
    return respond(c, list, cachingOf(which, shown, "/states"));
  });
  app.get(`${RESULTS}/:which/states/:state`, async (c) => {
    const { which, state } = c.req.param();
    const shown = await find(which);
    const found = stateIn(shown, state);
    const document = await view(shown, `states/${state}`, async () => ({ release: aboutOf(shown), state: found }));
    return respond(c, document, cachingOf(which, shown, `/states/${state}`));
  });
  app.get(`${RESULTS}/:which/states/:state/constituencies/:constituency`, async (c) => {
    const { which, state, constituency } = c.req.param();
    const shown = await find(which);
    const found = stateIn(shown, state).constituencies.find((each) => each.constituency === constituency);
    if (found === undefined) throw noPart("The release shows no such constituency of this state.");
    const path = `/states/${state}/constituencies/${constituency}`;
    const document = await view(shown, path, async () => ({ release: aboutOf(shown), state, constituency: found }));
    return respond(c, document, cachingOf(which, shown, path));
  });
  app.get(`${RESULTS}/:which/changes`, async (c) => {
    const which = c.req.param("which");
    const shown = await find(which);
    const since = sinceOf(c.req.queries("since"), shown.listed.number);
    const document = await view(shown, `changes/${since}`, async () => changesSince(since, shown, shelf));
    return respond(c, document, cachingOf(which, shown, `/changes?since=${since}`));
  });
}

const releaseIn = ({ json }: Shown) => JSON.parse(Buffer.from(json.identity).toString("utf8")) as Release;

function aboutOf(shown: Shown) {
  const { number, sha256, status, asOf } = shown.listed;
  return { number, sha256, mode: releaseIn(shown).mode, status, asOf };
}

function listOf(shown: Shown) {
  const states = releaseIn(shown).states.map(({ state, status, withheld, seats }) => {
    return { state, status, withheld, seats, url: `${RESULTS}/${shown.listed.number}/states/${state}` };
  });
  return { release: aboutOf(shown), states };
}

function stateIn(shown: Shown, id: string): StateResult {
  const found = releaseIn(shown).states.find(({ state }) => state === id);
  if (found === undefined)
    throw noPart("The election has no such state: states have the EU's two letters, such as EL.");
  return found;
}

const noPart = (detail: string) => new Problem("release.unknown", { detail });

/** The release before, unless another one is named. */
function sinceOf(asked: readonly string[] | undefined, number: number): number {
  if (asked === undefined) return number - 1;
  const [since = ""] = asked;
  const from = Number(since);
  if (asked.length !== 1 || !/^[1-9]\d*$/.test(since))
    throw new Problem("request.malformed", { detail: "`since` is the number of one release." });
  if (from >= number) throw noPart("`since` names a release before this one.");
  if (number - from > MAX_APART) throw noPart(`Changes are told between releases that are at most ${MAX_APART} apart.`);
  return from;
}

async function changesSince(since: number, shown: Shown, shelf: ViewRoutes["shelf"]) {
  const chain: Release[] = [];
  for (let number = Math.max(1, since); number < shown.listed.number; number++) {
    const between = await shelf.find(number);
    if (between === undefined) throw new Error(`release ${number} is on the list and cannot be found`);
    chain.push(releaseIn(between));
  }
  return changesBetween([...chain, releaseIn(shown)], since === 0);
}
