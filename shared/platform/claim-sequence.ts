import { mkdir, readdir, realpath } from "node:fs/promises";
import { dirname, join } from "node:path";
import { SECRET_MODE, syncFolder, WriteRefused, writeNew } from "./write-new.ts";

/**
 * Sequence numbers of a key. Two statements under one number are equivocation: the log takes the first and keeps the second as evidence. So
 * a number is claimed before anything is signed under it: a file of its own in `<key file>.sequence/`, `<definition hash>.<number>`, made
 * exclusively and forced to the disk, beside the file itself whatever links lead to it. After a crash its number is skipped, and two commands at once can never claim the same one.
 */

export interface Claim {
  keyFile: string;
  /** The definition's hash: a key counts anew in each election. */
  definition: string;
  /** A number that the holder asks for; undefined: the next one. */
  asked: number | undefined;
  /** What it is claimed for, in a line: the holder's own record. */
  what: string;
}

/** Bounds the search when other commands claim at the same time. */
const ATTEMPTS = 100;
/** As in a statement. */
export const MAX_SEQUENCE = 2 ** 40;

export const claimsFolder = (keyFile: string) => `${keyFile}.sequence`;

/** Claims a sequence number, for good. Rejects with WriteRefused when the asked one is taken, nothing can be written, or there is no such key. */
export async function claimSequence({ keyFile, definition, asked, what }: Claim): Promise<number> {
  const folder = claimsFolder(await realpath(keyFile).catch(unreadable));
  await mkdir(folder, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST")
      throw new WriteRefused("unwritable", `${folder} cannot be made (${error.code ?? error.message}).`);
  });
  await syncFolder(dirname(folder));
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const number = asked ?? (await highestClaim(folder, definition)) + 1;
    const claimed = await writeNew(join(folder, `${definition}.${number}`), `${what}\n`, SECRET_MODE).then(
      () => true,
      (error: unknown) => {
        if (error instanceof WriteRefused && error.why === "exists") return false;
        throw error;
      },
    );
    if (claimed) return number;
    if (asked !== undefined) break;
  }
  throw new WriteRefused("exists", `The sequence number ${asked ?? ""} is claimed already.`.replace("  ", " "));
}

function unreadable({ code, message, path }: NodeJS.ErrnoException): never {
  throw new WriteRefused("unreadable", `${path ?? "The key's file"} cannot be read (${code ?? message}).`);
}

async function highestClaim(folder: string, definition: string): Promise<number> {
  const prefix = `${definition}.`;
  const claims = (await readdir(folder)).filter((name) => name.startsWith(prefix));
  return claims.reduce((highest, name) => Math.max(highest, Number(name.slice(prefix.length)) || 0), 0);
}
