import { createHash } from "node:crypto";
import type { Definition } from "../../shared/definition/schema.ts";
import {
  authorityBy,
  fitsHead,
  isSameAuthority,
  type LogAuthority,
  readOriginDecision,
} from "../../shared/ledger/authority.ts";
import { parseCheckpoint, splitNote } from "../../shared/ledger/checkpoint.ts";
import { createKeyBook } from "../../shared/ledger/keys.ts";
import { readEntry } from "../../shared/ledger/read-entry.ts";
import { widthAt } from "../../shared/ledger/tiles.ts";
import { signersOf } from "../../shared/statement/authentic.ts";
import { MAX_STATEMENT_BYTES } from "../../shared/statement/jws.ts";
import { ahead } from "./ahead.ts";
import { CHECKPOINT, MAX_CHECKPOINT_BYTES } from "./checkpoint.ts";
import { Discrepancy } from "./discrepancy.ts";
import type { Client } from "./http.ts";
import { statementAddress } from "./statements.ts";
import { bundlesOf, fetchBundle } from "./tiles.ts";

const BUNDLES_AHEAD = 8;

/**
 * Who signs the checkpoints of a log that goes on under another origin than the definition's: its own entries say so. They are looked through
 * before any of them is verified, so a decision is believed for nothing but the signatures of two trustees; whether it stands where it must, on
 * the tree that it names, the walk through the verified log finds (`requireOrigins`). Without another origin nothing is fetched but the checkpoint.
 */
export async function findAuthorities(
  client: Client,
  { definition, hash, authorities }: { definition: Definition; hash: string; authorities: readonly LogAuthority[] },
): Promise<LogAuthority[]> {
  const { status, body } = await client.get(CHECKPOINT, MAX_CHECKPOINT_BYTES);
  const claimed = status === 200 ? parseCheckpoint(splitNote(body.toString("utf8"))?.text ?? "") : undefined;
  const found = [...authorities];
  if (claimed === undefined || claimed.origin === definition.origin) return found;
  const [book, trustees] = [createKeyBook(definition), signersOf(definition)];
  const fetchPage = (n: number) => fetchBundle(client, n, widthAt(claimed.size, 0, n));
  for await (const bodies of ahead(bundlesOf(claimed.size), fetchPage, { items: BUNDLES_AHEAD }))
    for (const entry of bodies.map(readEntry)) {
      if (entry?.type !== "decision") continue;
      const { status, body: jws } = await client.get(statementAddress(entry.statement), MAX_STATEMENT_BYTES);
      if (status !== 200 || createHash("sha256").update(jws).digest("hex") !== entry.statement) continue;
      const read = await readOriginDecision(jws, hash, trustees);
      if (typeof read === "string") continue;
      const made = authorityBy(entry.index, read.decision);
      const head = { size: entry.index, root: read.decision.root };
      if (made !== undefined && fitsHead(found, book, read.decision, head)) found.push(made);
    }
  return found;
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
