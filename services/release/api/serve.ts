import { html } from "hono/html";
import type { Register } from "../../../shared/definition/register.ts";
import type { App } from "../../../shared/platform/http.ts";
import { renderPage } from "../../../shared/platform/page.ts";
import { JSON_TYPE, prepare, respond } from "../representation.ts";
import { type OpenApi, openApi } from "./openapi.ts";

const CACHING = { cacheControl: "public, max-age=300" };

/** `/openapi.json`, and the same to read at `/api`: no script, nothing from elsewhere. */
export async function addApi(app: App, { definition }: Register): Promise<void> {
  const document = openApi(definition);
  const file = await prepare(JSON_TYPE, JSON.stringify(document));
  app.get("/openapi.json", (c) => respond(c, file, CACHING));
  const page = renderPage({ title: "The publication endpoint", definition, body: bodyOf(document) });
  app.get("/api", (c) => c.html(page.document, 200, { "content-security-policy": page.policy }));
}

interface Parameter {
  name: string;
  in: string;
  description?: string;
  required?: boolean;
}
interface Described {
  operationId: string;
  summary: string;
  description?: string;
  tags: readonly string[];
  parameters?: readonly Parameter[];
  responses: Record<string, { description: string; content?: Record<string, unknown> }>;
}

function bodyOf({ info, tags, paths }: OpenApi) {
  const operations = Object.entries(paths).map(([path, { get }]) => ({ path, ...(get as unknown as Described) }));
  return html`
${info.description.split("\n\n").map((paragraph) => html`<p>${paragraph}</p>`)}
<p>For machines: <a href="/openapi.json">/openapi.json</a> (OpenAPI 3.1). <a href="/">Back to the results</a></p>
<nav><ul>${tags.map(({ name, description }) => html`<li><a href="#${name}">${name}</a>: ${description}</li>`)}</ul></nav>
${tags.map(
  ({ name }) => html`<section><h2 id="${name}">${name}</h2>
${operations.filter((operation) => operation.tags.includes(name)).map(operationOf)}</section>`,
)}`;
}

function operationOf({
  path,
  operationId,
  summary,
  description,
  parameters = [],
  responses,
}: Described & { path: string }) {
  const answers = Object.entries(responses).map(([status, answer]) => {
    const types = Object.keys(answer.content ?? {}).filter((type) => type !== "application/problem+json");
    return html`<tr><td>${status}</td><td>${answer.description}</td><td>${types.join(", ")}</td></tr>`;
  });
  return html`<article id="${operationId}"><h3>GET <code>${path}</code></h3>
<p>${summary}${description === undefined ? "" : html` ${description}`}</p>
${parameters.length === 0 ? "" : html`<ul>${parameters.map(parameterOf)}</ul>`}
<details><summary>Answers</summary><div class="scroll"><table>
<thead><tr><th scope="col">Status</th><th scope="col">Meaning</th><th scope="col">Body</th></tr></thead>
<tbody>${answers}</tbody></table></div></details></article>`;
}

function parameterOf({ name, in: where, description = "" }: Parameter) {
  return html`<li><code>${name}</code> (${where}): ${description}</li>`;
}
