import { createRegister } from "../../shared/definition/register.ts";
import type { Witness } from "../../shared/ledger/cosignature.ts";
import { readEntry } from "../../shared/ledger/read-entry.ts";
import { CHECKPOINT, type Reach, takeCheckpoint } from "../../shared/platform/publisher/checkpoint.ts";
import { type Client, createClient } from "../../shared/platform/publisher/client.ts";
import {
  type DefinitionKey,
  type TrustedDefinition,
  takeDefinition,
} from "../../shared/platform/publisher/definition.ts";
import { Discrepancy } from "../../shared/platform/publisher/discrepancy.ts";
import { findAuthorities } from "../../shared/platform/publisher/origins.ts";
import { type Listed, RELEASES, releaseAddress, takeList } from "../../shared/platform/publisher/releases.ts";
import { releaseReach } from "./announcements.ts";
import { noFigures } from "./figures.ts";
import { readFiles } from "./files.ts";
import type { Progress } from "./progress.ts";
import { type Learned, type Report, reportOf } from "./report.ts";
import { createSample } from "./sample.ts";
import { createSecondOpinion, type SecondOpinion } from "./second.ts";
import type { FileTexts } from "./shapes.ts";
import { openSpool, type Spool } from "./spool.ts";
import { type VerifiedLog, verifyTree } from "./tree.ts";
import { readVisit, type Visit, writeVisit } from "./visit.ts";
import { walkLog } from "./walk.ts";

export interface AuditOptions {
  url: URL;
  definitionKeys: readonly DefinitionKey[];
  /** Witnesses that the auditor trusts besides those of the definition. */
  witnesses: readonly Witness[];
  files: FileTexts;
  stateFile: string;
  /** The last visit, if there was one. */
  visit: Visit | undefined;
  /** The auditor named the state file: it stands for one log, whatever its mode. */
  isNamedState: boolean;
  every: boolean;
  seed: number;
}

export interface AuditIo {
  signal: AbortSignal;
  now(): Date;
  progress: Progress;
  /** How long one address is asked for again, and how long one waits for what must come in a moment, ms. */
  requestPatienceMs: number;
  patienceMs: number;
  /** How long one attempt may take for so many bytes, ms; `attemptMs` of the client unless it is given. */
  deadlineMs?: (maxBytes: number) => number;
  /** For the second implementation. */
  threads: number;
}

/** What an interrupted run leaves for the next one lies here. */
export const spoolFolder = (stateFile: string) => `${stateFile.replace(/\.json$/, "")}.run`;

/**
 * The audit, from public artefacts alone. Resolves with a report, of which `result` says whether all of it holds. Rejects with Unreachable
 * when it could not be finished, and with the signal's reason when it was interrupted: then what was fetched is kept, and the next run
 * takes it from there.
 */
export async function audit(options: AuditOptions, io: AuditIo): Promise<Report> {
  const learned: Learned = { url: options.url.href.replace(/\/*$/, ""), figures: noFigures() };
  const { signal, requestPatienceMs: patienceMs, deadlineMs } = io;
  const client = createClient({ base: options.url, signal, patienceMs, deadlineMs });
  const second = createSecondOpinion(io.threads);
  const spools: Spool[] = [];
  const endSpools = (how: "remove" | "leave") => Promise.all(spools.map((spool) => spool.end(how)));
  try {
    const visit = await checks(options, io, { client, second, learned, keepIn: (spool) => void spools.push(spool) });
    await endSpools("remove");
    await writeVisit(options.stateFile, { ...visit, at: io.now().toISOString() });
    return reportOf(learned, io.now());
  } catch (error) {
    const isFinished = error instanceof Discrepancy;
    // A later run must not believe an old copy over what the publisher says then.
    await endSpools(isFinished ? "remove" : "leave");
    if (!isFinished) throw error;
    return reportOf(learned, io.now(), error);
  } finally {
    io.progress.end();
    client.close();
    await second.close();
  }
}

interface Means {
  client: Client;
  second: SecondOpinion;
  learned: Learned;
  keepIn(spool: Spool): void;
}

/** The list of checks, in order. Answers what is kept for the next visit. */
async function checks(options: AuditOptions, io: AuditIo, means: Means): Promise<Omit<Visit, "at">> {
  const { client, second, learned } = means;
  const { figures } = learned;
  const { patienceMs, signal, progress } = io;

  // 1. The definition, the origins under which the log goes on, and everything that this auditor brings.
  const trusted = await takeDefinition(client, options.definitionKeys);
  learned.trusted = trusted;
  trusted.authorities = await findAuthorities(client, trusted);
  const visit = lastVisit(options, trusted, learned);
  const brought = readFiles(options.files, trusted, figures);

  // 2. What is released, then a checkpoint that covers it, signed by the log and by its witnesses.
  const list = await takeList(client, trusted);
  const reaches = [...visitReach(visit), ...brought.reaches, ...(await releaseReach(client, trusted, list?.at(-1)))];
  const head = await takeCheckpoint(client, trusted, { witnesses: options.witnesses, reaches, patienceMs, signal });
  learned.head = head;
  if (head.size === 0)
    throw new Discrepancy("definition.not-of-log", { path: CHECKPOINT }, "The log is empty: it has no definition.");

  // 3. Every entry bundle and every tile, hashed into that checkpoint.
  const spool = await openSpool(spoolFolder(options.stateFile), `${learned.url} ${trusted.hash}`);
  means.keepIn(spool);
  progress.begin("entries", head.size);
  const log = await verifyTree(head, { client, spool, progress: (entries, tiles) => countTree(entries, tiles) });

  learned.lastReceived = readEntry(await log.entry(head.size - 1))?.received;

  // 4. It continues what this auditor saw last, and what it was given.
  if (visit !== undefined) await compareVisit(visit, log, list);
  learned.visit = visit;
  await brought.compare(log);

  // 5. Each entry with everything that is open of it, each release at its size.
  learned.released = list?.at(-1)?.size ?? 0;
  const sample = createSample({ statements: head.size - 1, every: options.every, seed: options.seed });
  learned.sample = sample;
  progress.begin("statements", head.size);
  const walked = await walkLog({
    client,
    spool,
    log,
    trusted,
    register: createRegister(trusted.definition, trusted.hash),
    list: list ?? [],
    receipts: brought.receipts,
    second,
    isDrawn: sample.isDrawn,
    figures,
    progress: (entries) => progress.at(entries),
    patienceMs,
    signal,
  });
  learned.walked = walked;
  await brought.compareWalked(log, walked);
  await requireAgreement(second);
  await compareOtherVisit(options, trusted, log, list);
  return {
    url: learned.url,
    definition: trusted.hash,
    mode: trusted.definition.mode,
    origin: head.origin,
    size: head.size,
    root: Buffer.from(head.root).toString("base64"),
    releases: (list ?? []).map(({ sha256 }) => sha256),
  };

  function countTree(entries: number, tiles: number): void {
    figures.tiles = tiles;
    progress.at(entries);
  }
}

/** The visit to compare with. Another definition at the same address is another election, and has to be explained, unless both are exercises. */
function lastVisit(
  { visit, isNamedState, stateFile }: AuditOptions,
  trusted: TrustedDefinition,
  learned: Learned,
): Visit | undefined {
  if (visit === undefined || visit.definition === trusted.hash) return visit;
  if (!isNamedState && visit.mode === "exercise" && trusted.definition.mode === "exercise") {
    learned.otherBefore = visit.definition;
    return undefined;
  }
  const what =
    `At the visit of ${visit.at} the definition ${visit.definition} stood here, and now ${trusted.hash}. ` +
    `If this is to be another election, name another --state file than ${stateFile}.`;
  throw new Discrepancy("visit.definition", { path: "/v1/definition" }, what);
}

function visitReach(visit: Visit | undefined): Reach[] {
  if (visit === undefined) return [];
  return [{ size: visit.size, because: `it had ${visit.size} at your last visit, ${visit.at}`, code: "log.went-back" }];
}

async function compareVisit(visit: Visit, log: VerifiedLog, list: readonly Listed[] | undefined): Promise<void> {
  const root = Buffer.from(await log.rootAt(visit.size)).toString("base64");
  if (root !== visit.root) {
    const what = `The first ${visit.size} entries hashed to ${visit.root} at your visit of ${visit.at}; now they hash to ${root}.`;
    throw new Discrepancy("log.forked", { path: "/log/checkpoint" }, what);
  }
  for (const [n, sha256] of visit.releases.entries()) {
    const now = list?.[n]?.sha256;
    if (now === sha256) continue;
    const where = { path: now === undefined ? RELEASES : releaseAddress(n + 1) };
    if (now === undefined)
      throw new Discrepancy(
        "release.hidden",
        where,
        `Release ${n + 1} (${sha256}) was served at your visit of ${visit.at}, and is not now.`,
      );
    throw new Discrepancy(
      "release.changed",
      where,
      `Release ${n + 1} was ${sha256} at your visit of ${visit.at}; now it is ${now}.`,
    );
  }
}

/** What another run with the same state file has seen since this one began; if its log was longer, it is the one to compare with this. */
async function compareOtherVisit(
  { stateFile }: AuditOptions,
  trusted: TrustedDefinition,
  log: VerifiedLog,
  list: readonly Listed[] = [],
): Promise<void> {
  const other = await readVisit(stateFile);
  if (other === undefined || other.definition !== trusted.hash || other.size > log.size) return;
  // Its list may be newer than this run's, though its log is not.
  await compareVisit({ ...other, releases: other.releases.slice(0, list.length) }, log, list);
}

async function requireAgreement(second: SecondOpinion): Promise<void> {
  const { disagrees } = await second.finish();
  if (disagrees === undefined) return;
  const what = `node:crypto finds that the signatures of entry ${disagrees} hold; tweetnacl does not.`;
  throw new Discrepancy("signature.disagreement", { index: disagrees }, what);
}
