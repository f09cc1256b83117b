import { pino } from "pino";
import type { ReleaseHeader } from "../../shared/formats/release.ts";
import { createLogReader } from "../../shared/platform/log-reader.ts";
import { openPool } from "../../shared/platform/postgres.ts";
import { count, startCount } from "../../shared/recount/count.ts";
import { recountRelease } from "../../shared/recount/document.ts";
import { applyEntry, createTabulation } from "../../shared/results/fold.ts";
import { buildRelease, releaseBytes } from "../../shared/results/release.ts";
import type { Parliament } from "./parliament.ts";
import type { Exercise, Stack } from "./stack.ts";

/**
 * Counts again from scratch, twice: both counts fold the ledger from entry 0 up to the size that the last release names, every
 * signature verified again, and must write the bytes that the Parliament holds. "ok", or where they differ.
 */
export async function recheck(stack: Stack, exercise: Exercise, parliament: Parliament): Promise<"ok" | string> {
  const { latest, latestBytes } = parliament;
  if (latest === undefined || latestBytes === undefined) return "the Parliament holds no release";
  const { read: definition, hash } = exercise.definition;
  const log = pino({ level: "silent" });
  const pool = openPool({ url: stack.database.adminUrl, service: "recheck", log });
  try {
    const reader = createLogReader({
      pool,
      definitionHash: hash,
      vaultPrivateKey: exercise.secrets.vault.privateKey,
      definition,
    });
    const tabulation = createTabulation(definition, hash);
    const recounted = startCount(definition, hash);
    for await (const entry of reader.read(0, latest.checkpoint.size)) {
      applyEntry(tabulation, entry);
      count(recounted, entry);
    }
    const { number, checkpoint, asOf, previous } = latest;
    const header: ReleaseHeader = { number, checkpoint, asOf, previous };
    const first = releaseBytes(buildRelease(tabulation, header));
    const second = recountRelease(recounted, header);
    if (Buffer.compare(first, latestBytes) !== 0)
      return `tabulate writes other bytes than release ${number} at ${whereTheyDiffer(first, latestBytes)}`;
    if (Buffer.compare(second, latestBytes) !== 0)
      return `recount writes other bytes than release ${number} at ${whereTheyDiffer(second, latestBytes)}`;
    return "ok";
  } finally {
    await pool.end();
  }
}

function whereTheyDiffer(ours: Uint8Array, theirs: Uint8Array): string {
  const at = ours.findIndex((byte, i) => byte !== theirs[i]);
  const from = Math.max(0, (at < 0 ? Math.min(ours.length, theirs.length) : at) - 40);
  const cut = (bytes: Uint8Array) => Buffer.from(bytes.subarray(from, from + 80)).toString("utf8");
  return `byte ${at}: …${cut(ours)}… and …${cut(theirs)}…`;
}
