import { createHash } from "node:crypto";
import { html, raw } from "hono/html";
import type { Definition } from "../definition/schema.ts";

/** What `html` makes: escaped, safe to put into another `html`. */
export type Html = ReturnType<typeof html>;

/** Words carry the meaning; the colour only helps. System fonts, dark and light, one column on a phone. */
const STYLE = `
:root{color-scheme:light dark;--ink:#1b1f24;--paper:#fff;--line:#c9d1d9;--quiet:#57606a;--well:#116329;--ill:#a40e26;--band:#fff3c4}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--paper:#0d1117;--line:#3d444d;--quiet:#9198a1;--well:#56d364;--ill:#ff7b72;--band:#4d3800}}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main,header{max-width:70rem;margin:0 auto;padding:0 1rem}
.exercise{background:var(--band);font-weight:700;padding:.6rem 1rem;text-align:center}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}
.scroll{overflow-x:auto}table{border-collapse:collapse;min-width:min(100%,24rem)}
th,td{border-bottom:1px solid var(--line);padding:.3rem .8rem .3rem 0;text-align:left;vertical-align:top}
.n{text-align:right;font-variant-numeric:tabular-nums}
.well{color:var(--well)}.ill{color:var(--ill);font-weight:700}.quiet{color:var(--quiet)}
code{overflow-wrap:anywhere}a{color:inherit}
@page{size:A4;margin:15mm}
@media print{:root{--ink:#000;--paper:#fff;--quiet:#333;--band:#fff}main,header{max-width:none;padding:0}h2{break-after:avoid}tr{break-inside:avoid}.exercise{border:2px solid #000}}
`;

const STYLE_HASH = createHash("sha256").update(STYLE).digest("base64");

/** What a page may say of itself; who may frame it only a header can say. */
const ITSELF = "base-uri 'none'; form-action 'none'";
const NOWHERE = `${ITSELF}; frame-ancestors 'none'`;
/** Nothing but the one style above: no script, no request to anywhere. */
const ONE_STYLE = `default-src 'none'; style-src 'sha256-${STYLE_HASH}'`;
const POLICY = `${ONE_STYLE}; ${NOWHERE}`;
/** A style and scripts of the own origin as well, and requests to it; no script may write markup. */
const OWN_POLICY = `default-src 'none'; style-src 'sha256-${STYLE_HASH}' 'self'; script-src 'self'; connect-src 'self'; ${NOWHERE}; require-trusted-types-for 'script'; trusted-types 'none'`;

export interface Page {
  document: Html;
  /** For the header Content-Security-Policy. */
  policy: string;
}

/** A whole page about this election, which says in words when it is an exercise. */
export function renderPage(opts: {
  title: string;
  definition: Pick<Definition, "mode" | "title">;
  body: Html;
  refreshSeconds?: number;
  /** Addresses of this origin: a stylesheet and a script (an ES module), for a page that computes. Others have no script at all. */
  own?: { style: string; script: string };
  /** It is a file, which nobody sends a header with. */
  alone?: boolean;
}): Page {
  const { definition, title, body, refreshSeconds, own, alone = false } = opts;
  const exercise = definition.mode === "exercise";
  const refresh =
    refreshSeconds === undefined ? "" : html`<meta http-equiv="refresh" content="${String(refreshSeconds)}">`;
  const files =
    own === undefined
      ? ""
      : html`<link rel="stylesheet" href="${own.style}">
<script type="module" src="${own.script}"></script>`;
  const document = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
${alone ? html`<meta http-equiv="Content-Security-Policy" content="${ONE_STYLE}; ${ITSELF}">` : ""}
${refresh}
<title>${exercise ? "EXERCISE: " : ""}${title}</title>
<style>${raw(STYLE)}</style>
${files}
</head>
<body>
${exercise ? html`<p class="exercise">EXERCISE. This is no election: nothing on this page is a real result.</p>` : ""}
<header><h1>${title}</h1><p class="quiet">${definition.title}</p></header>
<main>${body}</main>
</body>
</html>
`;
  return { document, policy: own === undefined ? POLICY : OWN_POLICY };
}
