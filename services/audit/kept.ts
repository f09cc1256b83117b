import { createHash } from "node:crypto";
import { readEntry } from "../../shared/ledger/read-entry.ts";
import { TILE_WIDTH } from "../../shared/ledger/tiles.ts";
import { openEnvelope } from "../../shared/statement/jws.ts";
import { readStatement } from "../../shared/statement/read.ts";
import type { CountedEntry } from "./counts.ts";
import type { RecordWriter, Spool } from "./spool.ts";
import { openedName } from "./statements.ts";
import type { VerifiedLog } from "./tree.ts";

/** The opened statements as they were taken, on disk: for a run that is interrupted, and for counting anew after a revocation. */
export interface KeptStatements {
  /** The next entry: its statement's bytes (empty if none is open), and whether it counts. */
  keep(index: number, jws: Uint8Array, isAccepted: boolean): Promise<void>;
  /** The first `size` entries, of those that were kept, as the counts take them. */
  replay(size: number): AsyncGenerator<CountedEntry>;
  /** The whole log was kept. */
  finish(): Promise<void>;
  /** After a failure; after `finish` it changes nothing. */
  discard(): Promise<void>;
}

export function createKeptStatements(spool: Spool, log: VerifiedLog): KeptStatements {
  /** A bit would do; a byte for each entry is a megabyte for a million. */
  const accepted = new Uint8Array(log.size);
  let open: { page: number; writer: RecordWriter } | undefined;

  const writerOf = async (page: number): Promise<RecordWriter> => {
    if (open?.page !== page) {
      await open?.writer.commit();
      open = { page, writer: await spool.records(openedName(page)) };
    }
    return open.writer;
  };

  async function* replayPage(page: number, count: number): AsyncGenerator<CountedEntry> {
    const own = open?.page === page ? open.writer : undefined;
    const reader = own === undefined ? await spool.openRecords(openedName(page)) : undefined;
    const records = own ?? reader;
    if (records === undefined) throw new Error(`statements of this run (${openedName(page)}) have left the disk`);
    try {
      const bodies = await log.bundle(page);
      for (const [n, body] of bodies.slice(0, count).entries()) {
        const index = page * TILE_WIDTH + n;
        yield countedEntry(index, body, await records.record(n), accepted[index] === 1);
      }
    } finally {
      await reader?.close();
    }
  }

  return {
    async keep(index, jws, isAccepted) {
      accepted[index] = isAccepted ? 1 : 0;
      const writer = await writerOf(Math.floor(index / TILE_WIDTH));
      await writer.append(jws);
    },
    async *replay(size) {
      for (let page = 0; page * TILE_WIDTH < size; page++) yield* replayPage(page, size - page * TILE_WIDTH);
    },
    async finish() {
      await open?.writer.commit();
    },
    async discard() {
      await open?.writer.discard();
    },
  };
}

/** All of it was verified when it was kept: here it is only read again, and the disk is not blamed on anyone. */
function countedEntry(index: number, body: Uint8Array, jws: Uint8Array, isAccepted: boolean): CountedEntry {
  const changed = () => new Error(`what this run kept of entry ${index} has changed on the disk`);
  const entry = readEntry(body);
  if (entry === undefined) throw changed();
  const verdict = isAccepted ? "accepted" : "quarantined";
  const { received } = entry;
  if (jws.length === 0) return { index, received, statement: null, verdict, signers: [] };
  const sha256 = createHash("sha256").update(jws).digest("hex");
  const opened = openEnvelope(jws);
  const read = opened.kind === "envelope" ? readStatement(opened.envelope.payload) : undefined;
  if (entry.type === "definition" || entry.statement !== sha256 || opened.kind !== "envelope") throw changed();
  if (read?.kind !== "statement") throw changed();
  const signers = opened.envelope.signatures.map(({ kid }) => kid);
  return { index, received, statement: read.statement, verdict, signers };
}
