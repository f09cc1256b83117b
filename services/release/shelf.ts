import type { Release } from "../../shared/formats/release.ts";
import { releaseCsv } from "../../shared/formats/release-csv.ts";
import { type OpenedRelease, openRelease, ReleaseBroken, type Trust } from "./opened.ts";
import { CSV_TYPE, JSON_TYPE, prepare, type Representation } from "./representation.ts";
import type { SealedRelease } from "./store.ts";

/** What the list says of a release. */
export interface Listed {
  number: number;
  sha256: string;
  size: number;
  asOf: string;
  status: Release["status"];
  /** 32 bytes, hex: opens the sealed copy of this number and size (`/v1/sealed`). */
  key: string;
}

/** A release ready to be sent. */
export interface Shown {
  listed: Listed;
  json: Representation;
  csv: Representation;
  signatures: Representation;
  /** For the page. */
  union: Release["union"];
  /** States on hold: their figures are withheld, and so are the statements that hold them. */
  withheld: ReadonlySet<string>;
}

export interface ShelfSources {
  trust: Trust;
  selectAfter: (number: number, limit: number) => Promise<SealedRelease[]>;
  selectOne: (number: number) => Promise<SealedRelease | undefined>;
}

/** The releases that hold, in their order, without a gap from the first. */
export interface Shelf {
  /** Takes the next releases of which both shares are there, until there are none; answers those it took. Rejects with
   * ReleaseBroken at one that does not hold, after the ones before it were taken; and with whatever the database says. */
  take(taken: (listed: Listed) => void): Promise<void>;
  list(): readonly Listed[];
  latest(): Shown | undefined;
  /** Undefined for a number that is not on the shelf. */
  find(number: number): Promise<Shown | undefined>;
}

/** Prepared releases in memory: about 0.3 MB each for the whole Union. */
export const KEPT = 50;
/** Older ones that someone asked for again. */
export const OLDER_KEPT = 16;
/** A sealed release is a quarter of a MiB: so many are read at once. */
const CHUNK = 16;

export function createShelf({ trust, selectAfter, selectOne }: ShelfSources): Shelf {
  const listed: Listed[] = [];
  const kept = new Map<number, Shown>();
  const older = new Map<number, Promise<Shown>>();

  const previousOf = (number: number) => listed[number - 2]?.sha256 ?? null;

  const reopen = async (wanted: Listed): Promise<Shown> => {
    const sealed = await selectOne(wanted.number);
    if (sealed === undefined) throw new ReleaseBroken("it has left the database");
    const opened = await openRelease(sealed, previousOf(wanted.number), trust);
    if (opened.sha256 !== wanted.sha256) throw new ReleaseBroken("it is not the one that was published");
    return shown(opened);
  };

  const findOlder = (wanted: Listed): Promise<Shown> => {
    const known = older.get(wanted.number);
    if (known !== undefined) return known;
    const opening = reopen(wanted);
    older.set(wanted.number, opening);
    opening.catch(() => older.delete(wanted.number)); // whoever asked is told; the next one tries again
    const [oldest] = older.keys();
    if (older.size > OLDER_KEPT && oldest !== undefined) older.delete(oldest);
    return opening;
  };

  return {
    async take(taken) {
      for (;;) {
        const rows = await selectAfter(listed.length, CHUNK);
        for (const row of rows) {
          const number = listed.length + 1;
          if (row.number !== number) throw new ReleaseBroken(`number ${row.number} comes in its place`);
          const next = await shown(await openRelease(row, previousOf(number), trust));
          // From here on it is public.
          kept.set(number, next);
          kept.delete(number - KEPT);
          listed.push(next.listed);
          taken(next.listed);
        }
        if (rows.length < CHUNK) return;
      }
    },
    list: () => listed,
    latest: () => kept.get(listed.length),
    async find(number) {
      const wanted = listed[number - 1];
      return wanted === undefined ? undefined : (kept.get(number) ?? findOlder(wanted));
    },
  };
}

async function shown({ release, bytes, sha256, signatures, key }: OpenedRelease): Promise<Shown> {
  const [json, csv, detached] = await Promise.all([
    prepare(JSON_TYPE, bytes),
    prepare(CSV_TYPE, releaseCsv(release)),
    prepare("application/jose+json", signatures),
  ]);
  const { number, asOf, status, checkpoint, union, states } = release;
  const listed = { number, sha256, size: checkpoint.size, asOf, status, key };
  const withheld = new Set(states.filter((state) => state.withheld).map(({ state }) => state));
  return { listed, json, csv, signatures: detached, union, withheld };
}
