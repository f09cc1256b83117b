import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { html } from "hono/html";
import type { Register } from "../../../shared/definition/register.ts";
import type { App } from "../../../shared/platform/http.ts";
import { renderPage } from "../../../shared/platform/page.ts";
import { prepare, respond } from "../representation.ts";

/** The page's own modules, served as they lie here: whoever audits them reads what runs. */
const MODULES = [
  "bytes.js",
  "checks.js",
  "definition.js",
  "ed25519.js",
  "json.js",
  "merkle.js",
  "note.js",
  "opened.js",
  "proof.js",
  "release.js",
  "statement.js",
  "states.js",
  "tiles.js",
  "verify.js",
] as const;

/** Old and new modules must not meet in a cache: each is asked for anew, and is mostly still the one that is held (304). */
const ASK_AGAIN = { cacheControl: "no-cache" };

const SCRIPT = "text/javascript; charset=utf-8";

/**
 * The page on which anyone verifies a proof or a statement in their own browser: GET /verify, and below it its script, its style and
 * tweetnacl as its authors publish it. Reads the files once, from the disk; rejects if one is missing.
 */
export async function addVerifyPage(app: App, register: Register): Promise<void> {
  const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
  const nacl = createRequire(import.meta.url).resolve("tweetnacl/nacl-fast.min.js");
  const files: [name: string, type: string, path: string][] = [
    ...MODULES.map((name): [string, string, string] => [name, SCRIPT, here(name)]),
    ["nacl.js", SCRIPT, nacl],
    ["page.css", "text/css; charset=utf-8", here("page.css")],
  ];
  for (const [name, type, path] of files) {
    const file = await prepare(type, await readFile(path));
    app.get(`/verify/${name}`, (c) => respond(c, file, ASK_AGAIN));
  }
  const { document, policy } = verifyPage(register);
  app.get("/verify", (c) => c.html(document, 200, { "content-security-policy": policy }));
}

function verifyPage({ definition, hash }: Register) {
  const body = html`
<p>Here you verify, in your own browser, that a statement of a results office is in the public log, that the log shown to you is the one that is
shown to everyone, and, once results may be given, what the statement says and which release counts it. The script asks this server for
files, and believes none of its answers: it hashes and verifies them itself. It sends nothing of yours but the SHA-256 of the statement, and asks
nobody else.</p>
<noscript><p class="ill">This page computes in your browser and needs JavaScript. The audit does the same without a browser.</p></noscript>
<h2>A proof file</h2>
<label id="drop" for="file">Drop a proof file (<code>.tlog-proof</code>) anywhere on this page, or choose one:
<input type="file" id="file" accept=".tlog-proof,text/plain"></label>
<form id="ask">
<h2>Or a statement</h2>
<label for="hash">SHA-256 of the signed statement, as the receipt names it (64 hexadecimal digits):</label>
<input id="hash" name="hash" inputmode="text" autocomplete="off" autocapitalize="off" spellcheck="false">
<button type="submit">Verify</button>
</form>
<h2>What was found</h2>
<p id="summary" role="status" aria-live="polite"></p>
<ol id="checks"></ol>
<p class="quiet">The server says that its definition is <code>${hash}</code>. The script, to read:
<a href="/verify/verify.js">verify.js</a>, and the modules that it names. <a href="/">Back to the results</a></p>`;
  return renderPage({
    title: "Verify a statement",
    definition,
    body,
    own: { style: "/verify/page.css", script: "/verify/verify.js" },
  });
}
