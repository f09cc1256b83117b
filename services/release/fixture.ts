import { createHash, type KeyObject, sign } from "node:crypto";
import type { Sample } from "../../shared/definition/sample.ts";
import type { Release } from "../../shared/formats/release.ts";
import { firstAuthority } from "../../shared/ledger/authority.ts";
import { signCheckpoint } from "../../shared/ledger/checkpoint.ts";
import { canonical } from "../../shared/ledger/entry.ts";
import {
  keyShare,
  type ReleaseId,
  type SealedAnswer,
  sealAnswer,
  sealCandidate,
  signRelease,
} from "../../shared/platform/release-seal.ts";
import { vaultOf } from "../../shared/platform/vault-fixture.ts";
import { createTabulation } from "../../shared/results/fold.ts";
import { buildRelease } from "../../shared/results/release.ts";
import type { SealedRelease } from "./store.ts";

/** Releases for tests, as both counts would have left them in the database; and such as they never would. */

export interface MadeRelease extends SealedRelease {
  bytes: Uint8Array;
  /** Hex. */
  sha256: string;
}

/** What is to be wrong with it. */
export interface Twist {
  /** What the document says instead, before both sign it. */
  says?: Partial<Omit<Release, "checkpoint">>;
  checkpoint?: Partial<Release["checkpoint"]>;
  /** Who signs in place of tabulate-1 and recount-1. */
  tabulateKid?: string;
  recountKid?: string;
  answer?: SealedAnswer;
  /** What was sealed is of this release instead. */
  sealedAs?: ReleaseId;
}

/** Ed25519 under a key of the sample. */
export const signer = (sample: Sample, kid: string) => (message: Uint8Array) =>
  sign(null, message, sample.keys.get(kid)?.privateKey as KeyObject);

/** A root for a log that does not exist: what is signed here is a size and 32 bytes. */
export const rootOfSize = (size: number) => createHash("sha256").update(`root ${size}`).digest();

export function checkpointOf(sample: Sample, size: number, root: Uint8Array = rootOfSize(size)): Promise<string> {
  const { origin } = sample.definition;
  return signCheckpoint({
    origin,
    size,
    root,
    sign: signer(sample, "ledger-1"),
    publicRaw: firstAuthority(sample.definition).key.raw,
  });
}

/** An empty count of the sample as release `number`; `previous` is the hash of the one before it. */
export async function makeRelease(
  sample: Sample,
  { number, size }: ReleaseId,
  previous: string | null,
  twist: Twist = {},
): Promise<MadeRelease> {
  const { origin } = sample.definition;
  const checkpoint = { origin, size, root: rootOfSize(size).toString("base64"), ...twist.checkpoint };
  const header = { number, checkpoint, asOf: "2024-06-09T21:00:01.000Z", previous };
  const release = buildRelease(createTabulation(sample.definition, sample.hash), header);
  const text = canonical({ ...release, ...twist.says });
  const bytes = Buffer.from(text, "utf8");
  const [tabulateKid, recountKid] = [twist.tabulateKid ?? "tabulate-1", twist.recountKid ?? "recount-1"];
  const signature = signRelease(tabulateKid, bytes, signer(sample, tabulateKid));
  const found: SealedAnswer = { agrees: true, signature: signRelease(recountKid, bytes, signer(sample, recountKid)) };
  const vault = vaultOf(sample);
  const id = twist.sealedAs ?? { number, size };
  return {
    number,
    size,
    recountSize: size,
    tabulateShare: keyShare(vault, "tabulate", { number, size }),
    recountShare: keyShare(vault, "recount", { number, size }),
    candidate: sealCandidate(vault, id, { release: text, signature }),
    answer: sealAnswer(vault, id, twist.answer ?? found),
    checkpoint: await checkpointOf(sample, size),
    bytes,
    sha256: createHash("sha256").update(bytes).digest("hex"),
  };
}

/** Releases 1 to `count`, each following the one before it. */
export async function makeChain(sample: Sample, count: number): Promise<MadeRelease[]> {
  const chain: MadeRelease[] = [];
  for (let number = 1; number <= count; number++)
    chain.push(await makeRelease(sample, { number, size: number * 10 }, chain.at(-1)?.sha256 ?? null));
  return chain;
}
