import { readFile } from "node:fs/promises";
import { missing } from "./child.ts";

/** The most resident memory that a process has held so far, in MiB (VmHWM); undefined where /proc does not tell. */
export async function peakMemoryMiB(pid: number): Promise<number | undefined> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(missing);
  const kib = /^VmHWM:\s+(\d+) kB$/m.exec(status ?? "")?.[1];
  return kib === undefined ? undefined : Math.round(Number(kib) / 1024);
}
