import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { cacheFolder } from "./cache.ts";
import type { Say } from "./child.ts";

const PROJECT = fileURLToPath(new URL("../..", import.meta.url));
const SOURCE = join(PROJECT, "services", "watch", "page");
/** Whatever a change of which makes another page. */
const INPUTS = [SOURCE, join(PROJECT, "package-lock.json"), join(PROJECT, "services", "watch")];

/**
 * The operators' dashboard as Vite builds it, in a folder of the cache that is named by what it was built from: a stack builds it once, and
 * two stacks that start together do not disturb each other.
 */
export async function builtPage(say: Say): Promise<string> {
  const cache = await cacheFolder();
  const folder = join(cache, `page-${await hashOfInputs()}`);
  if (await exists(folder)) return folder;
  say("building the dashboard");
  // Not when the module is loaded: whoever finds the page built needs no builder.
  const { build } = await import("vite");
  const making = await mkdtemp(join(cache, "page-making-"));
  try {
    await build({
      configFile: join(SOURCE, "vite.config.ts"),
      logLevel: "warn",
      build: { outDir: making, emptyOutDir: true },
    });
    // Somebody else may have been faster, with the same.
    await rename(making, folder).catch(async (error: unknown) => {
      if (!(await exists(folder))) throw error;
    });
  } finally {
    await rm(making, { recursive: true, force: true });
  }
  return folder;
}

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  );

async function hashOfInputs(): Promise<string> {
  const hash = createHash("sha256");
  for (const input of INPUTS)
    for (const file of await filesOf(input)) hash.update(`${relative(PROJECT, file)}\0`).update(await readFile(file));
  return hash.digest("hex").slice(0, 16);
}

async function filesOf(path: string): Promise<string[]> {
  if (!(await stat(path)).isDirectory()) return [path];
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return files.filter((file) => !file.includes(`${join("page", "dist")}`)).sort();
}
