import { createHash, randomUUID } from "node:crypto";
import { readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { UsageError } from "../../shared/platform/publisher/discrepancy.ts";
import { makeFolder } from "../../shared/platform/publisher/folder.ts";

/**
 * What an auditor keeps from one visit to the next: enough to see that the log has only grown since, and that no release has changed.
 * Written only after an audit in which all held.
 */

const FORMAT = "scrutin-audit-1";
const Hash = z.string().regex(/^[0-9a-f]{64}$/);

const Visit = z.strictObject({
  format: z.literal(FORMAT),
  url: z.string(),
  /** When that audit ended, ISO. */
  at: z.string(),
  /** SHA-256 of the definition. */
  definition: Hash,
  mode: z.enum(["live", "exercise"]),
  origin: z.string(),
  size: z.number().int().min(1),
  /** Base64, as in the checkpoint. */
  root: z.string(),
  /** SHA-256 of each release, from the first on. */
  releases: z.array(Hash),
});
export type Visit = Omit<z.infer<typeof Visit>, "format">;

/** Where visits to an address are kept unless `--state` says otherwise: one file for each address, below the user's state folder. */
export function defaultStateFile(
  url: URL,
  environment: { XDG_STATE_HOME?: string | undefined; HOME?: string | undefined },
): string {
  const base = environment.XDG_STATE_HOME || join(environment.HOME || ".", ".local", "state");
  const address = url.href.replace(/\/*$/, "");
  const name = address.replace(/^https?:\/\//, "").replaceAll(/[^A-Za-z0-9.-]+/g, "_");
  const hash = createHash("sha256").update(address).digest("hex").slice(0, 8);
  return join(base, "scrutin", "audit", `${name.slice(0, 100)}-${hash}.json`);
}

/** The last visit; undefined if there was none. Throws a UsageError for a file that is something else. */
export async function readVisit(file: string): Promise<Visit | undefined> {
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw new UsageError(`${file} cannot be read (${error.code ?? error.message}).`);
  });
  if (text === undefined) return undefined;
  const read = Visit.safeParse(jsonOrUndefined(text));
  if (!read.success)
    throw new UsageError(`${file} is not what an audit keeps of its last visit. Name another --state file.`);
  const { format: _, ...visit } = read.data;
  return visit;
}

function jsonOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // not JSON is no visit: the caller says so
  }
}

/**
 * Puts it in place whole: a crash leaves the visit before it. Another run may have kept one since this one began: of one log the longer is
 * kept, so that what was seen once is never forgotten.
 */
export async function writeVisit(file: string, visit: Visit): Promise<void> {
  const kept = await readVisit(file);
  if (kept !== undefined && kept.definition === visit.definition && kept.size > visit.size) return;
  await makeFolder(dirname(file));
  const part = `${file}.${randomUUID()}.part`;
  await writeFile(part, `${JSON.stringify({ format: FORMAT, ...visit }, null, 2)}\n`);
  await rename(part, file);
}
