import { spawn } from "node:child_process";
import { once } from "node:events";
import { access, constants, mkdir } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";

/** 2.0.0 and newer live under k6/v2; this is the newest that every Go module proxy has. */
const MODULE = "go.k6.io/k6@v1.8.1";

/** Finds k6 on PATH, or builds it with Go into the user's cache. Rejects with how to get it. */
export async function findK6(say: (line: string) => void): Promise<string> {
  const folder = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "scrutin", "k6");
  const found = (await inPath("k6")) ?? (await executable(join(folder, "k6")));
  if (found !== undefined) return found;
  const go = await inPath("go");
  if (go === undefined)
    throw new Error(
      "k6 is not on PATH and there is no Go to build it: install k6 from its package repository (grafana.com/docs/k6), or Go, and run this again",
    );
  say(`building k6 with go install ${MODULE}, which takes some minutes`);
  await mkdir(folder, { recursive: true });
  const child = spawn(go, ["install", MODULE], { env: { ...process.env, GOBIN: folder }, stdio: "inherit" });
  const [code] = (await once(child, "close")) as [number | null];
  const built = await executable(join(folder, "k6"));
  if (code !== 0 || built === undefined) throw new Error(`go install ${MODULE} failed; see above`);
  return built;
}

async function inPath(name: string): Promise<string | undefined> {
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    const found = folder === "" ? undefined : await executable(join(folder, name));
    if (found !== undefined) return found;
  }
  return undefined;
}

async function executable(file: string): Promise<string | undefined> {
  return access(file, constants.X_OK).then(
    () => file,
    () => undefined,
  );
}
