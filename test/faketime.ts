import { chmod, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, type TestContext } from "vitest";
import { INSTALL_MS, installedBy } from "./debian.ts";

/**
 * Clocks of other processes, moved while they run: libfaketime, loaded into them. Go programs ask the kernel and are not moved.
 *
 *   const clocks = useFaketime();                            // at the top of a test file
 *   const env = await clocks.of("tabulate");                 // for the environment of a process; its clock is right at first
 *   await clocks.shift("tabulate", 2 * HOUR);                // from its next look on it is two hours ahead
 *
 * Debian's package `faketime`, which root installs. Where there is none, its tests are skipped, and fail with CI=true.
 */
export interface Faketime {
  /** The environment that puts a process under the clock of this name. */
  of(name: string): Promise<Record<string, string>>;
  /** Moves the clock to so many ms ahead of the true time; whole seconds. */
  shift(name: string, aheadMs: number): Promise<void>;
  /** Why there is none, to be handed to `test.skip`; undefined where there is one. */
  missing(test: TestContext): void;
}

const LIBRARIES = "/usr/lib";

export function useFaketime(): Faketime {
  let library: string | undefined;
  let missing = "";
  let folder = "";

  beforeAll(async () => {
    const found = await installedBy("faketime", findLibrary, "there is no libfaketime; install the package faketime");
    if ("path" in found) library = found.path;
    else missing = found.missing;
    // Postgres runs as a user of its own, who must read the clock.
    folder = await mkdtemp(join(tmpdir(), "scrutin-clocks-"));
    await chmod(folder, 0o755);
    if (library !== undefined) return;
    if (process.env.CI === "true") throw new Error(missing);
    console.warn(`Tests of moved clocks are skipped: ${missing}`);
  }, INSTALL_MS);

  afterAll(() => rm(folder, { recursive: true, force: true }));

  const fileOf = (name: string) => join(folder, name);
  const shift = async (name: string, aheadMs: number) => {
    const seconds = Math.round(aheadMs / 1000);
    const next = `${fileOf(name)}.next`;
    await writeFile(next, `${seconds < 0 ? "" : "+"}${seconds}\n`);
    await chmod(next, 0o644);
    await rename(next, fileOf(name));
  };
  return {
    shift,
    async of(name): Promise<Record<string, string>> {
      if (library === undefined) return {};
      await shift(name, 0);
      return {
        LD_PRELOAD: library,
        FAKETIME_TIMESTAMP_FILE: fileOf(name),
        FAKETIME_NO_CACHE: "1",
        // Timers run on: only the time of day lies.
        FAKETIME_DONT_FAKE_MONOTONIC: "1",
        DONT_FAKE_MONOTONIC: "1",
      };
    },
    missing: (test) => void (library === undefined && test.skip(missing)),
  };
}

async function findLibrary(): Promise<string | undefined> {
  for (const folder of [LIBRARIES, ...(await foldersIn(LIBRARIES))]) {
    const inside = join(folder, "faketime");
    const names = await readdir(inside).catch(() => [] as string[]); // most folders have none
    if (names.includes("libfaketimeMT.so.1")) return join(inside, "libfaketimeMT.so.1");
  }
  return undefined;
}

async function foldersIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map((entry) => join(folder, entry.name));
}
