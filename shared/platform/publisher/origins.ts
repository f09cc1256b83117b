import { createHash } from "node:crypto";
import type { Definition } from "../../definition/schema.ts";
import {
  authorityBy,
  fitsHead,
  isSameAuthority,
  type LogAuthority,
  readOriginDecision,
} from "../../ledger/authority.ts";
import { parseCheckpoint, splitNote } from "../../ledger/checkpoint.ts";
import type { DefinitionEntry, Entry } from "../../ledger/entry.ts";
import { createKeyBook } from "../../ledger/keys.ts";
import { readEntry } from "../../ledger/read-entry.ts";
import { TILE_WIDTH, widthAt } from "../../ledger/tiles.ts";
import { signersOf } from "../../statement/authentic.ts";
import { MAX_STATEMENT_BYTES } from "../../statement/jws.ts";
import { ahead } from "./ahead.ts";
import { CHECKPOINT, MAX_CHECKPOINT_BYTES } from "./checkpoint.ts";
import type { Client } from "./client.ts";
import { Discrepancy } from "./discrepancy.ts";
import { bundleAddress, bundlesOf, fetchBundle, statementAddress } from "./tiles.ts";

const BUNDLES_AHEAD = 8;
/** Nobody has signed the size that is claimed here. Four times a million statements is more than a night has. */
const MOST_ENTRIES = 4_194_304;
/** Trustees decide a few dozen times in a night; each decision is a request. */
const MOST_DECISIONS = 2_048;

/**
 * Who signs the checkpoints of a log that goes on under another origin than the definition's: its own entries say so. They are looked through
 * before any of them is verified, up to the decision that opens the claimed origin: it is believed for nothing but the signatures of two
 * trustees; whether it stands where it must, on the tree that it names, the walk through the verified log finds (`requireOrigins`). Without
 * another origin nothing is fetched but the checkpoint. Throws Discrepancy for entries that are none of a log, and beyond what a log may have.
 */
export async function findAuthorities(
  client: Client,
  { definition, hash, authorities }: { definition: Definition; hash: string; authorities: readonly LogAuthority[] },
  { mostEntries = MOST_ENTRIES }: { mostEntries?: number | undefined } = {},
): Promise<LogAuthority[]> {
  const { status, body } = await client.get(CHECKPOINT, MAX_CHECKPOINT_BYTES);
  const claimed = status === 200 ? parseCheckpoint(splitNote(body.toString("utf8"))?.text ?? "") : undefined;
  const found = [...authorities];
  if (claimed === undefined || claimed.origin === definition.origin) return found;
  const [book, trustees] = [createKeyBook(definition), signersOf(definition)];
  const { origin, size } = claimed;
  const tooMuch = (searched: string) => {
    const what = `The checkpoint is of ${size} entries of ${origin}, and none of ${searched} opens that origin.`;
    return new Discrepancy("checkpoint.unsigned", { path: CHECKPOINT }, what);
  };
  let decisions = 0;
  for await (const entry of claimedEntries(client, Math.min(size, mostEntries), size)) {
    if (entry.type !== "decision") continue;
    if (++decisions > MOST_DECISIONS) throw tooMuch(`its first ${MOST_DECISIONS} decisions`);
    const { status, body: jws } = await client.get(statementAddress(entry.statement), MAX_STATEMENT_BYTES);
    if (status !== 200 || createHash("sha256").update(jws).digest("hex") !== entry.statement) continue;
    const read = await readOriginDecision(jws, hash, trustees);
    if (typeof read === "string") continue;
    const made = authorityBy(entry.index, read.decision);
    const head = { size: entry.index, root: read.decision.root };
    if (made === undefined || !fitsHead(found, book, read.decision, head)) continue;
    found.push(made);
    if (made.origin === origin) return found;
  }
  if (size > mostEntries) throw tooMuch(`the first ${mostEntries}`);
  return found;
}

/** The first `wanted` entries of a log that claims to have `size`, in their order. Whoever makes them up must at least make up all of them. */
async function* claimedEntries(
  client: Client,
  wanted: number,
  size: number,
): AsyncGenerator<Entry | DefinitionEntry, void, undefined> {
  const fetchPage = async (page: number) => {
    const width = widthAt(size, 0, page);
    const bodies = await fetchBundle(client, page, width);
    return bodies.map((body, n) => {
      const index = page * TILE_WIDTH + n;
      const entry = readEntry(body);
      if (entry?.index === index) return entry;
      const path = bundleAddress(page, width);
      const what = `What stands in the place of entry ${index} in ${path} is ${entry === undefined ? "no entry" : `entry ${entry.index}`}.`;
      throw new Discrepancy("bundle.differs", { path, index }, what);
    });
  };
  for await (const entries of ahead(bundlesOf(wanted), fetchPage, { items: BUNDLES_AHEAD })) yield* entries;
}

/** Throws Discrepancy unless the origins that the entries opened are those under which checkpoints were believed. */
export function requireOrigins(opened: readonly LogAuthority[], believed: readonly LogAuthority[]): void {
  const known = (n: number) => {
    const [ours, theirs] = [opened[n], believed[n]];
    return ours !== undefined && theirs !== undefined && isSameAuthority(ours, theirs);
  };
  if (opened.length === believed.length && opened.every((_, n) => known(n))) return;
  const names = (authorities: readonly LogAuthority[]) =>
    authorities.map(({ origin, from }) => (from === 0 ? origin : `${origin} (from ${from} entries on)`)).join(", ");
  const what = `By the rules the log goes on as ${names(opened)}; its checkpoint is signed as if it went on as ${names(believed)}.`;
  throw new Discrepancy("checkpoint.unsigned", { path: CHECKPOINT }, what);
}
