import { readFileSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { AUTHORITY_IDS, demonstrationKey } from "../infra/elections/ep2024/demonstration-keys.ts";
import { committedDefinition, makeExercise } from "../infra/elections/ep2024/exercise.ts";
import { filesIn, makeOffice, openOffice } from "../services/office/folder.ts";
import { openCount } from "../services/office/read/file.ts";
import { checkFile } from "../services/office/signing.ts";
import { readView } from "../services/office/view.ts";
import type { Definition } from "../shared/definition/schema.ts";

/**
 * `tsx loadtest/check.ts GERMANY.csv[.gz]`: what checking the file of 91,753 districts takes, beside what reading it and splitting it at its line ends and commas
 * takes, in turns in the same run. Exit code 1 if it is more than three times that, or if the process ever held 300 MiB.
 */

const MOST = 3;
const MOST_MIB = 300;
const ROUNDS = 7;
const MAPPING = fileURLToPath(new URL("../services/office/examples/germany.mapping.json", import.meta.url));

const [source] = process.argv.slice(2);
if (source === undefined) {
  process.stderr.write("Give the file of the German districts (de2024_wahlbezirke_final.csv, or with .gz).\n");
  process.exit(2);
}
const folder = await mkdtemp(join(tmpdir(), "scrutin-check-"));
try {
  const given = await readFile(source);
  const path = join(folder, "germany.csv");
  await writeFile(path, source.endsWith(".gz") ? gunzipSync(given) : given);
  const base = JSON.parse(Buffer.from(committedDefinition().bytes).toString("utf8")) as Definition;
  const authority = AUTHORITY_IDS.map((id) => ({ id, privateKey: demonstrationKey(id) }));
  const { keys, vault, origin } = base;
  const now = new Date();
  const made = makeExercise({ full: true, closesAt: (utc) => new Date(utc), now, authority, keys, vault, origin });
  const files = filesIn(folder);
  await writeFile(files.definition, made.bytes);
  await writeFile(files.signatures, JSON.stringify(made.signatures));
  await writeFile(files.authority, JSON.stringify(made.anchors));
  await makeOffice(join(folder, "office"), files, { state: "DE", ingest: "https://127.0.0.1:1" });
  const office = await openOffice(join(folder, "office"));
  const { state } = await readView(office);
  const check = async () => {
    const file = await openCount(path, MAPPING, () => undefined);
    const checked = await checkFile(file, { status: "final", reason: undefined, now: now.getTime() }, office, state);
    if (checked.units !== 91_753 || checked.errors !== 0) throw new Error("this is another file");
  };
  await check();
  const mib = Math.round(process.resourceUsage().maxRSS / 1024);
  const rounds: { split: number; check: number }[] = [];
  for (let n = 0; n < ROUNDS; n++) {
    let started = performance.now();
    let fields = 0;
    for (const line of readFileSync(path, "utf8").split("\n")) fields += line.split(",").length;
    const split = performance.now() - started;
    started = performance.now();
    await check();
    rounds.push({ split, check: performance.now() - started });
    if (fields < 4_000_000) throw new Error("this is another file");
  }
  const middle = (name: "split" | "check") =>
    rounds.map((round) => round[name]).sort((a, b) => a - b)[ROUNDS >> 1] as number;
  const [split, checking] = [middle("split"), middle("check")];
  const [isFast, isSmall] = [checking <= MOST * split, mib < MOST_MIB];
  process.stdout.write(
    `${isFast ? "holds " : "BROKEN"}  check ${Math.round(checking)} ms, reading and splitting ${Math.round(split)} ms: ${(checking / split).toFixed(2)} (at most ${MOST})\n`,
  );
  process.stdout.write(`${isSmall ? "holds " : "BROKEN"}  peak ${mib} MiB (below ${MOST_MIB})\n`);
  process.exitCode = isFast && isSmall ? 0 : 1;
} finally {
  await rm(folder, { recursive: true, force: true });
}
