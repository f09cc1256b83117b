import { setTimeout as sleep } from "node:timers/promises";
import type { Release, ReleaseHeader } from "../../shared/formats/release.ts";
import { authorityOf } from "../../shared/ledger/authority.ts";
import { ahead } from "../../shared/platform/publisher/ahead.ts";
import type { Client } from "../../shared/platform/publisher/client.ts";
import type { TrustedDefinition } from "../../shared/platform/publisher/definition.ts";
import { Discrepancy } from "../../shared/platform/publisher/discrepancy.ts";
import {
  type Listed,
  RELEASES,
  type ServedRelease,
  takeList,
  takeRelease,
  wrongCsv,
} from "../../shared/platform/publisher/releases.ts";
import type { Statement } from "../../shared/statement/types.ts";
import { type Announced, compareAnnouncements } from "./announcements.ts";
import type { BothCounts } from "./counts.ts";
import { firstDifference } from "./difference.ts";
import type { Figures } from "./figures.ts";
import { compareLatest } from "./latest.ts";
import type { VerifiedLog } from "./tree.ts";

/**
 * The chain of releases beside the log: each served document against both counts of its prefix, and against the entry that announces it; its
 * CSV and its row in the list against the document, its proof against the log; the list against all of those entries, and the latest release
 * against the list.
 */
export interface ReleaseChain {
  /** The log was taken up to `size` entries, the last of them received at `received`. */
  reached(size: number, received: string): Promise<void>;
  /** The accepted `release` statement of an entry. */
  announced(statement: Extract<Statement, { type: "release" }>, index: number): void;
  /** The whole log was taken. */
  finish(): Promise<void>;
  /** The last release, as it was counted again. */
  last(): Release | undefined;
}

export interface ChainSources {
  client: Client;
  trusted: TrustedDefinition;
  log: VerifiedLog;
  /** As it was served when the audit began; empty before the lift. */
  list: readonly Listed[];
  counts: BothCounts;
  /** States of which statements are withheld: what of them was released before cannot be counted again. */
  withheld: ReadonlySet<string>;
  figures: Figures;
  /** How long a publisher may take to serve what the log announces, ms. */
  patienceMs: number;
  signal: AbortSignal;
}

/** A served release that was counted again; who is to explain a difference, its announcement will show. */
interface Counted {
  path: string;
  root: string;
  difference: string | undefined;
  /** What is served beside it and is not what the document says. */
  beside: Discrepancy | undefined;
  /** States of which it says what cannot be counted again while they are withheld. */
  hidden: string[];
}

const DOCUMENTS_AHEAD = 2;
const LOOK_MS = 500;

export function createReleaseChain(sources: ChainSources): ReleaseChain {
  const { client, trusted, log, list, counts, figures } = sources;
  const documents = ahead(list, (listed) => takeRelease(client, listed, trusted), { items: DOCUMENTS_AHEAD });
  const counted: Counted[] = [];
  const announced: Announced[] = [];
  /** Releases that the list did not hold yet when the audit began. */
  const later: { number: number; sha256: string; index: number }[] = [];
  let last: Release | undefined;

  const countAgain = async (served: ServedRelease, received: string): Promise<Counted> => {
    const { number, size, path, bytes } = served;
    const root = Buffer.from(await log.rootAt(size)).toString("base64");
    const { origin } = authorityOf(trusted.authorities, size);
    const header: ReleaseHeader = {
      number,
      checkpoint: { origin, size, root },
      asOf: received,
      previous: list[number - 2]?.sha256 ?? null,
    };
    const { tabulated, recounted } = await counts.documents(header);
    last = JSON.parse(Buffer.from(tabulated).toString("utf8")) as Release;
    const both = [
      compareDocuments(bytes, tabulated, "the rules of `tabulate`", sources.withheld),
      compareDocuments(bytes, recounted, "the rules of `recount`", sources.withheld),
    ];
    const found = both.find(({ difference }) => difference !== undefined) ?? both[0];
    const difference = found?.difference;
    const beside = difference === undefined ? besideDocument(served) : undefined;
    return { path, root, difference, beside, hidden: found?.hidden ?? [] };
  };

  return {
    async reached(size, received) {
      if (list[counted.length]?.size !== size) return;
      const next = await documents.next();
      if (!next.done) counted.push(await countAgain(next.value, received));
    },
    announced(statement, index) {
      const { number, release: sha256 } = statement;
      const listed = list[number - 1];
      if (listed === undefined) {
        later.push({ number, sha256, index });
        return;
      }
      const again = compareAnnounced(statement, index, listed, counted[number - 1]);
      announced.push({ number, index });
      figures.releases.checked++;
      if (again.hidden.length > 0) figures.releases.partly++;
    },
    async finish() {
      await documents.return();
      const numbers = new Set(announced.map(({ number }) => number));
      for (const { number, sha256 } of list)
        if (!numbers.has(number))
          throw new Discrepancy(
            "release.unlogged",
            { path: `${RELEASES}/${number}` },
            `Release ${number} (${sha256}) is served, and no entry of the log announces it.`,
          );
      if (later.length > 0) await findLater(later, sources);
      await compareAnnouncements(announced, sources);
      await compareLatest(sources);
    },
    last: () => last,
  };
}

function compareAnnounced(
  statement: Extract<Statement, { type: "release" }>,
  index: number,
  listed: Listed,
  counted: Counted | undefined,
): Counted {
  const { number, size, root, release } = statement;
  const where = { path: `${RELEASES}/${number}`, index };
  if (listed.sha256 !== release || listed.size !== size) {
    const what = `Entry ${index} announces release ${number} as ${release} of ${size} entries; served is ${listed.sha256} of ${listed.size}.`;
    throw new Discrepancy("release.swapped", where, what);
  }
  if (counted === undefined) {
    const what = `Release ${number} is of ${size} entries, and entry ${index}, which announces it, comes before their end.`;
    throw new Discrepancy("release.prefix", where, what);
  }
  if (counted.root !== root) {
    const what = `Release ${number} names the root ${root} for its ${size} entries; they hash to ${counted.root}.`;
    throw new Discrepancy("release.prefix", where, what);
  }
  if (counted.difference !== undefined)
    throw new Discrepancy("release.differs", where, `In release ${number}, ${counted.difference}.`);
  if (counted.beside !== undefined) throw counted.beside;
  return counted;
}

/** The CSV and the row of the list hold nothing of their own: they follow from the document. */
function besideDocument({ number, bytes, csvs, asOf, status }: ServedRelease): Discrepancy | undefined {
  const wrong = wrongCsv(csvs, bytes);
  if (wrong !== undefined) return new Discrepancy("release.csv", { path: wrong.path }, wrong.what);
  const document = jsonOrUndefined(bytes) as Release | undefined;
  if (document?.asOf === asOf && document.status === status) return undefined;
  const what = `${RELEASES} calls release ${number} ${status} as of ${asOf}; it is ${document?.status} as of ${document?.asOf}.`;
  return new Discrepancy("release.list", { path: RELEASES }, what);
}

/** Where a served document is not the one that was counted again, in words; and what of it could not be counted. */
function compareDocuments(
  bytes: Uint8Array,
  ours: Uint8Array,
  by: string,
  withheld: ReadonlySet<string>,
): Pick<Counted, "difference" | "hidden"> {
  if (Buffer.compare(bytes, ours) === 0) return { difference: undefined, hidden: [] };
  const again = JSON.parse(Buffer.from(ours).toString("utf8")) as Release;
  const hidden = again.states.filter((state) => withheld.has(state.state) && !state.withheld).map(({ state }) => state);
  const served = jsonOrUndefined(bytes) as Release | undefined;
  if (hidden.length === 0 || !Array.isArray(served?.states))
    return { difference: firstDifference(served, again, by) ?? "it is not written as canonical JSON", hidden };
  return { difference: firstDifference(without(served, hidden), without(again, hidden), by), hidden };
}

function jsonOrUndefined(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch {
    return undefined; // then it differs as a whole
  }
}

/** What a release says that does not depend on these states. */
function without({ states, union: _, status: __, ...header }: Release, hidden: readonly string[]) {
  return { ...header, states: states.filter(({ state }) => !hidden.includes(state)) };
}

/** What the log announced after the list was fetched must be served by now, or in a moment. */
async function findLater(
  later: readonly { number: number; sha256: string; index: number }[],
  { client, trusted, patienceMs, signal }: ChainSources,
): Promise<void> {
  const end = performance.now() + patienceMs;
  for (;;) {
    const list = (await takeList(client, trusted)) ?? [];
    const missing = later.find(({ number }) => list[number - 1] === undefined);
    const other = later.find(
      ({ number, sha256 }) => list[number - 1] !== undefined && list[number - 1]?.sha256 !== sha256,
    );
    if (other !== undefined) {
      const what = `Entry ${other.index} announces release ${other.number} as ${other.sha256}; served is ${list[other.number - 1]?.sha256}.`;
      throw new Discrepancy("release.swapped", { path: `${RELEASES}/${other.number}`, index: other.index }, what);
    }
    if (missing === undefined) return;
    if (performance.now() > end) {
      const what = `Entry ${missing.index} announces release ${missing.number} (${missing.sha256}), and it is not served.`;
      throw new Discrepancy("release.hidden", { path: RELEASES, index: missing.index }, what);
    }
    await sleep(LOOK_MS, undefined, { signal });
  }
}
