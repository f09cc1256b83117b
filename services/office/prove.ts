import { firstAuthority } from "../../shared/ledger/authority.ts";
import { witnessesOf } from "../../shared/ledger/cosignature.ts";
import { canonical, type Entry } from "../../shared/ledger/entry.ts";
import { readProof, verifyProof } from "../../shared/ledger/proof.ts";
import { createClient } from "../../shared/platform/publisher/client.ts";
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

/**
 * Fetches the proof of a statement and verifies it with the definition alone: the log's signature, the witnesses' quorum, the path, and that the entry is
 * the one of the receipt. Rejects with a Refusal: `door.silent`, or `proof.wrong` with what does not hold.
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
  const address = `/v1/proofs/${sha256}`;
  const { definition, hash } = election;
  const { status, body, authorities } = await Promise.resolve()
    .then(async () => ({
      authorities: await findAuthorities(client, { definition, hash, authorities: [firstAuthority(definition)] }),
      ...(await client.get(address, MAX_PROOF_BYTES)),
    }))
    .catch((error: unknown) => {
      if (error instanceof Unreachable) throw new Refusal("door.silent", `${release}: ${error.message}`);
      if (error instanceof Discrepancy) throw new Refusal("proof.wrong", error.message);
      throw error;
    })
    .finally(() => client.close());
  const wrong = (sentence: string) => new Refusal("proof.wrong", sentence);
  if (status !== 200) throw wrong(`${release} answers ${status} for the proof of this statement.`);
  const text = body.toString("utf8");
  const proof = readProof(text);
  if (proof === undefined) throw wrong("What came is no proof.");
  const witnesses = witnessesOf(definition);
  const verdict = verifyProof(proof, { authorities, witnesses: witnesses.keys, quorum: witnesses.quorum });
  if (verdict.kind === "refused") throw wrong(`The proof does not hold: ${verdict.reason}.`);
  if (proof.extra === undefined || Buffer.from(proof.extra).toString("utf8") !== canonical(entry))
    throw wrong("The log holds another entry than the receipt says.");
  const { index, size, origin, cosigned } = verdict;
  return { text, index, size, origin, cosigned };
}
