import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Definition } from "../../../shared/definition/schema.ts";
import { signDefinition } from "../../../shared/definition/sign.ts";
import { buildDefinition } from "./definition-build.ts";
import { AUTHORITY_IDS, demonstrationKey } from "./demonstration-keys.ts";
import { type NationalTally, nationalFeed } from "./national-build.ts";
import { buildOfficial } from "./official-build.ts";
import { EXPECTED_FACTS, stationTables } from "./stations-build.ts";
import { compressTable, integers, parseTable, type Table } from "./table.ts";

/**
 * Makes everything in this folder that is data, from the folder of published data: the same input gives the same bytes.
 * `tsx infra/elections/ep2024/build.ts <folder of published data>`
 */

/** What the build makes: file name below this folder to text; tables are compressed when written. */
export interface Built {
  files: Map<string, string>;
  tables: Map<string, string>;
}

/** Builds from the published data; throws when they are not what the committed files were made from. */
export function build(folder: string): Built {
  const { tables, facts } = stationTables(folder);
  if (JSON.stringify(facts) !== JSON.stringify(EXPECTED_FACTS))
    throw new RangeError(`the station files hold ${JSON.stringify(facts)}`);
  const table = (name: string): Table => parseTable(tables.get(name) ?? "");
  const definition = buildDefinition(folder, { romania: table("ro-first"), slovenia: table("si-final") });
  const text = definitionText(definition);
  const signers = AUTHORITY_IDS.map((id) => ({ id, privateKey: demonstrationKey(id) }));
  const national = nationalFeed(folder, definition, sumOf(table("de-final")));
  return {
    tables,
    files: new Map([
      ["definition.json", text],
      ["definition.signatures.json", json(signDefinition(Buffer.from(text), signers))],
      ["official.json", json(buildOfficial(folder))],
      ["feed/national.json", json(national)],
    ]),
  };
}

function sumOf(table: Table): Omit<NationalTally, "state" | "unit" | "rebuilt"> {
  const sum = (name: string): number => integers(table, name).reduce((total, n) => total + n, 0);
  const lists = [...table.keys()].filter((name) => /^DE\d\d$/.test(name));
  const votes = Object.fromEntries(lists.map((id) => [id, sum(id)]));
  return { electors: sum("electors"), ballots: sum("ballots"), blank: 0, invalid: sum("invalid"), votes };
}

const json = (value: unknown): string => `${JSON.stringify(value, null, 1)}\n`;

/** Indented for review, but unit ids on one line per group: one line per id would hide everything else. */
function definitionText(definition: Definition): string {
  return json(definition).replace(/"ids": \[([^\]]*)\]/g, (_, ids: string) => `"ids": [${ids.replace(/\s+/g, "")}]`);
}

function main(folder: string | undefined): void {
  if (folder === undefined) throw new Error("usage: tsx infra/elections/ep2024/build.ts <folder of published data>");
  const here = fileURLToPath(new URL(".", import.meta.url));
  const { files, tables } = build(folder);
  mkdirSync(join(here, "feed"), { recursive: true });
  for (const [name, text] of files) writeFileSync(join(here, name), text);
  for (const [name, text] of tables) writeFileSync(join(here, "feed", `${name}.br`), compressTable(text));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main(process.argv[2]);
