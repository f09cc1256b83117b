import { createHash } from "node:crypto";
import { mkdir, open, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

/**
 * What the witness remembers: one file per log, `<sha256 hex of the origin>.note`, with the note that it cosigned last, and
 * `verifier-key`, which says whose memory this is. One process at a time works in a folder.
 */
export interface State {
  /** The last note that was written for the origin; undefined if there was none. Read from the file each time: it is the truth. */
  read(origin: string): Promise<string | undefined>;
  /** Replaces the note. When it resolves the note survives a power failure; when it rejects, either note may be there. */
  write(origin: string, note: string): Promise<void>;
  /** Keeps two notes that contradict each other, once for each size. */
  keepEvidence(origin: string, size: number, notes: string): Promise<void>;
}

export const originHash = (origin: string): string => createHash("sha256").update(origin, "utf8").digest("hex");

/** For `catch` of a read: a file that is not there is undefined, anything else is thrown on. */
export function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
  return undefined;
}

const markerOf = (folder: string) => join(folder, "verifier-key");

/** Whose memory the folder holds; undefined if it holds none. */
export async function readMarker(folder: string): Promise<string | undefined> {
  return (await readFile(markerOf(folder), "utf8").catch(absent))?.trimEnd();
}

/** Begins an empty memory for a key. */
export async function writeMarker(folder: string, verifierKey: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await replaceFile(folder, markerOf(folder), `${verifierKey}\n`);
}

export async function openState(folder: string, origins: readonly string[]): Promise<State> {
  const fileOf = (origin: string) => join(folder, `${originHash(origin)}.note`);
  // A process that was killed in the middle of a write leaves its unfinished file; the note itself is whole.
  for (const origin of origins) await rm(`${fileOf(origin)}.next`, { force: true });
  return {
    read: (origin) => readFile(fileOf(origin), "utf8").catch(absent),
    write: (origin, note) => replaceFile(folder, fileOf(origin), note),
    async keepEvidence(origin, size, notes) {
      const file = join(folder, `${originHash(origin)}.fork-${size}`);
      await writeFile(file, notes, { flag: "wx", mode: 0o600, flush: true }).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== "EEXIST") throw error; // the first evidence is enough
      });
    },
  };
}

/** Old or new, never half of either: a file beside it, forced to the disk, renamed over it, and the folder forced as well. */
async function replaceFile(folder: string, file: string, text: string): Promise<void> {
  const next = `${file}.next`;
  await writeFile(next, text, { mode: 0o600, flush: true });
  await rename(next, file);
  const entry = await open(folder, "r");
  try {
    await entry.sync();
  } finally {
    await entry.close();
  }
}
