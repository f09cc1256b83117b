import { constants } from "node:fs";
import { lstat, open, rm } from "node:fs/promises";
import { dirname } from "node:path";

/** Only its owner may read it. */
export const SECRET_MODE = 0o600;
/** What is no secret: its file goes from hand to hand. */
export const PUBLIC_MODE = 0o644;

/** Why a file was not written: `exists` (nothing is ever overwritten), `unwritable`, or `unreadable` where something must be read before. */
export class WriteRefused extends Error {
  readonly why: "exists" | "unwritable" | "unreadable";
  constructor(why: WriteRefused["why"], sentence: string) {
    super(sentence);
    this.why = why;
  }
}

const taken = (path: string) => new WriteRefused("exists", `${path} is there already.`);
const unwritable = (path: string, { code, message }: NodeJS.ErrnoException) =>
  new WriteRefused("unwritable", `${path} cannot be written (${code ?? message}).`);

/**
 * Writes a new file; when it resolves, the file survives a power failure. Never overwrites and never follows a link: rejects with WriteRefused
 * if there is anything of that name, and leaves nothing half written behind.
 */
export async function writeNew(path: string, text: string | Uint8Array, mode: number): Promise<void> {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const handle = await open(path, flags, mode).catch((error: NodeJS.ErrnoException) => {
    throw error.code === "EEXIST" ? taken(path) : unwritable(path, error);
  });
  try {
    await handle.writeFile(text);
    await handle.sync();
  } catch (error) {
    await rm(path, { force: true });
    throw unwritable(path, error as NodeJS.ErrnoException);
  } finally {
    await handle.close();
  }
  await syncFolder(dirname(path));
}

/** The name of a new file is on the disk once its folder is. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Rejects with WriteRefused if there is anything of that name: asked before something is used up that the file is for. */
export async function mustBeFree(path: string): Promise<void> {
  const found = await lstat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return false;
      throw unwritable(path, error);
    },
  );
  if (found) throw taken(path);
}
