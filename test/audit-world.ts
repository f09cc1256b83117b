import { createHash, sign } from "node:crypto";
import { type Sample, sampleCommon, sampleDefinition, signSample } from "../shared/definition/sample.ts";
import type { Release, ReleaseHeader } from "../shared/formats/release.ts";
import {
  canonical,
  commitJudgement,
  type DefinitionEntry,
  type Entry,
  type Judgement,
  type Verdict,
} from "../shared/ledger/entry.ts";
import { judge } from "../shared/ledger/judge.ts";
import { applyToLeftOut, createLeftOut, isLeftOut } from "../shared/ledger/left-out.ts";
import { leafHash, rootOf } from "../shared/ledger/merkle.ts";
import { applyAccepted, createLedgerState, type LedgerState } from "../shared/ledger/state.ts";
import { signRelease } from "../shared/platform/release-seal.ts";
import { count, startCount } from "../shared/recount/count.ts";
import { recountRelease } from "../shared/recount/document.ts";
import { applyEntry, createTabulation } from "../shared/results/fold.ts";
import { buildRelease, releaseBytes } from "../shared/results/release.ts";
import { authenticate, speaksFor } from "../shared/statement/authentic.ts";
import { openEnvelope } from "../shared/statement/jws.ts";
import type { Statement } from "../shared/statement/types.ts";

/**
 * A whole night made by the real code, in memory: what the ledger logs and both counts release. A test may have any part of it lie, with
 * everything above that part hashed and signed as it should be. How it is published stands in audit-published.ts.
 */

/** What is to be wrong with an entry, all of it signed and hashed as if it were right. */
export interface EntryTwist {
  /** The verdict that the ledger gives instead of the rules'. */
  verdict?: Verdict;
  /** Other bytes than those that the statement's signers would have made. */
  jws?: Uint8Array;
  entry?: Partial<Entry>;
  /** The entry's bytes, made of those that it should have. */
  body?: (canonical: string) => string;
}

/** What is to be wrong with a release, signed by both counts all the same. */
export interface ReleaseTwist {
  document?: (release: Release) => void;
  statement?: Partial<Extract<Statement, { type: "release" }>>;
  /** Served, and not in the log; or in the log, and not in the list. */
  unannounced?: boolean;
  unlisted?: boolean;
}

export interface Logged {
  /** The entry's bytes. */
  body: Buffer;
  received: string;
  entry: Entry | DefinitionEntry;
  jws?: Uint8Array;
  judgement?: Judgement;
  statement: Statement | null;
  signers: string[];
}

export interface MadeRelease {
  number: number;
  size: number;
  bytes: Buffer;
  sha256: string;
  release: Release;
  signatures: string;
}

export interface World {
  sample: Sample;
  state: LedgerState;
  log: Logged[];
  releases: MadeRelease[];
  /** Those that are served. */
  listed: MadeRelease[];
  /** Key and sequence of every statement; the next sequence of each key follows its highest. */
  used: Set<string>;
  highest: Map<string, number>;
  /** Of the ledger's clock, ms. */
  now: number;
}

const sha256 = (bytes: Uint8Array | string) => createHash("sha256").update(bytes).digest("hex");

/** The polls of the sample close at 21:00 UTC; the log begins an hour before. */
export const CLOSED = Date.parse("2024-06-09T21:00:00Z");
const START = CLOSED - 3_600_000;

/** A log with its definition, three witnesses and nothing else. */
export function createWorld({ seed = "" }: { seed?: string } = {}): World {
  const sample = sampleDefinition({ witnesses: 3, seed, backups: ["AT"] });
  const { definition, hash, register } = sample;
  const signatures = sample.signatures.signatures.map(({ protected: header, signature }) => {
    return { key: JSON.parse(Buffer.from(header, "base64url").toString()).kid as string, signature };
  });
  const received = new Date(START).toISOString();
  const entry: DefinitionEntry = { index: 0, received, type: "definition", definition: hash, signatures };
  const first: Logged = { body: Buffer.from(canonical(entry)), entry, received, statement: null, signers: [] };
  return {
    sample,
    state: createLedgerState(definition, register),
    log: [first],
    releases: [],
    listed: [],
    used: new Set(),
    highest: new Map(),
    now: START,
  };
}

/** The next statement is received a second after this, if that is not past already. */
export function waitUntil(world: World, ms: number): void {
  world.now = Math.max(world.now, ms);
}

/** What every statement says of itself; sequences count up by themselves. */
export function common({ sample, highest }: World, state: string, kid: string, sequence?: number) {
  const last = highest.get(kid) ?? 0;
  const given = sequence ?? last + 1;
  highest.set(kid, Math.max(given, last));
  return { ...sampleCommon(sample, state, given), sequence: given };
}

/** Signs, judges and logs a statement as the ledger would, a second after the last one; answers its index. */
export async function say(
  world: World,
  statement: Statement,
  kids: readonly string[],
  twist: EntryTwist = {},
): Promise<number> {
  const { sample, state, log } = world;
  world.now += 1000;
  const jws = twist.jws ?? signSample(sample, statement, ...kids);
  const opened = openEnvelope(jws);
  const found = opened.kind === "envelope" ? await authenticate(opened.envelope, state.keys) : undefined;
  const signers =
    found?.kind === "authentic" ? found.signers.map(({ key }) => key) : kids.map((kid) => state.keys.get(kid)!.key);
  const rules = judgeHere(world, statement, signers, kids[0]!);
  const judgement: Judgement = { ...(twist.verdict ?? rules), salt: sha256(`salt ${log.length}`) };
  const entry: Entry = {
    index: log.length,
    received: new Date(world.now).toISOString(),
    state: speaksFor(signers[0]!),
    key: kids[0]!,
    sequence: statement.sequence,
    type: statement.type,
    units: statement.type === "tally" ? statement.tallies.length : 0,
    statement: sha256(jws),
    judgement: commitJudgement(judgement),
    ...twist.entry,
  };
  if (judgement.verdict === "accepted") applyAccepted(state, statement, entry);
  const body = Buffer.from((twist.body ?? String)(canonical(entry)), "utf8");
  return log.push({ body, entry, received: entry.received, jws, judgement, statement, signers: [...kids] }) - 1;
}

function judgeHere(
  { sample, state, used, now }: World,
  statement: Statement,
  signers: Parameters<typeof judge>[1]["signers"],
  kid: string,
): Verdict {
  const slot = `${kid} ${statement.sequence}`;
  const isOwn = statement.definition === sample.hash;
  const input = {
    statement,
    signers,
    received: now,
    equivocates: isOwn && used.has(slot),
    targetUsed: statement.type === "void" && used.has(`${kid} ${statement.voids}`),
    clocks: statement.type === "lift" ? { process: now, postgres: now, nats: now } : undefined,
  };
  if (isOwn) used.add(slot);
  return judge(state, input, sample.hash);
}

/** The root of the first entries. */
export const rootAt = ({ log }: World, size: number) =>
  Buffer.from(rootOf(log.slice(0, size).map(({ body }) => leafHash(body))));

/** Both counts of everything so far, begun anew with every revocation known. */
function documentOf({ sample: { definition, hash }, log }: World, header: ReleaseHeader): Buffer {
  const tabulation = createTabulation(definition, hash);
  const recounted = startCount(definition, hash);
  const leftOut = createLeftOut();
  const entries = log.map(({ received, statement, judgement, signers }, index) => {
    return { index, received, statement, verdict: judgement?.verdict ?? "accepted", signers } as const;
  });
  while (entries.some((entry) => applyToLeftOut(leftOut, entry) === "again"));
  for (const entry of entries) {
    const counted = isLeftOut(leftOut, entry) ? ({ ...entry, verdict: "quarantined" } as const) : entry;
    applyEntry(tabulation, counted);
    count(recounted, counted);
  }
  const bytes = Buffer.from(releaseBytes(buildRelease(tabulation, header)));
  if (!bytes.equals(Buffer.from(recountRelease(recounted, header)))) throw new Error("the two counts differ");
  return bytes;
}

/** Counts, signs and announces a release of everything so far. */
export async function release(world: World, twist: ReleaseTwist = {}): Promise<void> {
  const { sample, log, releases, listed } = world;
  const size = log.length;
  const header = {
    number: releases.length + 1,
    checkpoint: { origin: sample.definition.origin, size, root: rootAt(world, size).toString("base64") },
    asOf: log.at(-1)!.received,
    previous: releases.at(-1)?.sha256 ?? null,
  };
  const document = JSON.parse(documentOf(world, header).toString("utf8")) as Release;
  twist.document?.(document);
  const made = signed(sample, document, header.number, size);
  releases.push(made);
  if (!twist.unlisted) listed.push(made);
  if (twist.unannounced) return;
  const { number, previous, checkpoint } = header;
  const said = { number, size, root: checkpoint.root, release: made.sha256, previous, ...twist.statement };
  await say(world, { type: "release", ...common(world, "EU", "tabulate-1"), ...said }, ["tabulate-1", "recount-1"]);
}

function signed(sample: Sample, document: Release, number: number, size: number): MadeRelease {
  const bytes = Buffer.from(canonical(document), "utf8");
  const signatures = ["tabulate-1", "recount-1"].map((kid) => {
    const { privateKey } = sample.keys.get(kid)!;
    const [header, , signature] = signRelease(kid, bytes, (message) => sign(null, message, privateKey)).split(".");
    return { protected: header, signature };
  });
  return { number, size, bytes, sha256: sha256(bytes), release: document, signatures: JSON.stringify({ signatures }) };
}
