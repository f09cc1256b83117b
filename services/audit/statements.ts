import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { DefinitionEntry, Entry } from "../../shared/ledger/entry.ts";
import { readEntry } from "../../shared/ledger/read-entry.ts";
import { TILE_WIDTH } from "../../shared/ledger/tiles.ts";
import { ahead } from "../../shared/platform/publisher/ahead.ts";
import type { Client } from "../../shared/platform/publisher/client.ts";
import { Discrepancy } from "../../shared/platform/publisher/discrepancy.ts";
import { bundlesOf, claimedIndex, statementAddress } from "../../shared/platform/publisher/tiles.ts";
import { type Authenticity, authenticate, type Signers } from "../../shared/statement/authentic.ts";
import { type Envelope, MAX_STATEMENT_BYTES, openEnvelope } from "../../shared/statement/jws.ts";
import { MAX_TALLIES, OPEN_TYPES } from "../../shared/statement/types.ts";
import type { RecordReader, Spool } from "./spool.ts";
import type { VerifiedLog } from "./tree.ts";

/**
 * The log's entries in order, each with the statement that is open, fetched some way ahead. Of entries below `openedTo`, the size of the last
 * release, everything is open but what a hold withholds; above it, what holds no figures.
 */

export interface OpenedEntry {
  index: number;
  entry: Entry | DefinitionEntry;
  /** `closed`: not released yet. `withheld`: its state is on hold. Entry 0 has no statement. */
  statement:
    | { kind: "open"; jws: Buffer; envelope: Envelope; authenticity: Authenticity }
    | { kind: "closed" | "withheld" }
    | null;
  /** The line of /log/judgements; undefined above the last release. */
  judgement: string | undefined;
}

export interface StatementSources {
  client: Client;
  spool: Spool;
  log: VerifiedLog;
  openedTo: number;
  /** The keys as of the entries that were taken so far; they only grow. */
  signers: Signers;
  /** How long a publisher may take to open what its last release covers, ms. */
  patienceMs: number;
  signal: AbortSignal;
}

/** Statements on their way or waiting: enough to keep every connection busy; and what those that wait take of memory. */
const ENTRIES_AHEAD = 64;
const BYTES_AHEAD = 32 * 1024 * 1024;
/** Received, decoded, the bytes that were signed, and what was read of them. */
const COPIES = 8;
const PAGES_AHEAD = 3;
/** Of a judgement: salt, verdict and what is found of the statement itself; and of each of its tallies nine codes, each with the unit's id. */
const JUDGEMENT_BYTES = 1024;
const TALLY_JUDGEMENT_BYTES = 1024;
/** 256 statements of a thousand tallies with five findings each. */
const MAX_JUDGEMENTS_BYTES = 64 * 1024 * 1024;
const LOOK_MS = 500;

export const judgementsAddress = (page: number) => `/log/judgements/${page}`;
export const openedName = (page: number) => `opened-${page}`;

/** 256 entries with their judgements, and what an interrupted run kept of their statements. */
interface Page {
  number: number;
  bodies: Uint8Array[];
  judgements: string[];
  kept: RecordReader | undefined;
}

/**
 * Every entry in the order of the log: read, its statement's bytes hashed, its envelope opened, its signatures verified under the keys
 * known so far. Throws Discrepancy at the first that is wrong, after all before it were given.
 */
export async function* openEntries(sources: StatementSources): AsyncGenerator<OpenedEntry> {
  const pages = ahead(bundlesOf(sources.log.size), (number) => takePage(number, sources), { items: PAGES_AHEAD });
  const sizeOf = ({ statement }: OpenedEntry) => (statement?.kind === "open" ? statement.jws.length * COPIES : 0);
  yield* ahead(entriesOf(pages), (raw) => openEntry(raw, sources), {
    items: ENTRIES_AHEAD,
    bytes: BYTES_AHEAD,
    sizeOf,
  });
}

interface RawEntry {
  index: number;
  body: Uint8Array;
  judgement: string | undefined;
  kept: () => Promise<Buffer>;
}

async function* entriesOf(pages: AsyncIterable<Page>): AsyncGenerator<RawEntry> {
  const open: Page[] = [];
  try {
    for await (const page of pages) {
      open.push(page);
      // Entries of the page before this one may still be on their way; of the one before that, none are.
      if (open.length > 2) await open.shift()?.kept?.close();
      for (const [n, body] of page.bodies.entries())
        yield {
          index: page.number * TILE_WIDTH + n,
          body,
          judgement: page.judgements[n],
          kept: async () => (await page.kept?.record(n)) ?? Buffer.alloc(0),
        };
    }
  } finally {
    for (const page of open) await page.kept?.close();
  }
}

async function takePage(number: number, { client, spool, log, openedTo }: StatementSources): Promise<Page> {
  const bodies = await log.bundle(number);
  const open = Math.max(0, Math.min(bodies.length, openedTo - number * TILE_WIDTH));
  const [judgements, kept] = await Promise.all([
    open === 0 ? [] : takeJudgements(client, number, open, mostJudgementBytes(bodies)),
    spool.openRecords(openedName(number)),
  ]);
  return { number, bodies, judgements, kept };
}

/** What the judgements of these entries can have at most, by how many tallies the signed log says that each has. */
function mostJudgementBytes(bodies: readonly Uint8Array[]): number {
  const unitsOf = (body: Uint8Array) =>
    Number(/"units":(\d{1,4})[,}]/.exec(Buffer.from(body).toString("latin1"))?.[1] ?? 0);
  const sizes = bodies.map((body) => JUDGEMENT_BYTES + unitsOf(body) * TALLY_JUDGEMENT_BYTES);
  const all = sizes.reduce((sum, bytes) => sum + bytes, 0);
  // More may have been released since: the page goes on behind those that this log has.
  return Math.min(MAX_JUDGEMENTS_BYTES, all + (TILE_WIDTH - bodies.length) * MAX_TALLIES * TALLY_JUDGEMENT_BYTES);
}

async function takeJudgements(client: Client, page: number, count: number, maxBytes: number): Promise<string[]> {
  const path = judgementsAddress(page);
  const { status, body } = await client.get(path, maxBytes);
  const index = page * TILE_WIDTH;
  if (status !== 200)
    throw new Discrepancy("judgement.missing", { path, index }, `${path} is answered with status ${status}.`);
  if (body.length > maxBytes)
    throw new Discrepancy(
      "judgement.differs",
      { path, index },
      `${path} has more than the ${maxBytes} bytes that the judgements of these statements can have.`,
    );
  // A page's lines, and what shows that there are more.
  const lines = body.toString("utf8").split("\n", TILE_WIDTH + 1);
  if (lines.at(-1) === "") lines.pop();
  if (lines.length < count)
    throw new Discrepancy(
      "judgement.missing",
      { path, index: index + lines.length },
      `${path} has ${lines.length} judgements; the last release covers ${count} entries there.`,
    );
  // More than asked for is a release that has come since; more than a page, or a judgement on the definition, is none of the log's.
  const beyond = lines.length > TILE_WIDTH ? TILE_WIDTH : page === 0 && lines[0] !== "null" ? 0 : undefined;
  if (beyond !== undefined)
    throw new Discrepancy(
      "judgement.differs",
      { path, index: index + beyond },
      `Line ${beyond + 1} of ${path} is the judgement of no statement.`,
    );
  return lines.slice(0, count);
}

async function openEntry({ index, body, judgement, kept }: RawEntry, sources: StatementSources): Promise<OpenedEntry> {
  const entry = readEntry(body);
  if (entry === undefined)
    throw new Discrepancy("entry.malformed", { index }, `Entry ${index} is not the canonical JSON of an entry.`);
  if (entry.index !== index) {
    const said = claimedIndex(body);
    const what = `Entry ${index} is missing: what stands in its place calls itself entry ${said}.`;
    throw new Discrepancy("entry.index", { index }, what);
  }
  if (entry.type === "definition") return { index, entry, statement: null, judgement };
  const isOpen = OPEN_TYPES.has(entry.type) || index < sources.openedTo;
  if (!isOpen) return { index, entry, statement: { kind: "closed" }, judgement };
  const jws = await takeStatement(entry, await kept(), sources);
  if (jws === "withheld") return { index, entry, statement: { kind: "withheld" }, judgement };
  const opened = openEnvelope(jws);
  const path = statementAddress(entry.statement);
  if (opened.kind === "refused")
    throw new Discrepancy(
      "statement.envelope",
      { path, index },
      `The statement of entry ${index} is no JWS (${opened.code}).`,
    );
  const { envelope } = opened;
  const authenticity = await authenticate(envelope, sources.signers);
  return { index, entry, statement: { kind: "open", jws, envelope, authenticity }, judgement };
}

const sha256Hex = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** The bytes whose hash the entry holds: as an earlier run kept them, or as they are served. */
async function takeStatement(entry: Entry, kept: Buffer, sources: StatementSources): Promise<Buffer | "withheld"> {
  if (kept.length > 0 && sha256Hex(kept) === entry.statement) return kept;
  const path = statementAddress(entry.statement);
  const where = { path, index: entry.index };
  const end = performance.now() + sources.patienceMs;
  for (;;) {
    const { status, body, problem } = await sources.client.get(path, MAX_STATEMENT_BYTES);
    if (status === 200 && sha256Hex(body) === entry.statement) return body;
    if (status === 200)
      throw new Discrepancy(
        "statement.bytes",
        where,
        `The bytes at ${path} have the SHA-256 ${sha256Hex(body)}, and not the one that entry ${entry.index} holds.`,
      );
    if (problem === "statement.withheld" && !OPEN_TYPES.has(entry.type)) return "withheld";
    // The keys of a release's statements follow it by a moment.
    if (problem !== "statement.not-released" || performance.now() > end) {
      const answer = problem === undefined ? `status ${status}` : `status ${status}, ${problem}`;
      const what = `The statement of entry ${entry.index} must be open, and the answer is ${answer}.`;
      throw new Discrepancy("statement.missing", where, what);
    }
    await sleep(LOOK_MS, undefined, { signal: sources.signal });
  }
}
