import { randomUUID } from "node:crypto";
import { readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { makeFolder } from "../../shared/platform/publisher/folder.ts";

/** The folder that releases are pulled into: a file stands under its name only when it is whole. */

export const DEFINITION = "definition.json";
export const DEFINITION_SIGNATURES = "definition.signatures.json";
/** The newest release that is held sealed. */
export const SEALED = "sealed.bin";

export const documentName = (number: number) => `release-${number}.json`;
export const signaturesName = (number: number) => `release-${number}.signatures.json`;
export const proofName = (number: number) => `release-${number}.proof`;
export const statementName = (number: number) => `release-${number}.statement`;
/** Of a file that is made of a release, or of a signature beside it: `name` may lie in folders. */
export const fileName = (number: number, name: string) => `release-${number}/${name}`;

export interface OutFolder {
  path: string;
  /** Undefined if it is not there. */
  read(name: string): Promise<Buffer | undefined>;
  /** Whole or not at all: a cut leaves what was there before. */
  write(name: string, bytes: Uint8Array | string): Promise<void>;
  remove(name: string): Promise<void>;
  /** Everything of these releases: `number` and, as each follows the one before it, all that come after it. */
  removeFrom(number: number): Promise<void>;
}

const PART = /\.part$/;
const OF_RELEASE = /^release-([1-9]\d{0,8})(?:\.|$)/;

/** Makes the folder if there is none, and takes away what an interrupted run left half written. Rejects with a UsageError. */
export async function openFolder(path: string): Promise<OutFolder> {
  await makeFolder(path, "--out folder");
  for (const name of await readdir(path, { recursive: true }))
    if (PART.test(name)) await rm(join(path, name), { force: true });
  return {
    path,
    read: (name) => readFile(join(path, name)).catch(unlessAbsent),
    async write(name, bytes) {
      const file = join(path, name);
      if (dirname(file) !== path) await makeFolder(dirname(file), "--out folder");
      const part = `${file}.${randomUUID()}.part`;
      await writeFile(part, bytes);
      await rename(part, file);
    },
    remove: (name) => rm(join(path, name), { force: true, recursive: true }),
    async removeFrom(number) {
      for (const name of await readdir(path)) {
        const [, found] = OF_RELEASE.exec(name) ?? [];
        if (found !== undefined && Number(found) >= number)
          await rm(join(path, name), { force: true, recursive: true });
      }
    },
  };
}

function unlessAbsent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT" && error.code !== "ENOTDIR") throw error;
}
