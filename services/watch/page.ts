import { html } from "hono/html";
import type { Definition } from "../../shared/definition/schema.ts";
import { type Html, type Page, renderPage } from "../../shared/platform/page.ts";
import type { DeliveryState } from "./delivery.ts";
import type { FeedView } from "./feeds.ts";
import type { ServiceView } from "./probes.ts";
import type { Status } from "./status.ts";

/** A page that loads itself again that often needs no script. */
const REFRESH_SECONDS = 3;
const INCIDENTS_SHOWN = 20;

/** The operators' page: what is well and what is not, in words. */
export function statusPage(definition: Definition, status: Status): Page {
  const body = html`
<p>${word(status.well, "All is well.", `Not well: ${status.ill.join("; ")}.`)} As of ${time(status.at)}.
The same as a document: <a href="/v1/status">/v1/status</a></p>
<h2>Services</h2>
${table(["Service", "State", "Since", "Parts"], status.services.map(serviceRow))}
<h2>Postgres, NATS and the log</h2>
${table(["What", "State", "Since or as of", "More"], dependencyRows(status))}
<h2>The embargo</h2>
${gate(status)}
<h2>Delivery</h2>
${delivery(status)}
<h2>Feeds</h2>
${table(["State", "Feed", "Polls", "Last heard", "Statements", "Tallies received", "Units"], status.feeds.map(feedRow))}
<h2>Incidents</h2>
${incidents(status)}`;
  return renderPage({ title: "Watch", definition, body, refreshSeconds: REFRESH_SECONDS });
}

type Cell = Html | string;

function table(columns: string[], rows: Cell[][]): Html {
  const head = columns.map((column) => html`<th scope="col">${column}</th>`);
  const body = rows.map(
    ([first, ...others]) => html`<tr><th scope="row">${first}</th>${others.map((cell) => html`<td>${cell}</td>`)}</tr>`,
  );
  return html`<div class="scroll"><table><thead><tr>${head}</tr></thead><tbody>${body}</tbody></table></div>`;
}

const word = (well: boolean, good: string, bad: string) =>
  html`<span class="${well ? "well" : "ill"}">${well ? good : bad}</span>`;

const time = (iso: string | null) => (iso === null ? "never" : html`<time datetime="${iso}">${iso}</time>`);

function serviceRow({ name, up, ready, since, checks }: ServiceView): Cell[] {
  const parts = Object.entries(checks).map(([part, ok]) => html`${word(ok, `${part} well`, `${part} NOT well`)} `);
  return [name, word(ready, "ready", up ? "not ready" : "down"), time(since), html`${parts}`];
}

function dependencyRows({ dependencies, log, releases }: Status): Cell[][] {
  const { postgres, nats } = dependencies;
  const streams = nats.streams.map(({ name, messages, bytes }) => `${name}: ${messages} messages, ${bytes} bytes`);
  const { given, published } = releases;
  return [
    [
      "Postgres",
      word(postgres.well, "answers", "does not answer"),
      time(postgres.since),
      postgres.ownLog ? "" : word(false, "", "holds the log of another definition"),
    ],
    ["NATS", word(nats.well, "answers", "does not answer"), time(nats.since), streams.join("; ")],
    log === null
      ? ["Log", "not started", "never", ""]
      : ["Log", `${log.size} entries`, time(log.signedAt), `checkpoint ${log.ageMs} ms old at the last look`],
    [
      "Releases",
      published === null ? "none yet" : `number ${published.number} is served`,
      time(given?.at ?? null),
      given === null ? "" : `the key of number ${given.number} was given`,
    ],
  ];
}

function gate({ gate: { lifted, liftedAt, lastClose, reasons } }: Status): Html {
  if (lifted) return html`<p>Lifted at ${time(liftedAt)}.</p>`;
  if (reasons.length === 0) return html`<p>In force. Nothing that is seen here stands against the lift.</p>`;
  return html`<p>In force. The last polls close at ${time(lastClose)}. Open reasons: ${String(reasons.length)}.</p>
<ul>${reasons.map(({ code, says }) => html`<li>${says} <span class="quiet">${code}</span></li>`)}</ul>`;
}

const DELIVERED: Record<DeliveryState, [well: boolean, says: string]> = {
  "nothing-yet": [true, "nothing to deliver yet"],
  "not-watched": [true, "nothing is read back: no address was given"],
  equal: [true, "what is shown is what was released"],
  behind: [false, "what is shown is not the newest release"],
  differs: [false, "what is shown is NOT what was released"],
  "no-answer": [false, "the publication endpoint gives no release"],
};

function delivery({ delivery: { url, state, since, announced, shown, fetched } }: Status): Html {
  const [well, says] = DELIVERED[state];
  const rows: Cell[][] = [
    ["Released", announced === null ? "none" : `number ${announced.number}`, time(announced?.at ?? null), ""],
    [
      "Shown",
      shown === null ? "none" : `number ${shown.number}`,
      time(shown?.at ?? null),
      html`${word(well, says, says)}, since ${time(since)}${url === null ? "" : ` at ${url}`}`,
    ],
    ...fetched.map(({ key, number, at, equal }): Cell[] => [
      `Fetched by ${key}`,
      `number ${number}`,
      time(at),
      word(equal, "what was released", "NOT what was released"),
    ]),
  ];
  return table(["What", "Release", "At", "Compared"], rows);
}

function feedRow({ state, name, feed, polls, lastHeard, statements, tallies, units }: FeedView): Cell[] {
  const numbers = [statements, tallies, units].map((n) => html`<span class="n">${String(n)}</span>`);
  return [`${state} ${name}`, word(feed !== "overdue", feed, feed), polls, time(lastHeard), ...numbers];
}

function incidents({ incidents }: Status): Html {
  if (incidents.length === 0) return html`<p>None.</p>`;
  const rows = incidents
    .slice(0, INCIDENTS_SHOWN)
    .map(({ code, service, about, at }): Cell[] => [code, service, about ?? "", time(at)]);
  return html`<p>${String(incidents.length)} in memory, the newest first.</p>
${table(["Incident", "Service", "About", "At"], rows)}`;
}
