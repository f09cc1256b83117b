import { createHash } from "node:crypto";
import type { Logger } from "pino";
import type { DefinitionEntry, Entry } from "../../shared/ledger/entry.ts";
import { TILE_WIDTH } from "../../shared/ledger/tiles.ts";
import { LogBroken } from "../../shared/platform/log-reader.ts";
import { broughtKey } from "../../shared/statement/authentic.ts";
import { openEnvelope } from "../../shared/statement/jws.ts";
import { readStatement } from "../../shared/statement/read.ts";
import { OPEN_TYPES, type Statement } from "../../shared/statement/types.ts";
import type { PublicLog } from "./log.ts";
import type { Opener } from "./opener.ts";
import { opennessOf } from "./opener.ts";
import { createSequences, type SequenceSources, type Sequences } from "./sequences.ts";
import type { Shelf } from "./shelf.ts";

/** The release statement of an entry. */
export interface ReleaseEntry {
  index: number;
  /** Hex SHA-256 of the JWS. */
  statement: string;
  /** Hex SHA-256 of the release document that it names, and the size of its prefix. */
  release: string;
  size: number;
}

/** A key that the `key` statement of an entry brings; whether it was accepted is not public at once. */
export interface BroughtKey {
  index: number;
  publicKey: string;
}

/** A fold over the verified log: what its entries and its open statements say, for evidence and for proofs of releases. */
export interface Facts extends Omit<Sequences, "take"> {
  /** Reads on to the end of the log as it is served; answers the ms until the next look. Never rejects. */
  round(): Promise<number>;
  /** Entries that have been read. */
  size(): number;
  /** What was brought under a key id, in the order of the log. */
  brought(kid: string): readonly BroughtKey[];
  /** Entries of release statements of a number, in the order of the log. */
  releases(number: number): readonly ReleaseEntry[];
}

export interface FactSources extends SequenceSources {
  /** Hex. */
  definition: string;
  publicLog: PublicLog;
  shelf: Pick<Shelf, "latest">;
  opener: Pick<Opener, "statement" | "entries">;
  selectClear: (indexes: readonly number[], maxBytes: number) => Promise<{ index: number; clear: Uint8Array | null }[]>;
  selectForeign: (from: number, to: number) => Promise<number[]>;
  log: Logger;
}

/** Hints come with every batch; a lost one costs at most this. */
const LOOK_MS = 1_000;
/** Statements without figures are small; but an office may fill each up to a megabyte. */
const CLEAR_BYTES = 8 * 1024 * 1024;

export function createFacts(sources: FactSources): Facts {
  const { publicLog, definition, log } = sources;
  const sequences = createSequences(sources);
  const brought = new Map<string, BroughtKey[]>();
  const releases = new Map<number, ReleaseEntry[]>();
  const settle = createSettler(sources, sequences);
  let size = 0;

  const take = async (entry: Entry, statement: Statement | undefined) => {
    if (statement !== undefined && statement.definition !== definition) return sequences.takeBack(entry);
    await sequences.take(entry, statement?.type === "void" ? statement.voids : undefined);
    const { index } = entry;
    if (statement?.type === "key") {
      const key = broughtKey(statement);
      if (key !== undefined) push(brought, key.id, { index, publicKey: key.publicKey });
    }
    if (statement?.type === "release") {
      const { number, release } = statement;
      push(releases, number, { index, statement: entry.statement, release, size: statement.size });
    }
  };

  const readTile = async (): Promise<boolean> => {
    const end = (Math.floor(size / TILE_WIDTH) + 1) * TILE_WIDTH;
    const entries = await sources.opener.entries(size, end);
    const open = await readOpen(entries, sources.selectClear);
    for (const entry of entries) {
      if (entry.type !== "definition") await take(entry, open.get(entry.index));
      size = entry.index + 1;
    }
    return entries.length > 0;
  };

  const look = async () => {
    await publicLog.round();
    try {
      await publicLog.guarded(async () => {
        while (await readTile());
        await settle(size);
      });
    } catch (error) {
      log.warn({ err: error, size }, "the look at the entries failed");
    }
  };

  let looking: Promise<void> | undefined;
  return {
    ...sequences,
    async round() {
      // One at a time, for however many wait.
      looking ??= look().finally(() => {
        looking = undefined;
      });
      await looking;
      return LOOK_MS;
    },
    size: () => size,
    brought: (kid) => brought.get(kid) ?? [],
    releases: (number) => releases.get(number) ?? [],
  };
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const known = map.get(key);
  if (known === undefined) map.set(key, [value]);
  else known.push(value);
}

/** The statements without figures among these entries, by index; each is the one that its entry names. */
async function readOpen(
  entries: readonly (Entry | DefinitionEntry)[],
  selectClear: FactSources["selectClear"],
): Promise<Map<number, Statement>> {
  const open = entries.filter((entry): entry is Entry => entry.type !== "definition" && OPEN_TYPES.has(entry.type));
  const statements = new Map<number, Statement>();
  for (let at = 0; at < open.length; ) {
    const rows = await selectClear(
      open.slice(at).map(({ index }) => index),
      CLEAR_BYTES,
    );
    if (rows.length === 0) throw new LogBroken(`entry ${open[at]?.index}: its statement is missing`);
    for (const { index, clear } of rows) {
      const entry = open[at++] as Entry;
      if (entry.index !== index || clear === null)
        throw new LogBroken(`entry ${entry.index}: its statement is missing`);
      statements.set(index, readClear(entry, clear));
    }
  }
  return statements;
}

function readClear({ index, statement: sha256, type }: Entry, clear: Uint8Array): Statement {
  if (createHash("sha256").update(clear).digest("hex") !== sha256)
    throw new LogBroken(`entry ${index}: the statement is another one than was committed to`);
  const statement = readPayload(clear);
  if (statement?.type !== type) throw new LogBroken(`entry ${index}: the statement is not what the entry says of it`);
  return statement;
}

/** What an envelope says; undefined if it cannot be read. Its signatures are not looked at. */
export function readPayload(jws: Uint8Array): Statement | undefined {
  const opened = openEnvelope(jws);
  const read = opened.kind === "envelope" ? readStatement(opened.envelope.payload) : undefined;
  return read?.kind === "statement" ? read.statement : undefined;
}

/**
 * Takes back, once they are open, the entries whose statements were signed for another definition. Which to look at the database says;
 * that it is so the statement says itself. What the database hides is found when evidence is made of it.
 */
function createSettler(
  { shelf, opener, entry: entryAt, selectForeign, definition }: FactSources,
  sequences: Sequences,
) {
  let asked = 0;
  let release: unknown;
  const waiting = new Set<number>();
  return async (size: number): Promise<void> => {
    const shown = shelf.latest();
    if (shown === undefined || shown === release) return;
    const to = Math.min(size, shown.listed.size);
    for (const index of await selectForeign(asked, to)) waiting.add(index);
    asked = to;
    for (const index of [...waiting]) {
      const entry = await entryAt(index);
      // Withheld: it is looked at again with the next release.
      if (opennessOf(entry, shown) !== "open") continue;
      if (readPayload(await opener.statement(entry))?.definition !== definition) await sequences.takeBack(entry);
      waiting.delete(index);
    }
    if (to === shown.listed.size) release = shown;
  };
}
