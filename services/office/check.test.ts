import { readdirSync } from "node:fs";
import { mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AUTHORITY_IDS, demonstrationKey } from "../../infra/elections/ep2024/demonstration-keys.ts";
import { committedDefinition, makeExercise } from "../../infra/elections/ep2024/exercise.ts";
import type { Definition } from "../../shared/definition/schema.ts";
import { filesIn, makeOffice, type Office, openOffice } from "./folder.ts";
import { openCount } from "./read/file.ts";
import { Refusal } from "./refusal.ts";
import { checkFile } from "./signing.ts";
import { readView } from "./view.ts";

/** Every trap of the data and every way in which a clerk's file is broken, as a file each: caught at its line, before anything is signed. */

const FIXTURES = new URL("./fixtures/", import.meta.url).pathname;
const EXAMPLES = new URL("./examples/", import.meta.url).pathname;
/** A night after which every poll has closed. */
const NOW = Date.parse("2024-06-10T12:00:00Z");

let folder: string;
const offices = new Map<string, Office>();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "scrutin-office-"));
  const base = JSON.parse(Buffer.from(committedDefinition().bytes).toString("utf8")) as Definition;
  const authority = AUTHORITY_IDS.map((id) => ({ id, privateKey: demonstrationKey(id) }));
  const { keys, vault, origin } = base;
  const options = {
    full: true,
    closesAt: (utc: string) => new Date(utc),
    now: new Date(NOW),
    authority,
    keys,
    vault,
    origin,
  };
  const { bytes, signatures, anchors } = makeExercise(options);
  const files = filesIn(folder);
  await writeFile(files.definition, bytes);
  await writeFile(files.signatures, JSON.stringify(signatures));
  await writeFile(files.authority, JSON.stringify(anchors));
  for (const state of ["DE", "RO", "SI", "LU", "BE"]) {
    await makeOffice(join(folder, state), files, { state, ingest: "https://127.0.0.1:1" });
    offices.set(state, await openOffice(join(folder, state)));
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const MAPPINGS: Record<string, string> = {
  de: join(EXAMPLES, "germany.mapping.json"),
  ro: join(EXAMPLES, "romania.mapping.json"),
  "si-": join(FIXTURES, "si-events.mapping.json"),
  lu: join(FIXTURES, "lu.mapping.json"),
  be: join(FIXTURES, "be.mapping.json"),
};

async function check(name: string, mapping?: string) {
  const map = mapping ?? Object.entries(MAPPINGS).find(([prefix]) => name.startsWith(prefix))?.[1] ?? MAPPINGS.de;
  const office = offices.get(name.slice(0, 2).toUpperCase()) ?? (offices.get("DE") as Office);
  const { state } = await readView(office);
  try {
    const file = await openCount(join(FIXTURES, name), map, () => undefined);
    const { found, units, errors } = await checkFile(
      file,
      { status: "final", reason: undefined, now: NOW },
      office,
      state,
    );
    const said = found.map(
      ({ code, level, place }) =>
        `${place.line}:${place.column ?? ""} ${place.name ?? ""} ${code}${level === "warning" ? " (warning)" : ""}`,
    );
    return { said, units, errors };
  } catch (error) {
    if (error instanceof Refusal) return { said: [error.code], units: 0, errors: 1 };
    throw error;
  }
}

/** File, and what is said of it in the order of its lines; each is an error unless it says that it is a warning. */
const TRAPS: [file: string, said: string[]][] = [
  ["de-thousands-point.csv", ["16:12 voters figure.fraction"]],
  ["de-quoted-suffix.csv", ["4:9 wahlbezirk row.quotes"]],
  ["de-unit-twice.csv", ["18:2 land F.203"]],
  ["ro-first-does-not-add-up.csv", [6, 7, 8, 9, 10, 11, 12].map((line) => `${line}:15 e_valid total.differs`)],
  [
    "ro-warnings.csv",
    [
      "4:15 e_valid + f_null W.201 (warning)",
      "5:15 e_valid + f_null W.201 (warning)",
      "6:15 e_valid + f_null W.202 (warning)",
      "7:15 e_valid + f_null W.202 (warning)",
      "8:16 f_null W.204 (warning)",
    ],
  ],
  ["si-blank-votes.csv", ["4:11 SDS figure.empty", "5:11 SDS figure.empty"]],
  ["lu-seven-votes.csv", ["2:5 ballots F.302"]],
  ["lu-list-twice.csv", ["3:2 list list.twice", "4:2 list list.unknown"]],
  ["be-other-college.csv", ["2:6 B F.204", "2:4 blank W.203 (warning)"]],
  ["de-negative.csv", ["6:18 SPD figure.negative"]],
  ["de-float.csv", ["6:18 SPD figure.fraction"]],
  ["de-empty-figure.csv", ["6:18 SPD figure.empty"]],
  ["de-formula.csv", ["6:18 SPD figure.formula"]],
  ["de-formula-name.csv", ["6:9 wahlbezirk figure.formula"]],
  ["de-letter.csv", ["6:12 voters figure.malformed"]],
  ["de-too-large.csv", ["6:12 voters figure.too-large"]],
  ["de-sum.csv", ["6:15 valid total.differs"]],
  ["de-unknown-unit.csv", ["6:2 land F.201"]],
  ["de-extra-field.csv", ["6:51  row.fields"]],
  ["de-total-row.csv", ["18:9 wahlbezirk row.total"]],
  ["de-total-row-unnamed.csv", ["18:  row.total"]],
  ["de-missing-column.csv", ["1: SPD header.column"]],
  ["de-new-list.csv", ["1:51 NEUE LISTE header.unmapped"]],
  ["de-cut.csv", ["8:23 Die PARTEI file.cut"]],
  ["de-open-quote.csv", ["7:9 wahlbezirk file.cut"]],
  ["de-mixed-encoding.csv", ["8:  file.encoding"]],
  ["de-utf16-cut.csv", ["17:  file.cut"]],
  ["de-header-only.csv", ["1:  file.empty"]],
  ["empty.csv", ["1:  file.empty"]],
  ["binary.csv", ["1:  file.format"]],
  ["workbook.xlsx", ["file.other-format"]],
];

describe("a file that is not as it should be", () => {
  it.each(TRAPS)("%s", async (file, expected) => {
    expect((await check(file)).said).toEqual(expected);
  });

  it("columns that are swapped show in every row", async () => {
    const { said, errors } = await check("de-swapped-columns.csv");
    expect(errors).toBeGreaterThanOrEqual(16);
    expect(said.slice(0, 2)).toEqual(["2:11 voters F.301", "2:11 voters F.303"]);
  });

  it("a station's second row in one file", async () => {
    expect((await check("si-station-again.csv")).said).toEqual(["3:3 district_code F.203"]);
  });

  it("stations whose lists do not sum to the valid votes", async () => {
    const { said } = await check("si-does-not-add-up.csv");
    expect(said.filter((line) => !line.includes("warning"))).toEqual([
      "4:8 valid total.differs",
      "5:8 valid total.differs",
    ]);
  });

  it("more ballots than electors where there is no register of its own", async () => {
    expect((await check("si-more-ballots.csv")).said.filter((line) => line.includes("W.201"))).toHaveLength(1);
  });

  it("keys that the source uses twice, unless the mapping numbers them", async () => {
    const mapping = JSON.parse(await readFile(MAPPINGS.de as string, "utf8")) as Record<string, unknown>;
    const strict = join(folder, "strict.mapping.json");
    await writeFile(strict, JSON.stringify({ ...mapping, repeated: "refused" }));
    expect((await check("de-key-twice.csv", strict)).said).toEqual(["6:2 land F.203"]);
    expect((await check("de-key-twice.csv")).said).toEqual([]);
  });
});

describe("a file that is as it should be", () => {
  const GOOD = readdirSync(FIXTURES).filter((name) => /^de-good|-good\.csv$/.test(name));
  it.each(GOOD)("%s", async (file) => {
    const { said, units } = await check(file);
    expect(said).toEqual([]);
    expect(units).toBe(file.startsWith("lu") ? 1 : 16);
  });
  it("postal districts have no electors", async () => {
    expect((await check("de-postal.csv")).said).toEqual([]);
  });
});

it("figures before the polls close are told of: the ledger would not take them yet", async () => {
  const office = offices.get("DE") as Office;
  const { state } = await readView(office);
  const file = await openCount(join(FIXTURES, "de-good.csv"), MAPPINGS.de, () => undefined);
  const before = { status: "final", reason: undefined, now: Date.parse("2024-06-09T12:00:00Z") } as const;
  const { found } = await checkFile(file, before, office, state);
  expect(found.map(({ code, detail }) => [code, detail])).toEqual([
    ["F.207", "The polls close at 2024-06-09T16:00:00.000Z; sign it after that."],
  ]);
});

it("every fixture is checked somewhere here", async () => {
  const source = await readFile(new URL(import.meta.url).pathname, "utf8");
  const files = readdirSync(FIXTURES).filter((name) => !name.endsWith(".json") && !/-good/.test(name));
  for (const name of files) expect(source).toContain(`"${name}"`);
});

it("one line of 1 GiB ends at its first MiB", async () => {
  const path = join(folder, "long.csv");
  const handle = await open(path, "w");
  await handle.write(await readFile(join(FIXTURES, "de-good.csv")));
  const line = Buffer.alloc(1 << 20, "1,");
  await handle.write(line);
  await handle.truncate(2 ** 30);
  await handle.close();
  const file = await openCount(path, MAPPINGS.de, () => undefined);
  const before = process.memoryUsage().rss;
  const { found } = await checkFile(file, { status: "final", reason: undefined, now: NOW }, undefined, undefined);
  expect(found.map(({ code, place }) => `${place.line} ${code}`)).toEqual(["18 row.too-long"]);
  expect(process.memoryUsage().rss - before).toBeLessThan(150 * 2 ** 20);
});
