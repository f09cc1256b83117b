import { setTimeout as sleep } from "node:timers/promises";
import { authorityOf, type LogAuthority, presentAuthority } from "../../ledger/authority.ts";
import { parseCheckpoint, readCheckpoint, splitNote } from "../../ledger/checkpoint.ts";
import { verifyCosignatures, type Witness } from "../../ledger/cosignature.ts";
import type { Client } from "./client.ts";
import type { TrustedDefinition } from "./definition.ts";
import { Discrepancy } from "./discrepancy.ts";

/** A head of the log: how many entries, and the hash of all of them. */
export interface Head {
  size: number;
  root: Uint8Array;
}

/** A head that the log's key has signed. */
export interface SignedHead extends Head {
  /** The whole note, with the cosignatures that lie in it. */
  note: string;
  origin: string;
}

/** The head that is audited, with the witnesses who say that it is the one that they were shown. */
export interface WitnessedHead extends SignedHead {
  /** `time` in seconds since 1970. */
  cosigned: { name: string; time: number }[];
}

/** What the log must have reached, and why. */
export interface Reach {
  size: number;
  /** Completes "the log has only 7 entries, and …". */
  because: string;
  /** What it is if it has not. */
  code: "log.went-back" | "release.unlogged";
  /** What says so; the checkpoint itself unless it is given. */
  path?: string;
}

export const CHECKPOINT = "/log/checkpoint";
/** Three lines and at most 16 signatures. */
export const MAX_CHECKPOINT_BYTES = 16 * 1024;
const LOOK_MS = 500;

/** Reads a note under whoever signs checkpoints of its size; undefined if it is malformed or not signed by them. */
export function readHead(note: string, authorities: readonly LogAuthority[]): SignedHead | undefined {
  const claimed = parseCheckpoint(splitNote(note)?.text ?? "");
  if (claimed === undefined) return undefined;
  const { origin, key } = authorityOf(authorities, claimed.size);
  const read = readCheckpoint(note, { origin, publicKey: key });
  return read && { ...read, note, origin };
}

/**
 * The checkpoint that is served, once it is long enough and cosigned: by a quorum of the definition's witnesses and by every witness
 * that the auditor trusts besides. The publisher has until the patience ends, for witnesses sign a moment after the log. Throws
 * Discrepancy with what is missing then; for a signature that does not hold at once.
 */
export async function takeCheckpoint(
  client: Client,
  { authorities, witnesses, quorum }: Pick<TrustedDefinition, "authorities" | "witnesses" | "quorum">,
  demand: { witnesses: readonly Witness[]; reaches: readonly Reach[]; patienceMs: number; signal: AbortSignal },
): Promise<WitnessedHead> {
  const end = performance.now() + demand.patienceMs;
  for (;;) {
    const { status, body } = await client.get(CHECKPOINT, MAX_CHECKPOINT_BYTES);
    const taken = status === 200 ? assess(body.toString("utf8")) : missing(status);
    if (!(taken instanceof Discrepancy)) return taken;
    if (taken.code === "checkpoint.unsigned" || performance.now() > end) throw taken;
    await sleep(LOOK_MS, undefined, { signal: demand.signal });
  }

  function assess(note: string): WitnessedHead | Discrepancy {
    const where = { path: CHECKPOINT };
    const head = readHead(note, authorities);
    if (head === undefined) {
      const { origin } = presentAuthority(authorities);
      return new Discrepancy(
        "checkpoint.unsigned",
        where,
        `The checkpoint is no note that the key of ${origin} has signed.`,
      );
    }
    const short = demand.reaches.find(({ size }) => size > head.size);
    if (short !== undefined)
      return new Discrepancy(
        short.code,
        { path: short.path ?? CHECKPOINT },
        `The log has only ${head.size} entries, and ${short.because}.`,
      );
    const cosigned = verifyCosignatures(note, witnesses);
    const own = verifyCosignatures(note, demand.witnesses);
    const absent = demand.witnesses.find(({ name }) => !own.some((cosignature) => cosignature.name === name));
    if (cosigned.length < quorum) return tooFew(cosigned.length);
    if (absent !== undefined)
      return new Discrepancy(
        "checkpoint.quorum",
        where,
        `${absent.name}, whom you trust, has not cosigned the checkpoint.`,
      );
    return { ...head, cosigned: [...cosigned, ...own.filter(({ name }) => !cosigned.some((c) => c.name === name))] };
  }

  function tooFew(count: number): Discrepancy {
    const names = witnesses.map(({ name }) => name).join(", ");
    const what = `${count} of the definition's witnesses (${names}) have cosigned the checkpoint; it needs ${quorum}.`;
    return new Discrepancy("checkpoint.quorum", { path: CHECKPOINT }, what);
  }
}

const missing = (status: number) =>
  new Discrepancy("checkpoint.missing", { path: CHECKPOINT }, `${CHECKPOINT} is answered with status ${status}.`);
