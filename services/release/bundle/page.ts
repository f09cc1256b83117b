import { html } from "hono/html";
import type { Definition } from "../../../shared/definition/schema.ts";
import type { Release, StateResult } from "../../../shared/formats/release.ts";
import { type Html, renderPage } from "../../../shared/platform/page.ts";

/**
 * A release on paper: one page that needs no server, no script and no other file, and says by its hash which document it shows. Names are
 * the definition's, figures the release's.
 */

/** A file that lies beside the page. */
export interface Beside {
  name: string;
  /** Hex. */
  sha256: string;
}

/** The page's HTML. `sha256` is of the release's document. */
export function bundlePage(release: Release, sha256: string, definition: Definition, files: readonly Beside[]): string {
  const { number, status, asOf, checkpoint, previous, union } = release;
  const named = new Map(definition.states.map((state) => [state.id, state]));
  const body = html`
<p><strong>${status}</strong>, as of <time datetime="${asOf}">${asOf}</time>: ${counted(union.units)}, ${seatsOf(union.seats)}.</p>
<table>
<caption class="quiet">Seats by political group</caption>
<thead><tr><th scope="col">Group</th><th scope="col" class="n">Seats</th></tr></thead>
<tbody>${definition.groups.map(({ id, name }) => row(`${id}: ${name}`, union.groups[id] ?? 0))}</tbody></table>
${release.states.map((state) => stateSection(state, named.get(state.state)))}
<h2>What this page shows</h2>
<p>The document <a href="release.json">release.json</a>, whose SHA-256 is <code>${sha256}</code>, and nothing else. It counts the first
${String(checkpoint.size)} entries of the log ${checkpoint.origin}, whose root is <code>${checkpoint.root}</code>, and follows
${previous === null ? "no other release" : html`the release <code>${previous}</code>`}. Two counts that share no code have signed it:
<a href="release.signatures.json">release.signatures.json</a>. How to check all of this: <a href="VERIFY.txt">VERIFY.txt</a>.</p>
<div class="scroll"><table>
<caption class="quiet">Files beside this page, by their SHA-256</caption>
<thead><tr><th scope="col">File</th><th scope="col">SHA-256</th></tr></thead>
<tbody>${files.map((file) => html`<tr><td><a href="${file.name}">${file.name}</a></td><td><code>${file.sha256}</code></td></tr>`)}</tbody>
</table></div>`;
  return String(renderPage({ title: `Release ${number}`, definition, body, alone: true }).document);
}

const row = (name: string, ...figures: (number | string)[]): Html =>
  html`<tr><td>${name}</td>${figures.map((figure) => html`<td class="n">${String(figure)}</td>`)}</tr>`;

const counted = ({ counted, expected }: Release["union"]["units"]) => `${counted} of ${expected} units counted`;
const seatsOf = ({ allocated, total }: Release["union"]["seats"]) => `${allocated} of ${total} seats allocated`;

function stateSection(result: StateResult, state: Definition["states"][number] | undefined): Html {
  const heading = html`<h2>${state?.name ?? result.state} (${result.state})</h2>`;
  if (result.withheld)
    return html`${heading}<p>Withheld: trustees hold the results of this state. No figure of it is given.</p>`;
  const names = new Map(state?.lists.map((list) => [list.id, list]));
  const turnout = result.turnout === null ? "" : `, turnout ${result.turnout} %`;
  return html`${heading}
<p>${result.status}: ${counted(result.units)}, ${seatsOf(result.seats)}${turnout}.
${result.votesFrom === "rebuilt" ? html`<em>The votes are rebuilt from published percentages: they are no count.</em>` : ""}
${result.seatsFrom === "declared" ? html`<em>The seats are those that the office declared.</em>` : ""}</p>
<table>
<thead><tr><th scope="col">List</th><th scope="col" class="n">Votes</th><th scope="col" class="n">Seats</th><th scope="col">Groups</th></tr></thead>
<tbody>${result.lists.map((list) => {
    const groups = Object.entries(list.groups).map(([group, seats]) => `${group} ${seats}`);
    const { acronym, name } = names.get(list.id) ?? { acronym: list.id, name: "" };
    return html`<tr><td>${list.id} ${acronym}${name === acronym || name === "" ? "" : `: ${name}`}</td><td class="n">${String(list.votes)}</td><td class="n">${String(list.seats)}</td><td>${groups.join(", ")}</td></tr>`;
  })}</tbody></table>`;
}
