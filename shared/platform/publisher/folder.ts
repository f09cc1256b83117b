import { mkdir, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { UsageError } from "./discrepancy.ts";

const STATE = "--state file";

/**
 * Makes a folder, for its owner only, and those above it. Throws a UsageError where there can be none. (Node's own recursive mkdir never
 * ends below a folder in which nothing can be made, such as /proc.) `named`: the option that names it.
 */
export async function makeFolder(folder: string, named = STATE): Promise<void> {
  await makeWithin(folder).catch(refuseAsUsage(folder, named));
}

async function makeWithin(folder: string): Promise<void> {
  const parent = dirname(folder);
  const made = await make(folder);
  if (made === "no parent" && parent !== folder) {
    await makeWithin(parent);
    // A second time: where the parent stands now, there can be no folder if there is none yet.
    await mkdir(folder, { mode: 0o700 }).catch(unlessThere);
  }
  if (!(await stat(folder)).isDirectory()) throw new UsageError(`${folder} is no folder.`);
}

async function make(folder: string): Promise<"made" | "no parent"> {
  try {
    await mkdir(folder, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "no parent";
    unlessThere(error as NodeJS.ErrnoException);
  }
  return "made";
}

function unlessThere(error: NodeJS.ErrnoException): void {
  if (error.code !== "EEXIST") throw error;
}

/** What a place that was named wrongly answers; all else is no fault of whoever named it. */
const OF_THE_PLACE = ["EACCES", "EPERM", "EROFS", "ENOENT", "ENOTDIR", "EISDIR", "ENAMETOOLONG", "ELOOP", "EINVAL"];

export const refuseAsUsage =
  (folder: string, named = STATE) =>
  (error: NodeJS.ErrnoException) => {
    if (error.code === undefined || !OF_THE_PLACE.includes(error.code)) throw error;
    throw new UsageError(`${folder} cannot be made or written (${error.code}). Name another ${named}.`);
  };
