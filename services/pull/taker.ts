import type { StreamingClient } from "../../shared/platform/publisher/client.ts";
import type { TrustedDefinition } from "../../shared/platform/publisher/definition.ts";
import { Discrepancy } from "../../shared/platform/publisher/discrepancy.ts";
import { type Listed, RELEASES, releaseAddress, takeList } from "../../shared/platform/publisher/releases.ts";
import { readAnnouncement, takeAnnouncement } from "./announced.ts";
import { fetchListed, openHeld, readKept, type Taken } from "./document.ts";
import { type MakeFiles, writeFiles } from "./files.ts";
import { documentName, type OutFolder, proofName, signaturesName, statementName } from "./folder.ts";
import type { Held } from "./held.ts";
import type { Options } from "./options.ts";
import type { Say } from "./words.ts";

export interface TakerSources {
  client: StreamingClient;
  trusted: TrustedDefinition;
  folder: OutFolder;
  /** Undefined without the Parliament's key. */
  held: Held | undefined;
  formats: Options["formats"];
  makeFiles: MakeFiles;
  signal: AbortSignal;
  patienceMs: number;
  say: Say;
  /** Tells of something that is refused while the rest goes on. */
  refuse(discrepancy: Discrepancy): void;
  /** What ends everything, from work that nobody waits for. */
  fail(error: unknown): void;
}

/** Takes release after release into the folder. What it rejects with ends the run: Discrepancy, or that nobody answers. */
export interface Taker {
  /** Looks through the folder and goes on from the last release that holds. */
  resume(): Promise<void>;
  /** Number of the last release that was taken; 0 before the first. */
  last(): number;
  /** Takes all that is listed. */
  catchUp(): Promise<void>;
  /** Takes what a stream announced: its row of the list, and the hash of the one before it. */
  hear(listed: Listed, previous: string | null): Promise<void>;
  /** Waits for the proofs and files of all that were taken. */
  settled(): Promise<void>;
}

/** Releases that are written and not yet settled: each holds its document in memory. */
const MOST_UNSETTLED = 8;

export function createTaker(sources: TakerSources): Taker {
  const { client, trusted, folder, held, say, refuse } = sources;
  /** Hashes of the releases in the folder, from the first on. */
  const kept: string[] = [];
  let settling = Promise.resolve();
  let unsettled = 0;
  let saidEmbargo = false;

  const settle = (taken: Taken) => {
    unsettled++;
    settling = settling
      .then(() => settleNow(taken, sources))
      .catch(async (error: unknown) => {
        if (isOfRelease(error)) {
          await folder.removeFrom(taken.number);
          kept.length = Math.min(kept.length, taken.number - 1);
        }
        sources.fail(error);
      })
      .finally(() => unsettled--);
  };

  const fromHeld = (listed: Listed, previous: string | null): Taken | undefined => {
    const copy = held?.find(listed);
    if (copy === undefined) return undefined;
    try {
      return openHeld(copy, listed, previous, trusted);
    } catch (error) {
      if (!(error instanceof Discrepancy)) throw error;
      refuse(error); // and the release itself is taken as everyone takes it
      return undefined;
    }
  };

  const take = async (listed: Listed): Promise<void> => {
    const { number } = listed;
    const previous = kept.at(-1) ?? null;
    const opened = fromHeld(listed, previous);
    const taken = opened ?? (await fetchListed(client, listed, previous, trusted));
    // The document last: where it lies, what vouches for it lies beside it.
    await folder.write(signaturesName(number), taken.signatures);
    await folder.write(documentName(number), taken.bytes);
    kept.push(taken.sha256);
    const { sha256, release } = taken;
    say({ event: "release", number, sha256, status: release.status, how: opened === undefined ? "fetched" : "opened" });
    settle(taken);
    await held?.drop(number);
    if (unsettled >= MOST_UNSETTLED) await settling;
  };

  const takeOr = async (listed: Listed): Promise<void> => {
    try {
      await take(listed);
    } catch (error) {
      if (error instanceof Discrepancy) await folder.removeFrom(listed.number);
      throw error;
    }
  };

  const taker: Taker = {
    async resume() {
      for (let number = 1; ; number++) {
        const taken = await readTaken(number, kept.at(-1) ?? null, sources);
        if (taken === undefined) break;
        kept.push(taken.sha256);
        settle(taken);
        if (unsettled >= MOST_UNSETTLED) await settling;
      }
      if (kept.length > 0) say({ event: "resumed", releases: kept.length });
    },
    last: () => kept.length,
    async catchUp() {
      const list = await takeList(client, trusted);
      if (list === undefined && !saidEmbargo) say({ event: "embargo" });
      saidEmbargo = list === undefined;
      compareKept(kept, list ?? []);
      for (const listed of (list ?? []).slice(kept.length)) await takeOr(listed);
    },
    async hear(listed, previous) {
      const follows = listed.number === kept.length + 1 && previous === (kept.at(-1) ?? null);
      if (follows) await takeOr(listed);
      else if (listed.number > kept.length) await taker.catchUp();
    },
    settled: () => settling,
  };
  return taker;
}

/** What is wrong with a file that was made of a release says nothing about the release. */
const isOfRelease = (error: unknown) =>
  error instanceof Discrepancy && error.code !== "file.differs" && !error.where.path?.includes("/files/");

/** What lies in the folder of a release, if it holds. */
async function readTaken(
  number: number,
  previous: string | null,
  { folder, trusted, say }: TakerSources,
): Promise<Taken | undefined> {
  const [bytes, signatures] = [await folder.read(documentName(number)), await folder.read(signaturesName(number))];
  if (bytes === undefined) return undefined;
  const taken = signatures && readKept({ bytes, signatures }, { number, previous }, trusted);
  if (taken === undefined) say({ event: "damaged", file: documentName(number) });
  return taken;
}

/** A publisher may show less than before for a moment (a cache, another replica); it may not show something else. */
function compareKept(kept: readonly string[], list: readonly Listed[]): void {
  const changed = list.find(({ number, sha256 }) => number <= kept.length && kept[number - 1] !== sha256);
  if (changed === undefined) return;
  const { number, sha256 } = changed;
  const what = `Release ${number} was ${kept[number - 1]} when it was pulled; ${RELEASES} has it as ${sha256} now.`;
  throw new Discrepancy("release.changed", { path: releaseAddress(number) }, what);
}

async function settleNow(taken: Taken, sources: TakerSources): Promise<void> {
  const { folder, trusted, say, signal } = sources;
  signal.throwIfAborted();
  const { number } = taken;
  const [proof, statement] = [await folder.read(proofName(number)), await folder.read(statementName(number))];
  const known = proof && statement && readAnnouncement({ proof, statement }, taken, trusted);
  const announced = known ?? (await takeAnnouncement(taken, sources));
  if (known === undefined) {
    await folder.write(statementName(number), announced.statement);
    await folder.write(proofName(number), announced.proof);
  }
  const files = await writeFiles(taken, { ...sources, definition: trusted.definition });
  if (files.written > 0 || known === undefined)
    say({ event: "settled", number, entry: announced.index, files: files.written });
}
