import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Answer, Client } from "../../shared/platform/publisher/client.ts";
import type { TrustedDefinition } from "../../shared/platform/publisher/definition.ts";
import { Discrepancy } from "../../shared/platform/publisher/discrepancy.ts";
import {
  csvAddresses,
  type Listed,
  MAX_RELEASE_BYTES,
  MAX_SIGNATURES_BYTES,
  RELEASES,
  releaseAddress,
  signaturesAddress,
  takeList,
  whyUnsigned,
  wrongCsv,
} from "../../shared/platform/publisher/releases.ts";

/** What most readers ask for: the release that is served as the latest one, in both forms, with its signatures. */

const LOOK_MS = 500;

export interface LatestSources {
  client: Client;
  trusted: TrustedDefinition;
  /** As it was served when the audit began; empty before the lift. */
  list: readonly Listed[];
  /** While releases come every second, these files are of two of them now and then, ms. */
  patienceMs: number;
  signal: AbortSignal;
}

/**
 * Throws Discrepancy unless the latest release is the last of the list, or one that came since this look began, and its CSV and signatures
 * are its own; before the lift, unless there is none.
 */
export async function compareLatest(sources: LatestSources): Promise<void> {
  const { client, trusted, patienceMs, signal } = sources;
  const end = performance.now() + patienceMs;
  let least = 0;
  for (;;) {
    const list = (await takeList(client, trusted)) ?? [];
    least ||= list.length;
    const wrong = notContinued(sources.list, list) ?? (await wrongLatest(list, least, sources));
    if (wrong === undefined) return;
    if (performance.now() > end) throw wrong;
    await sleep(LOOK_MS, undefined, { signal });
  }
}

/** Releases are added to the list, and none is ever changed. */
function notContinued(before: readonly Listed[], now: readonly Listed[]): Discrepancy | undefined {
  const n = before.findIndex((row, n) => JSON.stringify(row) !== JSON.stringify(now[n]));
  if (n < 0) return undefined;
  const what = `What ${RELEASES} says of release ${n + 1} is not what it said when this audit began.`;
  return new Discrepancy("release.list", { path: RELEASES }, what);
}

const DOCUMENT = releaseAddress("latest");
const SIGNATURES = signaturesAddress("latest");

const wrong = (path: string, what: string) => new Discrepancy("release.latest", { path }, what);

async function wrongLatest(
  list: readonly Listed[],
  least: number,
  { client, trusted }: LatestSources,
): Promise<Discrepancy | undefined> {
  const get = async (path: string, maxBytes: number, accept?: string): Promise<Got> => {
    return { path, ...(await client.get(path, maxBytes, accept)) };
  };
  const [document, signatures, ...csvs] = await Promise.all([
    get(DOCUMENT, MAX_RELEASE_BYTES),
    get(SIGNATURES, MAX_SIGNATURES_BYTES),
    ...csvAddresses("latest").map(({ path, accept }) => get(path, MAX_RELEASE_BYTES, accept)),
  ]);
  for (const { path, status, problem } of [document, signatures, ...csvs]) {
    const isRight = list.length === 0 ? status === 403 && problem === "embargo.in-force" : status === 200;
    if (!isRight) return wrong(path, `${path} is answered with status ${status}; there are ${list.length} releases.`);
  }
  if (list.length === 0) return undefined;
  return notLatest(document, list, least) ?? notItsOwn(document, signatures, csvs, trusted);
}

type Got = Answer & { path: string };

function notLatest({ body }: Got, list: readonly Listed[], least: number): Discrepancy | undefined {
  const sha256 = createHash("sha256").update(body).digest("hex");
  const number = list.findLast((row) => row.sha256 === sha256)?.number;
  if (number === undefined) return wrong(DOCUMENT, `${DOCUMENT} has the SHA-256 ${sha256}, which is no release's.`);
  if (number >= least) return undefined;
  return wrong(DOCUMENT, `${DOCUMENT} is release ${number}; the last one is ${list.length}.`);
}

function notItsOwn(
  { body }: Got,
  signatures: Got,
  csvs: readonly Got[],
  trusted: TrustedDefinition,
): Discrepancy | undefined {
  const unsigned = whyUnsigned(body, signatures.body, trusted);
  if (unsigned !== undefined) return wrong(SIGNATURES, `The latest release: ${unsigned}.`);
  const csv = wrongCsv(
    csvs.map(({ path, body: bytes }) => ({ path, bytes })),
    body,
  );
  return csv && wrong(csv.path, csv.what);
}
