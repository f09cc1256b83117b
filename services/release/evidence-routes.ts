import type { Context } from "hono";
import { MAX_EVIDENCE_PARTS } from "../../shared/ledger/evidence.ts";
import { type App, type Env, Problem } from "../../shared/platform/http.ts";
import { LogBroken } from "../../shared/platform/log-reader.ts";
import { type Bounds, charge, within } from "./bounds.ts";
import { embargo } from "./embargo.ts";
import { type EvidenceAbout, type EvidenceSources, makeEvidence, type OpenedPart } from "./evidence-file.ts";
import { type Facts, readPayload } from "./facts.ts";
import { type Opener, opennessOf } from "./opener.ts";
import { type Caching, JSON_TYPE, plain, respond } from "./representation.ts";
import type { Shelf } from "./shelf.ts";
import type { FoundStatement } from "./store.ts";

/**
 * Evidence against keys. The list follows from the entries alone and is public at once; a file holds statements, and is given when all of
 * them are open.
 */
export interface EvidenceRoutes extends EvidenceSources {
  facts: Facts;
  shelf: Pick<Shelf, "latest">;
  opener: Opener;
  bounds: Bounds;
  retrySeconds: () => number;
  /** Milliseconds. */
  now: () => number;
  selectFound: (index: number) => Promise<FoundStatement | undefined>;
}

const PATH = "/v1/evidence";
/** New statements make and close it. */
const A_SECOND: Caching = { cacheControl: "public, max-age=1" };
const SECOND_MS = 1_000;
/** Gaps listed; more than this is one key gone wild, and the list says that it is not complete. */
export const MAX_GAPS = 10_000;
/** Sealed, opened, in base64, in JSON, and in the answer. */
const COPIES = 6;

const SEQUENCE = "([1-9]\\d{0,12})";
const NUMBER = new RegExp(`^${SEQUENCE}$`);
const RANGE = new RegExp(`^${SEQUENCE}-${SEQUENCE}$`);

export function addEvidence(app: App, deps: EvidenceRoutes): void {
  const { publicLog, facts, bounds } = deps;
  const list = createList(deps);
  app.get(PATH, (c) => {
    charge(bounds, c);
    return respond(c, list(), A_SECOND);
  });
  app.get(`${PATH}/equivocation/:key/:sequence`, async (c) => {
    charge(bounds, c);
    const key = c.req.param("key");
    const [, sequence] = NUMBER.exec(c.req.param("sequence")) ?? [];
    const found = sequence === undefined ? undefined : facts.equivocation(key, Number(sequence));
    if (found === undefined) throw new Problem("evidence.unknown");
    return give(c, { kind: "equivocation", about: { key, sequence: found.sequence } }, found.indexes, deps);
  });
  app.get(`${PATH}/gap/:key/:range`, async (c) => {
    charge(bounds, c);
    const [, from, to] = RANGE.exec(c.req.param("range")) ?? [];
    const about = { key: c.req.param("key"), from: Number(from), to: Number(to) };
    if (from === undefined || !facts.isGap(about, deps.now())) throw new Problem("evidence.unknown");
    const sides = about.from > 1 ? [about.from - 1, about.to + 1] : [about.to + 1];
    const takers = await publicLog.guarded(() => Promise.all(sides.map((n) => facts.takerOf(about.key, n))));
    const indexes = [...new Set(takers)].filter((index) => index !== undefined).sort((a, b) => a - b);
    return give(c, { kind: "gap", about }, indexes, deps);
  });
}

/** The list, made anew at most once a second. */
function createList({ register, facts, now }: EvidenceRoutes) {
  const { definition, hash } = register;
  let made = { at: Number.NEGATIVE_INFINITY, list: plain(JSON_TYPE, "") };
  return () => {
    const at = now();
    if (at >= made.at && at - made.at < SECOND_MS) return made.list;
    const { listed, complete } = facts.equivocations();
    const gaps = facts.gaps(at, MAX_GAPS);
    const document = {
      election: definition.election,
      mode: definition.mode,
      definition: hash,
      size: facts.size(),
      complete: complete && gaps.length < MAX_GAPS,
      equivocations: listed.map(({ key, sequence, indexes }) => {
        return { key, sequence, indexes, url: `${PATH}/equivocation/${key}/${sequence}` };
      }),
      gaps: gaps.map(({ key, from, to }) => ({ key, from, to, url: `${PATH}/gap/${key}/${from}-${to}` })),
    };
    made = { at, list: plain(JSON_TYPE, JSON.stringify(document)) };
    return made.list;
  };
}

async function give(
  c: Context<Env>,
  about: EvidenceAbout,
  indexes: readonly number[],
  deps: EvidenceRoutes,
): Promise<Response> {
  const found = await deps.publicLog.guarded(() => Promise.all(indexes.map((index) => findPart(index, deps))));
  const shown = deps.shelf.latest();
  for (const { entry } of found) {
    const openness = opennessOf(entry, shown);
    if (openness === "embargo.in-force") throw embargo(deps.retrySeconds);
    if (openness !== "open") throw new Problem(openness);
  }
  const bytes = found.reduce((sum, part) => sum + part.bytes, 0);
  return within(deps.bounds, c, COPIES * bytes, async () => {
    const evidence = await deps.publicLog.guarded(async () => {
      const [first, ...others] = await openParts(found, deps);
      return makeEvidence(about, [first, ...others], deps);
    });
    return respond(c, plain(JSON_TYPE, JSON.stringify(evidence)), A_SECOND);
  });
}

type FoundPart = Awaited<ReturnType<typeof findPart>>;

async function findPart(index: number, { selectFound, opener }: EvidenceRoutes) {
  const found = await selectFound(index);
  const entry = found && (await opener.entry(index, found.body));
  if (found === undefined || entry === undefined || entry.type === "definition")
    throw new LogBroken(`entry ${index} has left the database`);
  return { entry, body: found.body, bytes: found.bytes };
}

/**
 * Opens them. One that was signed for another definition uses no number of this one: then there is no such evidence, and from now on it
 * is not listed any more. Throws Problem `evidence.unknown`.
 */
async function openParts(found: readonly FoundPart[], deps: EvidenceRoutes): Promise<[OpenedPart, ...OpenedPart[]]> {
  const parts: OpenedPart[] = [];
  for (const { entry, body } of found) {
    const jws = await deps.opener.statement(entry);
    if (readPayload(jws)?.definition !== deps.register.hash) {
      await deps.facts.takeBack(entry);
      throw new Problem("evidence.unknown");
    }
    parts.push({ entry, body, jws });
  }
  const [first, ...others] = parts;
  if (first === undefined || parts.length > MAX_EVIDENCE_PARTS) throw new Problem("evidence.unknown");
  return [first, ...others];
}
