import { copyFile, mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { createRegister, type Register } from "../../shared/definition/register.ts";
import {
  type DefinitionFiles,
  type Election,
  ElectionRefused,
  readElection,
} from "../../shared/platform/election-files.ts";
import { PUBLIC_MODE, syncFolder, WriteRefused, writeNew } from "../../shared/platform/write-new.ts";
import { Refusal } from "./refusal.ts";

/**
 * An office's folder, all that it needs on a night: `office.json`, the election's definition with its signatures and the authority's keys,
 * `keys/` with its own keys, encrypted, and `spool/` with every statement that it has signed and every receipt. It can be copied to another
 * machine, but two machines must not sign with one key: its sequence numbers are counted here.
 */
export interface Office {
  folder: string;
  election: Election;
  register: Register;
  /** The state that it speaks for. */
  state: string;
  /** Where it pushes. */
  ingest: string;
  /** Where the public log is, if it was told. */
  release: string | undefined;
}

const Settings = z.strictObject({
  state: z.string().regex(/^[A-Z]{2}$/),
  ingest: z.url(),
  release: z.url().optional(),
});

export const filesIn = (folder: string): DefinitionFiles => ({
  definition: join(folder, "definition.json"),
  signatures: join(folder, "definition.signatures.json"),
  authority: join(folder, "authority.json"),
});

export async function openElection(files: DefinitionFiles): Promise<Election> {
  return readElection(files).catch((error: unknown) => {
    if (!(error instanceof ElectionRefused)) throw error;
    throw new Refusal(error.why === "unreadable" ? "file.unreadable" : "definition.refused", error.message);
  });
}

/** Opens an office's folder. Rejects with a Refusal: `office.missing`, `office.malformed`, or what is wrong with the definition. */
export async function openOffice(folder: string): Promise<Office> {
  const text = await readFile(join(folder, "office.json"), "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new Refusal("office.missing", `${folder} is no office's folder: office.json cannot be read (${error.code}).`);
  });
  const read = Settings.safeParse(parsed(text));
  if (!read.success) throw new Refusal("office.malformed", `${join(folder, "office.json")} is not what enrol writes.`);
  const election = await openElection(filesIn(folder));
  const register = createRegister(election.definition, election.hash);
  const { state, ingest, release } = read.data;
  if (register.state(state) === undefined)
    throw new Refusal("office.malformed", `The definition in ${folder} has no state ${state}.`);
  return { folder, election, register, state, ingest, release };
}

/**
 * Makes the folder an office's: copies the election's files and writes office.json. A folder that is one already, of this election and state, gets another key
 * and stays. Rejects with `file.exists` if it is another's.
 */
export async function makeOffice(
  folder: string,
  files: DefinitionFiles,
  settings: z.infer<typeof Settings>,
): Promise<void> {
  if (await isOfficeOf(folder, files, settings.state)) return;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const own = filesIn(folder);
  for (const name of ["definition", "signatures", "authority"] as const) await copyFile(files[name], own[name]);
  await syncFolder(folder);
  await writeOwn(join(folder, "office.json"), `${JSON.stringify(settings, null, 2)}\n`, PUBLIC_MODE);
}

/** Whether the folder is this state's office in this election; false for a folder that is none. Rejects with `file.exists` for another's. */
export async function isOfficeOf(folder: string, files: DefinitionFiles, state: string): Promise<boolean> {
  const office = await openOffice(folder).catch((error: unknown) => {
    if (error instanceof Refusal && error.code === "office.missing") return undefined;
    throw error;
  });
  if (office === undefined) return false;
  const { hash } = await openElection(files);
  if (office.state === state && office.election.hash === hash) return true;
  throw new Refusal(
    "file.exists",
    `${folder} is the office of ${office.state} in another election, or of another state.`,
  );
}

/** Writes a new file of the office's; what `writeNew` refuses is a Refusal. */
export async function writeOwn(path: string, text: string | Uint8Array, mode: number): Promise<void> {
  return writeNew(path, text, mode).catch((error: unknown) => {
    if (!(error instanceof WriteRefused)) throw error;
    throw new Refusal(error.why === "exists" ? "file.exists" : "file.unwritable", error.message);
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
