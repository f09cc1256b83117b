import type { Judgement } from "../../shared/ledger/entry.ts";
import { leafHash, verifyInclusion } from "../../shared/ledger/merkle.ts";
import { encodeProof } from "../../shared/ledger/proof.ts";
import { type App, Problem } from "../../shared/platform/http.ts";
import { LogBroken } from "../../shared/platform/log-reader.ts";
import { type Bounds, charge } from "./bounds.ts";
import type { Facts, ReleaseEntry } from "./facts.ts";
import type { PublicLog } from "./log.ts";
import type { Published } from "./log-head.ts";
import type { Opener } from "./opener.ts";
import { type Caching, plain, respond } from "./representation.ts";
import type { Listed, Shelf } from "./shelf.ts";
import type { FoundStatement, SealedJudgement } from "./store.ts";

/** Where in the log a release was announced: so that nobody can be shown a release that others are not. */
export interface ReleaseProofRoutes {
  publicLog: PublicLog;
  shelf: Pick<Shelf, "list" | "latest">;
  facts: Pick<Facts, "round" | "releases">;
  opener: Opener;
  bounds: Bounds;
  /** How many of the definition's witnesses a checkpoint needs; 0 without witnesses. */
  quorum: number;
  selectFound: (index: number) => Promise<FoundStatement | undefined>;
  selectJudgements: (from: number, to: number, maxBytes: number) => Promise<SealedJudgement[]>;
  /** Sizes of checkpoints that hold an entry and have so many lines beside them, the smallest first, few. */
  selectCosignedOver: (index: number, lines: number) => Promise<number[]>;
  /** The one with most lines, the newest of those; without any, the smallest that holds the entry. */
  selectBestOver: (index: number) => Promise<number | undefined>;
}

const TEXT = "text/plain; charset=utf-8";
const FOR_EVER: Caching = { cacheControl: "public, max-age=31536000, immutable" };
const A_SECOND: Caching = { cacheControl: "public, max-age=1" };

export function addReleaseProofs(app: App, deps: ReleaseProofRoutes): void {
  const { publicLog, bounds } = deps;
  app.get("/v1/releases/:name/proof", async (c) => {
    charge(bounds, c);
    const listed = demandListed(deps, c.req.param("name"));
    const { proof, settled } = await releaseProof(listed, deps);
    return respond(c, plain(TEXT, proof), settled ? FOR_EVER : A_SECOND);
  });
  app.get("/v1/releases/:name/statement", async (c) => {
    charge(bounds, c);
    const listed = demandListed(deps, c.req.param("name"));
    const { statement } = await publicLog.guarded(() => entryOf(listed, deps));
    c.header("cache-control", A_SECOND.cacheControl);
    return c.redirect(`/statements/${statement}`, 303);
  });
}

/** Proof that a release was announced in the log, as good as it can be given now; `settled`: it will stay so. */
export function releaseProof(listed: Listed, deps: ReleaseProofRoutes): Promise<{ proof: string; settled: boolean }> {
  return deps.publicLog.guarded(async () => {
    const { index } = await entryOf(listed, deps);
    return proofOf(index, deps);
  });
}

function demandListed({ shelf }: ReleaseProofRoutes, name: string): Listed {
  const listed = /^[1-9]\d{0,8}$/.test(name) ? shelf.list()[Number(name) - 1] : undefined;
  if (listed === undefined) throw new Problem("release.unknown");
  return listed;
}

/** The entry that announced a release; if several name it, the accepted one as soon as their judgements are open. */
async function entryOf(listed: Listed, deps: ReleaseProofRoutes): Promise<ReleaseEntry> {
  const naming = () =>
    deps.facts.releases(listed.number).filter(({ release, size }) => release === listed.sha256 && size === listed.size);
  if (naming().length === 0) await deps.facts.round();
  const [first, ...others] = naming();
  // Its shares were given because it is in the log; the log as served does not reach it yet.
  if (first === undefined)
    throw new Error(`the log as served does not reach the statement of release ${listed.number}`);
  if (others.length === 0) return first;
  for (const found of [first, ...others]) if (await isAccepted(found.index, deps)) return found;
  return first;
}

async function isAccepted(index: number, { opener, shelf, ...deps }: ReleaseProofRoutes): Promise<boolean> {
  if (index >= (shelf.latest()?.listed.size ?? 0)) return false;
  const found = await deps.selectFound(index);
  const entry = found && (await opener.entry(index, found.body));
  const [stored] = await deps.selectJudgements(index, index + 1, 1);
  if (entry === undefined || entry.type === "definition" || stored === undefined) return false;
  const judged = JSON.parse(Buffer.from(await opener.judgement(entry, stored)).toString("utf8")) as Judgement;
  return judged.verdict === "accepted";
}

/** The proof, verified before it leaves. `settled`: its checkpoint will stay the one to prove it against. */
async function proofOf(index: number, deps: ReleaseProofRoutes): Promise<{ proof: string; settled: boolean }> {
  const { publicLog, selectFound } = deps;
  const found = await selectFound(index);
  const { published, settled } = await checkpointOver(index, deps);
  if (found === undefined || published === undefined) throw new LogBroken(`entry ${index} has left the database`);
  const { size, root, note } = published;
  const hashes = await publicLog.inclusion(index, size);
  if (!verifyInclusion({ leaf: leafHash(found.body), index, size, proof: hashes, root }))
    throw new LogBroken(`entry ${index}: the log holds another one`);
  return { proof: encodeProof({ index, hashes, checkpoint: note, extra: found.body }), settled };
}

/** The smallest checkpoint over an entry with a quorum; else the newest with most cosignatures; without any, the smallest. */
async function checkpointOver(
  index: number,
  { publicLog, quorum, selectCosignedOver, selectBestOver }: ReleaseProofRoutes,
): Promise<{ published: Published | undefined; settled: boolean }> {
  if (quorum > 0)
    for (const size of await selectCosignedOver(index, quorum)) {
      const published = await publicLog.published(size);
      if (published !== undefined && published.cosigned >= quorum) return { published, settled: true };
    }
  const best = await selectBestOver(index);
  const published = best === undefined ? undefined : await publicLog.published(best);
  return { published: published ?? publicLog.newestWith(index), settled: quorum === 0 && published !== undefined };
}
