import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { readOptions as readAudit } from "../services/audit/options.ts";
import { readCommand } from "../services/trustee/options.ts";
import { entriesPath, TILE_WIDTH } from "../shared/ledger/tiles.ts";

/** The runbook is read in the night by people who cannot look into the code: what it tells them to type and to look for must exist. */

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const RUNBOOK = readFileSync(join(ROOT, "infra", "runbook.md"), "utf8");

/** Every line of a shell block, without its indent. */
const commands = [...RUNBOOK.matchAll(/^ *```sh\n([\s\S]*?)^ *```$/gm)].flatMap(([, block = ""]) =>
  block
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== ""),
);

/** The words of a command line as a shell reads them: quotes, no substitution beyond the variables that the runbook sets. */
function words(line: string): string[] {
  return [...line.matchAll(/(?:[^\s"']+|"([^"]*)"|'([^']*)')+/g)].map(([word]) => word.replace(/["']/g, ""));
}

const variables = new Map(
  commands.flatMap((line) => {
    const [, name, value] = /^export (\w+)="([^"]*)"$/.exec(line) ?? [];
    return name === undefined ? [] : [[name, value ?? ""]];
  }),
);

function sources(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return sources(path);
    return /\.(ts|sql|js)$/.test(entry.name) && !entry.name.endsWith(".test.ts")
      ? [readFileSync(join(ROOT, path), "utf8")]
      : [];
  });
}
const code = ["shared", "services", "infra/stack"].flatMap(sources).join("\n");
const quoted = [...RUNBOOK.matchAll(/`([^`\n]+)`/g)].map(([, text = ""]) => text);

describe("the runbook", () => {
  const trustee = [...commands, ...quoted].filter((line) => line.startsWith("npm run trustee -- "));

  it.each(trustee)("%s", (line) => {
    const [, , , , ...args] = words(line);
    expect(readCommand(args, Object.fromEntries(variables))).toBeDefined();
  });

  it("shows every decision that trustees can make in the night, each of two with its cosign and submit", () => {
    const decided = trustee.map((line) => readCommand(words(line).slice(4), Object.fromEntries(variables)));
    const said = new Set(
      decided.map((command) => {
        if (command?.does !== "decide") return command?.does;
        if ("request" in command.saying) return "key enrol";
        return command.saying.type === "key" ? `key ${command.saying.change}` : command.saying.decision;
      }),
    );
    for (const each of [
      "hold",
      "resume",
      "override",
      "void",
      "suspend",
      "recover",
      "origin",
      "key revoke",
      "key enrol",
    ])
      expect(said, each).toContain(each);
    for (const each of ["cosign", "submit", "key new", "recovery new", "recovery check", "recovery join"])
      expect(said, each).toContain(each);
    // A file that is cosigned or submitted was written by a line above it.
    const written = new Set<string>();
    for (const command of decided) {
      if (command?.does === "cosign" || command?.does === "submit") expect(written).toContain(command.file);
      if (command !== undefined && "out" in command && command.out !== undefined) written.add(command.out);
    }
  });

  it("uses no program and no script that is not there", () => {
    const { scripts } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { scripts: object };
    for (const line of [...commands, ...quoted].filter((text) => text.startsWith("npm ")))
      expect(Object.keys(scripts)).toContain(/^npm (?:run )?([\w-]+)/.exec(line)?.[1]);
    for (const line of commands.filter((text) => text.startsWith("npm run audit ")))
      expect(readAudit(words(line).slice(4))).toBeDefined();
    const known =
      /^(npm|curl|chronyc|sudo chronyc|date|sha256sum|export [A-Z_]+=|SIZE=\$\(curl|BUNDLE=\$\(\(|\[ \$\(\(SIZE) ?/;
    expect(commands.filter((line) => !known.test(line))).toEqual([]);
  });

  it.each([1, 255, 256, 257, 512, 256_000, 256_001, 256_256, 300_000])(
    "finds the last bundle of %i entries",
    (size) => {
      const block = commands.slice(commands.findIndex((line) => line.startsWith("SIZE=")));
      const lines = block.slice(1, block.findIndex((line) => line.startsWith("curl ")) + 1);
      // The shell's own words; only what curl is asked for is looked at.
      const script = [`SIZE=${size}`, 'RELEASE=""', 'curl() { echo "$2" >&2; }', ...lines].join("\n");
      const { stderr } = spawnSync("sh", ["-c", script], { encoding: "utf8" });
      const last = Math.ceil(size / TILE_WIDTH) - 1;
      expect(stderr).toBe(`/log/${entriesPath(last, size - last * TILE_WIDTH)}\n`);
    },
  );

  it("names codes, variables and metrics as the system does", () => {
    const codes = quoted.filter((text) => /^([a-z]+\.(?!json$)[a-z-]+|[FW]\.\d{3})$/.test(text));
    expect(codes.length).toBeGreaterThan(25);
    const names = quoted.flatMap(
      (text) => text.match(/\b(SCRUTIN_[A-Z_]+|TRUSTEE_[A-Z_]+|[a-z]+_[a-z_]+_total)\b/g) ?? [],
    );
    const missing = codes.filter((text) => !code.includes(`"${text}"`) && !isComposed(text));
    expect(missing).toEqual([]);
    expect(names.filter((name) => !code.includes(name))).toEqual([]);
    for (const name of variables.keys())
      expect(["RELEASE", "WATCH"].includes(name) || code.includes(name), name).toBe(true);
  });

  it("speaks of every reason why the gate is closed, and of every incident", () => {
    const gate = readFileSync(join(ROOT, "shared/embargo/gate.ts"), "utf8");
    const reasons = [...gate.matchAll(/\| \{ code: "([a-z.-]+)"/g)].map(([, text = ""]) => text);
    const raised = [...code.matchAll(/raise\(\{ code: "([a-z.-]+)"/g)].map(([, text = ""]) => text);
    expect(reasons.length).toBeGreaterThan(6);
    expect(raised.length).toBeGreaterThan(6);
    for (const each of new Set([...reasons, ...raised])) expect(quoted, each).toContain(each);
  });
});

/** `lift.quarantined`, `release.quarantined`: the statement's type is put in front. */
const isComposed = (text: string) => /^(lift|release)\.quarantined$/.test(text) && code.includes("}.quarantined`");
