import { createHash } from "node:crypto";
import type { Pool } from "pg";
import type { Definition } from "../definition/schema.ts";
import { authorityBy, firstAuthority, fitsHead, type LogAuthority, readOriginDecision } from "../ledger/authority.ts";
import { createKeyBook } from "../ledger/keys.ts";
import { signersOf } from "../statement/authentic.ts";
import { LogBroken } from "./log-entry.ts";
import { selectOrigins } from "./log-rows.ts";

/** An authority, and what it rests on in the log; null for the definition's own. */
export interface ReadAuthority extends LogAuthority {
  /** The decision's SHA-256 (hex) and the root (base64) of all entries before it. */
  opened: { statement: string; root: string } | null;
}

/** The definition's own. Throws a RangeError without one. */
export function authorityOfDefinition(definition: Definition): ReadAuthority {
  return { ...firstAuthority(definition), opened: null };
}

/**
 * Who signs the log's checkpoints: those that are known, and those of origins that were opened since. A row is believed for what two
 * trustees of the definition signed, and for nothing else. Whether the log holds that very decision, on the tree that it names, is for whoever
 * hashes its entries (`requireOpened`). Rejects with LogBroken.
 *
 * An origin is committed together with its first checkpoint: who reads a checkpoint first, and these afterwards, knows whose it is.
 */
export async function readAuthorities(
  db: { query: Pool["query"] },
  { definition, hash }: { definition: Definition; hash: string },
  known: readonly ReadAuthority[] = [authorityOfDefinition(definition)],
): Promise<readonly ReadAuthority[]> {
  const rows = await selectOrigins(db, known.at(-1)?.from ?? 0);
  if (rows.length === 0) return known;
  const authorities = [...known];
  const [book, signers] = [createKeyBook(definition), signersOf(definition)];
  for (const { index, origin, statement, body } of rows) {
    const broken = (what: string) => new LogBroken(`the origin that entry ${index} opens: ${what}`);
    const read = await readOriginDecision(statement, hash, signers);
    if (typeof read === "string") throw broken(read);
    const { decision } = read;
    const sha256 = createHash("sha256").update(statement).digest("hex");
    const { statement: logged } = JSON.parse(Buffer.from(body).toString("utf8")) as { statement?: string };
    if (logged !== sha256) throw broken("the entry is about another statement");
    const made = authorityBy(index, decision);
    if (made === undefined || made.origin !== origin) throw broken("the decision names another one");
    if (!fitsHead(authorities, book, decision, { size: index, root: decision.root }))
      throw broken("the decision does not fit there");
    authorities.push({ ...made, opened: { statement: sha256, root: decision.root } });
  }
  return authorities;
}

/**
 * Throws LogBroken unless an authority begins where the log has it: the entry before its first checkpoint is about the very decision that two
 * trustees signed, upon the tree that they named. `body`: that entry, as it was hashed into the tree. `before`: the root of all entries before it.
 */
export function requireOpened({ from, opened }: ReadAuthority, body: Uint8Array, before: Uint8Array): void {
  if (opened === null) return;
  const { statement } = JSON.parse(Buffer.from(body).toString("utf8")) as { statement?: string };
  if (statement !== opened.statement || Buffer.from(before).toString("base64") !== opened.root)
    throw new LogBroken(`entry ${from - 1}: two trustees opened an origin there for another log`);
}
