import { html } from "hono/html";
import type { Register } from "../../shared/definition/register.ts";
import { type Page, renderPage } from "../../shared/platform/page.ts";
import type { Shown } from "./shelf.ts";

/** The front page: what this is and where to go. `latest` is undefined before the first release. */
export function frontPage({ definition, hash, lastClosing }: Register, latest: Shown | undefined): Page {
  const body = html`
<p>Here the European Parliament, and anyone else, gets the results of this election: numbered releases, each signed by two counts
that share no code, each naming the one before it and the part of the log that it counts.</p>
${latest === undefined ? closed(lastClosing()) : open(latest)}
<h2>Addresses</h2>
<ul>
<li><a href="/v1/releases">/v1/releases</a>: every release</li>
<li><a href="/v1/releases/latest">/v1/releases/latest</a>: the last one,
<a href="/v1/releases/latest.csv">as CSV</a>, <a href="/v1/releases/latest/signatures">its signatures</a></li>
<li><a href="/log/checkpoint">/log/checkpoint</a>: the signed head of the log, whose tiles and entries lie beside it (C2SP tlog-tiles)</li>
<li><a href="/v1/definition">/v1/definition</a>: what is counted, and how; <a href="/v1/definition/signatures">its signatures</a></li>
<li><a href="/v1/stream">/v1/stream</a>: each release the moment that it is served, as server-sent events</li>
<li><a href="/api">/api</a>: every address, with what it takes and gives (<a href="/openapi.json">OpenAPI</a>)</li>
<li><a href="/verify">/verify</a>: verify a proof or a statement in your own browser</li>
<li><a href="/v1/codes">/v1/codes</a>: every code that a refusal may carry, and what to do</li>
</ul>
<p class="quiet">Definition <code>${hash}</code></p>`;
  return renderPage({ title: "Results of the European election", definition, body });
}

function closed(lastClosing: number) {
  const at = new Date(lastClosing).toISOString();
  return html`<h2>No result may be given yet</h2>
<p>Polls are still open in the Union, or not every state has said that its polls are closed (1976 Electoral Act, Article 10(2)).
The last poll is scheduled to close at <time datetime="${at}">${at}</time>.</p>`;
}

function open({ listed, union }: Shown) {
  const { number, status, asOf, size, sha256 } = listed;
  const { seats, units, groups } = union;
  const rows = Object.entries(groups).map(
    ([group, members]) => html`<tr><td>${group}</td><td class="n">${String(members)}</td></tr>`,
  );
  return html`<h2>Release ${String(number)}</h2>
<p>${status}, as of <time datetime="${asOf}">${asOf}</time>, counting ${String(size)} entries of the log:
${String(units.counted)} of ${String(units.expected)} units, ${String(seats.allocated)} of ${String(seats.total)} seats.</p>
<div class="scroll"><table>
<caption class="quiet">Seats by political group</caption>
<thead><tr><th scope="col">Group</th><th scope="col" class="n">Seats</th></tr></thead>
<tbody>${rows}</tbody></table></div>
<p class="quiet">SHA-256 <code>${sha256}</code></p>`;
}
