import { setTimeout as sleep } from "node:timers/promises";
import type { Definition } from "../../shared/definition/schema.ts";
import { firstAuthority, type LogAuthority } from "../../shared/ledger/authority.ts";
import { witnessesOf } from "../../shared/ledger/cosignature.ts";
import { canonical, type Entry } from "../../shared/ledger/entry.ts";
import { readProof, verifyProof } from "../../shared/ledger/proof.ts";
import { type Answer, createClient } from "../../shared/platform/publisher/client.ts";
import { Discrepancy, Unreachable } from "../../shared/platform/publisher/discrepancy.ts";
import { findAuthorities } from "../../shared/platform/publisher/origins.ts";
import { MAX_PROOF_BYTES } from "../../shared/platform/publisher/proofs.ts";
import type { Office } from "./folder.ts";
import { Refusal } from "./refusal.ts";

export interface Proven {
  /** The proof as it came (C2SP tlog-proof). */
  text: string;
  index: number;
  size: number;
  origin: string;
  /** Names of the witnesses that cosigned its head. */
  cosigned: string[];
}

const PATIENCE_MS = 60_000;
/** Witnesses cosign a little after the receipt is out. */
const WITNESSES_MS = 30_000;
const LOOK_AGAIN_MS = 500;

/**
 * Fetches the proof of a statement and verifies it with the definition alone: the log's signature, the witnesses' quorum, the path, and that the entry is
 * the one of the receipt. Waits half a minute for the witnesses. Rejects with a Refusal: `door.silent`, or `proof.wrong` with what does not hold.
 */
export async function proveStatement(
  office: Office,
  sha256: string,
  entry: Entry,
  signal: AbortSignal,
): Promise<Proven> {
  const { release, election } = office;
  if (release === undefined) throw new Refusal("office.malformed", "office.json does not say where the public log is.");
  const client = createClient({
    base: new URL(release.endsWith("/") ? release : `${release}/`),
    signal,
    patienceMs: PATIENCE_MS,
  });
  const { definition, hash } = election;
  try {
    const authorities = await findAuthorities(client, {
      definition,
      hash,
      authorities: [firstAuthority(definition)],
    });
    const until = Date.now() + WITNESSES_MS;
    for (;;) {
      const seen = read(await client.get(`/v1/proofs/${sha256}`, MAX_PROOF_BYTES), entry, definition, authorities);
      if (!("wrong" in seen)) return seen;
      if (!seen.mayCome || Date.now() > until) throw new Refusal("proof.wrong", seen.wrong);
      await sleep(LOOK_AGAIN_MS, undefined, { signal });
    }
  } catch (error) {
    if (error instanceof Unreachable) throw new Refusal("door.silent", `${release}: ${error.message}`);
    if (error instanceof Discrepancy) throw new Refusal("proof.wrong", error.message);
    throw error;
  } finally {
    client.close();
  }
}

/** What does not hold, and whether it may in a moment: the entry is shown and cosigned a little after its receipt is out. */
interface Wrong {
  wrong: string;
  mayCome: boolean;
}

function read(
  { status, body }: Answer,
  entry: Entry,
  definition: Definition,
  authorities: readonly LogAuthority[],
): Proven | Wrong {
  if (status !== 200)
    return { wrong: `The public log answers ${status} for the proof of this statement.`, mayCome: status === 404 };
  const text = body.toString("utf8");
  const proof = readProof(text);
  if (proof === undefined) return { wrong: "What came is no proof.", mayCome: false };
  const witnesses = witnessesOf(definition);
  const verdict = verifyProof(proof, { authorities, witnesses: witnesses.keys, quorum: witnesses.quorum });
  if (verdict.kind === "refused")
    return { wrong: `The proof does not hold: ${verdict.reason}.`, mayCome: verdict.reason === "witnesses" };
  if (proof.extra === undefined || Buffer.from(proof.extra).toString("utf8") !== canonical(entry))
    return { wrong: "The log holds another entry than the receipt says.", mayCome: false };
  const { index, size, origin, cosigned } = verdict;
  return { text, index, size, origin, cosigned };
}
