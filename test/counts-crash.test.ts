import type { Pool } from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openFold as openRecountFold } from "../services/recount/fold.ts";
import { openFold as openTabulateFold } from "../services/tabulate/fold.ts";
import { sampleDefinition } from "../shared/definition/sample.ts";
import type { ReleaseHeader } from "../shared/formats/release.ts";
import type { OpenedEntry } from "../shared/ledger/entry.ts";
import { openCandidate } from "../shared/platform/release-seal.ts";
import { vaultOf } from "../shared/platform/vault-fixture.ts";
import { count, counted, startCount } from "../shared/recount/count.ts";
import { recountRelease } from "../shared/recount/document.ts";
import { applyEntry, createTabulation, size } from "../shared/results/fold.ts";
import { buildRelease, releaseBytes } from "../shared/results/release.ts";
import { type Harness, startHarness } from "./harness.ts";
import {
  type Crash,
  cloneDatabase,
  crashingPool,
  createWorld,
  drive,
  poolOf,
  recountHere,
  tabulateHere,
  type World,
} from "./vault.ts";
import { openWrittenLog, speakers, type Written } from "./written-log.ts";

/**
 * Either count dies at every change that it makes in the database on the whole road from the first entry to the second release: before the query
 * reaches Postgres, and after it was done but nobody was told. It starts again, and all ends as if nothing had happened.
 */

const sample = sampleDefinition();
/**
 * Which queries (from 1) change what others see. Dying at one that reads, or within a transaction, leaves the database as dying
 * before the next change does: Postgres rolls back.
 */
function changesIn(queries: readonly string[]): number[] {
  let inside = false;
  return queries.flatMap((text, n) => {
    if (text === "begin") inside = true;
    if (text === "commit" || text === "rollback") inside = false;
    return inside || /^(select(?! release\.give_)|set|rollback)/.test(text) ? [] : [n + 1];
  });
}

/** Scenarios at once: they mostly wait for Postgres. */
const AT_ONCE = 4;

describe("a count that dies anywhere", () => {
  let harness: Harness;
  let last: Written;

  beforeAll(async () => {
    harness = await startHarness({ sample });
    const log = await openWrittenLog(harness.databaseUrl("ledger"), sample);
    const say = speakers(sample);
    await log.append(say.tally("AT-1"), { ...say.tally("AT-2", { ballots: 232 }), verdict: "quarantined" });
    await log.append(say.closed("AT"), say.tally("AT-2"), say.closed("LU"));
    last = say.tally("AT-3");
    await log.close();
  });
  afterAll(() => harness.close());

  /** Lets both counts come to the second release; the one that crashes is started again on a sound connection. */
  const night = async (who: "tabulate" | "recount", crash: Crash | null) => {
    const database = await cloneDatabase(harness);
    const log = await openWrittenLog(database.urlOf("ledger"), sample);
    const world = createWorld(sample, log);
    const pools = {
      tabulate: poolOf(database.urlOf("tabulate"), "tabulate"),
      recount: poolOf(database.urlOf("recount"), "recount"),
    };
    const crashing = crashingPool(pools[who], crash);
    const here = { tabulate: tabulateHere, recount: recountHere };
    const other = who === "tabulate" ? "recount" : "tabulate";
    let first: ReturnType<typeof tabulateHere> | ReturnType<typeof recountHere> = here[who](world, crashing.pool);
    const second = here[other](world, pools[other]);
    let restarted = false;
    const counts = () => {
      if (crashing.dead() && !restarted) {
        first = here[who](world, pools[who]);
        restarted = true;
      }
      return who === "tabulate" ? { tabulate: first, recount: second } : { tabulate: second, recount: first };
    };
    const taken = new Set<string>();
    const shares = async () =>
      (await pools.recount.query("select number from release.key_share order by 1")).rows.length;
    await drive(world, counts, async () => (await shares()) === 2, taken);
    const added = await log.append(last);
    await drive(world, counts, async () => (await shares()) === 4, taken);
    const queries = crashing.queries();
    const living = counts();
    await living.tabulate.round();
    await living.recount.round();
    await Promise.all(
      [living.tabulate as typeof second, living.recount as typeof second].map((count) => count.close()),
    );
    await verify(world, pools, added);
    for (const pool of Object.values(pools)) await pool.end();
    await log.close();
    await database.drop();
    return { queries, crashed: crashing.dead() };
  };

  /** The log holds each of the system's statements once, and everything stored equals both folds from scratch. */
  const verify = async (world: World, pools: Record<"tabulate" | "recount", Pool>, added: number) => {
    expect(world.incidents).toEqual([]);
    const own = await pools.tabulate.query<{ type: string; sequence: number }>(
      "select type, sequence from ledger.entry where type in ('lift', 'release') order by index",
    );
    expect(own.rows).toEqual([
      { type: "lift", sequence: 1 },
      { type: "release", sequence: 2 },
      { type: "release", sequence: 3 },
    ]);
    const entries: OpenedEntry[] = [];
    const { createReader } = tabulateHere(world, pools.tabulate).sources.fold;
    const scratch = createReader();
    const head = (await scratch.head())!.size;
    for await (const entry of scratch.read(0, head)) entries.push(entry);
    const { rows } = await pools.tabulate.query<{ number: number; size: number; sealed: Buffer }>(
      `select number, size, sealed from tabulate.candidate
        where exists (select from release.key_share s where s.number = candidate.number and s.size = candidate.size)
        order by number`,
    );
    expect(rows.map(({ number }) => number)).toEqual([1, 2]);
    expect(rows[1]!.size).toBeGreaterThan(added);
    for (const { number, size: counts, sealed } of rows) {
      const { release } = openCandidate(vaultOf(sample), { number, size: counts }, sealed);
      const header = JSON.parse(release) as ReleaseHeader;
      expect(release).toBe(fromScratch(entries.slice(0, counts), header));
    }
    await verifySnapshots(world, pools, entries);
  };

  const fromScratch = (entries: OpenedEntry[], header: ReleaseHeader) => {
    const tabulation = createTabulation(sample.definition, sample.hash);
    const second = startCount(sample.definition, sample.hash);
    for (const entry of entries) {
      applyEntry(tabulation, entry);
      count(second, entry);
    }
    const bytes = Buffer.from(releaseBytes(buildRelease(tabulation, header)));
    expect(Buffer.from(recountRelease(second, header)).equals(bytes)).toBe(true);
    return bytes.toString("utf8");
  };

  /** What is stored is of the position that is stored beside it, and goes on from there. */
  const verifySnapshots = async (world: World, pools: Record<"tabulate" | "recount", Pool>, entries: OpenedEntry[]) => {
    const header = { number: 9, checkpoint: { origin: "x", size: 1, root: "x" }, asOf: "x", previous: null };
    const one = await openTabulateFold(tabulateHere(world, pools.tabulate).sources.fold);
    const at = size(one.tabulation);
    expect(at).toBe(entries.length);
    expect(one.reader.position()).toBe(at);
    expect(Buffer.from(releaseBytes(buildRelease(one.tabulation, header))).toString()).toBe(
      fromScratch(entries.slice(0, at), header),
    );
    const two = await openRecountFold(recountHere(world, pools.recount).sources.fold);
    expect(two.reader.position()).toBe(counted(two.count));
    expect(Buffer.from(recountRelease(two.count, header)).toString()).toBe(
      fromScratch(entries.slice(0, counted(two.count)), header),
    );
  };

  it.each(["tabulate", "recount"] as const)(
    "%s loses and doubles nothing",
    async (who) => {
      const { queries } = await night(who, null);
      expect(queries.length).toBeGreaterThan(30);
      const crashes = changesIn(queries).flatMap((at): Crash[] => [
        { at, when: "before" },
        { at, when: "after" },
      ]);
      expect(crashes.length).toBeGreaterThan(16);
      while (crashes.length > 0) {
        const ended = await Promise.all(crashes.splice(0, AT_ONCE).map((crash) => night(who, crash)));
        expect(ended.every(({ crashed }) => crashed)).toBe(true);
      }
    },
    240_000,
  );
});
