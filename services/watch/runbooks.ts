import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const FOLDER = new URL("../../infra/monitoring/runbooks/", import.meta.url);

/** The page of an incident's code, in Markdown; undefined without one. */
export async function readRunbook(code: string): Promise<string | undefined> {
  if (!/^[a-z]{1,32}\.[a-z-]{1,32}$/.test(code)) return undefined;
  return readFile(fileURLToPath(new URL(`${code}.md`, FOLDER)), "utf8").catch(() => undefined);
}
