import { readFile } from "node:fs/promises";
import {
  type DefinitionFiles,
  type Election,
  ElectionRefused,
  readElection,
} from "../../shared/platform/election-files.ts";
import { Refusal } from "./refusal.ts";

export type { DefinitionFiles, Election };

/** The election that is decided about. Rejects with a Refusal that names the first reason. */
export async function loadElection(files: DefinitionFiles): Promise<Election> {
  return readElection(files).catch((error: unknown) => {
    if (!(error instanceof ElectionRefused)) throw error;
    throw new Refusal(error.why === "unreadable" ? "file.unreadable" : "definition.refused", error.message);
  });
}

export async function bytesOf(path: string): Promise<Buffer> {
  return readFile(path).catch((error: NodeJS.ErrnoException) => {
    throw new Refusal("file.unreadable", `${path} cannot be read (${error.code ?? error.message}).`);
  });
}
