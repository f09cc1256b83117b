import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { build } from "esbuild";

/** Makes the office's tool one file that runs with Node alone, and prints its SHA-256: the same sources make the same bytes. */

const HELP = `Makes services/office one file, scrutin-office.mjs, that an office runs with Node alone, and prints its SHA-256.

  npm run office:bundle -- [--out scrutin-office.mjs]
`;

const { values } = parseArgs({
  options: { out: { type: "string", default: "scrutin-office.mjs" }, help: { type: "boolean", default: false } },
});
if (values.help) process.stdout.write(HELP);
else {
  await build({
    entryPoints: [fileURLToPath(new URL("./main.ts", import.meta.url))],
    absWorkingDir: fileURLToPath(new URL("../..", import.meta.url)),
    outfile: fileURLToPath(new URL(values.out, `file://${process.cwd()}/`)),
    bundle: true,
    platform: "node",
    target: "node20.19",
    format: "esm",
    legalComments: "inline",
    // Some packages are CommonJS still, and ask for Node's own modules by `require`.
    banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
  });
  const bytes = await readFile(values.out);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  process.stdout.write(`${sha256}  ${values.out}\n`);
}
