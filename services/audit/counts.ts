import type { Definition } from "../../shared/definition/schema.ts";
import type { ReleaseHeader } from "../../shared/formats/release.ts";
import type { OpenedEntry } from "../../shared/ledger/entry.ts";
import { applyToLeftOut, createLeftOut, isLeftOut } from "../../shared/ledger/left-out.ts";
import { count, startCount } from "../../shared/recount/count.ts";
import { recountRelease } from "../../shared/recount/document.ts";
import { applyEntry, createTabulation } from "../../shared/results/fold.ts";
import { buildRelease, releaseBytes } from "../../shared/results/release.ts";

/** An entry as both counts take it, with the key ids of its signers in the envelope's order. What is not open counts for nothing. */
export interface CountedEntry extends OpenedEntry {
  signers: readonly string[];
}

/** The same log counted twice, by codes that do not know each other. */
export interface BothCounts {
  /** The next entry of the log. */
  take(entry: CountedEntry): void;
  /** The release document of everything taken so far, by `tabulate`'s code and by `recount`'s. */
  documents(header: ReleaseHeader): Promise<{ tabulated: Uint8Array; recounted: Uint8Array }>;
}

/**
 * `replay` gives the first `size` entries once more: a revocation may leave out what was counted before it, and then both counts begin
 * anew, however many revocations came since, when a release is asked for.
 */
export function createBothCounts(
  definition: Definition,
  hash: string,
  replay: (size: number) => AsyncIterable<CountedEntry>,
): BothCounts {
  let tabulation = createTabulation(definition, hash);
  let recount = startCount(definition, hash);
  const leftOut = createLeftOut();
  let size = 0;
  let isStale = false;

  const countOne = (entry: CountedEntry) => {
    const counted: OpenedEntry = isLeftOut(leftOut, entry) ? { ...entry, verdict: "quarantined" } : entry;
    applyEntry(tabulation, counted);
    count(recount, counted);
  };

  const countAnew = async () => {
    tabulation = createTabulation(definition, hash);
    recount = startCount(definition, hash);
    leftOut.last = {};
    for await (const entry of replay(size)) {
      countOne(entry);
      if (applyToLeftOut(leftOut, entry) === "again")
        throw new Error("a revocation was not known after the whole prefix");
    }
    isStale = false;
  };

  return {
    take(entry) {
      if (!isStale) countOne(entry);
      if (applyToLeftOut(leftOut, entry) === "again") isStale = true;
      size = entry.index + 1;
    },
    async documents(header) {
      if (isStale) await countAnew();
      return { tabulated: releaseBytes(buildRelease(tabulation, header)), recounted: recountRelease(recount, header) };
    },
  };
}
