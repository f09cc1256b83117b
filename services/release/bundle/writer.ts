import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { link, mkdir, open, readdir, readFile, rename, rm, symlink } from "node:fs/promises";
import { dirname, isAbsolute, join, resolve } from "node:path";
import type { Logger } from "pino";
import { z } from "zod";
import { file, refuseConfig } from "../../../shared/platform/config.ts";
import type { RaiseIncident } from "../../../shared/platform/incidents.ts";
import { programProblem } from "../../../shared/platform/key-command.ts";
import type { Listed, Shown } from "../shelf.ts";
import { type BundleFile, type BundleSources, makeBundle } from "./bundle.ts";

/**
 * Keeps a folder in which every release is a bundle: `release-<n>`, and `latest`, a link to the newest. Each appears whole or not at all.
 * It never holds up a release: what fails here is an incident, and is tried again.
 */
export interface BundleWriter {
  /** Writes what is missing, one after the other; answers the ms until the next look. Never rejects. */
  round(): Promise<number>;
}

export interface WriterSources extends BundleSources {
  folder: string;
  /** A program that carries a bundle elsewhere: run with its folder as its one argument. */
  command: string | undefined;
  list: () => readonly Listed[];
  find: (number: number) => Promise<Shown | undefined>;
  /** Proof that a release is in the log; `settled`: as many witnesses as it needs have cosigned its checkpoint. */
  proofOf: (listed: Listed) => Promise<{ proof: string; settled: boolean }>;
  raise: RaiseIncident;
  log: Logger;
}

export const BUNDLES = {
  SCRUTIN_BUNDLE_FOLDER: file(
    "Name the folder that keeps each release as files for any web server, or leave it out.",
  ).optional(),
  SCRUTIN_BUNDLE_COMMAND: file(
    "Name the program, by its absolute path, that carries the folder of a release elsewhere, or leave it out.",
  ).optional(),
};

/** Prints why and exits with EX_CONFIG if a program is named that we do not run. */
export async function checkBundleCommand(
  config: { [name in keyof typeof BUNDLES]?: string | undefined },
): Promise<void> {
  const { SCRUTIN_BUNDLE_COMMAND: command, SCRUTIN_BUNDLE_FOLDER: folder } = config;
  if (command === undefined) return;
  if (folder === undefined)
    refuseConfig(["SCRUTIN_BUNDLE_COMMAND carries what lies in SCRUTIN_BUNDLE_FOLDER: set both."]);
  const wrong = isAbsolute(command) ? await programProblem(command) : "is no absolute path. Give the whole path.";
  if (wrong !== undefined) refuseConfig([`SCRUTIN_BUNDLE_COMMAND: ${command} ${wrong}`]);
}

const LOOK_MS = 1_000;
/** Witnesses answer within a second; without them a bundle is written all the same. */
const PROOF_LOOKS = 4;
/** Of a disk that is full, or a program that fails: both need somebody. */
const RETRY_MS = 10_000;
const COMMAND_MS = 60_000;

export function createBundleWriter(sources: WriterSources): BundleWriter {
  const folder = resolve(sources.folder);
  let done = 0;
  let raised = 0;
  let looks = 0;

  /** False while its proof may still get better. */
  const bring = async (listed: Listed): Promise<boolean> => {
    const name = `release-${listed.number}`;
    const lies = await manifestIn(join(folder, name));
    if (lies !== undefined && (lies.release !== listed.sha256 || lies.definition !== sources.hash))
      throw new Error(`${join(folder, name)} is of another election. Give an empty folder`);
    // What lies there was written whole; after a restart it is not written again, but carried again.
    if (lies === undefined) {
      const { proof, settled } = await sources.proofOf(listed);
      looks += 1;
      if (!settled && looks < PROOF_LOOKS) return false;
      await write(folder, name, await filesOf(listed, proof, sources), sources.hash);
    }
    await pointTo(folder, name);
    if (sources.command !== undefined) await carry(sources.command, join(folder, name));
    done = listed.number;
    looks = 0;
    sources.log.info({ number: listed.number, folder: join(folder, name) }, "bundle written");
    return true;
  };

  const next = async () => {
    await mkdir(folder, { recursive: true });
    for (const listed of sources.list().slice(done)) if (!(await bring(listed))) return;
  };
  return {
    async round() {
      try {
        await next();
        return LOOK_MS;
      } catch (error) {
        sources.log.error({ err: error }, "the bundle was not written");
        if (raised <= done) await sources.raise({ code: "bundle.failed", about: String(done + 1) });
        raised = done + 1;
        return RETRY_MS;
      }
    },
  };
}

async function filesOf(listed: Listed, proof: string, sources: WriterSources): Promise<BundleFile[]> {
  const shown = await sources.find(listed.number);
  if (shown === undefined) throw new Error(`release ${listed.number} is on the list and cannot be found`);
  const { json, signatures } = shown;
  return makeBundle({ bytes: json.identity, signatures: signatures.identity, proof }, sources);
}

const Manifest = z.object({ definition: z.string(), release: z.string() });

/** What the bundle there is of; undefined if there is none. */
async function manifestIn(bundle: string): Promise<z.infer<typeof Manifest> | undefined> {
  const text = await readFile(join(bundle, "manifest.json"), "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  return text === undefined ? undefined : Manifest.parse(JSON.parse(text));
}

/** Into a folder of another name first, which takes its own when all of it lies on the disk. */
async function write(folder: string, name: string, files: readonly BundleFile[], definition: string): Promise<void> {
  for (const left of await readdir(folder))
    if (left.startsWith(".new-")) await rm(join(folder, left), { recursive: true });
  const making = join(folder, `.new-${randomBytes(6).toString("hex")}`);
  const latest = join(folder, "latest");
  const isOurs = (await manifestIn(latest))?.definition === definition;
  for (const { name: part, bytes } of files) {
    const path = join(making, part);
    await mkdir(dirname(path), { recursive: true });
    // The definition is most of a bundle, and the same in each.
    const same = isOurs && part === "definition.json";
    if (!(same && (await linked(join(latest, part), path)))) await keep(path, bytes);
  }
  await rename(making, join(folder, name));
}

const linked = (from: string, to: string) =>
  link(from, to).then(
    () => true,
    () => false, // another file system, or none that links: written like the others
  );

async function keep(path: string, bytes: Uint8Array): Promise<void> {
  const handle = await open(path, "wx", 0o644);
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function pointTo(folder: string, name: string): Promise<void> {
  const making = join(folder, `.new-${randomBytes(6).toString("hex")}`);
  await symlink(name, making);
  await rename(making, join(folder, "latest"));
}

/** Without a shell; what it prints is not passed on. Rejects unless it ends well within a minute. */
function carry(command: string, bundle: string): Promise<void> {
  return new Promise((settle, reject) => {
    const child = execFile(command, [bundle], { timeout: COMMAND_MS, killSignal: "SIGKILL" }, (error) => {
      if (error === null) settle();
      else reject(new Error(`${command} failed (${error.code ?? error.signal})`));
    });
    child.stdin?.end();
  });
}
