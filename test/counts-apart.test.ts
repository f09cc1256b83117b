import { readdirSync, readFileSync } from "node:fs";
import { dirname, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

/**
 * Two signatures are worth two only if an error in one count cannot be in the other: neither process may load a line of the
 * other's counting code, by whatever way round.
 */

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const SPECIFIER = /(?:\bfrom\s*|\bimport\s*\(?\s*)(["'`])(\.[^"'`]+)\1/g;

const COUNTING = {
  tabulate: ["services/tabulate/", "shared/results/"],
  recount: ["services/recount/", "shared/recount/"],
} as const;

/** Every file of the project that these load, themselves included; relative to the root. */
function loadedBy(files: string[], read: (file: string) => string): Set<string> {
  const loaded = new Set<string>();
  const next = [...files];
  for (let file = next.pop(); file !== undefined; file = next.pop()) {
    if (loaded.has(file)) continue;
    loaded.add(file);
    for (const [, , name = ""] of read(file).matchAll(SPECIFIER))
      next.push(relative(ROOT, resolve(ROOT, dirname(file), name)));
  }
  return loaded;
}

const readReal = (file: string) => readFileSync(resolve(ROOT, file), "utf8");
const ofService = (service: string) =>
  readdirSync(resolve(ROOT, "services", service))
    .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"))
    .map((name) => `services/${service}/${name}`);
const within = (files: Iterable<string>, folders: readonly string[]) =>
  [...files].filter((file) => folders.some((folder) => file.startsWith(folder)));

describe("the two counts", () => {
  it.each([
    ["tabulate", "recount"],
    ["recount", "tabulate"],
  ] as const)("%s loads nothing that %s counts with, by whatever way round", (own, other) => {
    const loaded = loadedBy(ofService(own), readReal);
    expect(within(loaded, COUNTING[other])).toEqual([]);
    // And it was looked at: what it counts with itself is there.
    for (const folder of COUNTING[own]) expect(within(loaded, [folder]).length).toBeGreaterThan(1);
  });

  it("are found out when something between them leads from one to the other", () => {
    const files: Record<string, string> = {
      "services/tabulate/main.ts": 'import { a } from "../../shared/platform/a.ts";',
      "shared/platform/a.ts": 'export const b = () => import("./b.ts");',
      "shared/platform/b.ts": "export * from '../recount/seats.ts';",
      "shared/recount/seats.ts": 'import { a } from "../platform/a.ts";',
    };
    const loaded = loadedBy(["services/tabulate/main.ts"], (file) => files[file] ?? "");
    expect(within(loaded, COUNTING.recount)).toEqual(["shared/recount/seats.ts"]);
  });
});
