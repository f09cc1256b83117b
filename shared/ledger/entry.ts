import { createHash } from "node:crypto";
import canonicalize from "canonicalize";
import type { Statement, StatementType } from "../statement/types.ts";
import type { VerdictCode } from "./codes.ts";

/**
 * The log's own line about a statement. It never shows a figure, nor anything that depends on one: it is public before the
 * lift. `statement` and `judgement` are commitments that cannot be guessed (signature and nonce; salt).
 */
export interface Entry {
  index: number;
  /** The ledger's clock, UTC with milliseconds; never earlier than the entry before. */
  received: string;
  /** The state whose office signed, or EU. */
  state: string;
  /** Key id of the first signature. */
  key: string;
  sequence: number;
  type: StatementType;
  /** Tallies that the statement holds; 0 for other types. */
  units: number;
  /** SHA-256 of the JWS bytes as received, hex. */
  statement: string;
  /** Commitment to the verdict: see `commitJudgement`. */
  judgement: string;
}

/** Entry 0: the definition, with the signatures of two keys of the authority over its bytes. */
export interface DefinitionEntry {
  index: 0;
  received: string;
  type: "definition";
  definition: string;
  signatures: { key: string; signature: string }[];
}

/** One finding of a verdict; `unit` where it is about one unit. */
export interface Finding {
  code: VerdictCode;
  unit?: string;
}

/** What the ledger decided. F findings quarantine the whole statement; W findings stand beside it. */
export interface Verdict {
  verdict: "accepted" | "quarantined";
  findings: Finding[];
}

/** A verdict as it is kept and, after the lift, opened: the salt (32 random bytes, hex) hides it until then. */
export interface Judgement extends Verdict {
  salt: string;
}

/** SHA-256 of the canonical JSON (RFC 8785) of {findings, salt, verdict}, hex. */
export function commitJudgement(judgement: Judgement): string {
  const { findings, salt, verdict } = judgement;
  return createHash("sha256").update(canonical({ findings, salt, verdict })).digest("hex");
}

/** Canonical JSON (RFC 8785) of what this system writes itself; throws on what JSON cannot hold. */
export function canonical(value: unknown): string {
  const text = canonicalize(value);
  if (text === undefined) throw new TypeError("not representable as JSON");
  return text;
}

/**
 * What the two counts fold over: an entry with its statement opened and its verdict. Entry 0 has neither.
 * Statements of a quarantined verdict count for nothing.
 */
export interface OpenedEntry {
  index: number;
  received: string;
  statement: Statement | null;
  verdict: "accepted" | "quarantined";
}
