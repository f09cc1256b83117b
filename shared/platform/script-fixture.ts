import { spawn } from "node:child_process";
import { once } from "node:events";

/** How a process ended, and all that it wrote. */
export interface Ended {
  code: number | null;
  out: string;
  err: string;
}

/** For tests: runs a module as a process and waits for its end; nothing of our own environment reaches it but the PATH. */
export async function runScript(script: string, env: Record<string, string> = {}): Promise<Ended> {
  const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let out = "";
  let err = "";
  child.stdout.on("data", (chunk) => (out += chunk));
  child.stderr.on("data", (chunk) => (err += chunk));
  const [code] = (await once(child, "close")) as [number | null];
  return { code, out, err };
}
